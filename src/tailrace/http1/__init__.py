"""Our HTTP/1.1 protocol under ASGI: the fast path from a stream to its socket."""
