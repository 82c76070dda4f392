"""A client in plain Python that speaks OSC and imports nothing of the server."""

from segue.clients.python.aio import AsyncClient
from segue.clients.python.client import Client, Event, SegueError
from segue.clients.python.deck import Deck

__all__ = ["AsyncClient", "Client", "Deck", "Event", "SegueError"]
