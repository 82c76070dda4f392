"""Segue: a live audio server that plays on when the performer does not."""

__version__ = "0.1.0"
