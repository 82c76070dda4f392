"""What the twin plays: fades, files, voices, mixes and auditions, as core.c has them, in numpy.

Thread: whichever drives the stream, one at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.server.audio.rings import Audio, ring_read, ring_write
from segue.server.audio.segment import Segment
from segue.server.audio.twin_voices import DRY, LOOP_0, SILENCE, SLOT_A, SLOT_B
from segue.server.audio.values import Curve, Tape

Double = NDArray[np.float64]


class Sound:
    """The sound of one segment."""

    def __init__(self, segment: Segment) -> None:
        """Any thread."""
        self._segment = segment
        self._h: Any = segment.header
        self._d: list[Any] = [self._h.deck[k] for k in range(self._h.decks)]
        self._curve = np.array(list(self._h.curve))

    # Gains.

    def _rising(self, curve: int, x: Double) -> Double:
        if curve == Curve.LINEAR:
            return x
        y = x * (len(self._curve) - 1)
        i = y.astype(np.int64)
        rise: Double = self._curve[i] + (self._curve[i + 1] - self._curve[i]) * (y - i)
        return rise

    def gain(self, d: Any, v: int, frames: NDArray[np.int64]) -> Double:
        """How loud a voice is in a deck's fade at consecutive frames; stream thread."""
        p, length, w = frames - d.fade_start, int(d.fade_length), float(d.voice[v].weight)
        if p[0] >= length:
            return np.full(len(p), 1.0 if v == d.to else 0.0)
        if v == d.to:
            return w + (1.0 - w) * self._rising(d.curve, place(p, length))
        own = int(d.voice[v].length)
        gain = np.zeros(len(p))
        on = p < own
        if w != 0.0 and on.any():
            gain[on] = w * self._rising(d.curve, 1.0 - place(p[on], own))
        return gain

    # Sound.

    def _clean(self, x: Audio) -> Audio:
        bad = ~np.isfinite(x)
        self._h.counters.nonfinite += int(bad.sum())
        x[bad] = 0.0
        return x

    def _bank_holds(self, b: Any, file: int, position: int) -> bool:
        oldest = max(b.start, b.reserved - self._h.feed_frames)
        return bool(b.file == file and oldest <= position < b.written)

    def _tape_read(self, d: Any, t: Any, block: Audio | None, frame: int, n: int) -> Audio:
        h, to = self._h, np.zeros((2, n), np.float32)
        if t.kind == Tape.LIVE and block is not None:
            for c, channel in enumerate(d.in_channel):
                if channel >= 0:
                    to[c] = block[channel]
        i = 0
        while t.kind == Tape.PLAY and i < n:
            position, run = t.position + (frame + i - t.origin), 1
            if not self._bank_holds(d.bank[t.bank & 1], t.file, position) and self._bank_holds(
                d.bank[~t.bank & 1], t.file, position
            ):
                t.bank = ~t.bank & 1
            b = d.bank[t.bank & 1]
            if self._bank_holds(b, t.file, position):
                run = min(n - i, b.written - position)
                to[:, i : i + run] = ring_read(self._segment.view(d.feed_at[t.bank & 1], h.feed_frames), position, run)
            elif position >= 0 and (b.file != t.file or position < b.length):
                h.counters.feed_underruns += 1
            i += run
        return to

    def _read_input(self, d: Any, block: Audio | None, frame: int, n: int) -> Audio:
        dry = self._tape_read(d, d.tape, block, frame, n)
        fading = frame - d.tape_start < d.tape_fade
        before = self._clean(self._tape_read(d, d.tape_before, block, frame, n)) if fading else None
        self._clean(dry)
        if before is not None:
            x = place(np.arange(frame, frame + n) - d.tape_start, d.tape_fade)
            up, down = self._rising(d.tape_curve, x), self._rising(d.tape_curve, 1.0 - x)
            dry = dry * up.astype(np.float32) + before * down.astype(np.float32)
        ring_write(self._segment.view(d.input_at, self._h.ring_frames), frame, dry)
        level = np.abs(dry)
        d.input_peak = max(d.input_peak, float(level.max()))
        loud = np.flatnonzero((level >= d.gate_threshold).any(axis=0))
        if len(loud):
            d.loud_frame = max(d.loud_frame, frame + int(loud[-1]))
        d.input_square += float(np.sum(np.square(level, dtype=np.float64)))
        return dry

    def _read_voice(self, d: Any, v: int, frame: int, n: int) -> Audio:
        h = self._h
        if v in (SLOT_A, SLOT_B):
            s, to = d.seen[v - SLOT_A], np.zeros((2, n), np.float32)
            first = min(max(frame, s.first), frame + n)
            until = max(min(frame + n, s.last), first)
            h.counters.underruns += n - (until - first)
            view = self._segment.view(d.slot_at[v - SLOT_A], h.slot_frames)
            to[:, first - frame : until - frame] = ring_read(view, first, until - first)
        else:
            loop = d.loop[v - LOOP_0]
            phase = (np.arange(frame, frame + n) - loop.origin) % loop.length
            to = self._segment.view(d.loop_at[v - LOOP_0], h.loop_frames)[:, phase]
        return self._clean(to)

    def sounds(self, d: Any, v: int, frame: int) -> bool:
        """Whether a voice is heard at a frame; stream thread."""
        p = frame - d.fade_start
        if v == d.to:
            return v != SILENCE
        return bool(v != SILENCE and p < d.fade_length and d.voice[v].weight != 0.0 and p < d.voice[v].length)

    def _part(self, d: Any, voices: range, frame: int, dry: Audio) -> Audio | None:
        part, n = None, dry.shape[1]
        for v in voices:
            if not self.sounds(d, v, frame):
                continue
            x = dry if v == DRY else self._read_voice(d, v, frame, n)
            if frame - d.fade_start < d.fade_length:
                x = x * self.gain(d, v, np.arange(frame, frame + n)).astype(np.float32)
            part = x if part is None else part + x
        return part

    def _passes(self, d: Any, frame: int) -> bool:
        r, fading = self._h.thru, frame - d.tape_start < d.tape_fade
        live = d.tape.kind == Tape.LIVE or (fading and d.tape_before.kind == Tape.LIVE)
        return bool((r.after != 0.0 or frame - r.start < r.length) and live)

    def _thru(self, d: Any, frame: int, dry: Audio) -> Audio:
        """What passes of a live input whatever else plays, and what would sound anyway."""
        frames = np.arange(frame, frame + dry.shape[1])
        now, before = d.tape.kind == Tape.LIVE, d.tape_before.kind == Tape.LIVE
        share = np.full(len(frames), float(now))
        if now != before and frame - d.tape_start < d.tape_fade:
            x = place(frames - d.tape_start, d.tape_fade)
            share = self._rising(d.tape_curve, x if now else 1.0 - x)
        gain = self.gain(d, DRY, frames)
        heard: Audio = dry * (gain + (1.0 - gain) * (ramp(self._h.thru, frames) * share)).astype(np.float32)
        return heard

    def render(self, block: Audio | None, out: Audio, frame: int, n: int) -> None:
        """Plays n frames of every deck, between two of which nothing happens, into `out`; stream thread."""
        h, master = self._h, None
        with np.errstate(all="ignore"):
            for k, d in enumerate(self._d):
                sent = self._render_deck(d, block, frame, n)
                if sent is None:
                    continue
                if h.per_deck_out:
                    out[2 * k : 2 * k + 2] = sent
                else:
                    master = sent if master is None else master + sent
        if master is not None:
            out[:2] = self._clean(master)
            h.master_peak = max(h.master_peak, float(np.abs(master).max()))

    def render_cues(self, out: Audio, frame: int, n: int) -> None:
        """Adds n frames of the auditions to the cue pair; stream thread."""
        h = self._h
        for q in (h.cue_before, h.cue) if h.cue_channel >= 0 else ():
            frames = np.arange(max(frame, q.start), min(frame + n, q.start + (q.last - q.first)))
            if not len(frames):
                continue
            p = frames - q.start
            left = q.last - q.first - p - 1
            rise = np.where(p < q.fade, place(p, q.fade or 1), 1.0)
            gain = np.where(left < q.fade, rise * place(left, q.fade or 1), rise).astype(np.float32)
            with np.errstate(all="ignore"):
                x = self._segment.view(h.cue_at, h.cue_frames)[:, (q.first + p) % h.cue_frames] * gain
            out[h.cue_channel : h.cue_channel + 2, frames - frame] += self._clean(x)

    def _render_deck(self, d: Any, block: Audio | None, frame: int, n: int) -> Audio | None:
        h = self._h
        source = self._read_input(d, block, frame, n)
        generated = self._part(d, range(SLOT_A, SILENCE), frame, source)
        dry = self._thru(d, frame, source) if self._passes(d, frame) else self._part(d, range(DRY, DRY + 1), frame, source)
        parts = [part for part in (dry, generated) if part is not None]
        mix = self._clean(
            np.zeros((2, n), np.float32) if not parts else parts[0].copy() if len(parts) == 1 else parts[0] + parts[1]
        )
        level = np.abs(mix)
        d.sounded_peak = max(d.sounded_peak, float(level.max()))
        d.sounded_square += float(np.sum(np.square(level, dtype=np.float64)))
        ring_write(self._segment.view(d.sounded_at, h.ring_frames), frame, mix)
        frames, sent = np.arange(frame, frame + n), None
        for part, bus in ((dry, h.dry_gain), (generated, h.generated_gain)):
            if part is not None:
                x = part * (ramp(d.gain, frames) * ramp(bus, frames)).astype(np.float32)
                sent = x if sent is None else sent + x
        return None if sent is None else self._clean(sent)


def place(p: NDArray[np.int64], length: int) -> Double:
    """How far frames p are in a fade of `length`: between 0 and 1."""
    return (p + 0.5) / np.float64(length)


def ramp(r: Any, frames: NDArray[np.int64]) -> Double:
    """A gain at frames, which may be on its way from one value to another."""
    p = frames - r.start
    value = np.full(len(p), float(r.after))
    on = p < r.length
    if on.any():
        value[on] = r.before + (r.after - r.before) * place(p[on], r.length)
    return value
