"""Tailrace inside an application of one's own: the same streams, without a server of ours."""
