from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

DEADLINE = 30.0

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario to its end on a fresh event loop of either kind."""
    if request.param == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("there is no uvloop on this platform")

    def run_scenario(scenario: Coroutine[Any, Any, None]) -> None:
        factory = None
        if request.param == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop

        async def with_deadline() -> None:
            async with asyncio.timeout(DEADLINE):
                await scenario

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(with_deadline())

    return run_scenario
