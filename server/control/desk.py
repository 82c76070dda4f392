"""What HTTP and WebSocket clients get: the page, the OSCQuery tree, LISTEN, and OSC in binary messages. On the event loop."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib import resources
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from segue.server.commands import Value
from segue.server.control.http import Page, WebConnection
from segue.server.control.oscquery import QueryError, Tree, host_info

NAME = "segue"
MAX_TEXT = 4096  # characters of a message in JSON
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_JSON = "application/json"


class Routes(Protocol):
    """The door that WebSocket clients are routes of: `OscDoor` is one."""

    host: str
    port: int

    def opened(self, connection: WebConnection) -> bool: ...
    def packet(self, connection: WebConnection, packet: bytes) -> None: ...
    def bad(self, connection: WebConnection, sentence: str) -> None: ...
    def closed(self, connection: WebConnection) -> None: ...
    def route(self, connection: WebConnection) -> str: ...
    def send(
        self, route: str, address: str, args: Sequence[Value] = (), types: str | None = None, time: float | None = None
    ) -> None: ...


class WebDesk:
    """Answers every web client."""

    def __init__(self, routes: Routes, tree: Tree, files: Mapping[str, Page]) -> None:
        """files: pages by their paths; `/` is shown to browsers."""
        self._routes, self._tree, self._files = routes, tree, files
        self._clients: set[WebConnection] = set()
        self._listening: dict[str, set[WebConnection]] = {}

    # -- HTTP

    def get(self, target: str, accept: str) -> Page:
        """A file, a node of the tree, or an attribute of it."""
        path, _, query = target.partition("?")
        path = unquote(urlsplit(path).path) or "/"
        query = query.split("&")[0].partition("=")[0]
        if not query and path in self._files and (path != "/" or "text/html" in accept):
            return self._files[path]
        if query == "HOST_INFO":
            return _json(host_info(NAME, self._routes.port))
        try:
            node = self._tree.ask(path, query)
        except QueryError as error:
            if error.missing == "path":
                return Page(f"nothing lies at {path[:128]}; / lists everything\n".encode(), status=HTTPStatus.NOT_FOUND)
            return Page(f"no attribute {query[:64]}\n".encode(), status=HTTPStatus.BAD_REQUEST)
        return Page(b"", _JSON, HTTPStatus.NO_CONTENT) if node is None else _json(node)

    def opened(self, connection: WebConnection) -> bool:
        """Whether there is room for one more."""
        self._clients.add(connection)
        return self._routes.opened(connection)

    def closed(self, connection: WebConnection) -> None:
        """Forgets a client."""
        self._clients.discard(connection)
        for address in list(self._listening):
            self._ignore(connection, address)
        self._routes.closed(connection)

    def bad(self, connection: WebConnection, sentence: str) -> None:
        """Counts it."""
        self._routes.bad(connection, sentence)

    # -- WebSocket

    def packet(self, connection: WebConnection, packet: bytes) -> None:
        """OSC, as over any other way."""
        self._routes.packet(connection, packet)

    def text(self, connection: WebConnection, text: str) -> None:
        """A command of OSCQuery: LISTEN or IGNORE; others are said to be none."""
        try:
            if len(text) > MAX_TEXT:
                raise ValueError
            asked = json.loads(text)
            command, address = asked["COMMAND"], asked["DATA"]
            if command not in ("LISTEN", "IGNORE") or address not in self._tree.addresses:
                raise ValueError
        except (ValueError, TypeError, KeyError, RecursionError):
            self._routes.bad(connection, f"{text[:64]!r} is no command: LISTEN or IGNORE with an address as DATA is")
            return
        if command == "IGNORE":
            self._ignore(connection, address)
            return
        self._listening.setdefault(address, set()).add(connection)
        value = self._tree.value(address)
        if value is not None:
            self._routes.send(self._routes.route(connection), address, tuple(value))

    def news(self, address: str, args: Sequence[Value], types: str | None = None, time: float | None = None) -> None:
        """Something is so now: those that listen to it are told."""
        for connection in tuple(self._listening.get(address, ())):
            self._routes.send(self._routes.route(connection), address, args, types, time)

    def limit(self, address: str, highest: float) -> None:
        """The range of an address has changed: every client is told its path."""
        if self._tree.limits.get(address) == highest:
            return
        self._tree.limits[address] = highest
        text = json.dumps({"COMMAND": "PATH_CHANGED", "DATA": address})
        for connection in tuple(self._clients):
            connection.write_text(text)

    def _ignore(self, connection: WebConnection, address: str) -> None:
        listeners = self._listening.get(address)
        if listeners is not None:
            listeners.discard(connection)
            if not listeners:
                del self._listening[address]


def files() -> dict[str, Page]:
    """The page's files by path, read once: nothing is read from disk while the server plays."""
    found: dict[str, Page] = {}
    for file in resources.files("segue.server.web").iterdir():
        kind = _KINDS.get("." + file.name.rpartition(".")[2])
        if kind:
            found[f"/web/{file.name}"] = Page(file.read_bytes(), f"{kind}; charset=utf-8")
    return found | ({"/": found["/web/index.html"]} if "/web/index.html" in found else {})


def names(host: str) -> list[str]:
    """What this machine is called in a Host header."""
    own = socket.gethostname()
    return [host, own, f"{own}.local"]


def _json(value: Any) -> Page:
    return Page(json.dumps(value).encode(), _JSON)
