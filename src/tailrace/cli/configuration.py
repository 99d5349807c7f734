"""Reads the configuration, at the start and again on SIGHUP."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

from tailrace.cli.console import say, warn
from tailrace.cli.upstream import Opened
from tailrace.config import Loaded, Settings, config_file, load
from tailrace.errors import ConfigError, StartupError

# A thousand times a long one; /dev/zero has no end at all.
_MOST: Final = 1 << 20
# Whoever writes a configuration into a pipe was started together with us.
_PIPE_PATIENCE: Final = 10.0
# What a reload applies; all else is built into what runs.
_APPLIED: Final = frozenset({"upstream", "upstream_api_key_env"})


def read(flags: Mapping[str, str], environ: Mapping[str, str]) -> Loaded:
    """What is configured, its warnings said. Raises ConfigError."""
    name = config_file(flags, environ)
    loaded = load(flags, environ, _text(Path(name)) if name else None)
    for warning in loaded.warnings:
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
    """Called on SIGHUP: the upstreams as the file has them now, for requests from now on."""

    def __init__(
        self, flags: Mapping[str, str], environ: Mapping[str, str], settings: Settings
    ) -> None:
        self._flags = flags
        self._environ = environ
        self._settings = settings
        self.opened: Opened | None = None
        """None while the server starts."""

    @property
    def has_file(self) -> bool:
        """Whether there is anything to be read again."""
        return bool(config_file(self._flags, self._environ))

    def __call__(self) -> None:
        """A configuration that is wrong changes nothing, and is one line."""
        if self.opened is None:
            warn("SIGHUP: the server is still starting; send it again")
            return
        try:
            loaded = read(self._flags, self._environ)
            self.opened.reload(loaded)
        except StartupError as error:
            warn(f"SIGHUP: {error} Nothing was changed.")
            return
        names = [target.spec.name for target in self.opened.router.targets]
        say(f"SIGHUP: asking {', '.join(names)} from now on")
        changed = [
            field.name
            for field in fields(Settings)
            if field.name not in _APPLIED
            and getattr(loaded.settings, field.name) != getattr(self._settings, field.name)
        ]
        if changed:
            warn(f"SIGHUP: needs a restart to be changed: {', '.join(changed)}")
