"""How well two tracks lie on each other, and how smoothly one becomes the other: beats by librosa, loudness, seams."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import k_weighted, loudness_step_lu, own_loudness_steps, step_over_material
from segue.server.jobs import Audio

Floats = NDArray[np.float64]

JUDGE_RATE = 22_050  # Hz, what librosa's beat tracker is made for
HOP = 128  # 6 ms at that rate
EVERY_S = 0.1  # between two looks at the loudness
FLOOR_DB = -70.0


def beats_by_librosa(audio: Audio, rate: int) -> Floats:
    """Seconds at which librosa's beat tracker (Ellis's, on a mel spectrogram's flux) finds beats in `[2, n]`."""
    import soxr
    from librosa.beat import beat_track

    mono = soxr.resample(audio.mean(axis=0), rate, JUDGE_RATE)
    _, beats = beat_track(y=mono, sr=JUDGE_RATE, hop_length=HOP, units="time")
    return np.asarray(beats, float)


def true_beats(bpm: float, first: float, seconds: float) -> Floats:
    """Seconds of the beats of a tempo, one of which is at `first`."""
    period = 60.0 / bpm
    return np.arange(first % period, seconds, period)


def distances_ms(one: Floats, other: Floats, start: float, end: float) -> Floats:
    """From each beat between two times to the nearest of the other's; those of the track that has fewer are taken."""
    a, b = (beats[(beats >= start) & (beats <= end)] for beats in (one, other))
    few, many = (a, other) if a.size <= b.size else (b, one)
    if not few.size or not many.size:
        return np.zeros(0)
    return np.asarray(1e3 * np.abs(few[:, None] - many[None, :]).min(axis=1))


def alignment(one: Floats, other: Floats, start: float, end: float) -> dict[str, Any]:
    """Median and 95th percentile of those distances, ms; null for fewer than three beats."""
    found = distances_ms(one, other, start, end)
    if found.size < 3:
        return {"beats": int(found.size), "median_ms": None, "p95_ms": None}
    p50, p95 = np.percentile(found, [50, 95])
    return {"beats": int(found.size), "median_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}


def smoothness(audio: Audio, first: int, last: int, rate: int) -> dict[str, Any]:
    """Of a passage from frame `first` to `last` of what sounded: loudness and seams.

    largest_step_lu: from one second to the next, anywhere in it. own_step_lu: 95th percentile of the same in what is around it.
    dip_lu: the quietest second in it, under the line from the loudness before it to that after it.
    """
    steps = [loudness_step_lu(audio, frame, rate) for frame in range(first, last, round(EVERY_S * rate))]
    around = np.concatenate([audio[:, :first], audio[:, last:]], axis=1)
    seams = [
        {
            "step_over_material": round(float(step_over_material(audio, frame, rate)), 3),
            "loudness_step_lu": round(float(loudness_step_lu(audio, frame, rate)), 2),
        }
        for frame in (first, last)
    ]
    return {
        "largest_step_lu": round(float(np.abs(steps).max()), 2),
        "own_step_lu": round(own_loudness_steps(around, rate), 2),
        "dip_lu": round(_dip(audio, first, last, rate), 2),
        "seams": seams,
    }


def _dip(audio: Audio, first: int, last: int, rate: int) -> float:
    power = np.concatenate([[0.0], np.cumsum(np.square(k_weighted(audio, rate)).sum(axis=0))])

    def level(start: int, frames: int) -> float:
        mean = (power[start + frames] - power[start]) / frames
        return max(FLOOR_DB, 10.0 * float(np.log10(max(mean, 1e-12))))

    span = min(4 * rate, first, audio.shape[1] - last)
    before, after = level(first - span, span), level(last, span)
    starts = np.arange(first, last - rate, round(EVERY_S * rate))
    line = before + (after - before) * (starts + rate / 2 - first) / (last - first)
    return float(max(0.0, max(line[i] - level(int(start), rate) for i, start in enumerate(starts))))


def summary(rows: list[dict[str, Any]], kind: str, system: str) -> dict[str, Any]:
    """Medians over the pairs of a kind."""
    mine = [row for row in rows if row["system"] == system and row["kind"] == kind]

    def middle(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return round(float(np.median(known)), 2) if known else None

    true = [row["true_beats"]["median_ms"] for row in mine if row["true_beats"]]
    return {
        "kind": kind,
        "system": system,
        "n": len(mine),
        "beats_median_ms": middle([row["beats"]["median_ms"] for row in mine]),
        "beats_p95_ms": middle([row["beats"]["p95_ms"] for row in mine]),
        "true_beats_median_ms": middle(true),
        "largest_step_lu": middle([row["largest_step_lu"] for row in mine]),
        "own_step_lu": middle([row["own_step_lu"] for row in mine]),
        "dip_lu": middle([row["dip_lu"] for row in mine]),
        "seam_step": middle([max(seam["step_over_material"] for seam in row["seams"]) for row in mine]),
        "seam_lu": middle([max(abs(seam["loudness_step_lu"]) for seam in row["seams"]) for row in mine]),
    }
