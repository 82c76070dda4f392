"""What the codec does to the colour of a sound: heard on the context, where the truth is known, and taken back from the take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from segue.engine.measure import MEL_FLOOR, MEL_WINDOW, log_mel, loudness

Audio = NDArray[np.float32]

BOUND_DB = (-40.0, 12.0)  # a band that the codec fills with noise may all but vanish; one that it lost cannot be had back
QUIET_LUFS = -70.0  # below the absolute gate of BS.1770 there is no colour
SILENT = 0.25  # mean of a band above the floor of `log_mel`, in nepers, up to which it counts as silent
HALF = MEL_WINDOW // 2  # samples of the filter on either side


def correction(true: Audio, decoded: Audio, rate: int) -> Audio | None:
    """Taps `[2 HALF + 1]` of the zero-phase filter that gives `decoded` the long-term mel spectrum of `true`, both `[2, n]`.

    The means of logarithms are compared, band by band, so that single loud moments decide nothing. None where either is quiet.
    """
    if true.shape[1] < MEL_WINDOW or min(loudness(true, rate), loudness(decoded, rate)) < QUIET_LUFS:
        return None
    wanted = log_mel(true, rate).mean(axis=1)
    difference = wanted - log_mel(decoded, rate).mean(axis=1)
    # where the context is silent, above an MP3's cut-off say, the floor hides how far down it lies
    difference[wanted < np.log(MEL_FLOOR) + SILENT] = -np.inf
    bounded = np.clip(difference, *(np.log(10) / 20 * np.array(BOUND_DB)))
    edges = 2595 * np.log10(1 + rate / 2 / 700)
    centres = 700 * (10 ** (np.arange(1, len(bounded) + 1) * edges / (len(bounded) + 1) / 2595) - 1)
    gain = np.exp(np.interp(np.fft.rfftfreq(MEL_WINDOW, 1 / rate), centres, bounded))
    response = np.fft.fftshift(np.fft.irfft(gain))
    taps: Audio = (np.append(response, response[0]) * signal.windows.hann(2 * HALF + 1)).astype(np.float32)
    return taps


def corrected(audio: Audio, taps: Audio | None) -> Audio:
    """Audio `[2, n]` through the filter, without delay; its first and last HALF samples lack what lies beyond them."""
    if taps is None:
        return audio
    filtered: Audio = signal.oaconvolve(audio, taps[None], mode="full", axes=-1)[:, HALF : HALF + audio.shape[1]].astype(
        np.float32
    )
    return filtered
