"""Whether a second of sound has been heard before: its likeness to every earlier place, at a rate at which that is cheap.

What two seconds of music share is mostly their bass, so a mean over some samples tells of it; a copy is a copy there too. So is
one that lies between two samples, for few make a mean, and one that lies between two windows, for they lie close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from segue.engine.repetition import Audio, Values

COARSE = 8  # samples of which one is made: 2.8 kHz and below is compared at 44.1 kHz
WINDOW_S, EVERY_S = 1.0, 0.25  # what is compared, and how often
HEARD = 0.8  # correlation from which a second counts as heard; a copy, 0.9, is over that 0.125 s beside it too
BLOCK = 3
QUIET = 1e-4  # RMS under which a window is silence and repeats nothing


def coarse(audio: Audio) -> Values:
    """`[n // COARSE]` mono means of COARSE samples of `[2, n]`."""
    size = audio.shape[1] // COARSE
    stretches = audio[:, : size * COARSE].reshape(audio.shape[0], size, COARSE)
    means: NDArray[np.float32] = stretches.mean(axis=(0, 2), dtype=np.float32)
    return means


class Played:
    """What sounded up to now, as of `coarse`, to compare with what may follow. Places are coarse samples from now on.

    unheard: samples of a take that lie before now. It goes on from where its context ended, and is heard from now on only.
    """

    def __init__(self, played: Values, rate: int, unheard: int = 0) -> None:
        """rate: of the audio, Hz."""
        self.unheard = unheard
        self.window, self._step = (round(seconds * rate / COARSE) for seconds in (WINDOW_S, EVERY_S))
        self._played = played.astype(np.float32)
        self._size = fft.next_fast_len((BLOCK + 1) * self.window, real=True)
        self._hop = self._size - self.window + 1
        blocks = np.zeros((max(1, -(-len(played) // self._hop)), self._size), np.float32)
        for block, first in zip(blocks, range(0, len(played), self._hop), strict=False):
            part = self._played[first : first + self._size]
            block[: len(part)] = part
        self._spectra = fft.rfft(blocks)
        self._norms = self._norms_of(self._played)

    def following(self, take: Audio) -> Values:
        """As of `coarse`, what will be heard of a take `[2, n]`."""
        return coarse(take[:, self.unheard :])

    def places(self, count: int) -> range:
        """Where the windows of `count` coarse samples begin, of which the first reaches EVERY_S into them."""
        return range(self._step - self.window, count - self.window + 1, self._step)

    def alike_around(self, new: Values, place: int, enough: float = np.inf) -> float:
        """The largest `alike` of the windows that begin at a place or reach into it.

        enough: a likeness that ends the search, as large as it is.
        """
        largest = 0.0
        for begin in range(place, max(place, 0) - self.window, -self._step):
            largest = max(largest, self.alike(new, begin))
            if largest >= enough:
                break
        return largest

    def alike(self, new: Values, place: int) -> float:
        """The largest correlation, sign ignored, of the window at a place of what follows with any that ended before it began."""
        n, now = self.window, len(self._played)
        if now + place < n:
            return 0.0
        whole = np.concatenate([self._played[max(0, now - 2 * n) :], new.astype(np.float32)])
        origin = max(0, now - 2 * n)
        part = whole[now + place - origin :][:n]
        own = float(np.square(part, dtype=np.float64).sum())
        if own < n * QUIET**2:
            return 0.0
        # places that lie in what was played alone, by its spectrum; then those that reach into what follows
        count = max(0, min(now, now + place) - n + 1)
        spectra = self._spectra[: -(-count // self._hop)] * np.conj(fft.rfft(part, self._size))
        product = np.abs(fft.irfft(spectra, self._size)[:, : self._hop]).ravel()[:count]
        best = float((product / self._norms[:count]).max(initial=0.0))
        late = whole[now - n + 1 - origin : now + place - origin]
        if place > 0 and len(late) >= n:
            product = np.abs(signal.correlate(late, part, mode="valid", method="fft"))
            best = max(best, float((product / self._norms_of(late)).max()))
        return best / float(np.sqrt(own))

    def _norms_of(self, sound: Values) -> Values:
        """`[len(sound) - window + 1]`, the norm of every window."""
        energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
        norms: Values = np.maximum(energy[self.window :] - energy[: -self.window], self.window * QUIET**2).astype(np.float32)
        return np.sqrt(norms)
