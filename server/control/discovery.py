"""Announces the server by Zeroconf, so that controllers find it by name. Needs the extra `discovery`.

Registering takes more than a second; it is done on a thread of its own, which nothing waits for.
"""

from __future__ import annotations

import importlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any

KINDS = ("_osc._udp.local.", "_oscjson._tcp.local.")  # OSC 1.0 over UDP; OSCQuery


class Announcer:
    """One server's names on the network."""

    def __init__(self, name: str, host: str, port: int, say: Callable[[str], None]) -> None:
        """host: where the server listens. say: called from a thread, once if it cannot be announced."""
        self._name, self._host, self._port, self._say = name, host, port, say
        self._over = threading.Event()
        self.announced = threading.Event()
        self._thread = threading.Thread(target=self._run, name="segue zeroconf", daemon=True)

    def open(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self, patience: float = 2.0) -> None:
        """Take the names back; patience: seconds to wait for that."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        try:
            library = importlib.import_module("zeroconf")
        except ImportError:
            self._say('not announced by Zeroconf: pip install "segue[discovery]"')
            return
        try:
            every = self._host in ("", "0.0.0.0", "::")
            held = library.Zeroconf(interfaces=library.InterfaceChoice.Default if every else [self._host])
        except OSError as error:
            self._say(f"not announced by Zeroconf: {error}")
            return
        try:
            for kind in KINDS:
                held.register_service(self._service(library, kind), allow_name_change=True)
            self.announced.set()
            self._over.wait()
        except Exception as error:  # of the library's own kinds, and OSError
            self._say(f"not announced by Zeroconf: {error}")
        finally:
            held.close()

    def _service(self, library: Any, kind: str) -> Any:
        where = _addresses(self._host)
        server = f"{socket.gethostname().partition('.')[0]}.local."
        name = f"{self._name} on {socket.gethostname().partition('.')[0]}"[:60]
        return library.ServiceInfo(kind, f"{name}.{kind}", parsed_addresses=where, port=self._port, server=server)


def worth_announcing(host: str) -> bool:
    """Whether anybody else could reach a server that listens there."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _addresses(host: str) -> list[str]:
    """The figures under which others reach it: of the interface that leads outside, where it listens on all."""
    if host not in ("", "0.0.0.0", "::"):
        return [host]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routing table
            return [str(probe.getsockname()[0])]
        except OSError:
            return ["127.0.0.1"]
