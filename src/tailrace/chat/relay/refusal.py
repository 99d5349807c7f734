"""What an upstream answers with instead of a stream, and how that is said in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tailrace.contracts import Call
from tailrace.errors import TailraceError, UpstreamBroken, UpstreamRefused
from tailrace.wire.llm.records import error_message
from tailrace.wire.media_type import essence_of

# An upstream's refusal is a short JSON object; more of it helps nobody.
REFUSAL_LIMIT: Final = 64 * 1024

_EVENTS: Final = "text/event-stream"
_PLAIN: Final = (b"", b"identity")


def is_stream(call: Call) -> bool:
    """Whether this is an event stream that can be relayed, as far as its head says."""
    fields = dict(call.headers)
    encoding = fields.get(b"content-encoding", b"").strip().lower()
    return call.status == 200 and media_type(call) == _EVENTS and encoding in _PLAIN


def media_type(call: Call) -> str:
    """The type of the body, in lower case, without parameters."""
    return essence_of(dict(call.headers).get(b"content-type"))


async def words_of(call: Call, redact: Callable[[bytes], bytes]) -> TailraceError:
    """What ``refuse_unless_stream`` would raise of a call that is none. Ends the call."""
    try:
        await refuse_unless_stream(call, redact)
    except TailraceError as error:
        return error
    finally:
        call.cancel()
    return UpstreamBroken("The upstream answered with a stream where none was expected.")


async def refuse_unless_stream(call: Call, redact: Callable[[bytes], bytes]) -> None:
    """Return if ``call`` answers with an event stream that can be relayed.

    Raises UpstreamRefused (any status but 200) or UpstreamBroken (not an event stream, or
    compressed although we asked for none), having read what the upstream says of it.
    """
    if call.status != 200:
        try:
            body = redact(await call.read(REFUSAL_LIMIT))
        except TailraceError:
            body = b""
        said = error_message(body) if body else "nothing"
        raise UpstreamRefused(f"The upstream answered {call.status}: {said}")
    # Before its letters become small: a key's are what they are.
    kind = essence_of(redact(dict(call.headers).get(b"content-type", b"")))
    if kind != _EVENTS:
        raise UpstreamBroken(
            "The upstream answered with "
            f"{kind[:80] or 'no content type'} instead of an event "
            "stream; check that its URL is the API's base URL."
        )
    _refuse_compressed(call, redact)


def _refuse_compressed(call: Call, redact: Callable[[bytes], bytes]) -> None:
    """Raises UpstreamBroken where the upstream compressed a body that was asked for as it is."""
    encoding = redact(dict(call.headers).get(b"content-encoding", b"identity")).strip().lower()
    if encoding not in _PLAIN:
        raise UpstreamBroken(
            f"The upstream compressed its stream ({encoding.decode('latin-1')[:40]}), "
            "although it was asked not to."
        )
