"""Ableton Live as AbletonOSC tells of it: what is launched, the tempo, whether it plays. Everything runs on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from .wire import SegueError, events_in, packet_of

SEND_PORT, ANSWER_PORT = 11000, 11001  # AbletonOSC's own
REFRESH = 2.0  # seconds between questions for names and for tracks and scenes that came
MAX_TRACKS, MAX_SCENES = 256, 1024  # heard of; more are left out
SONG = ("tempo", "is_playing", "signature_numerator", "beat")
TRACK = ("fired_slot_index", "playing_slot_index")
SCENE = ("is_triggered", "name")


class Listener(Protocol):
    """Who is told what happens in Live."""

    def launched(self, what: str, where: tuple[int, ...], name: str) -> None:
        """A clip (track, slot) or a scene (number) was launched, counted from 0."""

    def song(self, what: str, value: float, first: bool) -> None:
        """tempo, is_playing, signature_numerator or beat; first: how it stood when it was asked for, no change."""


class Live:
    """One Live set behind AbletonOSC. Keeps what was told last, so that a state is not taken for a launch."""

    def __init__(self, listener: Listener, host: str = "127.0.0.1", port: int = SEND_PORT, answers: int = ANSWER_PORT) -> None:
        self._listener, self._where, self._answers = listener, (host, port), answers
        self._transport: asyncio.DatagramTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self._known: dict[tuple[Any, ...], Any] = {}  # property and index: its value
        self._clips: dict[int, tuple[Any, ...]] = {}  # track: names of its slots
        self._fired: dict[int, int] = {}  # track: the slot whose launch was told before it played
        self._tracks = self._scenes = 0

    async def open(self) -> None:
        """Begins to listen. Raises SegueError where the port of the answers is taken."""
        loop = asyncio.get_running_loop()
        try:
            where = ("0.0.0.0", self._answers)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: _Inbox(self._heard), local_addr=where)
        except OSError as error:
            raise SegueError(f"AbletonOSC answers to port {self._answers}, which cannot be had: {error.strerror}") from None
        self._task = loop.create_task(self._ask_again())

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._transport is not None:
            self._transport.close()

    def send(self, address: str, *args: Any) -> None:
        """One message to AbletonOSC."""
        if self._transport is not None:
            self._transport.sendto(packet_of(address, args, None), self._where)

    async def _ask_again(self) -> None:
        while True:
            if not self._known:  # Live has not answered yet
                for what in SONG:
                    self.send(f"/live/song/start_listen/{what}")
            self.send("/live/song/get/num_tracks")
            self.send("/live/song/get/num_scenes")
            for track in range(self._tracks):
                self.send("/live/track/get/clips/name", track)
            self._listen(track for track in range(self._tracks) if ("fired", track) not in self._known)
            self._watch(scene for scene in range(self._scenes) if ("triggered", scene) not in self._known)
            await asyncio.sleep(REFRESH)

    def _listen(self, tracks: Iterable[int]) -> None:
        """Asks to be told of tracks: what is not answered was lost on the way, and is asked for again."""
        for track in tracks:
            for what in TRACK:
                self.send(f"/live/track/start_listen/{what}", track)

    def _watch(self, scenes: Iterable[int]) -> None:
        """The same for scenes."""
        for scene in scenes:
            for what in SCENE:
                self.send(f"/live/scene/start_listen/{what}", scene)

    def _heard(self, data: bytes) -> None:
        for address, args, _ in events_in(data):
            handle: Callable[..., None] | None = {
                "/live/startup": self._started,
                "/live/song/get/num_tracks": self._count_tracks,
                "/live/song/get/num_scenes": self._count_scenes,
                "/live/track/get/clips/name": self._name_clips,
                "/live/track/get/fired_slot_index": self._slot_fired,
                "/live/track/get/playing_slot_index": self._slot_plays,
                "/live/scene/get/is_triggered": self._scene_triggered,
                "/live/scene/get/name": self._scene_named,
            }.get(address)
            with contextlib.suppress(TypeError, ValueError):  # somebody else's message at this address
                if handle is not None:
                    handle(*args)
                elif address.removeprefix("/live/song/get/") in SONG:
                    self._song(address.removeprefix("/live/song/get/"), float(*args))

    def _started(self, *args: Any) -> None:
        """Live, or its script, began anew and has forgotten who listens."""
        self._forget()

    def _count_tracks(self, count: int) -> None:
        count = min(int(count), MAX_TRACKS)
        self._listen(range(self._tracks, count))
        for track in range(self._tracks, count):
            self.send("/live/track/get/clips/name", track)
        self._tracks = count

    def _count_scenes(self, count: int) -> None:
        count = min(int(count), MAX_SCENES)
        self._watch(range(self._scenes, count))
        self._scenes = count

    def _name_clips(self, track: int, *names: Any) -> None:
        if 0 <= track < MAX_TRACKS:
            self._clips[track] = names[:MAX_SCENES]

    def _scene_named(self, scene: int, name: str) -> None:
        if 0 <= scene < MAX_SCENES:
            self._known["name", scene] = str(name)

    def _song(self, what: str, value: float) -> None:
        first = (what,) not in self._known
        if first or what == "beat" or self._known[what,] != value:
            self._known[what,] = value
            self._listener.song(what, value, first)

    def _slot_fired(self, track: int, slot: int) -> None:
        if self._changed("fired", track, slot) and slot >= 0:
            self._fired[track] = slot
            self._launch_clip(track, slot)

    def _slot_plays(self, track: int, slot: int) -> None:
        """A launch that Live carried out at once was never seen as fired."""
        announced = self._fired.pop(track, None) if slot >= 0 else None
        if self._changed("playing", track, slot) and slot >= 0 and slot != announced:
            self._launch_clip(track, slot)

    def _scene_triggered(self, scene: int, triggered: bool) -> None:
        if self._changed("triggered", scene, bool(triggered)) and triggered:
            self._listener.launched("scene", (scene,), str(self._known.get(("name", scene), "")))

    def _changed(self, what: str, index: int, value: Any) -> bool:
        """Whether this is news; the first that is told is how things stand."""
        if not 0 <= index < MAX_SCENES:
            return False
        before = self._known.get((what, index), value)
        self._known[what, index] = value
        return bool(before != value)

    def _launch_clip(self, track: int, slot: int) -> None:
        names = self._clips.get(track, ())
        name = names[slot] if slot < len(names) else None
        self._listener.launched("clip", (track, slot), str(name or ""))


class _Inbox(asyncio.DatagramProtocol):
    """Hands on what arrives."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._heard(data)
