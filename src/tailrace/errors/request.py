"""Errors that a client made in its request, and can mend."""

from __future__ import annotations

from tailrace.errors.base import TailraceError


class RequestError(TailraceError):
    """The request cannot be met as it was made."""

    code = "bad_request"
    status = 400
    fault = "client"


class BadRequest(RequestError):
    """A parameter, header or body is missing or malformed."""


class MalformedOffset(RequestError):
    """Not an offset of ours, nor ``-1``, nor ``now``."""

    code = "malformed_offset"


class MalformedName(RequestError):
    """A stream name outside the grammar."""

    code = "malformed_name"


class Unauthorized(RequestError):
    """The token is missing or wrong."""

    code = "unauthorized"
    status = 401


class Forbidden(RequestError):
    """This requester may not do this, whatever token it shows."""

    code = "forbidden"
    status = 403


class NotFound(RequestError):
    """No such stream or route."""

    code = "not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The route exists, the method does not; ``allow`` lists those that do."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(f"This method is not allowed here; use {', '.join(allow)}.")
        self.allow = allow


class StreamExists(RequestError):
    """The name is taken."""

    code = "stream_exists"
    status = 409


class StreamIsClosed(RequestError):
    """Nothing can be appended any more."""

    code = "stream_closed"
    status = 409


class StreamHasSource(RequestError):
    """A source fills this stream; nobody else may append."""

    code = "stream_has_source"
    status = 409


class ContentTypeMismatch(RequestError):
    """The data to append have another media type than the stream."""

    code = "content_type_mismatch"
    status = 409


class WriterSeqConflict(RequestError):
    """``Stream-Seq`` is not greater than the last one."""

    code = "stream_seq_conflict"
    status = 409


class ProducerFenced(RequestError):
    """A later epoch of this producer has begun; ``epoch`` is the current one."""

    code = "producer_fenced"
    status = 403

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"This producer's epoch is {epoch} by now; what writes with an older one must stop, "
            "or begin a later epoch."
        )
        self.epoch = epoch


class ProducerGap(RequestError):
    """A producer's batch came before the one that it follows."""

    code = "producer_gap"
    status = 409

    def __init__(self, expected: int, received: int) -> None:
        super().__init__(
            f"The producer's next batch is {expected}, this is {received}; send those between "
            "first."
        )
        self.expected = expected
        self.received = received


class OffsetGone(RequestError):
    """The offset belongs to an earlier making of this name, or to trimmed events."""

    code = "offset_gone"
    status = 410


class StreamDeleted(RequestError):
    """The stream was deleted, but forks of it are still there, so its name is not free."""

    code = "stream_deleted"
    status = 410


class BodyTooLarge(RequestError):
    """The request body is over its limit."""

    code = "body_too_large"
    status = 413


class AnswerTooLarge(RequestError):
    """A kept answer is larger than what is put together; it can be read as a stream."""

    code = "answer_too_large"
    status = 413


class UriTooLong(RequestError):
    """The request target is over its limit."""

    code = "uri_too_long"
    status = 414


class UnsupportedMediaType(RequestError):
    """The body is of a type this route does not take."""

    code = "unsupported_media_type"
    status = 415


class Misdirected(RequestError):
    """The Host header names none of the hosts this server answers to."""

    code = "misdirected"
    status = 421


class IdempotencyMismatch(RequestError):
    """The key came with another body before."""

    code = "idempotency_mismatch"
    status = 422


class TooMany(RequestError):
    """A configured limit on a number of things is reached; try again later."""

    code = "too_many"
    status = 429


class HeadersTooLarge(RequestError):
    """The request's header section is over its limit."""

    code = "headers_too_large"
    status = 431


class NoSuchModel(RequestError):
    """No upstream answers for the model that was asked for."""

    code = "model_not_found"
    status = 404
