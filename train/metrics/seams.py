"""What a join does to the ear: flux, phase and beat across a frame of `[channels, samples]`, beside the music's own figures.

The loudness step and the step over the material are in `engine/measure.py`; the demo prints those.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import MEL_HOP, MEL_WINDOW, log_mel

Audio: TypeAlias = NDArray[Any]
Values: TypeAlias = NDArray[np.floating[Any]]

MATERIAL_S = 2.0  # either side of a seam, what is usual there
WINDOW, LAG = 2048, 256  # of the phase: one window each side of the seam, and the lag that frequencies are read from
PARTIALS = 40  # strongest bins that are followed across
ENVELOPE_HOP = MEL_HOP // 2  # about 6 ms, what a beat is placed by
BPM = (70.0, 180.0)  # tempi that are considered; others are taken by the octave
LIKELY_BPM, OCTAVES = 120.0, 0.7
TEETH = (0.5, 1.0, 2.0, 4.0)  # multiples of a beat at which its autocorrelation is read
LEAST = 1e-9


def flux(audio: Audio, rate: int) -> Values:
    """`[frames]` spectral flux: rise of the log-mel summed over bands; value i is the onset near sample i * MEL_HOP + 1536."""
    mel = log_mel(audio, rate)
    rise: Values = np.maximum(0, np.diff(mel, axis=1)).sum(axis=0)
    return rise


def flux_z(audio: Audio, frame: int, rate: int) -> float:
    """Largest flux at a seam, in standard deviations from the mean of the flux of the 2 s on either side of it.

    About 2 is what any place of music has, as the largest of a few values; 0 where nothing moves anywhere.
    """
    first = max(0, frame - round(MATERIAL_S * rate))
    around = flux(audio[:, first : frame + round(MATERIAL_S * rate)], rate)
    # value i compares windows i and i + 1, which together span samples i HOP to (i + 1) HOP + WINDOW
    start = np.arange(len(around)) * MEL_HOP - (frame - first)
    near = (start <= 0) & (start + MEL_HOP + MEL_WINDOW >= 0)
    if not near.any() or near.all():
        return 0.0
    usual = around[~near]
    spread = float(usual.std())
    peak = float(around[near].max()) - float(usual.mean())
    return 0.0 if peak <= LEAST else peak / max(spread, LEAST)


def phase_coherence(audio: Audio, frame: int) -> float:
    """How well partials go on across a frame, -1 to 1: 1 for steady tones, about 0 for unrelated sound, -1 for a flip.

    The window that ends at the frame and the one that begins there lie WINDOW samples apart. A partial of frequency w goes
    on by w WINDOW radians; w is read on either side from two windows LAG samples apart, and the mean is taken, which is exact
    for tones that glide evenly. The cosine of what is left over, weighted with the magnitudes of both sides.
    """
    mono = np.asarray(audio, np.float64).mean(axis=0)
    if frame < WINDOW + LAG or frame + WINDOW + LAG > len(mono):
        raise ValueError(f"phase: got a seam at {frame} of {len(mono)} samples; leave {WINDOW + LAG} on either side")
    before, ends, begins, after = (_spectrum(mono, at) for at in (frame - WINDOW - LAG, frame - WINDOW, frame, frame + LAG))
    weight = np.abs(ends) * np.abs(begins)
    top = np.argsort(weight)[-PARTIALS:]
    centre = 2 * np.pi * top / WINDOW

    def frequency(early: NDArray[np.complex128], late: NDArray[np.complex128]) -> Values:
        turn = np.angle(late[top] * early[top].conj()) - centre * LAG
        found: Values = centre + (np.angle(np.exp(1j * turn))) / LAG
        return found

    w = (frequency(before, ends) + frequency(begins, after)) / 2
    left_over = np.angle(begins[top] * ends[top].conj()) - w * WINDOW
    total = float(weight[top].sum())
    return float((weight[top] * np.cos(left_over)).sum() / total) if total > LEAST else 0.0


def _spectrum(mono: Values, start: int) -> NDArray[np.complex128]:
    window = np.hanning(WINDOW + 1)[:WINDOW]
    spectrum: NDArray[np.complex128] = np.fft.rfft(mono[start : start + WINDOW] * window)
    return spectrum


def onsets(audio: Audio, rate: int) -> Values:
    """Onset envelope, one value an ENVELOPE_HOP; value i stands for sample i * ENVELOPE_HOP."""
    mono = np.asarray(audio, np.float64).mean(axis=0)
    size = 4 * ENVELOPE_HOP
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, (size, size)), size)[::ENVELOPE_HOP]
    level = np.log1p(1000 * np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) / size)
    rise = np.maximum(0, np.diff(level, axis=0)).sum(axis=1)
    smooth: Values = np.maximum(0, rise - np.convolve(rise, np.full(87, 1 / 87), mode="same"))
    # frame i of the padded signal is centred size / 2 after its start and size before the signal's
    shift = (size - size // 2) // ENVELOPE_HOP
    return smooth[shift:]


def tempo(audio: Audio, rate: int) -> float:
    """BPM by a comb over the autocorrelation of the onsets, with a mild preference for LIKELY_BPM; NaN without onsets."""
    period = _period(onsets(audio, rate), rate / ENVELOPE_HOP)
    return float(60 * rate / ENVELOPE_HOP / period) if period else float("nan")


def _period(envelope: Values, rate: float) -> float:
    """Values a beat, or 0 where nothing repeats. The far multiples of the comb make it exact."""
    centred = envelope - envelope.mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    known = np.fft.irfft(np.abs(spectrum) ** 2)[: len(centred)]
    if known[0] <= LEAST:
        return 0.0
    known = known / known[0] * len(centred) / np.arange(len(centred), 0, -1)
    periods = 60 * rate / np.geomspace(BPM[1], BPM[0], 1200)
    lags, reach = np.arange(len(known)), 0.75 * len(known)
    score, teeth = np.zeros(len(periods)), np.zeros(len(periods))
    for tooth in TEETH:
        inside = periods * tooth < reach
        score += np.where(inside, np.interp(periods * tooth, lags, known), 0)
        teeth += inside
    prior = np.exp(-0.5 * (np.log2(60 * rate / periods / LIKELY_BPM) / OCTAVES) ** 2)
    best = float(periods[np.argmax(np.maximum(score, 0) / np.maximum(teeth, 1) * prior)])
    for tooth in (4, 8, 16):
        if best * tooth * 1.05 < reach:
            near = best * np.linspace(1 - 0.15 / tooth, 1 + 0.15 / tooth, 121)
            best = float(near[np.argmax(np.interp(near * tooth, lags, known))])
    return best


def beat_offset(before: Audio, after: Audio, rate: int) -> float:
    """By how much the beats of `after` miss the grid of `before`, in beats, -0.5 to 0.5; after begins where before ends.

    The period is that of `before`; of another tempo the offset is that of the middle of `after`. NaN without a beat.
    """
    first, second = onsets(before, rate), onsets(after, rate)
    period = _period(first, rate / ENVELOPE_HOP)
    if not period:
        return float("nan")
    start = before.shape[1] / ENVELOPE_HOP
    here, there = (_phase(envelope, origin, period) for envelope, origin in ((first, 0.0), (second, start)))
    return float((there - here + 0.5) % 1 - 0.5)


def _phase(envelope: Values, origin: float, period: float) -> float:
    """Where in the beat the onsets lie, 0 to 1: the angle of the envelope's component at the beat's frequency."""
    place = origin + np.arange(len(envelope))
    return float(np.angle((envelope * np.exp(2j * np.pi * place / period)).sum()) / (2 * np.pi) % 1)
