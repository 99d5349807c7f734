"""The heart: streams, the cursors that read them, and the catalogue that knows their names."""
