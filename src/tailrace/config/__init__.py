"""Settings: tables of rows, read from flags, the environment and a file; no I/O of its own."""

from tailrace.config.loading import Loaded, config_file, load
from tailrace.config.row import Row
from tailrace.config.schema import ArrayParser, Schema, rows_of
from tailrace.config.settings import Settings

__all__ = ["ArrayParser", "Loaded", "Row", "Schema", "Settings", "config_file", "load", "rows_of"]
