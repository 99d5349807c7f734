"""What developers run on the source: its limits, and the picture of its imports."""
