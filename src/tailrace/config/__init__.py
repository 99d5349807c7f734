"""Settings: one table, read from flags, the environment and a file; no I/O of its own."""

from tailrace.config.loading import Loaded, config_file, load
from tailrace.config.settings import Row, Settings, rows

__all__ = ["Loaded", "Row", "Settings", "config_file", "load", "rows"]
