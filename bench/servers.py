"""The servers that are measured: how each is started, pinned to its core, and what it is called."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from bench.driver import HERE, build

PEERS: Final = HERE / "peers"
_PATIENCE: Final = 90.0
_NCHAN: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


class MissingPeer(Exception):
    """This machine does not have it; the message says how to get it."""


@dataclass(frozen=True)
class Place:
    """Where a server is started: its core, its files, its port, and the model server it asks."""

    core: int | None
    folder: Path
    port: int
    control: int
    """A second port, for a server that is published to on another than it is read from."""
    upstream: str
    cache: Path
    """What was compiled or installed for the bench."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Plan:
    """A command, and what it is given."""

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    """A path that is answered well once all of it is up, where listening is not enough."""


Start: TypeAlias = Callable[[Place], Plan]


@contextmanager
def running(start: Start, place: Place) -> Iterator[int]:
    """Start a server, wait until it listens, end it afterwards; its process id."""
    plan = start(place)
    command = list(plan.command)
    if place.core is not None:
        command = ["taskset", "-c", str(place.core), *command]
    with (place.folder / "output").open("w") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **plan.env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, place, plan.ready)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started, and left


def _wait(process: subprocess.Popen[bytes], place: Place, ready: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if ready:
                urllib.request.urlopen(place.url + ready, timeout=5).close()
            else:
                socket.create_connection(("127.0.0.1", place.port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    said = (place.folder / "output").read_text()[-500:]
    raise MissingPeer(f"it did not start: {said.strip()}")


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _need(program: str, package: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        raise MissingPeer(f"apt install {package}")
    return found


# --- ours -------------------------------------------------------------------------------------


def tailrace(*flags: str, store: str = "sqlite") -> Start:
    """As shipped: durability, access log, heartbeats, clocks."""

    def start(place: Place) -> Plan:
        url = f"sqlite:{place.folder / 'tailrace.db'}" if store == "sqlite" else "memory:"
        command = [sys.executable, "-m", "tailrace", "serve", "--port", str(place.port)]
        command += ["--upstream", f"http://{place.upstream}/v1", "--model", "bench"]
        return Plan([*command, "--store", url, *flags])

    return start


# --- relays -----------------------------------------------------------------------------------


def article(place: Place) -> Plan:
    """The article's program, which also is what the tests compare with."""
    _need("go", "golang-go")
    program = build(HERE.parent / "tests" / "article", place.cache / "article")
    listen = ["-listen", f"127.0.0.1:{place.port}", "-upstream", f"http://{place.upstream}/v1"]
    return Plan([str(program), *listen])


def nginx(place: Place) -> Plan:
    """A proxy that parses nothing, as its documentation says for streams."""
    server = f"""
        upstream model {{ server {place.upstream}; keepalive 512; }}
        server {{
            listen 127.0.0.1:{place.port} backlog=4096;
            location / {{
                proxy_pass http://model;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_buffering off;
            }}
        }}"""
    return _nginx(place, server)


def nchan(place: Place) -> Plan:
    """nginx with its publish-subscribe module."""
    if not _NCHAN.exists():
        raise MissingPeer("apt install libnginx-mod-nchan")
    server = f"""
        server {{
            listen 127.0.0.1:{place.port} backlog=4096;
            location ~ ^/publish/(.*)$ {{ nchan_publisher; nchan_channel_id $1; }}
            location ~ ^/subscribe/(.*)$ {{ nchan_subscriber eventsource; nchan_channel_id $1; }}
        }}"""
    return _nginx(place, server, f"load_module {_NCHAN};")


def _nginx(place: Place, server: str, load: str = "") -> Plan:
    program = _need("nginx", "nginx")
    folder = place.folder
    user = "user root;" if os.geteuid() == 0 else ""
    config = f"""{load}
    {user}
    daemon off;
    worker_processes 1;
    worker_rlimit_nofile 20000;
    pid {folder}/pid;
    error_log {folder}/error.log;
    events {{ worker_connections 15000; }}
    http {{
        access_log {folder}/access.log;
        client_body_temp_path {folder}/body;
        proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi;
        uwsgi_temp_path {folder}/uwsgi;
        scgi_temp_path {folder}/scgi;
        {server}
    }}"""
    (folder / "nginx.conf").write_text(config)
    command = [program, "-p", str(folder), "-e", f"{folder}/error.log"]
    return Plan([*command, "-c", f"{folder}/nginx.conf"])


def haproxy(place: Place) -> Plan:
    """The other proxy that parses nothing."""
    program = _need("haproxy", "haproxy")
    config = f"""
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen relay
    bind 127.0.0.1:{place.port}
    server model {place.upstream}
"""
    (place.folder / "haproxy.cfg").write_text(config)
    return Plan([program, "-db", "-f", str(place.folder / "haproxy.cfg")])


def starlette(place: Place) -> Plan:
    """What most people write in Python."""
    command = [sys.executable, "-m", "uvicorn", "bench.peers.starlette_relay:app"]
    command += ["--port", str(place.port), "--log-level", "warning"]
    env = {"PYTHONPATH": str(HERE.parent), "BENCH_UPSTREAM": f"http://{place.upstream}/v1"}
    return Plan(command, env)


def litellm(place: Place) -> Plan:
    """The gateway that Python shops use."""
    program = place.cache / "litellm" / "bin" / "litellm"
    if not program.exists():
        raise MissingPeer("make bench installs it; pip could not")
    config = f"""
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://{place.upstream}/v1
      api_key: none
"""
    (place.folder / "litellm.yaml").write_text(config)
    command = [str(program), "--config", str(place.folder / "litellm.yaml")]
    env = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}  # it is on loopback
    return Plan([*command, "--host", "127.0.0.1", "--port", str(place.port)], env)


# --- logs and fan-out -------------------------------------------------------------------------


def pushpin(place: Place) -> Plan:
    """A proxy that holds viewers for a web application. The load is that application, too."""
    program, zurl = _need("pushpin", "pushpin"), _need("zurl", "zurl")
    folder = place.folder
    ends = {"in": "zurl-in", "in_stream": "zurl-in-stream", "out": "zurl-out"}
    specs = {name: f"ipc://{folder}/{end}" for name, end in ends.items()}
    (folder / "zurl.conf").write_text(
        "[General]\ndefpolicy=allow\nmax_open_requests=8000\n"
        + "".join(f"{name}_spec={spec}\n" for name, spec in specs.items())
    )
    (folder / "routes").write_text(f"* {place.upstream}\n")
    (folder / "pushpin.conf").write_text(f"""[global]
include={{libdir}}/internal.conf
rundir={folder}
ipc_prefix=bench-

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{place.port}
logdir={folder}
log_level=1
client_maxconn=20000

[proxy]
routesfile={folder}/routes
zurl_out_specs={specs["in"]}
zurl_out_stream_specs={specs["in_stream"]}
zurl_in_specs={specs["out"]}

[handler]
push_in_http_addr=127.0.0.1
push_in_http_port={place.control}
message_rate=0
""")
    run = f"{zurl} --config={folder}/zurl.conf & exec {program} --config={folder}/pushpin.conf"
    return Plan(["sh", "-c", run], ready="/viewers")


def durable_streams(place: Place) -> Plan:
    """The protocol's reference server, on files."""
    node = _need("node", "nodejs")
    script = place.cache / "node" / "durable_server.mjs"
    if not (place.cache / "node" / "node_modules").exists():
        raise MissingPeer("make bench installs it; npm could not")
    shutil.copy(PEERS / "durable_server.mjs", script)
    return Plan([node, str(script), str(place.port), str(place.folder / "data")])


def durable_streams_in_memory(place: Place) -> Plan:
    """The same, keeping nothing."""
    return Plan(durable_streams(place).command[:-1])


def versions(cache: Path) -> dict[str, str]:
    """What the peers say of themselves."""
    commands = {
        "Tailrace": [sys.executable, "-m", "tailrace", "--version"],
        "Go": ["go", "version"],
        "nginx": ["/usr/sbin/nginx", "-v"],
        "HAProxy": ["haproxy", "-v"],
        "Node.js": ["node", "--version"],
        "Pushpin": ["pushpin", "--version"],
        "nchan": ["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"],
        "LiteLLM": [str(cache / "litellm/bin/pip"), "show", "litellm"],
        "@durable-streams/server": ["npm", "ls", "--prefix", str(cache / "node"), "--depth", "0"],
    }
    return {name: _first_line(command) for name, command in commands.items()}


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return "not there"
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    wanted = [line for line in lines if "ersion" in line or "@durable-streams" in line]
    return (wanted or lines or ["not there"])[0].removeprefix("Version: ").strip("└─ ")
