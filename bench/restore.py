"""Whether restoration restores: real clips damaged on purpose, restored, and compared with the truth where they were damaged.

Two figures for the part that was lost, each beside doing nothing: its signal-to-noise ratio in dB (0 for silence), and the
log-spectral distance in dB, which asks for the right spectrum but not for the right phases. Besides: the signal-to-noise ratio of
the whole clip, and the largest change of what was kept. Of a lost band, noise that has the truth's own levels in 9 bins and 30 ms
is judged too: whoever knows no phases cannot do better than that, and pays for it in signal-to-noise ratio.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segue.engine.checkpoint import load
from segue.engine.compose import gain_to
from segue.engine.damage import GAP_FADE, KINDS, RING_S, SLOPE, UNCLIPPED, Clip, Damage, Gaps, LowPass
from segue.engine.models.spec import Model
from segue.engine.restoration import Repair, Restorer
from segue.engine.seam import carried_on
from segue.server.restore import PULL, START
from segue.train.bootstrap import interval
from segue.train.excerpts import draw_clips
from segue.train.yamnet import data_folder

Audio: TypeAlias = NDArray[np.float32]
Values: TypeAlias = NDArray[np.float64]

CUTOFF = 4000.0
CLIP_SHARE = 0.25  # of the peak
GAP_S, GAP_EVERY_S = 0.2, 1.5
FLOOR_DB = -80.0  # under a clip's loudest bin, where a spectrum counts as empty
WINDOW = 1024
NEIGHBOURS = (9, 5)  # bins and frames of a quarter of WINDOW, over which a level is a mean


@dataclass(frozen=True)
class Row:
    """One figure. difference: from doing nothing, on the same clips, with its 95 % interval."""

    task: str
    kind: str
    system: str
    steps: int
    T: float
    weight: float
    metric: str
    value: float
    spread: float
    n: int
    difference: float | None = None
    interval: tuple[float, float] | None = None


def damage_of(kind: str, audio: Audio, rate: int) -> Damage:
    """A loss of that kind, of a size that is plainly heard."""
    if kind == "lowpass":
        return LowPass(CUTOFF, rate)
    if kind == "declip":
        return Clip(CLIP_SHARE * float(np.abs(audio).max()))
    every, gap = round(GAP_EVERY_S * rate), round(GAP_S * rate)
    return Gaps(tuple((a, a + gap) for a in range(every, audio.shape[1] - every, every)), rate)


def lost(kind: str, damage: Damage, truth: Audio, rate: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], bool]:
    """What was lost: samples `[n]`, frames of a spectrum and whether only bins above the cut-off count."""
    n = truth.shape[1]
    samples: NDArray[np.bool_] = np.ones(n, np.bool_)
    if isinstance(damage, Clip):
        samples = np.any(np.abs(truth) > damage.level, axis=0)
    elif isinstance(damage, Gaps):
        samples = ~damage.kept(n)
    frames: NDArray[np.bool_] = np.any(samples[: n // WINDOW * WINDOW].reshape(-1, WINDOW), axis=1)
    return samples, frames, kind == "lowpass"


def snr(truth: Audio, made: Audio, damage: Damage, where: NDArray[np.bool_], above: bool) -> float:
    """dB, of the lost samples, or of the lost band."""
    if above:
        truth, made = (part - damage(torch.from_numpy(np.ascontiguousarray(part))).numpy() for part in (truth, made))
    noise = np.square(truth - made)[:, where].sum(dtype=np.float64)
    return float(10 * np.log10(np.square(truth)[:, where].sum(dtype=np.float64) / max(noise, 1e-20)))


def kept_change(y: Audio, made: Audio, damage: Damage) -> float:
    """The largest change of a sample that was kept; of a low-pass, of the band below its slope, but for the filter's ringing."""
    if isinstance(damage, LowPass):
        below, edge = LowPass((1 - 2 * SLOPE) * damage.cutoff, damage.rate), round(RING_S * damage.rate)
        return float(below(torch.from_numpy(made - y))[:, edge:-edge].abs().max())
    if isinstance(damage, Gaps):
        beside = np.convolve(~damage.kept(y.shape[1]), np.ones(2 * GAP_FADE + 1), "same")
        kept = np.broadcast_to(beside < 0.5, y.shape)
    else:
        assert isinstance(damage, Clip)
        kept = np.abs(y) < UNCLIPPED * damage.level
    return float(np.abs(made - y)[kept].max(initial=0.0))


