"""What a route does with what is ours; every route names one right."""

from __future__ import annotations

from enum import StrEnum


class Right(StrEnum):
    """The rights, from the least to the most."""

    PUBLIC = "public"
    """Shows nothing of anybody's: health, our page."""
    READ_LINK = "read_link"
    """Reads one stream, by a link that cannot be guessed."""
    ASK = "ask"
    """Asks the upstream, which may cost money."""
    MANAGE = "manage"
    """Lists, makes, appends to, stops or deletes streams."""
    LOGIN = "login"
    """Changes the token into a cookie, or gives that back."""
