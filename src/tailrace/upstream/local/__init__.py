"""The small local model, in a process of its own."""
