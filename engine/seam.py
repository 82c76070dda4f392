"""Joins new audio to what sounded before it, without a step and without rewriting what sounded.

The signal before the seam is carried on by linear prediction and faded out under the new audio. Its first samples
follow from those before as the material's own do, so value and slope go on; a plain fade-in would leave a hole there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, signal

from segue.engine.shapes import constant_power

ORDER = 256  # coefficients: 6 ms at 44.1 kHz
HISTORY = 4096  # samples that they are estimated from
RISE = 7 / 8  # of them, over which they come to count; the rest falls, so that what sounded last is known too
FADE_S = 0.020


def carried_on(before: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """n samples that linear prediction expects after `[channels, m]`; stable, by the autocorrelation method."""
    return np.stack([_predicted(channel[-HISTORY:].astype(np.float64), n) for channel in before]).astype(np.float32)


def _predicted(past: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    order = min(ORDER, len(past) // 4)
    peak = np.abs(past).max(initial=0.0)
    if order < 1 or peak < 1e-7:
        return np.zeros(n)
    windowed = past / peak * _window(len(past))
    r = signal.correlate(windowed, windowed, mode="full", method="fft")[len(past) - 1 : len(past) + order]
    r[0] *= 1 + 1e-9  # a pure tone would leave the equations singular
    a = np.concatenate([[1.0], -linalg.solve_toeplitz(r[:-1], r[1:])])
    state = -signal.correlate(a[1:], past[: -order - 1 : -1], mode="full", method="direct")[order - 1 :]  # as lfiltic has it
    out: NDArray[np.float64] = signal.lfilter([1.0], a, np.zeros(n), zi=state)[0]
    return np.clip(out, -peak, peak)


def _window(n: int) -> NDArray[np.float64]:
    """`[n]`: a slow rise and a short fall. A symmetric one hardly sees what began last, and a hit just begun is its own surprise:
    what is expected after it would then leap to several times its size."""
    rise = round(RISE * n)
    up, down = ((np.arange(size) + 0.5) / size for size in (rise, n - rise))
    window: NDArray[np.float64] = np.sin(np.pi / 2 * np.concatenate([up, 1 - down]))
    return window


def spliced(old: NDArray[np.float32], new: NDArray[np.float32]) -> NDArray[np.float32]:
    """One stretch `[channels, n]` into another, holding the power: at constant power where unlike, evenly where alike."""
    energy = float(np.sqrt(np.square(old).sum(dtype=np.float64) * np.square(new).sum(dtype=np.float64)))
    alike = max(0.0, float((old * new).sum(dtype=np.float64))) / energy if energy > 0 else 0.0
    f_out, f_in = constant_power(old.shape[-1])
    mixed: NDArray[np.float32] = (f_out * old + f_in * new) / np.sqrt(1 + 2 * min(alike, 1.0) * f_out * f_in)
    return mixed


def joined(before: NDArray[np.float32], new: NDArray[np.float32], fade: int) -> NDArray[np.float32]:
    """`new` `[channels, n]` with its first `fade` samples spliced in over what `before` would have gone on with."""
    fade = min(fade, new.shape[-1])
    if fade < 1 or before.shape[-1] < 1:
        return new
    out = new.copy()
    out[:, :fade] = spliced(carried_on(before, fade), new[:, :fade])
    return out


def joined_before(new: NDArray[np.float32], after: NDArray[np.float32], fade: int) -> NDArray[np.float32]:
    """`new` with its last samples led into `after`: the same, backwards in time."""
    return np.ascontiguousarray(joined(after[:, ::-1], new[:, ::-1], fade)[:, ::-1])
