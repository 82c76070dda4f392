"""From latents to what is heard: decoded in pieces, at the level of what surrounds them, joined to it without a seam."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segue.engine import texture
from segue.engine.colour import HALF, corrected, correction
from segue.engine.compose import Audio, Line, Parts
from segue.engine.level import Level, level_step_db
from segue.engine.protocols import Codec
from segue.engine.seam import FADE_S, joined, joined_before

LEVEL_S = 3  # seconds before t0 whose loudness the takes hold


def reach(codec: Codec) -> int:
    """Latent frames on either side that a sample of a take depends on, filters counted in."""
    around = texture.REACH if getattr(codec, "envelopes", 0) else HALF
    return codec.receptive_frames - (-around // codec.hop)


class Sounding:
    """One take on its way out. Pieces follow each other; each begins at the level where the last ended."""

    def __init__(
        self, codec: Codec, line: Line, parts: Parts, context: int, match_level: bool, memory: Audio | None = None
    ) -> None:
        """context: latent frames before t0 on which the codec's colour is heard, where no texture stands for it.

        memory: `[2, n]`, whose level a take comes back to; else that of the seconds before t0, which may be takes themselves.
        """
        self._codec, self._line, self._parts, self._memory = codec, line, parts, memory
        self._match_level, self._level = match_level, Level()
        self._reach, self._hop, self._rate = reach(codec), codec.hop, codec.rate
        self._taps = None if line.texture is not None else self._colour(context)
        self.done = 0

    @torch.no_grad()
    def piece(self, latents: Tensor, made: int, last: bool) -> Audio | None:
        """What can be heard next of latents `[1, C, T]`, `made` new frames of which stand; None where nothing can yet.

        What the next window's first frames reach into waits for them, so that no seam lies between windows.
        """
        new = self._parts.new
        end = new if last else min(new, (made - self._reach) * self._hop)
        if end <= self.done:
            return None
        audio = self._decoded(latents, self.done, end)
        if self._match_level:
            self._level = self._next_level(audio, last)
        audio = self._joined(self._level.apply(audio), last)
        self.done = end
        return audio

    def _colour(self, context: int) -> Audio | None:
        """The filter that takes back what the codec does to the context next to t0; None without context."""
        line, before = self._line, self._parts.before
        frames = min(line.left, context)
        if before is None or not frames:
            return None
        with torch.no_grad():
            decoded = self._codec.decode(line.x_bar[..., line.left - frames : line.left])[0].cpu().numpy() / line.gain
        return correction(before[:, -frames * self._hop :], decoded.astype(np.float32), self._rate)

    def _decoded(self, latents: Tensor, first: int, last: int) -> Audio:
        """Samples first to last after t0, decoded with as much around them as the decoder and the filter look at."""
        line, hop = self._line, self._hop
        begin = max(0, line.left + first // hop - self._reach)
        end = min(latents.shape[-1], line.left - (-last // hop) + self._reach)
        origin = (line.left - begin) * hop
        if line.texture is not None:
            both = torch.cat([latents[..., begin:end], line.x_bar[..., begin:end]])
            made, there = self._codec.decode(both, begin).cpu() / line.gain
            bass_db = texture.KICKS_DB if self._parts.crossfaded else texture.BOUND_DB[0]
            whole = texture.moved(line.texture[:, begin * hop : end * hop], made, there, self._rate, bass_db)
            return np.ascontiguousarray(whole[:, origin + first : origin + last])
        whole = self._codec.decode(latents[..., begin:end], begin)[0].cpu().numpy().astype(np.float32)
        audio = corrected(whole, self._taps)[:, origin + first : origin + last]
        return np.ascontiguousarray(audio / np.float32(line.gain))

    def _next_level(self, audio: Audio, last: bool) -> Level:
        """Each piece begins where the last ended, and ends at the level of what follows, of the memory, or of the seconds before
        t0."""
        rate, before, after = self._rate, self._parts.before, self._parts.after
        start = self._level.end_db
        if self.done == 0 and before is not None:
            start = level_step_db(before[:, -rate:], audio[:, :rate], rate)
        end = start
        if self._memory is not None and audio.shape[1] >= rate:
            end = level_step_db(self._memory, audio, rate)
        elif before is not None and audio.shape[1] >= 2 * rate:
            end = level_step_db(before[:, -LEVEL_S * rate :], audio[:, -rate:], rate)
        if last and after is not None:
            end = level_step_db(after[:, :rate], audio[:, -rate:], rate)
        return Level(start, end)

    def _joined(self, audio: Audio, last: bool) -> Audio:
        """A piece joined to what lies beside the whole take."""
        before, after = self._parts.before, self._parts.after
        fade = min(round(FADE_S * self._rate), audio.shape[1] // 2)
        if self.done == 0 and before is not None:
            audio = joined(before, audio, fade)
        if last and after is not None:
            audio = joined_before(audio, after, fade)
        return audio
