"""The seams: Store, View, Sink and Source in ``streams``, the upstreams in ``upstream``, who may
read and write which streams in ``namespaces`` and ``rights``, the fast path in ``connection``.

Everything that has more than one implementation is described here and nowhere else; whoever
writes another one needs these pages and the test kit in ``tailrace.testing``.

Threads: every method is called on the event loop's thread and must not block it. What takes
time is a coroutine; what is a plain function returns at once.
"""

from tailrace.contracts.connection import EXTENSION, Connection
from tailrace.contracts.namespaces import OPEN, Namespace, Namespaces
from tailrace.contracts.observers import (
    CommitObserver,
    DoneCommit,
    EndedRequest,
    Observer,
    Observers,
    ReportsCommits,
    TellCommit,
)
from tailrace.contracts.rights import Right
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
    "EXTENSION",
    "LAST_PART",
    "OPEN",
    "Alias",
    "Append",
    "Attempts",
    "BodyEnd",
    "Call",
    "Change",
    "Closing",
    "CommitObserver",
    "Connection",
    "Create",
    "Delete",
    "DoneCommit",
    "EndedRequest",
    "Headers",
    "Listing",
    "Marker",
    "Namespace",
    "Namespaces",
    "Note",
    "Observer",
    "Observers",
    "Part",
    "Receiver",
    "Renew",
    "ReportsCommits",
    "Right",
    "Sink",
    "SinkOwner",
    "Source",
    "Store",
    "StoreHealth",
    "TellCommit",
    "Trim",
    "Upload",
    "Upstream",
    "UpstreamRequest",
    "Upstreams",
    "View",
    "Writers",
    "make_append",
]
