"""A client in plain Python that speaks OSC and imports nothing of the server.

Its modules import one another relatively: they are `segue.clients.python` beside the server, and `segue_client` by themselves.
"""

from .aio import AsyncClient
from .client import Client
from .deck import Deck
from .wire import Event, SegueError

__all__ = ["AsyncClient", "Client", "Deck", "Event", "SegueError"]
