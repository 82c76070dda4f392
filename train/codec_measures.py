"""Measures how a codec returns audio: level of each band, waveform, onsets, frame-rate comb, stereo."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segue.train.losses import mel_matrix, views

RATE = 44_100
MEL_WINDOW, MEL_HOP, MEL_BANDS = 2048, 512, 80
MEL_RANGE_DB = 80.0  # bands further than this below the clip's loudest one count as that far below
COMB_FROM_HZ = 2_000.0


def log_mel(audio: Tensor) -> Tensor:
    """`[C, N]` to `[C, frames, 80]` in dB."""
    X = torch.stft(audio, MEL_WINDOW, MEL_HOP, window=torch.hann_window(MEL_WINDOW), return_complex=True).abs().square()
    mel = X.transpose(1, 2) @ mel_matrix(MEL_WINDOW, MEL_BANDS, RATE)
    decibels: Tensor = 10 * (mel + 1e-10).log10()
    return decibels


def log_mel_error(x: Tensor, y: Tensor) -> float:
    """Mean absolute difference of the 80 mel bands of `[2, N]` signals in dB, left and right."""
    a, b = log_mel(x), log_mel(y)
    floor = a.max() - MEL_RANGE_DB
    return float((a.clamp(min=floor) - b.clamp(min=floor)).abs().mean())


def si_sdr(x: Tensor, y: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019)."""
    a, b = x.flatten(), y.flatten()
    target = a * (a @ b) / (a @ a).clamp(min=1e-9)
    return float(10 * torch.log10(target.square().sum() / (b - target).square().sum().clamp(min=1e-12)))


def onset_envelope(audio: Tensor) -> Tensor:
    """Rising log-mel energy of the mono mix at 172 Hz, `[frames]`."""
    X = torch.stft(audio.mean(0), 1024, 256, window=torch.hann_window(1024), return_complex=True).abs().square()
    mel = (X.T @ mel_matrix(1024, 40, RATE) + 1e-6).log()
    rises: Tensor = mel.diff(dim=0).clamp(min=0).mean(dim=1)
    return rises


def onset_correlation(x: Tensor, y: Tensor) -> float:
    """Correlation of the onset envelopes of two signals `[2, N]`."""
    return float(torch.corrcoef(torch.stack((onset_envelope(x), onset_envelope(y))))[0, 1])


def comb(audio: Tensor, lag: int) -> float:
    """Autocorrelation of `[2, N]` above 2 kHz at `lag` samples: a waveform that repeats every frame gives 1."""
    X = torch.fft.rfft(audio)
    X[..., : int(COMB_FROM_HZ * audio.shape[-1] / RATE)] = 0
    high = torch.fft.irfft(X, n=audio.shape[-1])
    a, b = high[..., lag:], high[..., :-lag]
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt().clamp(min=1e-9))


def buzz(x: Tensor, y: Tensor, lag: int) -> float:
    """How much more y repeats at the frame rate above 2 kHz than x does; 0 is clean."""
    return comb(y, lag) - comb(x, lag)


def side_error(x: Tensor, y: Tensor) -> float:
    """Difference of the side-to-mid level of `[2, N]` signals in dB, absolute; both are taken at -60 dB or above."""

    def width(audio: Tensor) -> float:
        mid, side = views(audio[None], True)[0].square().mean(-1)
        return max(-60.0, float(10 * torch.log10((side + 1e-12) / (mid + 1e-12))))

    return abs(width(x) - width(y))


def balance_error(x: Tensor, y: Tensor) -> float:
    """Difference of the left-to-right level of `[2, N]` signals above 2 kHz in dB, absolute."""

    def balance(audio: Tensor) -> float:
        start = int(COMB_FROM_HZ * audio.shape[-1] / RATE)
        left, right = torch.fft.rfft(audio)[:, start:].abs().square().sum(-1)
        return float(10 * torch.log10((left + 1e-9) / (right + 1e-9)))

    return abs(balance(x) - balance(y))


def measure(x: Tensor, y: Tensor, lag: int) -> dict[str, float]:
    """All measures of y against x, `[2, N]` each."""
    return {
        "mel_db": log_mel_error(x, y),
        "si_sdr_db": si_sdr(x, y),
        "onset": onset_correlation(x, y),
        "buzz": buzz(x, y, lag),
        "side_db": side_error(x, y),
        "balance_db": balance_error(x, y),
    }


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over clips, but the median of SI-SDR."""
    return {key: float((np.median if key == "si_sdr_db" else np.mean)([row[key] for row in rows])) for key in rows[0]}


def predictability(z: Tensor, lag: int = 1) -> float:
    """Share of the variance of `[C, T]` latents that the frame `lag` earlier explains, channel by channel."""
    centred = z - z.mean(dim=1, keepdim=True)
    now, past = centred[:, lag:], centred[:, :-lag]
    correlation = (now * past).sum(1) / (now.square().sum(1) * past.square().sum(1)).sqrt().clamp(min=1e-9)
    return float((correlation.square() * now.square().sum(1)).sum() / now.square().sum())


def mel_noise_baseline(x: Tensor, hop: int = 1024, bands: int = 64, seed: int = 0) -> Tensor:
    """`[2, N]` rebuilt from 64 mel band energies at the latent rate and random phase: the untrained codec to beat."""
    size = 2 * hop
    window = torch.hann_window(size)
    matrix = mel_matrix(size, bands, RATE)
    mel = torch.stft(x, size, hop, window=window, return_complex=True).abs().square().transpose(1, 2) @ matrix
    share = matrix / matrix.sum(dim=1, keepdim=True).clamp(min=1e-9)
    power = (mel @ share.T).transpose(1, 2)
    white = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    phase = torch.stft(white, size, hop, window=window, return_complex=True).angle()
    return torch.istft(torch.polar(power.sqrt(), phase), size, hop, window=window, length=x.shape[-1])
