"""Mel images of audio (the slides' data type), and audio from them by a Griffin-Lim that is held to the mel image alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segue.engine.measure import mel_matrix
from segue.engine.models.blocks2d import folded, images
from segue.engine.models.shaped import Shaped, check_audio, check_latents
from segue.engine.models.spectrum import complex_istft, complex_stft

SPREAD_DB, CENTRE_DB, FLOOR_DB = 20.0, -52.0, -100.0  # of music at -18 LUFS, a full-scale sine at 0; measured, see docs/LOG.md
LEAST = 1e-9  # magnitude that is never divided by
EXCITATION_SEED = 7348  # of the phases that an inversion starts from


@dataclass(frozen=True)
class MelSpec:
    """Shape of a mel image. window, hop: samples. bands: rows of the image of one side. sides: 1 for mono, 2 for stereo.

    iterations, momentum: of the inversion. One iteration reaches three frames further. centre_db, spread_db: mean and spread
    of the images' decibels, which depend on rate and bands; in their units an image has unit variance.
    """

    rate: int = 44_100
    window: int = 2048
    hop: int = 512
    bands: int = 256
    sides: int = 1
    iterations: int = 32
    momentum: float = 0.99
    centre_db: float = CENTRE_DB
    spread_db: float = SPREAD_DB

    def __post_init__(self) -> None:
        if self.window % self.hop or self.window // self.hop < 3:
            raise ValueError(f"MelSpec: got window {self.window} at hop {self.hop}; a whole number of hops, 3 at least")
        if self.spread_db <= 0:
            raise ValueError(f"MelSpec: got a spread of {self.spread_db} dB; give one above 0")
        if self.sides not in (1, 2) or self.bands < 1 or self.iterations < 1:
            got = f"got {self.sides} sides, {self.bands} bands, {self.iterations} iterations"
            raise ValueError(f"MelSpec: {got}; 1 or 2 sides, 1 band and 1 iteration at least")

    @property
    def latent_hop(self) -> int:
        """Samples a column of the image."""
        return self.hop

    @property
    def latent_dim(self) -> int:
        """Rows of the images of all sides."""
        return self.sides * self.bands


class MelImage(nn.Module):
    """The map from audio to a mel image of about unit variance, and its inversions."""

    shape: Tensor
    matrix: Tensor
    turns: Tensor

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec
        matrix = torch.as_tensor(mel_matrix(spec.rate, spec.bands, spec.window).T, dtype=torch.float32)
        bins = spec.window // 2 + 1
        turns = torch.rand(bins, generator=torch.Generator().manual_seed(EXCITATION_SEED))
        self.register_buffer("shape", torch.hann_window(spec.window), persistent=False)
        self.register_buffer("matrix", matrix.contiguous(), persistent=False)
        self.register_buffer("turns", turns, persistent=False)

    @property
    def reach(self) -> int:
        """Columns on each side that a sample of the inversion depends on: three an iteration, and the last overlap."""
        overlap = self.spec.window // self.spec.hop
        return (overlap - 1) * self.spec.iterations + overlap // 2

    def forward(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to images `[B, sides, bands, T]`; mono is the mean of both sides."""
        heard = audio if self.spec.sides == 2 else audio.mean(dim=1, keepdim=True)
        return image_of(self.amplitudes(self._spectrum(heard)), self.spec.centre_db, self.spec.spread_db)

    def amplitudes(self, spectrum: Tensor) -> Tensor:
        """Complex `[B, C, T, bins]` to mel amplitudes `[B, C, T, bands]`, a full-scale sine near 1."""
        return spectrum.abs() @ self.matrix * (4 / self.spec.window)  # the Hann window sums to half its length

    def inverted(self, image: Tensor, frame_offset: int = 0) -> Tensor:
        """Images `[B, sides, bands, T]` to audio `[B, 2, T * hop]` whose image is near them.

        Fast Griffin-Lim (Perraudin et al. 2013), but each step scales the magnitudes that it has until their mel bands are
        right, instead of putting fixed ones in their place. What the bands do not tell is free, so a spectrum that some
        signal has is found sooner.
        """
        wanted = self._amplitudes_of(image)
        share = self.matrix.sum(dim=1).clamp_min(LEAST)
        spectrum = self._excitation(image, frame_offset)
        before = None
        for _ in range(self.spec.iterations):
            spectrum = spectrum * (wanted / self.amplitudes(spectrum).clamp_min(LEAST) @ self.matrix.T / share)
            after = self._spectrum(self._audio(spectrum))
            spectrum = after if before is None else after + self.spec.momentum * (after - before)
            before = after
        spectrum = spectrum * (wanted / self.amplitudes(spectrum).clamp_min(LEAST) @ self.matrix.T / share)
        return self._both(self._audio(spectrum))

    def griffin_lim(self, image: Tensor, iterations: int = 100) -> Tensor:
        """The baseline: Griffin & Lim 1984 on the mel matrix' pseudo-inverse, from the same phases. Shapes as `inverted`."""
        inverse = torch.linalg.pinv(self.matrix.double()).to(self.matrix)
        magnitude = (self._amplitudes_of(image) * (self.spec.window / 4) @ inverse).clamp_min(0)
        spectrum = magnitude * self._excitation(image, 0)
        for _ in range(iterations):
            after = self._spectrum(self._audio(spectrum))
            spectrum = magnitude * after / after.abs().clamp_min(LEAST)
        return self._both(self._audio(spectrum))

    def _amplitudes_of(self, image: Tensor) -> Tensor:
        return amplitudes_of(image, self.spec.centre_db, self.spec.spread_db)

    def _excitation(self, image: Tensor, frame_offset: int) -> Tensor:
        """Phases `[B, C, T, bins]` of one steady sine a bin, so that they depend on the absolute frame alone."""
        bins = self.turns.shape[0]
        frame = torch.arange(frame_offset, frame_offset + image.shape[-1], device=image.device)
        # whole numbers until the last division: exact at any distance from frame 0
        cycle = torch.arange(bins, device=image.device) * self.spec.hop * frame[:, None] % self.spec.window
        angle = 2 * math.pi * (cycle / self.spec.window + self.turns)
        return torch.polar(torch.ones_like(angle), angle).expand(*image.shape[:2], -1, -1)

    def _spectrum(self, audio: Tensor) -> Tensor:
        return complex_stft(audio, self.shape, self.spec.hop)

    def _audio(self, spectrum: Tensor) -> Tensor:
        return complex_istft(spectrum, self.shape, self.spec.hop)

    @staticmethod
    def _both(audio: Tensor) -> Tensor:
        return audio.expand(-1, 2, -1)


