"""Who answers for a model, and in which order they are asked. Sans-I/O.

    place   upstreams that                           among themselves
    -----   ---------------------------------------  --------------------------------------
    1       name the model, or have it as an alias   by their weights, at random
    2       the same, weight 0                       as they stand in the file
    3       cover it by a glob                       by their weights, at random
    4       the same, weight 0                       as they stand in the file

A request that names no model may be about what an earlier one left at the upstream, a file or a
batch: it goes to the same one each time, the first in the file that answers for every model, else
the first of all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from tailrace.upstream.routing.upstream_spec import UpstreamSpec

_ANY: Final = "*"
_MAGIC: Final = re.compile(r"[*?[]")


class Choice(NamedTuple):
    """One upstream that may be asked."""

    place: int
    """Where it stands among the specs."""
    model: str
    """What it calls the model."""


def choices(specs: Sequence[UpstreamSpec], model: str, draw: Callable[[], float]) -> list[Choice]:
    """Those that answer for ``model``, the first to be asked first; none: nobody does.

    ``draw`` gives random numbers in [0, 1).
    """
    if not model:
        return _for_no_model(specs)
    ranked: list[tuple[int, float, int, str]] = []
    for index, spec in enumerate(specs):
        name = named(spec, model)
        exact = name is not None
        if name is None and not covers(spec, model):
            continue
        place = (0 if exact else 2) + (0 if spec.weight else 1)
        # The least of these is each one's with its weight's probability, and so on for the rest
        # (Efraimidis and Spirakis 2006): a random order without replacement from one draw each.
        lot = -math.log(1 - draw()) / spec.weight if spec.weight else 0.0
        ranked.append((place, lot, index, name or model))
    return [Choice(index, name) for _, _, index, name in sorted(ranked)]


def named(spec: UpstreamSpec, model: str) -> str | None:
    """What that upstream calls the model, if it has it by name; None otherwise."""
    for alias, name in spec.aliases:
        if alias == model:
            return name
    return model if any(item == model and not _MAGIC.search(item) for item in spec.models) else None


def covers(spec: UpstreamSpec, model: str) -> bool:
    """Whether one of the upstream's globs matches."""
    return any(fnmatchcase(model, glob) for glob in spec.models)


def _for_no_model(specs: Sequence[UpstreamSpec]) -> list[Choice]:
    indexes = [index for index, spec in enumerate(specs) if _ANY in spec.models]
    indexes = indexes or list(range(len(specs)))
    return [Choice(index, "") for index in sorted(indexes, key=lambda i: specs[i].weight == 0)]
