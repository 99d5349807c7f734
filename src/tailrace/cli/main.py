"""The ``tailrace`` command. Whatever goes wrong is one line on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from tailrace.cli import flags, standard_streams
from tailrace.cli.console import warn
from tailrace.cli.failures import in_one_line
from tailrace.errors import ConfigError, TailraceError
from tailrace.server.uses import SCHEMA

_FAILED: Final = 1
# What argparse and most commands answer to a mistake in how they were called.
_MISUSED: Final = 2
# What shells report for a command that Ctrl-C ended.
_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 for a failure, 2 for a mistake in its use."""
    standard_streams.occupy()
    standard_streams.forgive()
    try:
        return _run(flags.parse(SCHEMA, _parser(), argv))
    except TailraceError as error:
        warn(str(error))
        return _MISUSED if isinstance(error, ConfigError) else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        warn(in_one_line(error))
        return _FAILED
    finally:
        standard_streams.let_go()


def _run(arguments: argparse.Namespace) -> int:
    # Imported when it is wanted, so that --version and --help answer at once.
    from tailrace.cli.serve import run  # noqa: PLC0415

    return run(flags.given(SCHEMA, arguments))


def _parser() -> flags.FlagParser:
    parser = flags.FlagParser(
        prog="tailrace",
        description="A streaming-output server: what takes time to appear is kept as a log, and "
        "every reader continues from its own place in it.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tailrace {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        usage="tailrace serve [FLAG …]",
        help="relay a model's answers, keep them, and serve them again",
        description="Relay a model's answers, keep them, and serve them again. Each flag is also "
        "a TAILRACE_* variable and a key in the --config file.",
        epilog="Secrets come from TAILRACE_UPSTREAM_API_KEY and TAILRACE_TOKEN only. Durations: "
        "90, 20ms, 10m, 7d. Sizes: 65536, 64KiB, 1GiB.",
        allow_abbrev=False,
    )
    flags.add_settings(SCHEMA, serve)
    return parser


def _version() -> str:
    try:
        number = version("tailrace")
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        number = "(not installed)"
    return f"{number} ({'compiled' if _is_compiled() else 'plain Python'})"


def _is_compiled() -> bool:
    """Whether what every event passes through was compiled when the package was built."""
    spec = find_spec("tailrace.log.cursor")
    return spec is not None and not str(spec.origin).endswith(".py")


if __name__ == "__main__":
    sys.exit(main())
