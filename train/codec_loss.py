"""The loss of a codec: how far decodings of its own noisy latents are from what was encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segue.engine import noise
from segue.train import parallel, precision
from segue.train.codec_recipe import Recipe
from segue.train.losses import RESOLUTIONS, Distance, energy_distance, kl, spectral_distance

STATISTICS_DECAY = 0.99


@dataclass(frozen=True)
class Chance:
    """What chance decides for a whole step, alike in all processes: a generator that is drawn from in a fixed order."""

    generator: torch.Generator

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def integer(self, count: int) -> int:
        """An integer below `count`."""
        return int(torch.randint(count, (), generator=self.generator))


def noisy_latents(codec: Any, recipe: Recipe, step: int, mean: Tensor, log_variance: Tensor, share: float) -> Tensor:
    """A posterior draw plus noise of a share of each channel's spread, so that the decoder forgives the generator."""
    items = [noise.generator(recipe.seed, step, i) for i in parallel.share(recipe.batch)]
    drawn = torch.stack([noise.normal((2, *mean.shape[1:]), item) for item in items]).to(mean)
    noisy: Tensor = mean + drawn[:, 0] * (0.5 * log_variance).exp() + drawn[:, 1] * (share * codec.std)
    return noisy


def follow_statistics(codec: Any, mean: Tensor, step: int) -> None:
    """Let the codec's normalisation follow the latents' mean and spread a channel."""
    decay = min(STATISTICS_DECAY, step / (step + 1))
    flat = mean.detach().float().flatten(0, 1)
    codec.mean.lerp_(flat.mean(0), 1 - decay)
    codec.std.copy_(codec.std.square().lerp(flat.var(0), 1 - decay).sqrt())


def coded(codec: Any, recipe: Recipe, step: int, x: Tensor, chance: Chance) -> tuple[list[Tensor], Tensor, Tensor]:
    """Decodings of `[B, 2, N]` (two draws of the noise branch, or one without), and the posterior's mean and log-variance."""
    share = chance.uniform(*recipe.latent_noise)
    with precision.autocast(x.device, recipe.precision):
        with torch.set_grad_enabled(recipe.stage == "both"):
            mean, log_variance = (part.float() for part in codec.encoder(x))
        if recipe.stage == "both":
            follow_statistics(codec, mean, step)
        z = noisy_latents(codec, recipe, step, mean, log_variance, share)
        if recipe.noise:
            offsets = [chance.integer(codec.spec.noise_frames) for _ in range(2)]
            return codec.decoder.draws(z, [codec.noise_at(offset, recipe.frames) for offset in offsets]), mean, log_variance
        made = codec.decoder.pictured(z) if pictures(codec) else codec.decoder.tone(z)
        return [made.float()], mean, log_variance


def pictures(codec: Any) -> bool:
    """Whether a codec's network makes images, from which audio is found without one: then images are compared, not audio."""
    return hasattr(codec.decoder, "pictured")


def picture_distance(y: Tensor, x: Tensor) -> Tensor:
    """L1 of images."""
    return (y - x).abs().mean()


def fit(d: Distance, x: Tensor, draws: list[Tensor]) -> Tensor:
    """How far the draws are from x: the distance of one, the energy distance of two."""
    return energy_distance(d, x, *draws) if len(draws) > 1 else d(draws[0], x)


def losses(codec: Any, recipe: Recipe, step: int, x: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch `[B, 2, N]` at one random resolution in one view pair, and its parts."""
    chance = Chance(noise.generator(recipe.seed, step))
    d, window = draw_distance(chance, codec.rate)
    draws, mean, log_variance = coded(codec, recipe, step, x, chance)
    if pictures(codec):
        d, x = picture_distance, codec.encoder.image(x)
    near, rest = fit(d, x, draws), kl(mean, log_variance)
    total = near + recipe.kl * rest
    return total, {"loss": float(total.detach()), f"fit{window}": float(near.detach()), "kl": float(rest.detach())}


def draw_distance(chance: Chance, rate: int) -> tuple[Distance, int]:
    """A spectral distance at one random resolution in one view pair, and its window."""
    window, bands = RESOLUTIONS[chance.integer(len(RESOLUTIONS))]
    return spectral_distance(window, bands, bool(chance.integer(2)), rate, chance.integer(window // 2)), window
