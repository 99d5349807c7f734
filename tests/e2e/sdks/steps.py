"""What the scripts beside this file have in common: whom they ask, and how they say what they saw.

    python -m tests.e2e.sdks.with_openai '{"address": {"openai": "http://127.0.0.1:8080/v1", …

A script prints a JSON object a step, and knows nothing of Tailrace but what a user of it would
write: where the run is told that answers are kept, ``resume`` leaves an answer in the middle and
comes back for the rest; else it reads the same answer at one go. Both must say the same.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROMPT = "Say hello to Köln 🙂, and then tell me something about the river."
WEATHER = "What is the weather in Köln?"
CITY = "Name a city."
CITIES = ("Köln", "Paris")
SOME = 24
"""Tokens of an answer that is read to its end."""
MANY = 1500
"""Tokens of an answer that is left in the middle."""
FEW = 3
"""Pieces of an answer that are read before it is left."""


@dataclass(frozen=True)
class Address:
    """Where the API of each vendor is, as its own SDK for Python takes it."""

    openai: str
    """With ``/v1``."""
    anthropic: str
    """Without."""


@dataclass(frozen=True)
class Run:
    """Whom to ask."""

    address: Address
    refusing: Address
    """Refuses the first request for ``refused_model``; may be the same."""
    model: str
    refused_model: str
    endless_model: str
    """Its answer never comes to an end, or not soon."""
    halting_model: str
    """Its answer takes a while, long enough to leave it and to come back."""
    resumes: bool
    """Answers are kept: they can be left, and read on from elsewhere."""


def told() -> Run:
    """The run that the command line asks for."""
    said = json.loads(sys.argv[1])
    places = {each: Address(**said[each]) for each in ("address", "refusing")}
    return Run(**{**said, **places})


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return str(uuid.uuid4())


def run_steps(**steps: Callable[[], Any]) -> None:
    """Take each step, and print what it gave, or the exception that it ended with."""
    for name, step in steps.items():
        try:
            said = {"step": name, "saw": step()}
        except Exception as error:
            said = {"step": name, "raised": described(error)}
        print(json.dumps(said, default=str), flush=True)


def described(error: Exception) -> dict[str, Any]:
    """What a program that caught it would look at."""
    kind = type(error)
    return {
        "type": f"{kind.__module__.partition('.')[0]}.{kind.__name__}",
        "message": str(error),
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
    }
