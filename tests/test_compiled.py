"""The package that is tested is the one that was asked for: compiled, or plain Python."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tailrace.log.cursor

ROOT = Path(__file__).parent.parent
# Read, not imported: what builds a wheel is not installed everywhere.
(MODULES,) = (
    ast.literal_eval(node.value)
    for node in ast.parse((ROOT / "hatch_build.py").read_text()).body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED"
)
COMPILED = "TAILRACE_TEST_COMPILED" in os.environ


@pytest.mark.parametrize("module", MODULES)
def test_each_module_that_is_to_be_compiled_is_there(module: str) -> None:
    assert (ROOT / "src" / "tailrace" / f"{module}.py").is_file()


def test_this_process_runs_what_was_asked_for() -> None:
    assert tailrace.log.cursor.__file__.endswith(".py") is not COMPILED


def test_so_does_a_command_that_tests_start() -> None:
    command = [sys.executable, "-m", "tailrace", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.endswith("(compiled)\n" if COMPILED else "(plain Python)\n")


@pytest.mark.parametrize(("mode", "built"), [("", True), ("require", False)])
@pytest.mark.skipif(os.name != "posix", reason="another compiler is named otherwise")
def test_without_a_compiler_plain_python_is_built_unless_compiling_is_required(
    tmp_path: Path, mode: str, built: bool
) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-v"]
    environ = {**os.environ, "CC": "false", "TAILRACE_COMPILE": mode}
    done = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(ROOT)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wheels = [path.name for path in tmp_path.iterdir()]
    assert (done.returncode == 0, bool(wheels)) == (built, built), done.stdout
    if built:
        assert wheels[0].endswith("-py3-none-any.whl")
        assert "python3-dev" in done.stdout  # says what is missing


@pytest.mark.parametrize("module", MODULES)
def test_no_coroutine_that_is_compiled_waits_while_it_handles_an_exception(module: str) -> None:
    # mypyc does not put the handled exception away while a coroutine is suspended: whatever runs
    # meanwhile would see it as its own context (seen: a malformed request answered with 500,
    # because a commit had failed).
    tree = ast.parse((ROOT / "src" / "tailrace" / f"{module}.py").read_text())
    waits = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncWith, ast.AsyncFor)
    found = [node for part in _handling(tree) for node in ast.walk(part) if isinstance(node, waits)]
    assert not [node.lineno for node in found]


def _handling(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that may run while an exception is handled."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            yield from node.finalbody
            for handler in node.handlers:
                yield from handler.body
        elif isinstance(node, ast.AsyncWith):
            yield node
