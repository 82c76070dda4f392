"""The voices of a deck in the twin, and which of them is next, as core.c has it.

Thread: whichever drives the stream.
"""

from __future__ import annotations

from typing import Any

from segue.server.audio.values import Policy, Source

DRY, SLOT_A, SLOT_B, LOOP_0, _, SILENCE = range(6)  # the sources, with the two halves of the loop told apart


def holds(s: Any, frame: int) -> bool:
    """Whether a slot, as the callback saw it last, has audio at a frame."""
    return bool(s.first <= frame < s.last)


def gate_open(d: Any, frame: int) -> bool:
    """Whether the input was loud a moment ago."""
    return bool(frame - d.loud_frame <= d.gate_hold)


def loop_voice(d: Any) -> int:
    """The half of the loop that was published last, or SILENCE without one."""
    half = d.loop_published & 1
    return int(LOOP_0 + half) if d.loop_published and d.loop[half].length > 0 else SILENCE


def ladder(d: Any, frame: int) -> int:
    """What is played where nothing else is: the loop while the performer rests, dry otherwise."""
    return DRY if gate_open(d, frame) or loop_voice(d) == SILENCE else loop_voice(d)


def source(voice: int) -> int:
    """A voice as the log has it."""
    return Source.SILENCE if voice == SILENCE else min(voice, Source.LOOP)


def left_for(d: Any, policy: int, frame: int) -> int:
    """What a deck goes to from its slot."""
    other = SLOT_A + SLOT_B - d.to
    if policy == Policy.DRY:
        return DRY
    if policy == Policy.SILENCE:
        return SILENCE
    if policy == Policy.LOOP and loop_voice(d) != SILENCE:
        return loop_voice(d)
    if policy == Policy.SLOT_OTHER and holds(d.seen[other - SLOT_A], frame):
        return int(other)
    return ladder(d, frame)
