"""Measures of audio `[channels, samples]` at a rate in Hz: loudness, seams, mel distance, likeness, long-term spectrum."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

Audio: TypeAlias = NDArray[Any]

SHELF_HZ = 1681.974450955533  # of the K-weighting
SILENCE_LUFS = -120.0  # what digital silence is said to have
SECOND_DIFFERENCE_S = 0.002  # either side of a seam, where its step is looked for
AROUND_S = 0.010  # either side of a seam, left out of the material it is compared with: 20 ms in all
MATERIAL_S = 1.0  # either side of a seam
MEL_BANDS, MEL_WINDOW, MEL_HOP = 80, 2048, 512
MEL_FLOOR = 1e-5  # amplitude under which a band counts as silent: -100 dB


@lru_cache(maxsize=8)
def k_weighting(rate: int) -> NDArray[np.float64]:
    """Second-order sections `[2, 6]` of the K-weighting of BS.1770 at any rate.

    The standard gives coefficients at 48 kHz only; these are the analogue prototypes behind them (De Man 2014),
    a shelf of 4 dB above 1.7 kHz and a high-pass at 38 Hz, transformed at this rate. Raises ValueError where the shelf lies above
    half the rate.
    """
    if rate <= 2 * SHELF_HZ:
        raise ValueError(f"loudness: got audio at {rate} Hz; K-weighting needs more than {2 * SHELF_HZ:.0f}")
    k, q = np.tan(np.pi * SHELF_HZ / rate), 0.7071752369554196
    high, band = 10 ** (3.999843853973347 / 20), 10 ** (3.999843853973347 / 20 * 0.4996667741545416)
    a0 = 1 + k / q + k * k
    shelf = [(high + band * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / q + k * k) / a0]
    shelf += [1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    a0 = 1 + k / q + k * k
    pass_high = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    return np.array([shelf, pass_high])


def k_weighted(audio: Audio, rate: int) -> NDArray[np.float64]:
    """The audio through the K-weighting filter."""
    weighted: NDArray[np.float64] = signal.sosfilt(k_weighting(rate), np.asarray(audio, np.float64), axis=-1)
    return weighted


def loudness(audio: Audio, rate: int) -> float:
    """LUFS of the whole span, ungated (BS.1770 without its gates); SILENCE_LUFS for silence and for nothing."""
    return _lufs(k_weighted(audio, rate)) if audio.shape[-1] else SILENCE_LUFS


def _lufs(weighted: NDArray[np.float64]) -> float:
    power = float(np.square(weighted).mean(axis=-1).sum()) if weighted.shape[-1] else 0.0
    return max(SILENCE_LUFS, -0.691 + 10 * np.log10(power)) if power > 0 else SILENCE_LUFS


def loudness_step_lu(audio: Audio, frame: int, rate: int) -> float:
    """Loudness of the second after a frame minus that of the second before, in LU."""
    around = k_weighted(audio[:, max(0, frame - 2 * rate) : frame + rate], rate)  # a second to let the filter settle
    middle = min(frame, 2 * rate)
    return _lufs(around[:, middle : middle + rate]) - _lufs(around[:, max(0, middle - rate) : middle])


def own_loudness_steps(audio: Audio, rate: int, percentile: float = 95.0, every_s: float = 0.1) -> float:
    """A percentile of the size of a recording's own loudness steps from second to second, in LU; 0 under 2 s."""
    power = np.square(k_weighted(audio, rate)).sum(axis=0)
    total = np.concatenate([[0.0], np.cumsum(power)])
    starts = np.arange(0, audio.shape[-1] - 2 * rate + 1, max(1, round(every_s * rate)))
    if not len(starts):
        return 0.0
    floor = rate * 10 ** ((SILENCE_LUFS + 0.691) / 10)
    before, after = (np.maximum(total[starts + a + rate] - total[starts + a], floor) for a in (0, rate))
    return float(np.percentile(np.abs(10 * np.log10(after / before)), percentile))


def step_over_material(audio: Audio, frame: int, rate: int) -> float:
    """Largest second difference within 2 ms of a frame, over the largest within 1 s either side without the 20 ms around it.

    At most 1 where a seam is no rougher than the music; 0 where neither moves, infinite for a step in constant material.
    """
    bend = np.abs(np.diff(np.asarray(audio, np.float64), n=2, axis=-1)).max(axis=0)
    place = np.arange(len(bend)) + 1 - frame  # the middle sample of each second difference, seen from the seam
    near = np.abs(place) <= SECOND_DIFFERENCE_S * rate
    material = (np.abs(place) > AROUND_S * rate) & (np.abs(place) <= MATERIAL_S * rate)
    step, usual = (float(bend[where].max(initial=0.0)) for where in (near, material))
    if usual == 0:
        return 0.0 if step == 0 else float("inf")
    return step / usual


