"""The seams: Store, View, Sink and Source in ``streams``, the upstreams in ``upstream``.

Everything that has more than one implementation is described here and nowhere else; whoever
writes another one needs these two pages and the test kit in ``tailrace.testing``.

Threads: every method is called on the event loop's thread and must not block it. What takes
time is a coroutine; what is a plain function returns at once.
"""

from tailrace.contracts.streams import (
    LAST_PART,
    Alias,
    Append,
    Change,
    Closing,
    Create,
    Delete,
    Headers,
    Listing,
    Marker,
    Note,
    Part,
    Renew,
    Sink,
    SinkOwner,
    Source,
    Store,
    StoreHealth,
    Trim,
    View,
    Writers,
    make_append,
)
from tailrace.contracts.upstream import (
    Attempts,
    BodyEnd,
    Call,
    Receiver,
    Upload,
    Upstream,
    UpstreamRequest,
    Upstreams,
)

__all__ = [
    "LAST_PART",
    "Alias",
    "Append",
    "Attempts",
    "BodyEnd",
    "Call",
    "Change",
    "Closing",
    "Create",
    "Delete",
    "Headers",
    "Listing",
    "Marker",
    "Note",
    "Part",
    "Receiver",
    "Renew",
    "Sink",
    "SinkOwner",
    "Source",
    "Store",
    "StoreHealth",
    "Trim",
    "Upload",
    "Upstream",
    "UpstreamRequest",
    "Upstreams",
    "View",
    "Writers",
    "make_append",
]
