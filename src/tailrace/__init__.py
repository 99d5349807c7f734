"""Tailrace: what takes time to appear, delivered whole, to everyone who may see it."""
