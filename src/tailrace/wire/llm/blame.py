"""Whether an error says that the request is at fault. Such an error is the answer: any other
upstream, and any other try, would say it too.

    what is looked at                  values                                blames the request
    ---------------------------------  ------------------------------------  ------------------
    a number: an HTTP status, or the   401, 403, 408, 429                    never, whatever else
    error's ``code``                                                         the error says
                                       any other 4xx                         yes
                                       any other number                      says nothing
    a word: the error's ``code``,      a word of ``_NOT_THE_REQUEST``        never, whatever else
    ``type`` or ``status``                                                   the error says
                                       a word of ``_THE_REQUEST``            yes
                                       any other word                        says nothing

401 and 403 blame a key, 408 and 429 blame the time. The message is never looked at: it is written
for people, it is in any language, and it may quote the prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tailrace.wire.json import strict_json
from tailrace.wire.json.strict_json import NotJson, Value, members

# An error object has a few hundred bytes. A larger one is not worth the time to decode it.
LONGEST: Final = 64 * 1024

_NEVER: Final = frozenset({401, 403, 408, 429})

# In lower case. OpenAI gives a refused key and a used-up quota the type of a bad request, so these
# words win over those below.
_NOT_THE_REQUEST: Final = frozenset(
    {
        # OpenAI
        "account_deactivated",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_authentication",
        "invalid_organization",
        "rate_limit_exceeded",
        # Anthropic
        "authentication_error",
        "billing_error",
        "permission_error",
        "rate_limit_error",
        "timeout_error",
        # vLLM, LiteLLM
        "authenticationerror",
        "permissiondeniederror",
        "ratelimiterror",
        # Google
        "deadline_exceeded",
        "permission_denied",
        "resource_exhausted",
        "unauthenticated",
    }
)
_THE_REQUEST: Final = frozenset(
    {
        # OpenAI, and who speaks its language
        "content_filter",
        "content_policy_violation",
        "context_length_exceeded",
        "invalid_prompt",
        "invalid_request",
        "invalid_request_error",
        "invalid_type",
        "invalid_value",
        "missing_required_parameter",
        "model_not_found",
        "string_above_max_length",
        "unknown_parameter",
        "unsupported_parameter",
        "unsupported_value",
        # Anthropic
        "not_found_error",
        "request_too_large",
        # llama.cpp
        "exceed_context_size_error",
        "not_supported_error",
        # vLLM, LiteLLM
        "badrequesterror",
        "contentpolicyviolationerror",
        "contextwindowexceedederror",
        "notfounderror",
        "unprocessableentityerror",
        # Google
        "failed_precondition",
        "invalid_argument",
        "not_found",
        "out_of_range",
    }
)


def blames_request(data: bytes) -> bool:
    """Whether ``data``, an error as an upstream words it, blames the request.

    ``data`` is the body of a refusal, or the data of an event that is an error. What is no JSON
    object, or has more than ``LONGEST`` bytes, blames nothing. Never raises.
    """
    if len(data) > LONGEST:
        return False
    try:
        value = strict_json.loads(data)
    except NotJson:
        return False
    verdicts = [_verdict(word) for word in _words(members(value))]
    return True in verdicts and False not in verdicts


def status_blames(status: int) -> bool:
    """Whether an answer's status says that the request is at fault."""
    return 400 <= status <= 499 and status not in _NEVER


def _words(event: dict[str, Value]) -> Iterator[Value]:
    """The codes and types of an error, at each of the places where APIs put its object."""
    response = members(event.get("response"))
    for error in (event, members(event.get("error")), members(response.get("error"))):
        for name in ("code", "type", "status"):
            yield error.get(name)


def _verdict(word: Value) -> bool | None:
    """Whether it blames the request; None: it says nothing."""
    if isinstance(word, str) and len(word) == 3 and word.isascii() and word.isdigit():
        word = float(word)
    if isinstance(word, float):
        return _verdict_of_number(word)
    if not isinstance(word, str):
        return None
    lowered = word.lower()
    if lowered in _NOT_THE_REQUEST:
        return False
    return True if lowered in _THE_REQUEST else None


def _verdict_of_number(number: float) -> bool | None:
    if number in _NEVER:
        return False
    return True if 400 <= number <= 499 else None