def of_true_level(truth: Audio, y: Audio, damage: LowPass, seed: int) -> Audio:
    """The bound for a lost band: y and noise as loud as the truth above the cut-off, in every NEIGHBOURS bins and frames."""
    window = torch.hann_window(WINDOW)

    def spectrum(x: Tensor) -> Tensor:
        return torch.stft(x, WINDOW, WINDOW // 4, window=window, return_complex=True)

    def level(x: Tensor) -> Tensor:
        margins = (NEIGHBOURS[0] // 2, NEIGHBOURS[1] // 2)
        return functional.avg_pool2d(x.abs().square()[:, None], NEIGHBOURS, 1, margins, count_include_pad=False)[:, 0].sqrt()

    above = spectrum(torch.from_numpy(truth) - damage(torch.from_numpy(truth)))
    hiss = spectrum(torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed)))
    noise = torch.istft(hiss / level(hiss).mean() * level(above), WINDOW, WINDOW // 4, window=window, length=truth.shape[1])
    made: Audio = y + (noise - damage(noise)).numpy()
    return made


def spectral_distance(truth: Audio, made: Audio, where: NDArray[np.bool_], rate: int, above: bool) -> float:
    """Mean over frames of the root mean square difference of two log spectra, dB, over what was lost."""
    spectra = [np.abs(np.fft.rfft(_frames(part) * np.hanning(WINDOW), axis=-1)) for part in (truth, made)]
    least = spectra[0].max() * 10 ** (FLOOR_DB / 20)
    a, b = (20 * np.log10(np.maximum(s, least)) for s in spectra)
    first = round(1.1 * CUTOFF * WINDOW / rate) if above else 1
    difference = np.square(a - b)[:, where, first:]
    return float(np.sqrt(difference.mean(axis=-1)).mean())


def _frames(audio: Audio) -> Audio:
    return audio[:, : audio.shape[1] // WINDOW * WINDOW].reshape(2, -1, WINDOW)


def carried(y: Audio, damage: Gaps) -> Audio:
    """The baseline for gaps: each carried on by linear prediction from before, fading into one from after."""
    out = y.copy()
    for a, b in damage.spans:
        ramp = np.linspace(0, 1, b - a, dtype=np.float32)
        after = carried_on(np.ascontiguousarray(y[:, b : b + 8192][:, ::-1]), b - a)[:, ::-1]
        out[:, a:b] = (1 - ramp) * carried_on(y[:, max(0, a - 8192) : a], b - a) + ramp * after
    return out


def restored(model: Model, y: Audio, repair: Repair) -> Audio:
    """The clip through the restorer."""

    def read(first: int, n: int) -> Audio:
        out = np.zeros((2, n), np.float32)
        part = y[:, first : first + n]
        out[:, : part.shape[1]] = part
        return out

    return np.concatenate(list(Restorer(model).pieces(read, y.shape[1], repair)), axis=1)


def played(model: Model, kind: str, clips: Sequence[Audio], repair: Repair) -> Iterator[tuple[str, str, Values]]:
    """(system, metric, values) over the clips."""
    found: dict[tuple[str, str], list[float]] = {}
    for number, truth in enumerate(clips):
        damage = damage_of(kind, truth, model.rate)
        y = damage(torch.from_numpy(truth)).numpy()
        how = replace(repair, damage=damage, gain=gain_to(model.spec.reference_lufs, [y], model.rate), seed=number)
        began = time.perf_counter()
        made = {"nothing": y, "restored": restored(model, y, how)}
        seconds = time.perf_counter() - began
        if isinstance(damage, Gaps):
            made["linear prediction"] = carried(y, damage)
        if isinstance(damage, LowPass):
            made["noise of the true level"] = of_true_level(truth, y, damage, number)
        else:
            made["without the model"] = damage.mend(y, y)
        samples, frames, above = lost(kind, damage, truth, model.rate)
        for system, audio in made.items():
            found.setdefault((system, "snr_lost_db"), []).append(snr(truth, audio, damage, samples, above))
            found.setdefault((system, "lsd_lost_db"), []).append(spectral_distance(truth, audio, frames, model.rate, above))
            found.setdefault((system, "snr_db"), []).append(snr(truth, audio, damage, np.ones_like(samples), above=False))
            found.setdefault((system, "kept_change"), []).append(kept_change(y, audio, damage))
        found.setdefault(("restored", "rtf"), []).append(seconds * model.rate / truth.shape[1])
        print(f"bench restore: {kind}, clip {number + 1} of {len(clips)}", file=sys.stderr, flush=True)
    for (system, metric), values in found.items():
        yield system, metric, np.array(values)


def rows(kind: str, repair: Repair, found: Sequence[tuple[str, str, Values]]) -> Iterator[Row]:
    """Means, spreads, and differences from doing nothing."""
    nothing = {metric: values for system, metric, values in found if system == "nothing"}
    for system, metric, values in found:
        apart = values - nothing[metric] if metric in nothing and system != "nothing" else None
        mean = None if apart is None else float(apart.mean())
        low_high = None if apart is None else interval(apart)
        settings = (repair.steps, repair.T, repair.weight)
        yield Row(
            "restore", kind, system, *settings, metric, float(values.mean()), float(values.std()), len(values), mean, low_high
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench restore`."""
    parser.add_argument("--model", default="live")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and train/ (default: SEGUE_DATA)")
    parser.add_argument("--split", default="eval", choices=["eval", "train"], help="whose clips; settings are chosen on train")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--clips", type=int, default=18)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument(
        "--T", type=float, nargs="+", default=None, help="levels to start from; those of `segue restore` without it"
    )
    parser.add_argument(
        "--weights", type=float, nargs="+", default=None, help="of the measurement's loss, likewise; 0 is unguided"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """`segue bench restore`: 0, or 2 with one line where model or data are missing."""
    torch.set_flush_denormal(True)
    try:
        model = load(args.model)
        window = round(args.seconds * model.rate)
        drawn = draw_clips((args.data or data_folder()) / args.split, args.clips, window, window // 2, model.rate)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    made: list[Row] = []
    for kind in args.kinds:
        for T in args.T or [START[kind]]:
            for weight in args.weights or [PULL[kind]]:
                repair = Repair(LowPass(CUTOFF, model.rate), T=T, weight=weight, steps=args.steps)
                for row in rows(kind, repair, list(played(model, kind, [clip.audio for clip in drawn], repair))):
                    made.append(row)
                    print(line(row), file=sys.stderr if args.json else sys.stdout, flush=True)
    if args.json:
        print(json.dumps({"model": args.model, "split": args.split, "rows": [asdict(row) for row in made]}))
    return 0


def line(row: Row) -> str:
    """A row as text."""
    how = f"T {row.T:g}, weight {row.weight:g}"
    words = f"{row.kind:8} {row.system:18} {how:18} {row.metric:12} {row.value:8.3f} +- {row.spread:.3f}"
    if row.difference is None or row.interval is None:
        return words
    return f"{words}   {row.difference:+.3f} [{row.interval[0]:+.3f}, {row.interval[1]:+.3f}]"
