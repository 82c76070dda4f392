"""From a job to pieces of audio: reads its sources, runs the engine, resamples at the engine's edge.

The inference thread of the engine process calls it, or the one thread of an offline rendering.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import soxr

from segue.engine.engine import Engine, EngineError, Request
from segue.engine.limiter import Limiter
from segue.engine.protocols import Denoiser
from segue.server.audio.feeder import read_region
from segue.server.audio.values import NotHeard, Ring, Torn
from segue.server.continuations import Continuations
from segue.server.gathering import together
from segue.server.jobs import Audio, Failed, FilePart, Finished, Job, PhrasePart, Piece, RingPart, Running, Source, WorkerEvent
from segue.server.remembering import Remembering, RingReader

PREROLL = 8192  # frames of the context that a resampler's filter settles on
QUALITY = "HQ"  # of soxr: 20 bit, enough beside a codec


# What a job may fail of; anything else is a defect.
EXPECTED = (EngineError, NotHeard, Torn, OSError, RuntimeError, ValueError, MemoryError)


def failed(job: Job, error: BaseException) -> Failed:
    """An error as the event that tells of it, in one sentence."""
    sentence = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Failed(job.id, f"{job.verb}: {sentence}")


class Inference:
    """Runs jobs on an engine, at the stream's rate on the outside and the model's inside."""

    def __init__(self, engine: Engine, rings: RingReader, rate: int) -> None:
        """rate: of the stream, in Hz."""
        self._engine = engine
        self._rings = Remembering(rings)
        self._rate = rate
        self._continuations = Continuations(engine.sample_rate, rate)

    def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        """The events of one job, `Running` first, `Finished` or `Failed` last. Never raises for a bad job."""
        if job.also:
            yield from self._together(job, cancelled, on_share)
            return
        try:
            yield from self._events(self._engine, job, cancelled, on_share)
        except EXPECTED as error:
            yield failed(job, error)

    def _together(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        """The events of jobs that differ in their seeds: one pass of the model makes a step of all of them."""
        jobs = [replace(job, also=()), *(replace(job, id=one, seed=seed, also=()) for one, seed in job.also)]

        def run_of(one: Job) -> Callable[[Denoiser], Iterator[WorkerEvent]]:
            def run(denoiser: Denoiser) -> Iterator[WorkerEvent]:
                engine = Engine(replace(self._engine.model, denoiser=denoiser), self._engine.guide)
                yield from self._events(engine, one, cancelled, on_share)

            return run

        for number, event in together(self._engine.model.denoiser, [run_of(one) for one in jobs]):
            if isinstance(event, BaseException):
                if not isinstance(event, EXPECTED):
                    raise event
                event = failed(jobs[number], event)
            yield event

    def _events(
        self, engine: Engine, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]
    ) -> Iterator[WorkerEvent]:
        request = self._request(engine, job)
        yield Running(job.id)
        yield from self._pieces(engine, job, request, cancelled, on_share)

    def _pieces(
        self, engine: Engine, job: Job, request: Request, cancelled: Callable[[], bool], on_share: Callable[[float], None]
    ) -> Iterator[WorkerEvent]:
        total = max(1, request.new_frames)
        resample = Outward(self._engine.sample_rate, self._rate, request.left, request.right)
        limiter = Limiter(self._rate)
        made, sent = 0, 0
        began = time.monotonic()

        def on_step(step: int, steps: int) -> None:
            on_share(min(1.0, (made + self._engine.new_frames * (step + 1) / steps) / total))

        for piece in engine.pieces(request, on_step=on_step, cancelled=cancelled):
            made = piece.start + piece.audio.shape[1]
            self._continuations.made(job, piece.audio)
            audio = limiter.push(resample(piece.audio, made >= total))
            if made >= total:
                audio = np.concatenate([audio, limiter.flush()], axis=1)
            audio = np.ascontiguousarray(audio[:, : job.new_frames - sent], np.float32)
            now = time.monotonic()
            yield Piece(job.id, sent, audio, now - began, piece.steps, piece.context_hash)
            sent, began = sent + audio.shape[1], now
        yield Finished(job.id)

    def _request(self, engine: Engine, job: Job) -> Request:
        scale = self._engine.sample_rate / self._rate
        new = round(job.new_frames * scale)
        left = self._read(job.left)
        middle = self._read(job.middle)
        if job.task == "transition" and middle is None and left is not None:
            # A live deck has no future of its own: its continuation stands for it.
            middle = engine.take(
                Request("continuation", new, left, steps=job.steps, seed=job.seed, regime=job.regime, beat_s=job.beat_s)
            )
        memory, played, unheard = self._continuations.asked(job, left)
        return Request(
            memory=memory,
            played=played,
            unheard=unheard,
            task=job.task,
            new_frames=new,
            left=left,
            middle=_fitted(middle, new),
            middle_right=_fitted(self._read(job.middle_right), new),
            right=self._read(job.right),
            style=self._read(job.style),
            classes=self._engine.guide.wanted(job.classes).numpy() if job.classes else None,
            steps=job.steps,
            seed=job.seed,
            xi=job.xi,
            regime=job.regime,
            sampler=job.sampler,
            parameters=dict(job.parameters),
            start=job.start,
            beat_s=job.beat_s,
            downbeat=None if job.downbeat is None else round(job.downbeat * scale),
            beats_per_bar=job.beats_per_bar,
        )

    def _read(self, source: Source | None) -> Audio | None:
        if source is None:
            return None
        if isinstance(source, RingPart):
            audio = self._ring(source)
        elif isinstance(source, FilePart):
            return self._file(source)
        elif isinstance(source, PhrasePart):
            audio = self._ring(source.phrase)[:, (source.start + np.arange(source.frames)) % source.phrase.frames]
        else:
            ring, file = source.ring, source.file
            head = self._ring(ring)
            tail = read_region(file.path, file.start, file.frames, self._rate)
            audio = np.concatenate([head, tail], axis=1)
        return self._inward(audio)

    def _file(self, part: FilePart) -> Audio:
        """A part of a file, resampled together with what lies around it."""
        step = self._rate // math.gcd(self._rate, self._engine.sample_rate)
        around = -(-PREROLL // step) * step if self._rate != self._engine.sample_rate else 0
        audio = self._inward(read_region(part.path, part.start - around, part.frames + 2 * around, self._rate))
        skip = around * self._engine.sample_rate // self._rate
        return np.ascontiguousarray(audio[:, skip : audio.shape[1] - skip])

    def _inward(self, audio: Audio) -> Audio:
        if self._rate != self._engine.sample_rate:
            audio = soxr.resample(audio.T, self._rate, self._engine.sample_rate, quality=QUALITY).T
        return np.ascontiguousarray(np.nan_to_num(audio), np.float32)

    def _ring(self, part: RingPart) -> Audio:
        return self._rings.read(Ring[part.ring.upper()], part.deck - 1, part.end, part.frames)


class Outward:
    """New audio from the model's rate to the device's, begun and ended within the contexts so that neither end shows."""

    def __init__(self, source: int, target: int, left: Audio | None, right: Audio | None) -> None:
        """left, right: the contexts `[2, n]` at the model's rate, or None."""
        self._same, self._skip = source == target, 0
        self._after = np.zeros((2, 0), np.float32) if right is None else right[:, :PREROLL]
        self._stream = soxr.ResampleStream(source, target, 2, dtype="float32", quality=QUALITY)
        step = source // math.gcd(source, target)  # so many frames are whole ones at the other rate
        whole = 0 if self._same or left is None else min(PREROLL, left.shape[1]) // step * step
        if left is not None and whole:
            self._skip = whole * target // source
            self._skip -= len(self._stream.resample_chunk(np.ascontiguousarray(left[:, -whole:].T)))

    def __call__(self, audio: Audio, last: bool) -> Audio:
        """What can be given of the audio so far, `[2, n]`; all of it, and something of what follows, with `last`."""
        if self._same:
            return audio
        audio = np.concatenate([audio, self._after], axis=1) if last else audio
        chunk: Audio = self._stream.resample_chunk(np.ascontiguousarray(audio.T), last=last).T
        skip, self._skip = self._skip, max(0, self._skip - chunk.shape[1])
        return chunk[:, skip:]


def _fitted(audio: Audio | None, frames: int) -> Audio | None:
    if audio is None or audio.shape[1] == frames:
        return audio
    out = np.zeros((2, frames), np.float32)
    n = min(frames, audio.shape[1])
    out[:, :n] = audio[:, :n]
    return out
