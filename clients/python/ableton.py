"""The bridge to Ableton Live: clips and scenes with [segue ...] in their names fire verbs, and takes launch what follows them.

Live's tempo is the server's where nothing else gives it one, Live's stop pins the context (freeze), its start lets it go.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from .aio import AsyncClient
from .launches import Follow, Launch, launches
from .live import ANSWER_PORT, SEND_PORT, Live
from .wire import ENDED_BADLY, PORT, Event, SegueError

MAX_FOLLOWED = 256  # jobs that something follows at once; the oldest is forgotten
OWN_TEMPO = ("internal", "tap")  # sources of the server that a tempo can be set for


class Bridge:
    """Between a client of the server and one Live set. say(kind, **facts): tells what happens."""

    def __init__(self, segue: AsyncClient, say: Callable[..., None], **live: Any) -> None:
        self._segue, self._say = segue, say
        self.live = Live(self, **live)
        self._follows: dict[int, list[Follow]] = {}
        self._decks: set[int] = set()
        self._source, self._tempo, self._bar = "", 0.0, 4
        self._starts = False  # the first beat that is heard after Live started sets the bar

    async def run(self) -> None:
        """Until it is cancelled."""
        await self.live.open()
        try:
            async for event in self._segue.events():
                self._from_segue(event)
        finally:
            await self.live.close()

    # -- from Live

    def launched(self, what: str, where: tuple[int, ...], name: str) -> None:
        """Fires what its name asks for."""
        try:
            for launch in launches(name):
                self._fire(launch)
        except SegueError as error:
            self._say("fail", sentence=str(error))

    def _fire(self, launch: Launch) -> None:
        args = launch.args
        if launch.take:
            number = self._segue.new_job(launch.address)
            args = (*args, "id", number)
            if launch.follows:
                self._follows[number] = list(launch.follows)
                while len(self._follows) > MAX_FOLLOWED:
                    del self._follows[next(iter(self._follows))]
        self._segue.send(launch.address, *args)
        self._say("fired", address=launch.address, args=list(args))

    def song(self, what: str, value: float, first: bool) -> None:
        """Tempo, transport and beat of Live."""
        if what == "tempo":
            self._tempo = value
            self._send_tempo()
        elif what == "signature_numerator":
            self._bar = max(1, round(value))
        elif what == "is_playing" and not first:
            self._starts = bool(value)
            for deck in sorted(self._decks):
                self._segue.deck(deck).freeze(not value)
            self._say("transport", playing=bool(value))
        elif what == "beat" and self._starts and round(value) % self._bar == 0:
            self._starts = False
            if self._source in OWN_TEMPO:
                self._segue.downbeat()

    def _send_tempo(self) -> None:
        if self._tempo and self._source in OWN_TEMPO:
            self._segue.tempo(self._tempo)
            self._say("tempo", bpm=self._tempo)

    # -- from the server

    def _from_segue(self, event: Event) -> None:
        parts = event.address.split("/")
        if event.address == "/segue/job":
            self._follow(int(event.args[0]), str(event.args[3]))
        elif event.address == "/segue/sync/source":
            self._take_source(str(event.args[0]))
        elif event.address == "/segue/fail":
            self._say("fail", sentence=str(event.args[1]))
        elif len(parts) == 5 and parts[2] == "deck" and parts[4] == "state":
            self._decks.add(int(parts[3]))

    def _take_source(self, source: str) -> None:
        before, self._source = self._source, source
        if source in OWN_TEMPO and before not in OWN_TEMPO:
            self._send_tempo()

    def _follow(self, number: int, state: str) -> None:
        if number not in self._follows:
            return
        for follow in [one for one in self._follows[number] if one.state == state]:
            self._follows[number].remove(follow)
            self.live.send(f"/live/{follow.what}/fire", *follow.where)
            self._say("launched", what=follow.what, where=[n + 1 for n in follow.where])
        if state == "done" or state in ENDED_BADLY or not self._follows[number]:
            del self._follows[number]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segue bridge ableton`."""
    parser.add_argument("--host", default="127.0.0.1", help="machine of the server")
    parser.add_argument("--port", type=int, default=PORT, help="its port")
    parser.add_argument("--live-host", default="127.0.0.1", help="machine of Live")
    parser.add_argument("--live-port", type=int, default=SEND_PORT, help="port that AbletonOSC listens on")
    parser.add_argument("--answers", type=int, default=ANSWER_PORT, help="port that AbletonOSC answers to")


def run(args: argparse.Namespace) -> int:
    """Runs until it is interrupted; prints what happens, a line each."""

    def say(kind: str, **facts: Any) -> None:
        words = (str(value) for value in facts.values())
        print(json.dumps({"kind": kind, **facts}) if args.json else " ".join((kind, *words)), flush=True)

    async def bridge() -> None:
        async with AsyncClient(args.host, args.port) as segue:
            live = {"host": args.live_host, "port": args.live_port, "answers": args.answers}
            await Bridge(segue, say, **live).run()

    try:
        asyncio.run(bridge())
    except SegueError as error:
        print(f"segue bridge ableton: {error}", file=sys.stderr)
        return 2
    return 0


def main() -> int:
    """`segue-bridge-ableton`, for machines that have the client alone."""
    parser = argparse.ArgumentParser(prog="segue-bridge-ableton", description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")
    try:
        return run(parser.parse_args())
    except KeyboardInterrupt:
        return 130
