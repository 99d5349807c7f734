"""One request and its response, whatever the use."""
