"""The HTTP client for streams."""
