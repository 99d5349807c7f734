"""Reads the configuration, at the start and again on SIGHUP."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tailrace.cli.console import say, warn
from tailrace.config import Loaded, config_file, load, rows_of
from tailrace.errors import ConfigError, StartupError
from tailrace.server.assembly import RELOADS, Assembly
from tailrace.server.uses import SCHEMA, USES

# A thousand times a long one; /dev/zero has no end at all.
_MOST: Final = 1 << 20
# Whoever writes a configuration into a pipe was started together with us.
_PIPE_PATIENCE: Final = 10.0
# What a reload applies; all else is built into what runs.
APPLIED: Final = RELOADS.union(*(use.reloads for use in USES))


def read(flags: Mapping[str, str], environ: Mapping[str, str]) -> Loaded:
    """What is configured, its warnings said. Raises ConfigError."""
    name = config_file(flags, environ)
    loaded = load(SCHEMA, flags, environ, _text(Path(name)) if name else None)
    for warning in (*loaded.warnings, *(line for use in USES for line in use.check(loaded))):
        warn(warning)
    return loaded


def _text(file: Path) -> str:
    try:
        # Editors on Windows begin a UTF-8 file with three bytes that say so.
        return _read(file).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration {file} is not UTF-8 text.") from None
    except ValueError:
        raise ConfigError("The configuration's path holds a null byte.") from None


def _read(file: Path) -> bytes:
    """The bytes of a file, or of a pipe such as a shell's ``<(…)``: never without end, and not
    of a pipe into which nobody writes."""
    # Without O_NONBLOCK opening a pipe waits for its writer.
    with open(file, "rb", opener=_open_at_once) as stream:
        if stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            os.set_blocking(stream.fileno(), True)
            if not select.select([stream], [], [], _PIPE_PATIENCE)[0]:
                raise ConfigError(f"Nobody writes the configuration into the pipe {file}.")
        data = stream.read(_MOST + 1)
    if len(data) > _MOST:
        raise ConfigError(f"The configuration {file} is larger than {_MOST >> 20} MiB.")
    return data


def _open_at_once(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


class Reloader:
    """Called on SIGHUP: what can be changed, as the file has it now, for requests from now on."""

    def __init__(
        self, flags: Mapping[str, str], environ: Mapping[str, str], loaded: Loaded
    ) -> None:
        self._flags = flags
        self._environ = environ
        self._loaded = loaded
        self.assembly: Assembly | None = None
        """What runs; None while the server starts."""

    @property
    def has_file(self) -> bool:
        """Whether there is anything to be read again."""
        return bool(config_file(self._flags, self._environ))

    def __call__(self) -> None:
        """A configuration that is wrong changes nothing, and is one line."""
        if self.assembly is None:
            warn("SIGHUP: the server is still starting; send it again")
            return
        try:
            loaded = read(self._flags, self._environ)
            reloaded = self.assembly.reload(loaded)
        except StartupError as error:
            warn(f"SIGHUP: {error} Nothing was changed.")
            return
        say(f"SIGHUP: {', '.join(reloaded.done) or 'nothing to do'} from now on")
        if reloaded.changed:
            say(f"SIGHUP: changed for requests from now on: {', '.join(reloaded.changed)}")
        left = [
            row.key
            for table, before in self._loaded.tables.items()
            for row in rows_of(table)
            if row.key not in APPLIED
            and getattr(loaded.of(table), row.key) != getattr(before, row.key)
        ]
        if left:
            warn(f"SIGHUP: needs a restart to be changed: {', '.join(left)}")
