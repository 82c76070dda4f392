"""A client in plain Python that speaks OSC and imports nothing of the server."""

from segue.clients.python.aio import AsyncClient, AsyncDeck
from segue.clients.python.client import Client, Deck, Event, SegueError

__all__ = ["AsyncClient", "AsyncDeck", "Client", "Deck", "Event", "SegueError"]
