"""A stand-in for Ableton Live with AbletonOSC: the addresses that its documentation gives, over real UDP, on a thread."""

from __future__ import annotations

import socket
import threading
from typing import Any

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder


class FakeLive(threading.Thread):
    """Two tracks of clips and some scenes. Whatever is listened for is sent at once and when it changes, indices first."""

    def __init__(self, answers: int, clips: list[list[str | None]], scenes: list[str]) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.port: int = self._socket.getsockname()[1]
        self._answers, self._clips = ("127.0.0.1", answers), clips
        self._listened: set[tuple[Any, ...]] = set()
        self._over = threading.Event()
        self.got: list[tuple[Any, ...]] = []
        self.state: dict[tuple[Any, ...], Any] = {
            ("song", "tempo"): 126.0,
            ("song", "is_playing"): False,
            ("song", "signature_numerator"): 4,
            ("song", "beat"): 0,
        }
        for track in range(len(clips)):
            self.state["track", "fired_slot_index", track] = self.state["track", "playing_slot_index", track] = -1
        for number, name in enumerate(scenes):
            self.state["scene", "is_triggered", number] = False
            self.state["scene", "name", number] = name
        self._counts = {"num_tracks": len(clips), "num_scenes": len(scenes)}

    def run(self) -> None:
        while not self._over.is_set():
            try:
                message = OscMessage(self._socket.recv(65536))
            except TimeoutError:
                continue
            self._answer(message.address.split("/")[2:], message.params)

    def stop(self) -> None:
        self._over.set()
        self.join(2)
        self._socket.close()

    def _answer(self, path: list[str], args: list[Any]) -> None:
        self.got.append(("/".join(path), *args))
        known = len(self._clips)
        if path[0] == "track" and args[0] >= known:
            self.send("/live/error", f"there are {known} tracks")
        elif path[1:2] == ["start_listen"]:
            self._listened.add((path[0], path[2], *args))
            if path[2] != "beat":
                self._tell((path[0], path[2], *args))
        elif path[:2] == ["song", "get"] and path[2] in self._counts:
            self.send(f"/live/song/get/{path[2]}", self._counts[path[2]])
        elif path == ["track", "get", "clips", "name"]:
            self.send("/live/track/get/clips/name", args[0], *self._clips[args[0]])

    def _tell(self, key: tuple[Any, ...]) -> None:
        self.send(f"/live/{key[0]}/get/{key[1]}", *key[2:], self.state[key])

    def send(self, address: str, *args: Any) -> None:
        builder = OscMessageBuilder(address)
        for arg in args:
            builder.add_arg(arg)
        self._socket.sendto(builder.build().dgram, self._answers)

    def set(self, *key: Any, to: Any) -> None:
        """Changes a property, as a hand in Live would."""
        changed, self.state[key] = self.state[key] != to, to
        if changed and key in self._listened:
            self._tell(key)

    def listens(self, *key: Any) -> bool:
        """Whether somebody listens to a property."""
        return key in self._listened

    def begin_anew(self) -> None:
        """As if the script had been loaded again: nobody listens any more."""
        self._listened.clear()
        self.send("/live/startup")
