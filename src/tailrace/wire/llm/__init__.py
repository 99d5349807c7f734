"""What model APIs say: the grammars of their requests and events."""
