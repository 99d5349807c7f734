"""What fills streams: one file for each kind of source."""
