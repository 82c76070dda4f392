"""core.c once more, in numpy, on the same memory: for machines without a compiler, and as the second opinion in tests.

Commands are here, what they are about is in twin_sound.py and twin_voices.py. Function by function the same as core.c; a property
test drives both and compares every frame and every field.
Thread: whichever drives the stream, one at a time.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from segue.server.audio import layout
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment
from segue.server.audio.twin_sound import Sound, ramp
from segue.server.audio.twin_voices import (
    DRY,
    LOOP_0,
    SILENCE,
    SLOT_A,
    SLOT_B,
    gate_open,
    holds,
    ladder,
    left_for,
    loop_voice,
    source,
)
from segue.server.audio.values import Bus, Curve, Op, Policy, Source, Status, Tape

SECOND = 1_000_000_000  # ns


class Twin:
    """The callback of one segment."""

    def __init__(self, segment: Segment) -> None:
        """Any thread."""
        self._segment = segment
        self._h: Any = segment.header
        self._d: list[Any] = [self._h.deck[k] for k in range(self._h.decks)]
        self._sound = Sound(segment)
        n = layout.constants()
        self._queue, self._pending, self._drained = n["SEGUE_QUEUE"], n["SEGUE_PENDING"], n["SEGUE_DRAIN"]
        self._log, self._window = n["SEGUE_LOG"], n["SEGUE_WINDOW"]

    def run(self, block: Audio | None, n: int) -> Audio:
        """Processes n frames by the machine's clocks, timed; stream thread."""
        h, c, cpu, began = self._h, self._h.counters, time.thread_time_ns(), time.monotonic_ns()
        out = self.process(block, n, began, time.time_ns())
        spent, cpu = time.monotonic_ns() - began, time.thread_time_ns() - cpu
        c.max_ns, c.max_cpu_ns = max(c.max_ns, spent), max(c.max_cpu_ns, cpu)
        c.over_period += spent > n * SECOND // h.rate
        c.over_period_cpu += cpu > n * SECOND // h.rate
        return out

    def process(self, block: Audio | None, n: int, monotonic: int, realtime: int) -> Audio:
        """Processes n frames [in_channels, n] (None: silence) into [out_channels, n]; host clocks in ns; stream thread."""
        h = self._h
        out = np.zeros((h.out_channels, n), np.float32)
        if n == 0:
            return out
        h.sequence |= 1  # odd already where a process was killed in here
        h.counters.callbacks += 1
        self._notice_gap(n, monotonic)
        h.clock_frame, h.clock_monotonic, h.clock_realtime, h.clock_block = h.frame, monotonic, realtime, n
        for done in range(0, n, h.block):
            part = slice(done, min(n, done + h.block))
            self._chunk(None if block is None else block[:, part], out[:, part])
        h.sequence += 1
        return out

    def _notice_gap(self, n: int, monotonic: int) -> None:
        h = self._h
        block = n * SECOND // h.rate
        offset = monotonic - (h.frame // h.rate * SECOND + h.frame % h.rate * SECOND // h.rate)
        if h.window_count == 0 or offset < h.window_min_ns:
            h.window_min_ns = offset
        h.window_count += 1
        if h.window_count < self._window:
            return
        h.window_count = 0
        if h.base_ns == 0 or h.window_min_ns < h.base_ns + block:
            creep = h.base_ns + self._window * block // 1000
            h.base_ns = h.window_min_ns if h.base_ns == 0 else min(h.window_min_ns, creep)
            return
        h.counters.gap_xruns += 1
        h.counters.lost_frames += (h.window_min_ns - h.base_ns) // block * n
        h.base_ns = h.window_min_ns

    def _chunk(self, block: Audio | None, out: Audio) -> None:
        h, frame = self._h, int(self._h.frame)
        begin, end = frame, frame + out.shape[1]
        self._drain()
        h.master_peak = 0.0
        for d in self._d:
            self._see_slots(d)
            d.input_peak = d.sounded_peak = d.input_square = d.sounded_square = 0.0
            d.input_reserved = d.sounded_reserved = end
        while frame < end:
            following = self._happen(frame, end)
            part = slice(frame - begin, following - begin)
            self._sound.render(None if block is None else block[:, part], out[:, part], frame, following - frame)
            self._sound.render_cues(out[:, part], frame, following - frame)
            frame = following
        for d in self._d:
            d.input_square /= 2.0 * out.shape[1]
            d.sounded_square /= 2.0 * out.shape[1]
            d.gate_open = gate_open(d, end)
            d.input_written = d.sounded_written = end
        h.frame = end

    # Commands.

    def _drain(self) -> None:
        h = self._h
        head, table = min(h.queue_head, h.queue_tail + self._drained), self._table()
        h.pending_first = 0
        self._keep(table)
        for i in range(h.queue_tail, head):
            self._enter(_copy(self._segment, "segue_command", h.queue[i % self._queue]))
        h.queue_tail = head

    def _enter(self, c: Any) -> None:
        h = self._h
        if c.frame < 0:
            c.frame = h.frame
        ok = self._valid(c)
        if not ok or (h.pending_end == self._pending and c.op != Op.CANCEL):
            if ok:
                h.counters.pending_overflows += 1
            else:
                h.counters.refused += 1
            self._note(c, h.frame, c.source, Status.REFUSED)
            return
        if c.op == Op.CANCEL:
            self._cancel(c, h.frame)
            return
        table = self._table()
        at = len(table)
        while at > 0 and table[at - 1].frame > c.frame:
            at -= 1
        table.insert(at, c)
        self._keep(table)

    def _valid(self, c: Any) -> bool:
        most = {Op.PLAY: Source.SILENCE, Op.GAIN: Bus.THRU, Op.FEED: Tape.PAUSE}.get(c.op, 2**32 - 1)
        if c.op == Op.CUE and (self._h.cue_channel < 0 or c.position < 0 or not 0 <= c.take <= self._h.cue_frames):
            return False
        known = Op.PLAY <= c.op <= Op.CUE and c.deck < self._h.decks and c.source <= most
        return bool(known and c.curve <= Curve.LINEAR and c.fade >= 0 and np.isfinite(c.gain))

    def _table(self) -> list[Any]:
        h = self._h
        return [_copy(self._segment, "segue_command", h.pending[i]) for i in range(h.pending_first, h.pending_end)]

    def _keep(self, table: list[Any]) -> None:
        for i, c in enumerate(table, self._h.pending_first):
            self._h.pending[i] = c[0]
        self._h.pending_end = self._h.pending_first + len(table)

    def _note(self, c: Any, frame: int, source: int, status: Status) -> None:
        h = self._h
        a = h.log[h.log_count % self._log]
        a.id, a.scheduled, a.applied, a.take = c.id, c.frame, frame, c.take
        a.op, a.deck, a.source, a.status = c.op, c.deck, source, status
        h.log_count += 1

    def _happen(self, frame: int, end: int) -> int:
        h = self._h
        while h.pending_first < h.pending_end and h.pending[h.pending_first].frame <= frame:
            first = _copy(self._segment, "segue_command", h.pending[h.pending_first])
            h.pending_first += 1
            self._apply(first, frame)
        if h.pending_first < h.pending_end:
            end = min(end, h.pending[h.pending_first].frame)
        for k, d in enumerate(self._d):
            if d.until_gate and gate_open(d, frame):
                self._fade_to(d, frame, DRY, h.fade_frames, Curve.POWER)
            for _ in range(3):
                if not self._leave_slot(k, frame):
                    break
            events = [d.fade_start + d.fade_length, d.tape_start + d.tape_fade]
            # A slot that ends before the others fade is over there: what lies beyond is not missing.
            events += [
                d.fade_start + d.voice[v].length for v in (SLOT_A, SLOT_B) if v != d.to and self._sound.sounds(d, v, frame)
            ]
            if d.to in (SLOT_A, SLOT_B):
                s = d.seen[d.to - SLOT_A]
                events.append(min(s.exit_frame, s.last - s.exit_fade))
            end = min([end, *(event for event in events if event > frame)])
        return end

    def _apply(self, c: Any, frame: int) -> None:
        self._h.counters.late += frame > c.frame
        if c.op == Op.PLAY:
            self._play(c, frame)
            return
        if c.op == Op.PANIC:
            self._panic(frame)
        elif c.op == Op.FEED:
            self._feed(c, frame)
        elif c.op == Op.CUE:
            self._cue(c, frame)
        elif c.op == Op.GAIN:
            buses = {Bus.DRY: self._h.dry_gain, Bus.GENERATED: self._h.generated_gain, Bus.THRU: self._h.thru}
            gain = buses.get(c.source, self._d[c.deck].gain)
            gain.before = float(ramp(gain, np.array([frame]))[0])
            gain.after, gain.start, gain.length = c.gain, frame, c.fade
        self._note(c, frame, c.source, Status.APPLIED)

    def _play(self, c: Any, frame: int) -> None:
        d, status = self._d[c.deck], Status.APPLIED
        to = {Source.LOOP: loop_voice(d), Source.SILENCE: SILENCE}.get(c.source, c.source)
        absent = c.source == Source.LOOP and to == SILENCE
        if absent or (to in (SLOT_A, SLOT_B) and not holds(d.seen[to - SLOT_A], frame)):
            self._h.counters.underruns += 1
            to, status = ladder(d, frame), Status.REDIRECTED
        if to != d.to or frame - d.fade_start < d.fade_length:
            self._fade_to(d, frame, to, c.fade, c.curve)
        d.until_gate = status == Status.REDIRECTED and to in (LOOP_0, LOOP_0 + 1)
        d.take = 0 if status == Status.REDIRECTED else c.take
        self._note(c, frame, source(to), status)

    def _cancel(self, c: Any, frame: int) -> None:
        table = self._table()
        found = [p for p in table if p.id == c.id]
        for p in found:
            self._note(p, frame, p.source, Status.CANCELLED)
        self._keep([p for p in table if p.id != c.id])
        self._note(c, frame, c.source, Status.APPLIED if found else Status.NOT_FOUND)

    def _panic(self, frame: int) -> None:
        table = self._table()
        for p in table:
            if p.op == Op.PLAY:
                self._note(p, frame, p.source, Status.CANCELLED)
        self._keep([p for p in table if p.op != Op.PLAY])
        for d in self._d:
            opened = gate_open(d, frame)
            self._fade_to(d, frame, DRY if opened else SILENCE, self._h.fade_frames, Curve.POWER)
            d.take, d.until_gate = 0, not opened

    def _feed(self, c: Any, frame: int) -> None:
        d = self._d[c.deck]
        d.tape_before = d.tape
        d.tape.kind, d.tape.file, d.tape.origin, d.tape.position = c.source, c.take, frame, c.position
        d.tape_start, d.tape_fade, d.tape_curve = frame, c.fade, c.curve

    def _cue(self, c: Any, frame: int) -> None:
        before, cue = self._h.cue_before, self._h.cue
        self._h.cue_before = cue
        before.fade, before.last = c.fade, min(cue.last, cue.first + (frame - cue.start) + c.fade)
        cue.first, cue.last, cue.start, cue.fade = c.position, c.position + c.take, frame, c.fade

    def _leave_slot(self, deck: int, frame: int) -> bool:
        h, d = self._h, self._d[deck]
        if d.to not in (SLOT_A, SLOT_B):
            return False
        note = self._segment.struct("segue_command")
        note.deck, note.take, note.frame = deck, d.take, frame
        s, to = d.seen[d.to - SLOT_A], ladder(d, frame)
        if not holds(s, frame):
            h.counters.underruns += 1
            note.op, fade, fallen = Op.UNDERRUN, h.fade_frames, True
        else:
            if frame < min(s.exit_frame, s.last - s.exit_fade):
                return False
            note.op, note.frame, fade = Op.EXIT, s.exit_frame, min(s.exit_fade, s.last - frame)
            to, fallen = left_for(d, s.policy, frame), s.policy == Policy.LADDER
        self._fade_to(d, frame, to, fade, s.curve)
        d.until_gate = fallen and to in (LOOP_0, LOOP_0 + 1)
        d.take = d.seen[to - SLOT_A].take if to in (SLOT_A, SLOT_B) else 0
        self._note(note, frame, source(to), Status.APPLIED)
        return True

    def _fade_to(self, d: Any, frame: int, to: int, length: int, curve: int) -> None:
        weights = [float(self._sound.gain(d, v, np.array([frame]))[0]) for v in range(SILENCE + 1)]
        for v, weight in enumerate(weights):
            d.voice[v].weight = weight if length > 0 else 0.0
            d.voice[v].length = min(length, d.seen[v - SLOT_A].last - frame) if v in (SLOT_A, SLOT_B) else length
        d.fade_start, d.fade_length = frame, 0 if weights[to] == 1.0 else length
        d.curve, d.to, d.until_gate = curve, to, 0

    def _see_slots(self, d: Any) -> None:
        for k in (0, 1):
            if d.slot[k].sequence % 2 == 0:
                d.seen[k] = d.slot[k]


def _copy(segment: Segment, kind: str, struct: Any) -> Any:
    copy = segment.struct(kind)
    copy[0] = struct
    return copy
