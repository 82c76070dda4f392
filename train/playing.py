"""Takes for the evaluation, made by the engine as the server makes them; and the codec's own reconstruction."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from segue.engine.engine import Engine
from segue.engine.measure import loudness
from segue.engine.request import Request

Audio = NDArray[np.float32]
TELL_EVERY = 20


def continue_all(engine: Engine, contexts: Sequence[Audio], samples: int, steps: int, sampler: str, seed: int) -> list[Audio]:
    """`[2, samples]` of new audio after each context, clean regime; clip i is played with seed * 1000 + i."""
    takes = []
    for i, context in enumerate(contexts):
        takes.append(engine.take(Request("continuation", samples, context, steps=steps, sampler=sampler, seed=seed * 1000 + i)))
        if (i + 1) % TELL_EVERY == 0:
            print(f"evaluate: {i + 1} of {len(contexts)} takes of {steps} steps", file=sys.stderr, flush=True)
    return takes


@torch.no_grad()
def reconstruct(engine: Engine, audio: Audio) -> Audio:
    """Audio `[2, N]` through encoder and decoder, at the loudness that the model works at."""
    codec, reference = engine.model.codec, engine.model.spec.reference_lufs
    gain = 1.0 if reference is None else 10 ** ((reference - loudness(audio, codec.rate)) / 20)
    whole = np.pad(audio * np.float32(gain), ((0, 0), (0, -audio.shape[1] % codec.hop)))
    z = codec.encode(torch.from_numpy(whole)[None])
    return (codec.decode(z)[0, :, : audio.shape[1]].numpy() / gain).astype(np.float32)
