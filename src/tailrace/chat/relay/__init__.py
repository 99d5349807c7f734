"""The source of an answer: from an upstream's bytes to the events of its stream."""
