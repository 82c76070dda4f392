"""Whether hits keep their force: energy right after and right before the onsets of a sound and of a copy of it."""

from __future__ import annotations

import numpy as np

from segue.train.metrics.seams import ENVELOPE_HOP, Audio, Values, onsets

WIDTH_S = 0.010  # of a hit, and of what stands before it
APART_S = 0.08  # between two hits
STRONG = 3.0  # standard deviations of the onset envelope from which a rise is a hit
LEAST = 1e-10


def hits(audio: Audio, rate: int) -> list[int]:
    """Samples of `[channels, n]` at which the strongest onsets lie, each at the steepest rise of its waveform's energy."""
    envelope = onsets(audio, rate)
    level = envelope.mean() + STRONG * envelope.std()
    apart = round(APART_S * rate / ENVELOPE_HOP)
    width, energy = round(WIDTH_S * rate), _energy(audio)
    found: list[int] = []
    for i in np.argsort(-envelope):
        near = [at for at in found if abs(at - i) < apart]
        if envelope[i] <= level:
            break
        if not near:
            found.append(int(i))
    exact = []
    for i in sorted(found):
        first = max(2 * width, (i - 4) * ENVELOPE_HOP)
        places = np.arange(first, min(len(energy) - width - 1, (i + 4) * ENVELOPE_HOP), 16)
        if len(places):
            rise = (energy[places + width] - energy[places]) / (energy[places] - energy[places - width] + LEAST)
            exact.append(int(places[int(rise.argmax())]))
    return exact


def transient_errors_db(x: Audio, y: Audio, rate: int) -> tuple[Values, Values]:
    """For each hit of x `[channels, n]`: level of y less level of x in dB, WIDTH_S from the hit on, and WIDTH_S before it.

    The first is force lost or gained, the second what is smeared ahead of the hit. Empty where x has no hits.
    """
    width, at = round(WIDTH_S * rate), np.array(hits(x, rate), int)
    one, other = _energy(x), _energy(y)

    def louder(first: Values, last: Values) -> Values:
        ratio: Values = 10 * np.log10((other[last] - other[first] + LEAST) / (one[last] - one[first] + LEAST))
        return ratio

    return louder(at, at + width), louder(at - width, at)


def _energy(audio: Audio) -> Values:
    """`[n + 1]` energy before each sample, all channels."""
    summed: Values = np.concatenate([[0.0], np.cumsum(np.square(np.asarray(audio, np.float64)).sum(axis=0))])
    return summed
