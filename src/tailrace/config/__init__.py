"""Settings: one table, read from flags, the environment and a file; no I/O of its own."""

from tailrace.config.loading import Loaded, config_file, load
from tailrace.config.row import Row
from tailrace.config.settings import Settings, rows
from tailrace.config.upstreams import UpstreamSpec

__all__ = ["Loaded", "Row", "Settings", "UpstreamSpec", "config_file", "load", "rows"]
