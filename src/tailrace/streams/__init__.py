"""The Durable Streams protocol over HTTP."""
