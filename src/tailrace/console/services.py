"""What the page's handlers work with, beside what every handler has."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.console.overview import Overview
from tailrace.log.catalogue import Catalogue
from tailrace.web.services import Services


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """Injected into every handler of the page."""

    core: Services
    overview: Overview
    """The overview of the server and its streams that pages show."""

    @property
    def catalogue(self) -> Catalogue:
        """The streams."""
        return self.core.catalogue

    @property
    def max_body(self) -> int:
        """Bytes of a request's body."""
        return self.core.max_body
