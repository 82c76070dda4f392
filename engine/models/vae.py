"""The live codec: stereo audio to 64 latent channels at 43 Hz and back, fast enough for one CPU core.

Inside, audio is a mid/side STFT at hop 256. The encoder sees magnitudes companded to |X|^0.4, and phases below 500 Hz
in channels of their own, and brings four such frames down to one latent frame. The decoder expands again and writes a
spectrum: the sum of a fine complex structure and of noise, each times 32 band gains times a learned tilt. Above 500 Hz
the sides of a stereo image keep their width but not which one is which. Normalisation runs over channels only, never
over time, so a windowed decode equals the full one beyond `receptive_frames`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.convnext import Block
from segue.engine.models.posterior import NARROW_POSTERIOR, PosteriorCodec
from segue.engine.models.shaped import check_latents
from segue.engine.models.spectrum import Fourier, band_matrix, istft, mid_side, stft

GAIN_SLOPE = 4.0  # band levels are learned as this share of a natural logarithm
# The spectrum of music at -18 LUFS, where training begins: natural logarithms and Hz; noise starts out inaudible.
PRIOR_LEVEL, PRIOR_CORNER, PRIOR_NOISE = 3.0, 300.0, 4.0


@dataclass(frozen=True)
class CodecSpec:
    """Shape of a codec. Lengths in samples at `rate` Hz; a latent frame is `hop * stride` samples."""

    rate: int = 44_100
    window: int = 1024
    hop: int = 256
    stride: int = 4
    latent_dim: int = 64
    encoder_width: int = 256
    encoder_slow_width: int = 320
    encoder_blocks: int = 2
    encoder_slow_blocks: int = 3
    decoder_width: int = 192
    decoder_slow_width: int = 384
    decoder_blocks: int = 3
    decoder_slow_blocks: int = 4
    expansion: int = 2
    kernel: int = 7
    slow_kernel: int = 5
    bands: int = 32
    companding: float = 0.4
    bass_bins: int = 12
    bass_dim: int = 16
    bass_width: int = 128
    bass_blocks: int = 2
    noise_frames: int = 431
    noise_seed: int = 7348

    @property
    def bins(self) -> int:
        """Frequency bins of a spectrum."""
        return self.window // 2 + 1

    @property
    def latent_hop(self) -> int:
        """Samples a latent frame."""
        return self.hop * self.stride


def prior_tilt(spec: CodecSpec) -> Tensor:
    """Natural logarithm of the magnitude that music at -18 LUFS has in each bin, roughly, `[bins]`."""
    return PRIOR_LEVEL - torch.log1p(torch.linspace(0, spec.rate / 2, spec.bins) / PRIOR_CORNER)


def blocks(count: int, width: int, spec: CodecSpec, kernel: int) -> nn.Sequential:
    """`count` blocks of one width."""
    return nn.Sequential(*(Block(width, spec.expansion, kernel) for _ in range(count)))


class Encoder(nn.Module):
    """Companded mid/side spectra to the mean and log-variance of the posterior."""

    window: Tensor
    level: Tensor
    fourier: Fourier | None = None  # set on a copy that is exported

    def __init__(self, spec: CodecSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("window", torch.hann_window(spec.window), persistent=False)
        self.register_buffer("level", (spec.companding * prior_tilt(spec)).exp(), persistent=False)
        self.inward = nn.Linear(2 * spec.bins, spec.encoder_width)
        self.fast = blocks(spec.encoder_blocks, spec.encoder_width, spec, spec.kernel)
        self.squeeze = nn.Linear(spec.stride * spec.encoder_width, spec.encoder_slow_width)
        self.slow = blocks(spec.encoder_slow_blocks, spec.encoder_slow_width, spec, spec.slow_kernel)
        self.norm = nn.LayerNorm(spec.encoder_slow_width)
        self.outward = nn.Linear(spec.encoder_slow_width, 2 * (spec.latent_dim - spec.bass_dim))
        self.bass_inward = nn.Linear(4 * spec.stride * spec.bass_bins, spec.bass_width)
        self.bass = blocks(spec.bass_blocks, spec.bass_width, spec, spec.slow_kernel)
        self.bass_outward = nn.Linear(spec.bass_width, 2 * spec.bass_dim)
        # A posterior that starts as wide as the prior hides the phase that the decoder must learn first.
        nn.init.constant_(self.outward.bias[spec.latent_dim - spec.bass_dim :], NARROW_POSTERIOR)
        nn.init.constant_(self.bass_outward.bias[spec.bass_dim :], NARROW_POSTERIOR)

    def features(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, 2, T * 1024]` to companded levels `[B, 4 T, 2 * bins]` and bass spectra `[B, 4 T, 4 * bass_bins]`."""
        spectrum = stft(mid_side(audio), self.window, self.spec.hop, self.fourier)
        magnitude = (spectrum[..., 0, :].square() + spectrum[..., 1, :].square() + 1e-7).sqrt()
        bass, size = spectrum[..., : self.spec.bass_bins], magnitude[..., : self.spec.bass_bins].unsqueeze(-2)
        levels = magnitude**self.spec.companding - self.level
        phases = bass * size ** (self.spec.companding - 1)
        return levels.transpose(1, 2).flatten(2), phases.transpose(1, 2).flatten(2)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, 2, T * 1024]` to mean and log-variance, `[B, T, latent_dim]` each, not yet normalised.

        Latents that see phases follow the waveform and are nearly white in time, which a generator hardly learns; so
        only the last `bass_dim` channels see any, those of the bass, and the others stay envelopes.
        """
        return self.read(*self.features(audio))

    def read(self, levels: Tensor, phases: Tensor) -> tuple[Tensor, Tensor]:
        """`forward`, given the features: the part of it that is a network."""
        h = self.fast(self.inward(levels))
        h = self.slow(self.squeeze(h.unflatten(1, (-1, self.spec.stride)).flatten(2)))
        low = self.bass(self.bass_inward(phases.unflatten(1, (-1, self.spec.stride)).flatten(2)))
        mean, log_variance = self.outward(self.norm(h)).chunk(2, dim=-1)
        low_mean, low_log_variance = self.bass_outward(low).chunk(2, dim=-1)
        return torch.cat((mean, low_mean), dim=-1), torch.cat((log_variance, low_log_variance), dim=-1).clamp(-12, 4)


class Decoder(nn.Module):
    """Raw latents and a noise spectrum to audio."""

    window: Tensor
    band: Tensor
    fourier: Fourier | None = None  # set on a copy that is exported

    def __init__(self, spec: CodecSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("window", torch.hann_window(spec.window), persistent=False)
        self.register_buffer("band", band_matrix(spec.bins, spec.bands, spec.rate), persistent=False)
        self.inward = nn.Linear(3 * spec.latent_dim, spec.decoder_slow_width)
        self.slow = blocks(spec.decoder_slow_blocks, spec.decoder_slow_width, spec, spec.slow_kernel)
        self.expand = nn.Linear(spec.decoder_slow_width, spec.stride * spec.decoder_width)
        self.fast = blocks(spec.decoder_blocks, spec.decoder_width, spec, spec.kernel)
        self.norm = nn.LayerNorm(spec.decoder_width)
        self.fine = nn.Linear(spec.decoder_width, 4 * spec.bins)
        self.gains = nn.Linear(spec.decoder_width, 4 * spec.bands)
        tilt = prior_tilt(spec)
        self.prior = nn.Parameter(torch.stack((tilt, tilt - PRIOR_NOISE))[:, None].repeat(1, 2, 1))
        nn.init.normal_(self.fine.weight, std=1 / math.sqrt(spec.decoder_width))
        nn.init.normal_(self.gains.weight, std=0.1 / math.sqrt(spec.decoder_width))
        nn.init.zeros_(self.gains.bias)

    def hidden(self, z: Tensor) -> Tensor:
        """`[B, T, latent_dim]` to `[B, 4 T, width]`."""
        padded = F.pad(z, (0, 0, 1, 1))
        h = self.slow(self.inward(torch.cat((padded[:, :-2], z, padded[:, 2:]), dim=-1)))
        expanded = self.expand(h).unflatten(-1, (self.spec.stride, -1)).flatten(1, 2)
        hidden: Tensor = self.norm(self.fast(expanded))
        return hidden

    def flat_parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`parts`, as the network has them in memory: tone `[B, 4 T, 2, 2, bins]` and noise gains `[B, 4 T, 2, bins]`."""
        h = self.hidden(z)
        levels = self.gains(h).unflatten(-1, (4, self.spec.bands)).float().clamp(-4, 2)
        gains = (GAIN_SLOPE * levels @ self.band + self.prior.flatten(0, 1)).exp()  # of mid and side tone, then noise
        fine = self.fine(h).unflatten(-1, (2, 2, self.spec.bins))
        return fine * gains[:, :, :2, None], gains[:, :, 2:]

    def parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, T, latent_dim]` to a tone spectrum `[B, 2, 4 T, 2, bins]` and noise gains `[B, 2, 4 T, 1, bins]`."""
        tone, breath = self.flat_parts(z)
        return tone.transpose(1, 2), breath.transpose(1, 2).unsqueeze(-2)

    def audio(self, spectrum: Tensor) -> Tensor:
        """Mid/side spectra `[B, 2, 4 T, 2, bins]` to `[B, 2, T * 1024]` samples."""
        return mid_side(istft(spectrum.float(), self.window, self.spec.hop, self.fourier))

    def tone(self, z: Tensor) -> Tensor:
        """`[B, T, latent_dim]` to `[B, 2, T * 1024]` samples without the noise branch."""
        return self.audio(self.parts(z)[0])

    def draws(self, z: Tensor, noises: list[Tensor]) -> list[Tensor]:
        """One decoded signal for each noise spectrum, from one pass of the network."""
        tone, breath = self.parts(z)
        return [self.audio(torch.addcmul(tone, noise, breath)) for noise in noises]

    def forward(self, z: Tensor, noise: Tensor) -> Tensor:
        """`[B, T, latent_dim]` and a noise spectrum `[B, 2, 4 T, 2, bins]` to `[B, 2, T * 1024]` samples."""
        return self.draws(z, [noise])[0]


class LiveCodec(PosteriorCodec):
    """Segue's live codec (implements `Codec`). Noise is a pure function of the absolute latent frame."""

    spec: CodecSpec
    encoder: Encoder
    noise: Tensor

    def __init__(self, spec: CodecSpec | None = None) -> None:
        spec = spec or CodecSpec()
        super().__init__(spec.latent_dim)
        self.spec = spec
        self.encoder, self.decoder = Encoder(spec), Decoder(spec)
        self.register_buffer("noise", noise_spectrum(spec), persistent=False)

    @property
    def receptive_frames(self) -> int:
        """Latent frames on each side that a decoded sample depends on."""
        spec = self.spec
        fast = spec.decoder_blocks * (spec.kernel // 2) + spec.window // spec.hop
        return 1 + spec.decoder_slow_blocks * (spec.slow_kernel // 2) + math.ceil(fast / spec.stride)

    @property
    def encoder_receptive_frames(self) -> int:
        """Latent frames of audio on each side that a latent frame depends on."""
        spec = self.spec
        fast = spec.encoder_blocks * (spec.kernel // 2) + spec.window // spec.hop
        return spec.encoder_slow_blocks * (spec.slow_kernel // 2) + math.ceil(fast / spec.stride)

    @property
    def envelopes(self) -> int:
        """How many of the first channels hold no phases: what tones lie in a band is not in them (`engine/texture.py`)."""
        return self.spec.latent_dim - self.spec.bass_dim

    def noise_at(self, frame_offset: int, frames: int) -> Tensor:
        """The noise spectrum of latent frames `frame_offset ...`, `[1, 2, 4 frames, 2, bins]`; periodic in 10 s."""
        stride = self.spec.stride
        index = torch.arange(frame_offset * stride, (frame_offset + frames) * stride, device=self.noise.device)
        noise: Tensor = self.noise.index_select(1, index % self.noise.shape[1])[None]
        return noise

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, latent_dim, T]` to `[B, 2, T * hop]` samples; the first frame stands at absolute `frame_offset`.

        Deterministic: equal latents at equal offsets sound equal. Raises `ValueError` for another number of channels.
        """
        check_latents(z, self.latent_dim)
        return self.decode_with(z, self.noise_at(frame_offset, z.shape[-1]))

    def decode_with(self, z: Tensor, noise: Tensor) -> Tensor:
        """`decode` with a given noise spectrum `[1 or B, 2, 4 T, 2, bins]`: the graph that is exported."""
        audio: Tensor = self.decoder(self.raw(z), noise)
        return audio


def noise_spectrum(spec: CodecSpec) -> Tensor:
    """`[2, stride * noise_frames, 2, bins]`: the STFT of white noise that repeats without a seam, unit variance a bin."""
    length = spec.noise_frames * spec.stride * spec.hop
    white = torch.randn(1, 2, length, generator=torch.Generator().manual_seed(spec.noise_seed))
    window = torch.hann_window(spec.window)
    edge = spec.window
    spectrum = stft(F.pad(white, (edge, edge), mode="circular"), window, spec.hop)[0]
    frames = edge // spec.hop
    return spectrum[:, frames:-frames] / window.square().sum().mul(0.5).sqrt()


def build(state: dict[str, Any] | None = None, spec: CodecSpec | None = None) -> LiveCodec:
    """A codec for inference, with a state dict loaded where one is given."""
    codec = LiveCodec(spec)
    if state is not None:
        codec.load_state_dict(state)
    return codec.eval().requires_grad_(False)
