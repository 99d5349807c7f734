"""SIGHUP: all that the file says is checked before any of it is applied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tailrace.cli.configuration import APPLIED, Reloader, read
from tailrace.config import Loaded
from tailrace.contracts import Namespace, Observers
from tailrace.errors import ConfigError
from tailrace.server.assembly import Assembly, assemble
from tailrace.stores.memory import MemoryStore
from tailrace.web.routing import BoundRoute
from tailrace.web.use import Start, Use

TOKEN = 'token = "a-token-of-the-operator"\n'
BEYOND = "192.0.2.1"


@dataclass
class Noted:
    """A running use that notes what is applied to it, and has nothing else."""

    refuses: str = ""
    applied: list[int] = field(default_factory=list)
    routes: Sequence[BoundRoute] = ()

    def summary(self) -> Sequence[tuple[str, str]]:
        return ()

    def reload(self, loaded: Loaded) -> Callable[[], str]:
        if self.refuses:
            raise ConfigError(self.refuses)

        def apply() -> str:
            self.applied.append(loaded.settings.port)
            return "asking somebody"

        return apply

    async def stop(self) -> None:
        return


def reloaded(
    folder: Path, before: str, after: str, *uses: Noted, bound_host: str = "127.0.0.1"
) -> tuple[str | None, bool]:
    """The token, and whether ``insecure``, after a server with the first file had the second."""
    file = folder / "tailrace.toml"
    file.write_text(before)
    flags = {"config": str(file)}

    def use(number: int, running: Noted) -> Use:
        async def start(_: Start) -> Noted:
            return running

        return Use(Namespace(f"use{number}/"), start)

    async def run() -> Assembly:
        loaded = read(flags, {})
        async with AsyncExitStack() as resources:
            assembly = await assemble(
                loaded,
                MemoryStore(),
                environ={},
                bound_host=bound_host,
                port=80,
                observers=Observers(),
                warn=print,
                progress=lambda _: lambda _: None,
                resources=resources,
                uses=tuple(use(number, running) for number, running in enumerate(uses)),
            )
            reload = Reloader(flags, {}, loaded)
            reload.assembly = assembly
            file.write_text(after)
            reload()
            return assembly

    policy = asyncio.run(run()).application.policy
    return policy.token, policy.insecure


def test_a_reload_that_would_expose_the_server_is_one_line_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use = Noted()
    found = reloaded(tmp_path, TOKEN, "port = 81\n", use, bound_host=BEYOND)
    assert found == ("a-token-of-the-operator", False)
    assert use.applied == []
    captured = capsys.readouterr()
    (line,) = (captured.out + captured.err).splitlines()
    assert f"listens on {BEYOND}" in line
    assert line.endswith("Nothing was changed.")


def test_a_server_without_its_token_may_be_exposed_on_purpose(tmp_path: Path) -> None:
    assert reloaded(tmp_path, TOKEN, "insecure = true\n", bound_host=BEYOND) == (None, True)


def test_what_one_use_refuses_is_applied_to_no_other_and_not_to_the_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, refusing = Noted(), Noted("The second use cannot do this.")
    found = reloaded(tmp_path, TOKEN, "port = 81\n", content, refusing)
    assert found == ("a-token-of-the-operator", False)
    assert content.applied == []
    assert "The second use cannot do this. Nothing was changed." in capsys.readouterr().err


def test_it_is_said_what_was_applied_and_what_needs_a_restart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = 'token = "another-token"\nport = 81\nheartbeat = 3\n'
    assert reloaded(tmp_path, TOKEN, after, Noted()) == ("another-token", False)
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert "SIGHUP: asking somebody from now on\n" in said
    assert "SIGHUP: changed for requests from now on: token\n" in said
    assert "needs a restart to be changed: port, heartbeat" in said
    assert "another-token" not in said


def test_the_settings_that_a_reload_applies_are_these() -> None:
    access = {"allowed_hosts", "cors_origins", "insecure", "token"}
    assert access | {"upstream", "upstream_api_key_env"} == APPLIED
