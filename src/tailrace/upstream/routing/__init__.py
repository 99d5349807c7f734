"""Which upstream is asked, and when another one is asked instead."""
