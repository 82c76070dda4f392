"""What one pass over a recording finds that is to be restored: its level, its gaps, and up to where its spectrum reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import loudness
from segue.server.jobs import Audio

SHORTEST_GAP_S = 0.005  # of digital silence on both sides, inside the recording
FRAME = 4096  # samples of a spectrum
LOWEST_HZ = 500.0  # of a cut-off that is looked for
SLOPE = 0.06  # of a cut-off, above it, where the filter may still let something through
BELOW = (0.8, 0.94)  # of a cut-off: the band that its drop is measured from
DROP_DB = 25.0  # by which all above a cut-off lies under that band
NEARLY = 0.7  # of the largest drop in dB: the lowest edge with so much of it counts as the cut-off
SMOOTH = 5  # bins
TINY = 1e-9  # power of a bin, against digital silence


class Survey:
    """Its loudness and peak, its spectrum, and where it is digital silence, of a recording of which one pass is heard."""

    def __init__(self, rate: int) -> None:
        """rate: of the recording as it is read, in Hz."""
        self.peak, self.at, self._power, self._rate = 0.0, 0, 0.0, rate
        self._least = max(1, round(SHORTEST_GAP_S * rate))
        self._gaps: list[tuple[int, int]] = []
        self._silent_from: int | None = 0
        self._spectrum = np.zeros(FRAME // 2 + 1)

    def hear(self, audio: Audio) -> None:
        """The next samples."""
        self.peak = max(self.peak, float(np.abs(audio).max(initial=0.0)))
        silent = (audio == 0).all(axis=0)
        edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=np.int8(self._silent_from is not None)))
        for edge in edges:
            place = self.at + int(edge)
            if self._silent_from is None:
                self._silent_from = place
                continue
            if self._silent_from > 0 and place - self._silent_from >= self._least:
                self._gaps.append((self._silent_from, place))
            self._silent_from = None
        self._spectrum += _powers(audio)
        self.at += audio.shape[1]
        self._power += audio.shape[1] * 10 ** (loudness(audio, self._rate) / 10)

    @property
    def lufs(self) -> float:
        """Loudness of everything heard so far."""
        return float(10 * np.log10(max(self._power / max(1, self.at), 1e-12)))

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Silences inside the recording, not before its beginning nor after its end: (first, last + 1)."""
        return tuple(self._gaps)

    def cutoff(self) -> float | None:
        """Hz above which next to nothing is left: all that follows lies DROP_DB or more under what stands just below.

        Of several such edges the steepest counts. None where the spectrum has no such edge.
        """
        bins = np.arange(len(self._spectrum))
        above = np.maximum.accumulate(np.convolve(self._spectrum, np.ones(SMOOTH) / SMOOTH, "same")[::-1])[::-1]
        total = np.concatenate([[0.0], np.cumsum(self._spectrum)])
        edges = bins[(bins * self._rate >= LOWEST_HZ * FRAME) & (bins * (1 + SLOPE) < bins[-1])]
        first, last = (np.round(edges * share).astype(int) for share in BELOW)
        below = (total[last] - total[first]) / (last - first)
        drop = 10 * np.log10((below + TINY) / (above[np.round(edges * (1 + SLOPE)).astype(int)] + TINY))
        if not len(drop) or drop.max() < DROP_DB:
            return None
        steep = edges[drop >= max(DROP_DB, NEARLY * drop.max())]
        return float(steep[0] * self._rate / FRAME)


def _powers(audio: Audio) -> NDArray[np.float64]:
    """`[FRAME // 2 + 1]`: power by frequency, summed over whole frames and channels of `[2, n]`."""
    frames = audio[:, : audio.shape[1] // FRAME * FRAME].reshape(-1, FRAME) * np.hanning(FRAME).astype(np.float32)
    powers: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(frames))).sum(axis=0, dtype=np.float64)
    return powers
