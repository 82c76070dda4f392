"""What a take from nothing stands on: a groove composed by program, at the tempo and on its bars."""

from __future__ import annotations

import numpy as np
import torch

from segue.engine.compose import Audio, gain_to
from segue.engine.request import Request
from segue.engine.resample import resampled
from segue.engine.synthesis import BARS, RATE, compose

ALWAYS = ("drums", "bass")
ROUND = 2 * BARS  # bars that are composed at most: what is longer goes round
LUFS = -18.0  # where the model has no loudness of its own


def groove(request: Request, rate: int, reference_lufs: float | None) -> Audio:
    """`[2, new_frames]` at `rate` Hz and the model's loudness; its bars lie where the request's do. The seed chooses the piece.

    Without a tempo it has one of its style's, and begins with a bar.
    """
    bpm = None if request.beat_s is None else 60.0 / request.beat_s
    rng, seconds = np.random.default_rng(request.seed % 2**63), request.new_frames / rate
    bar_s = 0.0 if request.beat_s is None else request.beat_s * request.beats_per_bar
    piece = compose(rng, min(seconds, ROUND * bar_s or seconds), bpm, request.beats_per_bar, ALWAYS)
    audio = resampled(torch.from_numpy(piece.audio.T.copy()), RATE, rate).numpy()
    bar = request.beats_per_bar * 60.0 / piece.bpm * rate
    first = round(-(request.downbeat or 0) % bar)
    places = (first + np.arange(request.new_frames)) % audio.shape[1]
    laid = np.ascontiguousarray(audio[:, places])
    return laid * np.float32(gain_to(LUFS if reference_lufs is None else reference_lufs, [laid], rate))
