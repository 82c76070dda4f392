"""Draws what was played: waveform and spectrogram, with the generated stretches marked. Needs matplotlib (extra `eval`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.server.bands import FLOOR_DB, edges, levels

WINDOW, HOP = 2048, 512
BANDS = 160  # rows of the spectrogram, evenly spaced in octaves
COLUMNS = 2400  # most columns of either drawing
INK, LOUD, NEW = "#1c2430", "#31475e", "#d1495b"


@dataclass(frozen=True)
class Region:
    """A generated stretch: frames [start, end) and what to write over it."""

    start: int
    end: int
    label: str = ""


def spectrogram(audio: NDArray[np.floating[Any]], rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Level in dB, `[BANDS, columns]`, of mono audio `[n]`, and the bands' edges in Hz, `[BANDS + 1]`.

    0 dB is a sine of full scale. However long the audio, there are at most COLUMNS columns, evenly spread.
    """
    hop = max(HOP, -(-len(audio) // COLUMNS))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(audio, WINDOW // 2), WINDOW)[::hop]
    return levels(windows, rate, BANDS).T, edges(rate, BANDS)


def outline(audio: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(places in frames, lowest, highest) of mono audio `[n]`, at most COLUMNS of each."""
    starts = np.arange(0, len(audio), -(-len(audio) // COLUMNS))
    return starts.astype(float), np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)


def draw(audio: NDArray[np.floating[Any]], rate: int, regions: Sequence[Region], file: Path, title: str = "") -> Path:
    """Writes a PNG of audio `[n, channels]` or `[n]`. Raises ImportError without the extra, ValueError if empty."""
    if audio.size == 0:
        raise ValueError("picture: got no audio to draw; play something first")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mono = np.asarray(audio if audio.ndim == 1 else audio.mean(axis=1), dtype=np.float64)
    figure = Figure(figsize=(12, 5.2), layout="constrained")
    wave, spectrum = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.6))
    starts, low, high = outline(mono)
    wave.fill_between(starts / rate, low, high, color=LOUD, linewidth=0.3)
    wave.set(ylim=(-1, 1), ylabel="level", yticks=(-1, 0, 1))
    level, bounds = spectrogram(mono, rate)
    columns = np.linspace(0, len(mono) / rate, level.shape[1] + 1)
    spectrum.pcolormesh(columns, bounds, level, cmap="magma", vmin=FLOOR_DB, vmax=0, rasterized=True)
    spectrum.set(yscale="log", ylabel="Hz", xlabel="seconds", xlim=(0, len(mono) / rate))
    for region in regions:
        mark(wave, spectrum, region, rate)
    wave.set_title(title or "red: generated", loc="left", fontsize=10, color=INK)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(str(file))
    return file


def mark(wave: Any, spectrum: Any, region: Region, rate: int) -> None:
    """Shades a region over the waveform and outlines it over the spectrogram."""
    start, end = region.start / rate, region.end / rate
    wave.axvspan(start, end, color=NEW, alpha=0.25, linewidth=0)
    wave.text(start + 0.1, 0.97, region.label, va="top", fontsize=8, color=NEW, clip_on=True)
    for at in (start, end):
        wave.axvline(at, color=NEW, linewidth=0.8)
        spectrum.axvline(at, color="white", linewidth=0.8, linestyle=":")
