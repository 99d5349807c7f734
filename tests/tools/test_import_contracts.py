"""Each layer of each contract is held: an import of the layer above is reported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]
# In a function, since such an import counts as any other.
WRONG = "\n\ndef wrong() -> None:\n    import {}\n"


def layers(contract: dict[str, Any]) -> list[list[str]]:
    """The modules of each layer, the highest first."""
    (container,) = contract.get("containers", [""])
    prefix = f"{container}." if container else ""
    return [[prefix + name for name in re.findall(r"[\w.]+", row)] for row in contract["layers"]]


def imports_upward() -> Iterator[tuple[str, str]]:
    for contract in CONTRACTS:
        if contract["type"] == "layers":
            rows = layers(contract)
            for above, row in pairwise(rows):
                yield from ((module, above[0]) for module in row)


def siblings() -> Iterator[tuple[str, str]]:
    """Modules of one layer that must not know each other."""
    for contract in CONTRACTS:
        for row in contract.get("layers", ()):
            if "|" in row:
                (container,) = contract.get("containers", [""])
                prefix = f"{container}." if container else ""
                first, second, *_ = re.findall(r"[\w.]+", row)
                yield prefix + first, prefix + second


def uvicorn_elsewhere() -> Iterator[tuple[str, str]]:
    (contract,) = [each for each in CONTRACTS if each.get("forbidden_modules") == ["uvicorn"]]
    yield from ((module, "uvicorn") for module in contract["source_modules"])


IMPORTS = [*imports_upward(), *siblings(), *uvicorn_elsewhere()]


def file_of(source: Path, module: str) -> Path:
    path = source.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the sources with all wrong imports in it."""
    copy = tmp_path_factory.mktemp("wrong")
    ignored = shutil.ignore_patterns("__pycache__", "dist", "*.so")
    shutil.copytree(ROOT / "src", copy / "src", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for module, wrong in IMPORTS:
        with file_of(copy / "src", module).open("a") as file:
            file.write(WRONG.format(wrong))
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()",
         "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize(("module", "wrong"), IMPORTS)
def test_a_wrong_import_is_reported(reported: str, module: str, wrong: str) -> None:
    assert re.search(rf"-\s+{re.escape(module)} -> {re.escape(wrong)}\s+\(", reported)
