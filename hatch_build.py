"""Compiles what every event passes through, with mypyc, where a wheel is built.

The modules below are ordinary Python: an editable install, or a machine without a C compiler,
runs them as they are, and every test passes either way. Compiled they cost about half.

    TAILRACE_COMPILE   a wheel is built …
    (not set)          compiled; plain, with a warning, where compiling fails
    require            compiled, or not at all
    off                plain
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What runs for each event, each delivery or each request's bytes, and what they call. A module
# that inherits from uvicorn's classes, or makes dataclasses with slots, stays as it is.
COMPILED = (
    "log/attendance",
    "log/commits",
    "log/cursor",
    "log/doorbell",
    "log/encodings",
    "log/heartbeats",
    "log/history",
    "log/ledger",
    "log/lifecycle",
    "log/machinery",
    "log/pieces",
    "log/producers",
    "log/stream",
    "log/watchers",
    "log/window",
    "http1/response",
    "http1/flow_control",
    "http1/request_reader",
    "web/sinks",
    "chat/relay/start_gate",
    "chat/relay/backpressure",
    "chat/relay/content_clock",
    "chat/relay/answer_deadlines",
    "chat/relay/answer_stats",
    "chat/relay/answer_parser",
    "chat/relay/relay",
    "stores/sqlite/batch",
    "stores/sqlite/group_commit",
    "stores/sqlite/journal",
    "stores/event_memory",
    "stores/memory",
    "stores/sqlite/store",
    "stores/sqlite/unsegmented",
    "upstream/http/connection",
    "upstream/http/exchange",
    "upstream/http/response",
    "views/durable",
    "views/messages",
    "views/ndjson",
    "views/openai",
    "views/responses",
    "views/sse",
    "views/text",
    "wire/llm/chat",
    "wire/llm/chunk_text",
    "wire/llm/completions",
    "wire/llm/facts",
    "wire/llm/messages",
    "wire/llm/records",
    "wire/redaction",
    "wire/llm/responses",
    "wire/sse",
    "wire/llm/typed",
    "wire/llm/usage",
)
_MODE = "TAILRACE_COMPILE"


class CompileHook(BuildHookInterface[Any]):
    """Called by hatchling for each wheel."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a temporary folder and add what came out to the wheel."""
        mode = os.environ.get(_MODE, "")
        if version == "editable" or mode == "off":
            return
        self._folder = tempfile.TemporaryDirectory()
        try:
            built = _compile(Path(self.root) / "src", Path(self._folder.name))
        except (Exception, SystemExit) as error:  # what setuptools and mypyc end with
            if mode == "require":
                raise
            self.app.display_warning(
                f"Tailrace is installed as plain Python, at twice the cost of an event: {error}. "
                "A C compiler and Python's headers (Debian: gcc, python3-dev) would do."
            )
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in built:
            inside = path.relative_to(self._folder.name).relative_to("wheel")
            build_data["force_include"][str(path)] = inside.as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled; it is in the wheel now."""
        if self._folder is not None:
            self._folder.cleanup()


def _compile(source: Path, folder: Path) -> list[Path]:
    """The extension modules, below ``folder``/wheel as they are to lie in the wheel."""
    from mypyc.build import mypycify  # noqa: PLC0415 - there only where something is compiled
    from setuptools import Distribution  # noqa: PLC0415

    flags = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={folder / 'cache'}"]
    target = folder / "wheel"
    # Standard output is where a frontend expects what hatchling says.
    with chdir(source), redirect_stdout(sys.stderr):
        extensions = mypycify(
            [*flags, *(f"tailrace/{module}.py" for module in COMPILED)],
            opt_level="3",
            group_name="tailrace",
            target_dir=str(folder / "c"),
        )
        build = Distribution({"name": "tailrace", "ext_modules": extensions}).get_command_obj(
            "build_ext"
        )
        build.build_lib, build.build_temp = str(target), str(folder / "objects")
        build.ensure_finalized()
        build.run()
    return [path for path in target.rglob("*") if path.is_file()]
