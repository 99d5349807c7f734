"""What Tailrace logs in this process while a case runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fuzz.campaign import Finding


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.tracebacks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.tracebacks.append(f"{record.getMessage()} {record.exc_info[1]!r}")


@contextmanager
def no_tracebacks() -> Iterator[None]:
    """Keep the log to ourselves; raise Finding if there is an exception in it."""
    logger, collector = logging.getLogger("tailrace"), _Collector()
    propagates = logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagates
    if collector.tracebacks:
        raise Finding("a traceback in the log", collector.tracebacks[0])
