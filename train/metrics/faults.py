"""What must not be in a take `[2, n]`, whatever it plays: clicks, holes, an offset, clipped peaks, a lost side, stuck frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Audio: TypeAlias = NDArray[Any]
Values: TypeAlias = NDArray[np.floating[Any]]

CLICK = 6.0  # second difference over all others within CLICK_FAR_S, but nearer than CLICK_NEAR_S; 1 in 40 clips of music has one
CLICK_NEAR_S, CLICK_FAR_S = 0.001, 0.020
CLICK_LEAST = 0.02  # of full scale: a smaller bend is not heard as a click
HOLE_LEVEL, HOLE_S = 1e-5, 0.003  # shorter holes are counted as clicks by their edges
SOUND_LEVEL, EDGE_S = 10 ** (-50 / 20), 0.005  # what must sound so soon before and after a hole
DC = 0.01  # of full scale
CLIP, CLIP_RUN = 0.999, 3  # as many samples in a row at full scale are a clipped peak
NARROWER_DB, SIDE_DB = 15.0, -40.0  # a side that falls so far below the context's, which had one above SIDE_DB
STUCK, FRAME, LONGEST = 0.9999, 1024, 8192  # correlation of a frame with an earlier place, at most LONGEST samples before
LEAST = 1e-12


@dataclass(frozen=True)
class Faults:
    """clicks, holes, clipped: how many. dc: largest mean of a channel, of full scale. side_db: power of the side over the mid.
    stuck_s: seconds of frames that repeat what lies up to 0.19 s before."""

    clicks: int
    worst_click: float
    holes: int
    dc: float
    clipped: int
    side_db: float
    stuck_s: float


def faults(audio: Audio, rate: int) -> Faults:
    """All of them in audio `[2, n]` at a rate."""
    sharp = click_sharpness(audio, rate)
    return Faults(
        clicks=len(_runs(sharp > CLICK, round(CLICK_NEAR_S * rate))),
        worst_click=float(sharp.max(initial=0.0)),
        holes=len(holes(audio, rate)),
        dc=offset(audio),
        clipped=sum(last - first >= CLIP_RUN for channel in audio for first, last in _runs(np.abs(channel) >= CLIP, 0)),
        side_db=side_over_mid(audio),
        stuck_s=stuck(audio, rate),
    )


def beyond(take: Faults, context: Faults | None = None) -> list[str]:
    """Which of them a take must not have: none at all without a context, else none that the context does not have."""
    dc, clipped, side_db = (0.0, 0, -100.0) if context is None else (context.dc, context.clipped, context.side_db)
    found = {
        "clicks": take.clicks > 0, "holes": take.holes > 0, "dc": take.dc > DC + dc, "clipped": take.clipped > 0 and not clipped,
        "narrow": side_db > SIDE_DB and take.side_db < side_db - NARROWER_DB, "stuck": take.stuck_s > 0,
    }  # fmt: skip
    return [name for name, there in found.items() if there]


def offset(audio: Audio) -> float:
    """Largest mean of a channel, of full scale, under a Hann window, so that a bass that is cut off does not count."""
    window = np.hanning(audio.shape[1] + 2)[1:-1]
    means = np.asarray(audio, np.float64) @ window / max(float(window.sum()), LEAST)
    return float(np.abs(means).max(initial=0.0))


def click_sharpness(audio: Audio, rate: int) -> Values:
    """`[n]`: each second difference of at least CLICK_LEAST over the largest of others nearby, before and after, 0 elsewhere.

    An onset bends the wave for longer than a millisecond and so stands in nobody's way but before itself; a click is alone.
    """
    x = np.asarray(audio, np.float64)
    if x.shape[1] < 3:
        return np.zeros(x.shape[1])
    bend = np.pad(np.abs(np.diff(x, n=2, axis=1)).max(axis=0), (1, 1))
    near, far = round(CLICK_NEAR_S * rate), round(CLICK_FAR_S * rate)
    size = far - near + 1
    largest = ndimage.maximum_filter1d(bend, size, mode="constant")
    shift = near + size // 2  # from the middle of a filter's window to the sample that is judged by it
    before, after = (np.roll(largest, way) for way in (shift, -shift))
    before[:shift], after[len(after) - shift :] = 0.0, 0.0
    usual = np.maximum(np.maximum(before, after), LEAST)
    sharp: Values = np.where(bend >= CLICK_LEAST, bend / usual, 0.0)
    # without material on one side nothing can be said
    sharp[:far], sharp[len(sharp) - far :] = 0.0, 0.0
    return sharp


def holes(audio: Audio, rate: int) -> list[tuple[int, int]]:
    """(first, last) of digital silence of at least HOLE_S with sound right before and right after it: dropped buffers."""
    loud, edge = np.abs(audio).max(axis=0), round(EDGE_S * rate)
    found = []
    for first, last in _runs(loud <= HOLE_LEVEL, 0):
        before, after = loud[max(0, first - edge) : first], loud[last : last + edge]
        if last - first >= HOLE_S * rate and min(before.max(initial=0.0), after.max(initial=0.0)) > SOUND_LEVEL:
            found.append((first, last))
    return found


def side_over_mid(audio: Audio) -> float:
    """Power of the side over that of the mid in dB, means left out, -100 at least; 0 for silence."""
    left, right = (np.asarray(audio[i], np.float64) for i in (0, -1))
    side, mid = (float(part.var()) if len(part) else 0.0 for part in ((left - right) / 2, (left + right) / 2))
    return 10 * float(np.log10(max(side, 1e-10 * mid, LEAST**2) / max(mid, LEAST**2)))


def stuck(audio: Audio, rate: int) -> float:
    """Seconds of frames that are the same as a stretch FRAME to LONGEST samples before them, at whatever level.

    Judged on the first difference, so that a long bass tone does not count; what remains is a buffer played again, or a
    synthetic tone without any noise.
    """
    x = np.diff(np.asarray(audio, np.float64).mean(axis=0))
    hop, size = FRAME // 2, fft.next_fast_len(LONGEST + 2 * FRAME)
    energy = np.concatenate([[0.0], np.cumsum(x * x)])
    found = np.zeros(len(x), bool)
    for start in range(FRAME, len(x) - FRAME + 1, hop):
        first = max(0, start - LONGEST)
        own = energy[start + FRAME] - energy[start]
        if own < FRAME * SOUND_LEVEL**2 * 1e-4:
            continue
        spectrum = fft.rfft(x[first:start], size) * np.conj(fft.rfft(x[start : start + FRAME], size))
        product = fft.irfft(spectrum, size)[: start - FRAME - first + 1]
        places = first + np.arange(len(product))
        norms = np.sqrt(own * np.maximum(energy[places + FRAME] - energy[places], LEAST))
        if (product > STUCK * norms).any():
            found[start : start + FRAME] = True
    return float(found.sum() / rate)


def _runs(where: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """(first, last) of each stretch of True, last excluded; stretches at most `gap` apart are one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    found: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2):
        if found and first - found[-1][1] <= gap:
            found[-1] = (found[-1][0], int(last))
        else:
            found.append((int(first), int(last)))
    return found
