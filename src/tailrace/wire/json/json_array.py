"""The messages of a JSON body: the elements of its array, byte for byte. Sans-I/O.

The Durable Streams protocol (9.1.2) has one level of an array flattened into messages. They are
slices of the bytes that came, not values written anew: 1.0 stays 1.0, an integer keeps its
digits, an object its duplicate keys and its spaces.
"""

from __future__ import annotations

from tailrace.errors import BadRequest
from tailrace.wire.json.grammar import ARRAY
from tailrace.wire.json.scan import MAX_DEPTH, TooManyEntries, check_utf8, scan
from tailrace.wire.json.strict_json import NotJson
from tailrace.wire.slices import Work


def flatten(body: bytes, most: int) -> Work[list[bytes]]:
    """The body's messages, at most ``most`` of them; none for an empty array.

    Raises BadRequest where it is not JSON, nests too deeply, or has more messages.
    """
    try:
        yield from check_utf8(body)
        found = yield from scan(body, ARRAY, most)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None
    except NotJson:
        raise BadRequest(
            f"The body is not valid JSON, or nests deeper than {MAX_DEPTH} levels."
        ) from None
    except TooManyEntries:
        raise BadRequest(
            f"The body has more than {most} messages; append them in several requests."
        ) from None
    if body[found.start : found.start + 1] != b"[":
        return [body[found.start : found.end]]
    return [body[each.start : each.end] for each in found.entries]
