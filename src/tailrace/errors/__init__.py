"""Everything that can go wrong, drawn before it is coded.

    TailraceError                      code                 status  fault
    ├── RequestError                                                client
    │   ├── BadRequest                 bad_request          400
    │   ├── MalformedOffset            malformed_offset     400
    │   ├── MalformedName              malformed_name       400
    │   ├── Unauthorized               unauthorized         401
    │   ├── Forbidden                  forbidden            403
    │   ├── NotFound                   not_found            404
    │   ├── NoSuchModel                model_not_found      404
    │   ├── MethodNotAllowed           method_not_allowed   405
    │   ├── StreamExists               stream_exists        409
    │   ├── StreamIsClosed             stream_closed        409
    │   ├── StreamHasSource            stream_has_source    409
    │   ├── ContentTypeMismatch        content_type_mismatch 409
    │   ├── WriterSeqConflict          stream_seq_conflict  409
    │   ├── ProducerFenced             producer_fenced      403
    │   ├── ProducerGap                producer_gap         409
    │   ├── OffsetGone                 offset_gone          410
    │   ├── StreamDeleted              stream_deleted       410
    │   ├── BodyTooLarge               body_too_large       413
    │   ├── AnswerTooLarge             answer_too_large     413
    │   ├── UriTooLong                 uri_too_long         414
    │   ├── UnsupportedMediaType       unsupported_media    415
    │   ├── Misdirected                misdirected          421
    │   ├── IdempotencyMismatch        idempotency_mismatch 422
    │   ├── TooMany                    too_many             429
    │   └── HeadersTooLarge            headers_too_large    431
    ├── UpstreamError                                               upstream
    │   ├── UpstreamUnreachable        upstream_unreachable 502
    │   ├── UpstreamRefused            upstream_refused     502
    │   ├── UpstreamBroken             upstream_broken      502
    │   ├── UpstreamTimeout            upstream_timeout     504
    │   ├── UpstreamsDown              upstreams_down       503
    │   ├── UpstreamsBusy              upstreams_busy       429
    │   └── UpstreamQueueTimeout       upstream_queue_timeout 503
    ├── StoreError                                                  server
    │   ├── StoreOverloaded            store_overloaded     503
    │   ├── StoreUnavailable           store_unavailable    503
    │   ├── StoreRefused               store_refused        500
    │   └── StoreFull                  store_full           507
    ├── BodiesFull                     bodies_full          503     server
    ├── ShuttingDown                   shutting_down        503     server
    └── StartupError                                                operator
        ├── ConfigError                config
        ├── AddressInUse               address_in_use
        ├── UpstreamMissing            upstream_missing
        ├── LocalModelError            local_model
        ├── StoreLocked                store_locked
        ├── StoreTooNew                store_too_new
        └── StoreCorrupt               store_corrupt

Each branch is a module of this package. Import an error from the package.

A message says what was wrong and what to do, in one or two sentences, and holds nothing
secret: it may reach a client, a log and a terminal.
"""

from __future__ import annotations

from tailrace.errors.base import (
    Fault,
    TailraceError,
)
from tailrace.errors.request import (
    AnswerTooLarge,
    BadRequest,
    BodyTooLarge,
    ContentTypeMismatch,
    Forbidden,
    HeadersTooLarge,
    IdempotencyMismatch,
    MalformedName,
    MalformedOffset,
    MethodNotAllowed,
    Misdirected,
    NoSuchModel,
    NotFound,
    OffsetGone,
    ProducerFenced,
    ProducerGap,
    RequestError,
    StreamDeleted,
    StreamExists,
    StreamHasSource,
    StreamIsClosed,
    TooMany,
    Unauthorized,
    UnsupportedMediaType,
    UriTooLong,
    WriterSeqConflict,
)
from tailrace.errors.server import (
    BodiesFull,
    ShuttingDown,
    StoreError,
    StoreFull,
    StoreOverloaded,
    StoreRefused,
    StoreUnavailable,
)
from tailrace.errors.startup import (
    AddressInUse,
    ConfigError,
    LocalModelError,
    StartupError,
    StoreCorrupt,
    StoreLocked,
    StoreTooNew,
    UpstreamMissing,
)
from tailrace.errors.upstream import (
    UpstreamBroken,
    UpstreamError,
    UpstreamQueueTimeout,
    UpstreamRefused,
    UpstreamsBusy,
    UpstreamsDown,
    UpstreamTimeout,
    UpstreamUnreachable,
)

__all__ = [
    "AddressInUse",
    "AnswerTooLarge",
    "BadRequest",
    "BodiesFull",
    "BodyTooLarge",
    "ConfigError",
    "ContentTypeMismatch",
    "Fault",
    "Forbidden",
    "HeadersTooLarge",
    "IdempotencyMismatch",
    "LocalModelError",
    "MalformedName",
    "MalformedOffset",
    "MethodNotAllowed",
    "Misdirected",
    "NoSuchModel",
    "NotFound",
    "OffsetGone",
    "ProducerFenced",
    "ProducerGap",
    "RequestError",
    "ShuttingDown",
    "StartupError",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreOverloaded",
    "StoreRefused",
    "StoreTooNew",
    "StoreUnavailable",
    "StreamDeleted",
    "StreamExists",
    "StreamHasSource",
    "StreamIsClosed",
    "TailraceError",
    "TooMany",
    "Unauthorized",
    "UnsupportedMediaType",
    "UpstreamBroken",
    "UpstreamError",
    "UpstreamMissing",
    "UpstreamQueueTimeout",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "UpstreamsBusy",
    "UpstreamsDown",
    "UriTooLong",
    "WriterSeqConflict",
]
