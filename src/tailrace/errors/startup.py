"""Why a server cannot start, for its operator."""

from __future__ import annotations

from tailrace.errors.base import TailraceError


class StartupError(TailraceError):
    """Why the server cannot start: one line on standard error and a non-zero exit."""

    code = "startup"
    fault = "operator"


class ConfigError(StartupError):
    """A setting is unknown, unreadable or out of range."""

    code = "config"


class AddressInUse(StartupError):
    """Another process listens where we were told to."""

    code = "address_in_use"


class UpstreamMissing(StartupError):
    """No upstream was named, and the local model is not installed."""

    code = "upstream_missing"


class LocalModelError(StartupError):
    """The local model cannot be started."""

    code = "local_model"


class StoreLocked(StartupError):
    """Another process, or another part of this one, has the store."""

    code = "store_locked"


class StoreTooNew(StartupError):
    """The store was written by a newer version."""

    code = "store_too_new"


class StoreCorrupt(StartupError):
    """The store's file is damaged; it is left as it is."""

    code = "store_corrupt"