@lru_cache(maxsize=8)
def mel_matrix(rate: int, bands: int = MEL_BANDS, window: int = MEL_WINDOW) -> NDArray[np.float64]:
    """`[bands, window // 2 + 1]` triangles of height 1 with centres even in mel (2595 log10(1 + f / 700)) up to rate / 2."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(window, 1 / rate)
    rising = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    matrix: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    # the lowest triangles may fall between two bins: each then takes the nearest
    for band in np.flatnonzero(matrix.sum(axis=1) == 0):
        matrix[band, np.abs(frequency - edges[band + 1]).argmin()] = 1
    return matrix


def log_mel(audio: Audio, rate: int) -> NDArray[np.float64]:
    """`[bands, frames]` natural logarithm of mel amplitudes of the mono sum, a full-scale sine near 0; 80 bands, 2048 / 512."""
    mono = np.asarray(audio, np.float64).mean(axis=0)
    mono = np.pad(mono, (0, max(0, MEL_WINDOW - len(mono))))
    window = signal.windows.hann(MEL_WINDOW, sym=False)
    frames = np.lib.stride_tricks.sliding_window_view(mono, MEL_WINDOW)[::MEL_HOP]
    amplitude = np.abs(fft.rfft(frames * window, axis=-1)) * (2 / window.sum())
    logarithm: NDArray[np.float64] = np.log(np.maximum(mel_matrix(rate) @ amplitude.T, MEL_FLOOR))
    return logarithm


def mel_distance(a: Audio, b: Audio, rate: int) -> float:
    """MR: mean absolute difference of the log-mels, over the frames that both have (Flores Garcia et al. 2023)."""
    x, y = log_mel(a, rate), log_mel(b, rate)
    frames = min(x.shape[1], y.shape[1])
    return float(np.abs(x[:, :frames] - y[:, :frames]).mean())


def likeness(take: Audio, context: Audio, window_s: float, rate: int) -> float:
    """Largest normalised cross-correlation of any stretch of the take of window_s with any place of the context, 0 to 1.

    1 means that the take copies the context (or its negative); mono sums; stretches overlap by half.
    """
    x, y = (np.asarray(part, np.float64).mean(axis=0) for part in (take, context))
    n = min(round(window_s * rate), len(x), len(y))
    if n == 0:
        return 0.0
    energy = np.concatenate([[0.0], np.cumsum(y * y)])
    norms = np.sqrt(np.maximum(energy[n:] - energy[:-n], 1e-12))
    best = 0.0
    for start in range(0, len(x) - n + 1, max(1, n // 2)):
        part = x[start : start + n]
        product = np.abs(signal.correlate(y, part, mode="valid", method="fft"))
        best = max(best, float((product / (norms * max(np.linalg.norm(part), 1e-6))).max()))
    return min(1.0, best)


def long_term_spectrum(audio: Audio, window: int = MEL_WINDOW) -> NDArray[np.float64]:
    """`[channels, window // 2 + 1]` power density of the whole span, by Welch's method; its sum is the mean square."""
    n = min(window, audio.shape[-1])
    _, density = signal.welch(np.asarray(audio, np.float64), nperseg=n, nfft=window, scaling="spectrum", detrend=False)
    power = np.square(np.asarray(audio, np.float64)).mean(axis=-1, keepdims=True)
    spectrum: NDArray[np.float64] = density * power / np.maximum(density.sum(axis=-1, keepdims=True), 1e-30)
    return spectrum


def shaped_noise(context: Audio, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise `[channels, samples]` with the context's long-term spectrum and level in each channel: a baseline."""
    spectrum = long_term_spectrum(context)
    n = 2 * (spectrum.shape[1] - 1)
    taps = fft.fftshift(fft.irfft(np.sqrt(spectrum), axis=-1), axes=-1) * signal.windows.hann(n, sym=False)
    white = rng.standard_normal((len(spectrum), samples + n))
    noise = signal.oaconvolve(white, taps, mode="same", axes=-1)[:, n // 2 : n // 2 + samples]
    wanted, got = (np.sqrt(np.square(x).mean(axis=-1, keepdims=True)) for x in (np.asarray(context, np.float64), noise))
    return np.asarray(noise * wanted / np.maximum(got, 1e-30), np.float32)
