"""Beats laid on beats: rhythms that are late by a known time, and the command on a few composed pieces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.server import cli
from segue.train.beats import EARLIER, OURS, TOLD
from segue.train.metrics.beat_phase import beat_phase_s

RATE, BPM = 44_100, 126.0
Audio = NDArray[np.float32]


def rhythm(late_s: float, loud_off_beat: float = 0.9) -> Audio:
    """3.5 s of low hits on the beat and bright ones between, almost as loud, all `late_s` late."""
    rng, out = np.random.default_rng(3), np.zeros(round(3.5 * RATE))
    fall = np.exp(-np.arange(2_000) / 300)
    for half, gain in ((0.0, 1.0), (0.5, loud_off_beat)):
        for beat in range(7):
            at = round(((beat + half) * 60 / BPM + 0.1 + late_s) * RATE)
            if at + 2_000 < len(out):
                hit = np.sin(0.01 * np.arange(2_000)) if half == 0 else rng.standard_normal(2_000)
                out[at : at + 2_000] += gain * hit * fall
    return np.stack([out, out]).astype(np.float32)


@pytest.mark.parametrize("late_s", [-0.09, -0.02, 0.0, 0.013, 0.1])
def test_a_late_rhythm_is_found_late_by_so_much(late_s: float) -> None:
    assert beat_phase_s(rhythm(late_s), rhythm(0.0), BPM, RATE) == pytest.approx(late_s, abs=0.003)


def test_silence_has_no_beat() -> None:
    assert beat_phase_s(np.zeros((2, RATE), np.float32), rhythm(0.0)[:, :RATE], BPM, RATE) == 0.0


def test_the_command_prints_ours_beside_the_piece_itself_and_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "beats", "--pieces", "3", "--seed", "79", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    told = {(row["system"], row["metric"]): row["value"] for row in found["rows"]}
    assert told[EARLIER, "beat_phase_ms_median"] < 20
    assert {OURS, TOLD, EARLIER, "repeat", "shaped noise", "shuffled blocks"} == set(found["late_s"])
    assert all(len(late) == 3 for late in found["late_s"].values())
    assert cli.main(["evaluate", "beats", "--pieces", "0"]) == 2
