"""``python -m bench.profile``: where the microseconds of a relayed token go.

The relay's load, once without and once under ``perf record -e cpu-clock``: /proc says how much a
token costs, the samples say of what. A virtual machine has no other counters, and needs none here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench import pictures, servers
from bench.driver import HERE, Bench, LoadFailed, cores, ready
from bench.loads import Effort, by_stream
from bench.scenarios import Entrant, measure_once, placed
from bench.servers import MissingPeer, Start, running

TITLE: Final = "Where the microseconds of a relayed token go"
_EFFORT: Final = Effort(rounds=1, seconds=5.0, warmup=1.5, plots=True)
# No divisor of any clock's rate, so that nothing regular hides between two samples.
_PER_SECOND: Final = "2999"
_KERNEL: Final = "[kernel.kallsyms]"


class Frame(NamedTuple):
    """A function and the file that it is in."""

    symbol: str
    file: str


class Sample(NamedTuple):
    """A thread at one moment; the innermost frame is first."""

    thread: int
    frames: tuple[Frame, ...]


WRITE = "kernel: writing to the viewer"
READ = "kernel: reading from the upstream"
WAIT = "kernel: epoll and waking up"
KERNEL = "kernel: pages, files and the rest"
LOOP = "uvloop, libuv"
PARSE = "httptools, llhttp"
OURS = "Tailrace, compiled"
PYTHON = "CPython, Tailrace in it"
LIBC = "libc and the rest"
LOCK = "handing on the interpreter's lock"
STORE_PYTHON = "store's thread: CPython"
STORE_SQLITE = "store's thread: SQLite"
STORE_DISK = "store's thread: files"
STORE_SYNC = "store's thread: fsync"
STORE_LIBC = "store's thread: libc and the rest"
_COLOURS: Final = {
    WRITE: "#4f93c4",
    READ: "#7fb2d6",
    WAIT: "#a9cce5",
    KERNEL: "#d0e3f1",
    LOOP: "#6bb38a",
    PARSE: "#a5d3b8",
    OURS: "#d9772b",
    PYTHON: "#eda55d",
    LIBC: "#f6d3a8",
    LOCK: "#c75d5d",
    STORE_PYTHON: "#8b77b0",
    STORE_SQLITE: "#a797c6",
    STORE_DISK: "#c2b6d9",
    STORE_SYNC: "#d8d0e7",
    STORE_LIBC: "#eae5f2",
}
GROUPS: Final = tuple(_COLOURS)

# The first that a function of the call chain matches. A system call's own name is often all there
# is: its first and last instructions belong to no function of the kernel's.
_IN_KERNEL: Final = (
    (re.compile(r"futex|sem_(post|wait)|pthread_cond|lll_lock"), LOCK),
    (re.compile(r"page_fault|mmap|munmap|madvise|brk$"), KERNEL),
    (re.compile(r"epoll"), WAIT),
    (re.compile(r"tcp_sendmsg|_writev?$|^writev?$|^send(msg|to)?$"), WRITE),
    (re.compile(r"tcp_recvmsg|_read$|^readv?$|^recv(msg|from)?$"), READ),
)
_IN_FILES: Final = (
    (re.compile(r"/uvloop/|/libuv"), LOOP),
    (re.compile(r"/httptools/|/libllhttp"), PARSE),
    (re.compile(r"__mypyc|(src|-packages)/tailrace/"), OURS),
    (re.compile(r"sqlite3"), STORE_SQLITE),
    (re.compile(r"/(lib)?python3[^/]*$|/lib-dynload/"), PYTHON),
)
_STORE: Final = {PYTHON: STORE_PYTHON, LIBC: STORE_LIBC}


def group_of(sample: Sample, loop: int) -> str:
    """What a thread was busy with. The thread ``loop`` is the event loop's; others are the store's.

    Tailrace has no threads but those two while it relays.
    """
    inner = sample.frames[0]
    ours = sample.thread == loop
    if inner.file == _KERNEL:
        group = _first(_IN_KERNEL, (frame.symbol for frame in sample.frames), KERNEL)
        if ours or group == LOCK:
            return group
        synced = any("sync" in frame.symbol for frame in sample.frames)
        return STORE_SYNC if synced else STORE_DISK
    group = _first(_IN_FILES, (inner.file,), LIBC)
    return group if ours else _STORE.get(group, group)


def _first(
    patterns: Sequence[tuple[re.Pattern[str], str]], names: Iterable[str], otherwise: str
) -> str:
    held = tuple(names)
    for pattern, group in patterns:
        if any(pattern.search(name) for name in held):
            return group
    return otherwise


_FRAME: Final = re.compile(r"\s+[0-9a-f]+ (.*) \((.*)\)$")


def samples(script: str) -> list[Sample]:
    """Read what ``perf script -F tid,ip,sym,dso`` prints."""
    found = []
    for block in script.split("\n\n"):
        head, *lines = block.strip("\n").split("\n")
        frames = tuple(Frame(*match.groups()) for match in map(_FRAME.match, lines) if match)
        if frames:
            found.append(Sample(int(head), frames))
    return found


def shares(found: Sequence[Sample], loop: int) -> dict[str, float]:
    """The part of each group in all, in the order of ``GROUPS``; those without a sample are left
    out.
    """
    counted = Counter(group_of(sample, loop) for sample in found)
    return {group: counted[group] / len(found) for group in GROUPS if counted[group]}


def measure(bench: Bench) -> dict[str, dict[str, float]]:
    """µs per token of each group, by store. Raises MissingPeer or LoadFailed."""
    if shutil.which("perf") is None:
        raise MissingPeer("apt install linux-perf")
    found = {}
    for name, store in (("SQLite", "sqlite"), ("memory", "memory")):
        start = servers.tailrace(store=store)
        total = measure_once(Entrant(name, start, by_stream(_EFFORT)), bench)["us"]
        parts = shares(*_sampled(start, bench))
        found[name] = {group: total * part for group, part in parts.items()}
    return found


def _sampled(start: Start, bench: Bench) -> tuple[list[Sample], int]:
    with placed(bench) as place, running(start, place) as pid:
        data, wait = place.folder / "perf.data", _EFFORT.warmup + 0.5
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", _PER_SECOND, "-g"]
        command += ["-D", f"{wait * 1000:.0f}", "-p", str(pid), "-o", str(data)]
        command += ["--", "sleep", str(wait + _EFFORT.seconds)]
        core, _ = cores()
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as perf:
            by_stream(_EFFORT)(bench.load, pid, place)
            said, _ = perf.communicate(timeout=60)
        script = ["perf", "script", "-i", str(data), "-F", "tid,ip,sym,dso"]
        done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=120)
        found = samples(done.stdout)
        if not found:
            raise MissingPeer(f"perf took no samples: {said.decode()[-300:].strip()}")
        return found, pid


def table(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The same in Markdown, a line for each group."""
    lines = ["| µs per token | " + " | ".join(found) + " |", "|---|" + "--:|" * len(found)]
    for group in GROUPS:
        if any(group in parts for parts in found.values()):
            cells = [f"{parts.get(group, 0.0):.1f}" for parts in found.values()]
            lines.append(f"| {group} | " + " | ".join(cells) + " |")
    sums = [f"**{sum(parts.values()):.1f}**" for parts in found.values()]
    return [*lines, "| **all** | " + " | ".join(sums) + " |"]


def draw(folder: Path, found: Mapping[str, Mapping[str, float]]) -> None:
    """The picture."""
    bars = {
        name: [(group, parts[group]) for group in GROUPS if group in parts]
        for name, parts in found.items()
    }
    pictures.draw_shares(folder / "profile.png", TITLE, bars, _COLOURS)


def main() -> int:
    """Measure, draw and print."""
    try:
        with ready() as bench:
            found = measure(bench)
    except (MissingPeer, LoadFailed) as error:
        print(error, file=sys.stderr)
        return 1
    draw(HERE.parent / "docs" / "pictures", found)
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
