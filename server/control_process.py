"""The control process: sockets, session and clock on one event loop. Run as `python -m segue.server.control_process CONFIG`.

It may die at any moment: the audio process plays on and starts another, which reattaches to the same memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import signal
import sys
from pathlib import Path

from segue.server.analysing import Processes
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.priority import ahead_of_the_model
from segue.server.audio.segment import Segment
from segue.server.clock import SampleClock
from segue.server.commands import ROOT, SPECS, Command, Kind, Value
from segue.server.conductor import Conductor, Delays
from segue.server.config import Config
from segue.server.control.desk import WebDesk, files, names
from segue.server.control.discovery import Announcer, worth_announcing
from segue.server.control.http import WebConnection, own_names
from segue.server.control.jack_clock import JackClock, available
from segue.server.control.osc import DoorError, OscDoor
from segue.server.control.oscquery import Tree
from segue.server.control.surface import Surface
from segue.server.effects import Source
from segue.server.events import Audience, Events
from segue.server.jobs import WorkerEvent
from segue.server.placing import said
from segue.server.reports import JOB_TYPES, levels
from segue.server.session import Session
from segue.server.showlog import ShowLog
from segue.server.spectrum import Spectra
from segue.server.state import World
from segue.server.sync.beats import Beats
from segue.server.sync.listening import Listening
from segue.server.sync.sources import Sources
from segue.server.takeover import adopt, remembered, restore
from segue.server.upcoming import Upcoming
from segue.server.waveform import Waveforms
from segue.server.worker import ProcessWorker

TICK_S = 0.004
SAVE_S = 0.2
LOG_LINES = 16  # spelled out at a tick
LOCK_S = 0.5  # the clock is watched for so long before the door opens
LOST = "the control process ended while this was being made; ask again"


class Control:
    """Everything on the event loop, tied together."""

    def __init__(self, config: Config, segment: Segment, pulse: int | None = None) -> None:
        """pulse: where to say that this process is alive."""
        self._pulse = pulse
        self._config, self._segment = config, segment
        self._clock = SampleClock(config.rate)
        self._log = ShowLog(config.log)
        self._door = OscDoor(self._command, self._bad, config.host, config.port)
        self._events = Events(self._door.send)
        world = World.fresh(config.rate, segment.decks, config.tempo)
        world.latency = round((config.output_latency + config.input_latency) * config.rate)
        self._left = restore(world, config.state_file)
        self._adopted = adopt(world, segment, self._left.sounding)
        delays = Delays(config.output_latency, config.allowance)
        analyst = Processes(config.rate)
        self._conductor = Conductor(segment, Session(world), self._events, self._clock, self._log, delays, analyst)
        self._events.snapshot = self._conductor.snapshot
        self._conductor.answers.on_quit = self.stop
        self._conductor.answers.door_stats = self._door.stats
        self._waveforms = Waveforms(segment, world, self._events)
        self._spectra = Spectra(segment, self._events)
        self._upcoming = Upcoming(segment, world, self._events)
        self._conductor.answers.on_watch = self._waveforms.show
        self._surface: Surface | None = None
        self._open_web(segment.decks)
        self._stopped = asyncio.Event()
        self._saved = ""
        self._beats = Beats()
        self._sources = Sources(self._clock, config.output_latency, lambda: Listening(config.segment))
        self._conductor.performer.sources = self._sources
        self._jack_clock: JackClock | None = None
        self._parent = os.getppid()

    def _command(self, command: Command) -> None:
        self._conductor.handle(command)

    def _bad(self, sender: str, sentence: str, code: str) -> None:
        self._events.fail(sender, "", sentence, code)

    def _open_web(self, decks: int) -> None:
        """The page, OSCQuery and WebSocket, on the TCP port of the OSC door."""
        desk = WebDesk(self._door, Tree(SPECS, decks, self._conductor.value), files())
        own = own_names(*names(self._door.host))
        self._door.on_http = lambda: WebConnection(desk, own)

        def news(
            address: str, args: tuple[Value, ...], types: str | None = None, time: float | None = None, by: str = ""
        ) -> None:
            desk.news(address, args, types, time)
            if self._surface is not None:
                self._surface.news(address, args, by)
            if address.endswith("/file"):
                length = float(args[1] or 0.0)
                for verb in ("seek", "cue"):
                    desk.limit(f"{address.removesuffix('/file')}/{verb}", length)

        self._events.on_news = news

    def stop(self) -> None:
        """Ends the process in order."""
        self._stopped.set()

    async def run(self) -> None:
        """Serves until it is told to stop. Raises DoorError where the port is taken."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self.stop)
        if hasattr(signal, "SIGUSR1"):  # for measurements: a full garbage collection, now
            loop.add_signal_handler(signal.SIGUSR1, gc.collect)
        await self._lock_clock()
        await self._door.open()
        argv = self._config.engine_argv
        worker = ProcessWorker(self._config, lambda e: self._from_thread(loop, e), argv)
        self._conductor.performer.worker = worker
        midi, announcer = self._open_midi(), self._announce()
        self._take_over()
        self._conductor.performer.take_tempo_from(Source(self._conductor.session.world.sync.source))
        for number, path in enumerate(self._config.files, 1):
            if path:
                self._conductor.handle(Command(f"{ROOT}/deck/{number}/load", (path,)))
        where, page = f"{self._door.host}:{self._door.port}", f"http://{shown(self._door.host)}:{self._door.port}"
        print(f"segue: listening on {where} (OSC on UDP and TCP), page at {page}", file=sys.stderr, flush=True)
        gc.collect()
        gc.freeze()
        try:
            await self._keep_time()
        finally:
            if midi is not None:
                midi.close()
            self._conductor.performer.loading.close()
            self._sources.close()
            if self._jack_clock is not None:
                self._jack_clock.close()
            if announcer is not None:
                announcer.close()
            worker.close()
            self._door.close()
            self._log.close()

    def _take_over(self) -> None:
        """Tells those who listened to the process before this one that its jobs are lost."""
        self._events.resume(self._left.leases)
        for number, deck, verb, route, address in self._left.jobs:
            self._events.emit(f"{ROOT}/job", number, deck, verb, "failed", 1.0, LOST, types=JOB_TYPES)
            self._events.fail(route, address, LOST, "engine-down")
        for take in self._adopted:
            self._conductor.performer.perform([said(take)])
        adopted = {take.job.id for take in self._adopted}
        for job, facts in self._left.sounding.items():
            if job not in adopted:  # it has ended meanwhile
                ended = facts["number"], facts["deck"], facts["verb"], "done", 1.0, ""
                self._events.emit(f"{ROOT}/job", *ended, types=JOB_TYPES)

    async def _lock_clock(self) -> None:
        until = asyncio.get_running_loop().time() + LOCK_S
        while asyncio.get_running_loop().time() < until:
            self._hear_clock()
            await asyncio.sleep(TICK_S)

    def _hear_clock(self) -> None:
        pair = self._segment.clock_pair()
        if pair.realtime:
            self._clock.update(pair.frame, pair.realtime * 1e-9)

    def _from_thread(self, loop: asyncio.AbstractEventLoop, event: WorkerEvent) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
            loop.call_soon_threadsafe(self._conductor.worker_event, event)

    def _open_midi(self) -> Surface | None:
        if self._config.midi is None:
            return None
        on_jack = "JACK" in self._segment.sentence
        if on_jack and available():
            self._jack_clock = JackClock(self._sources.feed, self._config.midi or ".*")
            self._jack_clock.open()
        surface = Surface(
            self._conductor.handle,
            lambda address, args: self._events.emit(address, *args),
            ports=self._config.midi or ".*",
            api="jack" if on_jack else None,
            decks=self._segment.decks,
            file=self._config.midi_map,
            on_clock=None if self._jack_clock else self._sources.feed,
            say=lambda sentence: print(f"segue: {sentence}", file=sys.stderr, flush=True),
        )
        for address, spec in Tree(SPECS, self._segment.decks).addresses.items():
            if spec.kind is Kind.VALUE:
                surface.news(address, self._conductor.value(address) or ())
        self._conductor.answers.surface = self._surface = surface
        surface.open()
        return surface

    def _announce(self) -> Announcer | None:
        if not worth_announcing(self._door.host):
            return None
        say = functools.partial(print, "segue:", file=sys.stderr, flush=True)
        announcer = Announcer(self._config.client_name, self._door.host, self._door.port, say)
        announcer.open()
        return announcer

    async def _keep_time(self) -> None:
        loop, save_at = asyncio.get_running_loop(), 0.0
        while not self._stopped.is_set():
            self._hear_clock()
            if self._jack_clock is not None:
                self._jack_clock.drain()
            self._conductor.tick()
            self._tell_beat()
            for deck in range(1, self._segment.decks + 1):
                self._events.meters(f"{ROOT}/deck/{deck}/meters", *levels(self._segment, deck))
            self._events.tick()
            self._waveforms.tick()
            self._spectra.tick()
            self._upcoming.tick()
            self._log.spell(LOG_LINES)
            if loop.time() >= save_at:
                save_at = loop.time() + SAVE_S
                self._save()
                self._beat_pulse()
            if os.getppid() != self._parent:
                self.stop()  # the audio process is gone
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), TICK_S)

    def _beat_pulse(self) -> None:
        """Tells the audio process that this one is alive."""
        if self._pulse is not None:
            with contextlib.suppress(OSError):
                os.write(self._pulse, b".")

    def _tell_beat(self) -> None:
        grid = self._conductor.session.world.grid
        for beat, frame in self._beats.due(grid, self._segment.frame):
            at = self._clock.time_at(frame) + self._config.output_latency
            bar, place = divmod(beat, grid.beats_per_bar)
            self._events.emit(f"{ROOT}/beat", place + 1, bar + 1, time=at, to=Audience.SUBSCRIBED)

    def _save(self) -> None:
        self._log.flush()
        text = json.dumps(remembered(self._conductor.session.world) | {"leases": self._events.leases()})
        if text != self._saved and self._config.state_file:
            self._saved = text
            path = Path(self._config.state_file)
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)


def shown(host: str) -> str:
    """A host as a browser wants it: the local one where the server listens on all."""
    return "localhost" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host


def main() -> int:
    """Exit code 0 after quit, 2 where it cannot start, with one line on standard error."""
    config = Config.from_json(sys.argv[1])
    ahead_of_the_model()
    try:
        segment = Segment.attach(config.segment)
    except SharedMemoryError as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(config, segment))
    except DoorError as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    finally:
        segment.close()
    return 0


async def _serve(config: Config, segment: Segment) -> None:
    await Control(config, segment, int(sys.argv[2]) if len(sys.argv) > 2 else None).run()


if __name__ == "__main__":
    sys.exit(main())
