"""A true-peak limiter for new audio: what is played never clips a converter, also between two samples.

Peaks are those of the signal oversampled four times (ITU-R BS.1770-5, annex 2). With r[n] the gain that sample n needs, the least
of r over n - HOLD .. n + AHEAD is taken, and of that the mean over the last AHEAD + 1 values. All that make up the gain at a peak
are at most the r of that peak, so that it does not get through; and the gain moves by at most 1 / AHEAD a sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d
from scipy.signal import resample_poly

CEILING_DBTP = -1.0
AHEAD_S = 0.005
HOLD_S = 0.080
OVERSAMPLED = 4
MARGIN = 0.5  # sample peaks under this share of the ceiling: what lies between samples reaches it in no music
WINDOW = ("kaiser", 5.0)
EDGE = 32  # samples of context on each side that the interpolation filter needs

Audio = NDArray[np.float32]


class Limiter:
    """Limits audio that comes in pieces; what `push` holds back, 5 ms, comes with the next piece or with `flush`."""

    def __init__(self, rate: int, ceiling_db: float = CEILING_DBTP) -> None:
        """rate: Hz. ceiling_db: dB true peak that nothing exceeds."""
        self._ceiling = 10.0 ** (ceiling_db / 20.0)
        self._ahead, self._hold = round(AHEAD_S * rate), round(HOLD_S * rate)
        self._audio: Audio = np.zeros((2, 0), np.float32)  # held back, and before it what the filters look back at
        self._behind = 0  # so much of it was given out before

    def push(self, audio: Audio) -> Audio:
        """The next `[2, n]`; returns what is ready."""
        return self._limited(audio, last=False)

    def flush(self) -> Audio:
        """What was held back; the end."""
        return self._limited(np.zeros((2, 0), np.float32), last=True)

    def _limited(self, audio: Audio, last: bool) -> Audio:
        whole = np.concatenate([self._audio, audio], axis=1)
        held = 0 if last else min(self._ahead + EDGE, whole.shape[1] - self._behind)
        ready = slice(self._behind, whole.shape[1] - held)
        out = whole[:, ready]
        if out.size and np.abs(whole).max() > MARGIN * self._ceiling:
            gain = self._gain(whole)[ready]
            out = out * gain.astype(np.float32) if (gain < 1.0).any() else out
        keep = max(0, ready.stop - (self._hold + 2 * self._ahead + EDGE))
        self._audio, self._behind = whole[:, keep:], ready.stop - keep
        return np.ascontiguousarray(out)

    def _gain(self, whole: Audio) -> NDArray[np.float64]:
        """The gain of each sample of `[2, n]`."""
        ahead, hold = self._ahead, self._hold
        needed = np.minimum(1.0, self._ceiling / np.maximum(true_peaks(whole), 1e-9))
        padded = np.concatenate([np.ones(hold + ahead), needed, np.ones(ahead)])
        span = hold + ahead + 1
        least = minimum_filter1d(padded, span, origin=span // 2 - ahead, mode="nearest")[hold : hold + ahead + len(needed)]
        total = np.cumsum(np.concatenate([[0.0], 1.0 - least]))
        reduction = (total[ahead + 1 :] - total[: -ahead - 1]) / (ahead + 1)
        gain: NDArray[np.float64] = 1.0 - np.maximum(reduction, 0.0)
        return gain


def true_peaks(audio: Audio) -> NDArray[np.float64]:
    """`[2, n]` audio to the size `[n]` of what each sample, and the three points on each side of it, reach in either channel."""
    fine = resample_poly(audio.astype(np.float64), OVERSAMPLED, 1, axis=1, window=WINDOW, padtype="antireflect")
    fine = np.abs(fine).max(axis=0)
    fine = np.concatenate([np.zeros(OVERSAMPLED - 1), fine, np.zeros(OVERSAMPLED - 1)])
    around = np.lib.stride_tricks.sliding_window_view(fine, 2 * OVERSAMPLED - 1)[::OVERSAMPLED]
    peaks: NDArray[np.float64] = around.max(axis=1)[: audio.shape[1]]
    whole: NDArray[np.float64] = np.maximum(peaks, np.abs(audio).max(axis=0))
    return whole