def image_of(amplitudes: Tensor, centre_db: float = CENTRE_DB, spread_db: float = SPREAD_DB) -> Tensor:
    """Mel amplitudes `[B, C, T, bands]` to `[B, C, bands, T]`, centred decibels over the floor in units of their spread."""
    decibels = (20 * torch.log10(amplitudes.clamp_min(1e-12))).clamp_min(FLOOR_DB)
    return (decibels.mT - centre_db) / spread_db


def amplitudes_of(image: Tensor, centre_db: float = CENTRE_DB, spread_db: float = SPREAD_DB) -> Tensor:
    """The inverse of `image_of` above the floor; what lies at or below it is silent."""
    decibels = image.mT * spread_db + centre_db
    return torch.where(decibels > FLOOR_DB, 10 ** (decibels.clamp_max(10.0) / 20), torch.zeros_like(decibels))


def decibel_error(image: Tensor, other: Tensor, range_db: float = 80.0) -> Tensor:
    """Mean absolute difference in dB `[B]` of two images of spread SPREAD_DB; none lies further below the peak than range_db."""
    a, b = (i.flatten(1) * SPREAD_DB for i in (image, other))
    floor = torch.maximum(a.amax(1), b.amax(1))[:, None] - range_db
    return (torch.maximum(a, floor) - torch.maximum(b, floor)).abs().mean(1)


class MelCodec(Shaped):
    """The mel image as a `Codec`: nothing learned; decoding is the inversion."""

    spec: MelSpec

    def __init__(self, spec: MelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.image = MelImage(spec)

    @property
    def receptive_frames(self) -> int:
        """Columns on each side that a decoded sample depends on."""
        return self.image.reach

    @property
    def encoder_receptive_frames(self) -> int:
        """Columns of audio on each side that a column looks into."""
        return self.spec.window // self.spec.hop // 2

    def encode(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to `[B, sides * bands, T]`. Raises `ValueError` for another shape."""
        check_audio(audio, self.hop)
        return folded(self.image(audio))

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, sides * bands, T]` to `[B, 2, T * hop]` samples; the first column stands at absolute `frame_offset`."""
        check_latents(z, self.latent_dim)
        return self.image.inverted(images(z, self.spec.sides), frame_offset)
