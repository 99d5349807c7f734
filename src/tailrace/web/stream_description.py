"""How a stream's ending and note are said in JSON."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from tailrace.model import Ending


def described_ending(ending: Ending | None) -> dict[str, Any] | None:
    """Return an ending for JSON; None where there is none."""
    if ending is None:
        return None
    return {"kind": ending.kind.value, "reason": ending.reason, "time": ending.time}


def noted(note: bytes) -> dict[str, Any]:
    """Return the member ``note``, where something is noted of a stream, and as JSON."""
    try:
        return {"note": json.loads(note, parse_constant=_refuse)}
    except (ValueError, RecursionError):
        return {}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
