"""core.c and its numpy twin are one: any commands, blocks and inputs leave the same bytes in the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from audio import NO_CORE, stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.server.audio import layout
from segue.server.audio.core import Core
from segue.server.audio.rings import ring_write
from segue.server.audio.segment import Segment
from segue.server.audio.values import Bus, Command, Curve, Op, Policy, Source, Tape, TooNear

SMALL = {"rate": 44_100, "ring": 300, "slot": 260, "loop": 50, "feed": 120, "block": 16}
Step = Callable[[Segment, Core], np.ndarray | bool | None]

needs_core = pytest.mark.skipif(NO_CORE, reason="core.c is not compiled here")


def sound(seed: int, rows: int, n: int, level: float) -> np.ndarray:
    x = level * np.random.default_rng(seed).standard_normal((rows, n)).astype(np.float32)
    if seed % 7 == 0:
        x[seed % rows, seed % n] = (np.nan, np.inf, -np.inf)[seed // 7 % 3]
    return x


def process(seed: int, n: int, level: float, absent: bool) -> Step:
    def step(s: Segment, core: Core) -> np.ndarray:
        now = s.frame * 10**9 // s.rate
        return core.process(None if absent else sound(seed, s.header.in_channels, n, level), now, n)

    return step


def push(op: Op, ahead: int, **fields: Any) -> Step:
    return lambda s, core: s.push(Command(op, frame=-1 if ahead == -50 else max(0, s.frame + ahead), **fields))


def take(deck: int, slot: int, ahead: int, n: int, exit_at: int, fade: int, policy: Policy, seed: int) -> Step:
    def step(s: Segment, core: Core) -> bool:
        first = max(0, s.frame + ahead)
        try:
            s.write_slot(deck, slot, first, sound(seed, 2, n, 0.5))
            s.publish_slot(deck, slot, seed, first, first + n, first + exit_at, fade, policy)
        except TooNear:
            return False
        return True

    return step


def loop(deck: int, n: int, origin: int, seed: int) -> Step:
    return lambda s, core: s.publish_loop(deck, sound(seed, 2, n, 0.5), origin)


def audition(n: int, seed: int) -> Step:
    return lambda s, core: s.write_cue(sound(seed, 2, n, 0.5)) if s.cue_frames else None


def bank(deck: int, which: int, start: int, n: int, file: int, seed: int) -> Step:
    def step(s: Segment, core: Core) -> None:
        d = s.header.deck[deck]
        b = d.bank[which]
        ring_write(s.view(d.feed_at[which], s.header.feed_frames), start, sound(seed, 2, n, 0.5))
        b.file, b.length, b.start, b.reserved, b.written = file, 200, start, start + n, start + n

    return step


DECK, FADE, SEED = st.integers(0, 1), st.sampled_from([0, 0, 1, 5, 16, 40]), st.integers(0, 2**20)
AHEAD, SHORT = st.one_of(st.integers(-3, 12), st.integers(-50, 90)), st.integers(1, 40)
COMMON: dict[str, Any] = {"deck": DECK, "fade": FADE, "curve": st.sampled_from(Curve), "id": st.integers(0, 5)}
STEPS = st.one_of(
    st.builds(process, SEED, SHORT, st.sampled_from([0.0, 1e-4, 0.3, 3e37]), st.booleans()),
    st.builds(process, SEED, SHORT, st.just(0.3), st.just(False)),
    st.builds(push, st.just(Op.PLAY), AHEAD, source=st.sampled_from(Source), take=SEED, **COMMON),
    st.builds(push, st.just(Op.PLAY), st.integers(0, 12), source=st.sampled_from(Source), take=SEED, **COMMON),
    st.builds(push, st.just(Op.GAIN), AHEAD, source=st.sampled_from(Bus), gain=st.floats(0, 4, width=32), **COMMON),
    st.builds(
        push,
        st.just(Op.FEED),
        AHEAD,
        source=st.sampled_from(Tape),
        take=st.integers(0, 1),
        position=st.integers(-30, 220),
        **COMMON,
    ),
    st.builds(push, st.sampled_from([Op.CANCEL, Op.PANIC, Op.MARK, Op.EXIT]), AHEAD, **COMMON),
    st.builds(push, st.just(Op.CUE), AHEAD, take=st.integers(-1, 90), position=st.integers(-1, 200), **COMMON),
    st.builds(audition, st.integers(1, 40), SEED),
    st.builds(push, st.just(Op.PLAY), AHEAD, source=st.just(9), deck=st.integers(0, 9)),
    st.builds(
        take, DECK, st.integers(0, 1), AHEAD, st.integers(1, 200), st.integers(-5, 250), FADE, st.sampled_from(Policy), SEED
    ),
    st.builds(take, DECK, st.integers(0, 1), st.integers(-30, 3), st.just(200), SHORT, FADE, st.sampled_from(Policy), SEED),
    st.builds(loop, DECK, st.integers(1, 50), st.integers(-99, 99), SEED),
    st.builds(bank, DECK, st.integers(0, 1), st.integers(0, 180), st.integers(1, 120), st.integers(0, 1), SEED),
)


def state(segment: Segment) -> tuple[list[float], np.ndarray]:
    """The meters that are sums, whose order is free, and every other byte that means something."""
    h, ffi = segment.header, segment.ffi
    size = ffi.sizeof("segue_command")
    table = ffi.buffer(h.pending)
    table[: h.pending_first * size] = bytes(h.pending_first * size)
    table[h.pending_end * size :] = bytes(len(table) - h.pending_end * size)
    squares = []
    for deck in range(segment.decks):
        d = segment.header.deck[deck]
        squares += [d.input_square, d.sounded_square]
        d.input_square = d.sounded_square = 0.0
        segment.view(d.scratch_at, layout.SCRATCH_ROWS * segment.block // 2)[:] = 0.0
    return squares, np.frombuffer(segment.memory.map, np.uint8).copy()


@needs_core
@given(st.lists(STEPS, min_size=10, max_size=80), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_core_and_twin_leave_the_same_bytes(steps: list[Step], per_deck: bool, cued: bool) -> None:
    sizes = {**SMALL, "per_deck_out": per_deck, "cue": 5 if cued else -1, "cue_frames": 80}
    with stream(True, **sizes) as (one, core), stream(False, **sizes) as (two, twin):
        for step in steps:
            a, b = step(one, core), step(two, twin)
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b)
                assert np.isfinite(a).all()
        (squares, bytes_one), (squares_two, bytes_two) = state(one), state(two)
        np.testing.assert_allclose(squares, squares_two, rtol=1e-12)
        differing = np.flatnonzero(bytes_one != bytes_two)
        assert not len(differing), f"bytes {differing[:8]} of {len(bytes_one)}"


@needs_core
def test_the_parsed_layout_is_the_compilers() -> None:
    core, parsed = layout.compiled().ffi, layout.parsed()
    names = [name for name in core.list_types()[0] if name.startswith("segue_")]
    assert "segue_header" in names
    for name in names:
        if core.typeof(name).kind != "struct":
            assert core.typeof(name).relements == parsed.typeof(name).relements
            continue
        assert core.sizeof(name) == parsed.sizeof(name)
        for field, _ in core.typeof(name).fields:
            assert core.offsetof(name, field) == parsed.offsetof(name, field), f"{name}.{field}"


@pytest.mark.parametrize(
    ("enum", "name", "prefix"),
    [
        (Op, "segue_op", "OP_"), (Source, "segue_source", ""), (Policy, "segue_policy", "EXIT_"),
        (Curve, "segue_curve", "CURVE_"),
        (Bus, "segue_bus", "BUS_"), (Tape, "segue_tape_kind", "TAPE_"),
    ],
)  # fmt: skip
def test_words_mean_the_same_in_c_and_python(enum: Any, name: str, prefix: str) -> None:
    assert {prefix + word.name: word.value for word in enum} == layout.parsed().typeof(name).relements
