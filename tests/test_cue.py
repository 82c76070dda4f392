"""The cue pair: what is auditioned sounds there from its first frame on, and the main out never hears of it."""

from __future__ import annotations

import numpy as np
import pytest
from audio import CORES, drive, noise, stream

from segue.server.audio.layout import Geometry
from segue.server.audio.values import Command, Status

FADE = 20


@pytest.fixture(params=CORES)
def compiled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_it_sounds_on_its_frame_between_its_fades_and_nowhere_else(compiled: bool) -> None:
    x, take = noise(1, 600), noise(2, 300, 2)
    with stream(compiled, cue=2) as (s, core), stream(compiled) as (plain, bare):
        s.push(Command.cue(s.write_cue(take), 300, FADE, 100, id=3))
        out = drive(s, core, x)
        np.testing.assert_array_equal(out[:2], drive(plain, bare, x))
        heard = np.zeros((2, 600), np.float32)
        heard[:, 100:400] = take
        inner = slice(100 + FADE, 400 - FADE)
        np.testing.assert_array_equal(out[2:, inner], heard[:, inner])
        ramp = (np.arange(FADE) + 0.5) / FADE
        np.testing.assert_allclose(out[2:, 100 : 100 + FADE], take[:, :FADE] * ramp, atol=1e-6)
        np.testing.assert_allclose(out[2:, 400 - FADE : 400], take[:, -FADE:] * ramp[::-1], atol=1e-6)
        assert not out[2:, :100].any()
        assert not out[2:, 400:].any()
        (line,) = s.applied(0)
        assert (line.id, line.applied, line.status) == (3, 100, Status.APPLIED)


def test_another_takes_over_by_a_fade_and_none_ends_it(compiled: bool) -> None:
    ones = np.ones((2, 500), np.float32)
    with stream(compiled, cue=2) as (s, core):
        s.push(Command.cue(s.write_cue(ones), 500, FADE, 0))
        s.push(Command.cue(s.write_cue(0.5 * ones), 500, FADE, 200))
        s.push(Command.cue(0, 0, FADE, 400))
        out = drive(s, core, np.zeros((4, 700), np.float32))[2]
        np.testing.assert_array_equal(out[FADE:200], 1.0)
        np.testing.assert_array_equal(out[200 + FADE : 400], 0.5)
        assert np.abs(np.diff(out)).max() < 2.0 / FADE
        assert not out[400 + FADE :].any()


def test_without_a_pair_it_is_refused(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        assert s.cue_frames == 0
        with pytest.raises(ValueError, match="start the server with a cue pair"):
            s.write_cue(noise(1, 10, 2))
        s.push(Command.cue(0, 10, FADE))
        drive(s, core, noise(1, 64))
        assert s.applied(0)[0].status is Status.REFUSED


def test_the_main_out_keeps_its_channels() -> None:
    with pytest.raises(ValueError, match="the cue pair lies after the 2 channels of the main out, got channel 2"):
        Geometry(cue=1)
