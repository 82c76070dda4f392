"""Judges a model: its continuations against what was really played, beside baselines and bounds, on clips of fixed seeds."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from segue.engine.checkpoint import CheckpointError, load
from segue.engine.engine import Engine
from segue.engine.measure import likeness, loudness, mel_distance
from segue.train import opening
from segue.train.baselines import BASELINES, Audio
from segue.train.bootstrap import interval
from segue.train.excerpts import CLIPS, SEED, Clip, draw_clips, geometry, wrong_contexts
from segue.train.playing import continue_all, reconstruct
from segue.train.rows import Row, table
from segue.train.yamnet import YamNet, data_folder, load_yamnet

LIKENESS_S = 1.0
COPY = 0.9  # likeness above which a take counts as a copy of its context
LEVEL_DB = 3.0
TIMED = 5  # takes that are timed
TINY = 1e-4  # probability that every class is granted, so that no logarithm is infinite
OURS, WRONG, AGAIN, TRUTH, CODEC, ELSEWHERE = (
    "ours",
    "ours, wrong context",
    "ours, second seed",
    "truth",
    "codec",
    "same song elsewhere",
)


def play_all(engine: Engine, clips: Sequence[Clip], steps: int, sampler: str) -> dict[str, list[Audio]]:
    """The new part of every clip as the engine plays it: twice, and once after a wrong context."""
    samples = clips[0].truth.shape[1]
    contexts = [clip.context for clip in clips]
    return {
        OURS: continue_all(engine, contexts, samples, steps, sampler, seed=1),
        AGAIN: continue_all(engine, contexts, samples, steps, sampler, seed=2),
        WRONG: continue_all(engine, wrong_contexts(clips), samples, steps, sampler, seed=1),
    }


def bounds(engine: Engine, clips: Sequence[Clip]) -> dict[str, list[Audio]]:
    """The systems that need no sampler: baselines, the codec's reconstruction, true audio."""
    samples = clips[0].truth.shape[1]
    takes = {
        name: [make(clip.context, samples, engine.sample_rate, np.random.default_rng([SEED, i])) for i, clip in enumerate(clips)]
        for name, make in BASELINES.items()
    }
    takes[CODEC] = [reconstruct(engine, clip.audio)[:, clip.split :] for clip in clips]
    takes[ELSEWHERE] = [clip.elsewhere[:, clip.split :] for clip in clips]
    takes[TRUTH] = [clip.truth for clip in clips]
    return takes


@torch.no_grad()
def class_probabilities(embedder: YamNet, takes: Sequence[Audio], rate: int) -> Values:
    """`[n, classes]` distributions over AudioSet classes: probabilities plus TINY, scaled to sum 1."""
    import soxr

    rows = []
    for take in takes:
        mono = soxr.resample(take.mean(axis=0), rate, embedder.rate).astype(np.float32)
        rows.append(embedder.probabilities(torch.from_numpy(mono)[None])[0].double().numpy())
    p = np.stack(rows) + TINY
    normalised: Values = p / p.sum(axis=1, keepdims=True)
    return normalised


def kld(true: Values, made: Values) -> Values:
    """`[n]`: KL(true || made) of class distributions, in nats."""
    divergence: Values = (true * np.log(true / made)).sum(axis=1)
    return divergence


def level_difference(take: Audio, context: Audio, rate: int) -> float:
    """Loudness of the take minus that of its context, in dB."""
    return loudness(take, rate) - loudness(context, rate)


Values: TypeAlias = NDArray[np.floating[Any]]  # one a clip
Scores: TypeAlias = dict[str, dict[str, Values]]  # metric, then system


def score(clips: Sequence[Clip], takes: Mapping[str, Sequence[Audio]], rate: int, embedder: YamNet | None) -> Scores:
    """Every metric of every system, clip by clip."""
    scores: Scores = {"MR": {}, "KLD": {}, "level_db": {}, "likeness": {}}
    true = class_probabilities(embedder, [clip.truth for clip in clips], rate) if embedder else None
    for system, made in takes.items():
        pairs = list(zip(made, clips, strict=True))
        scores["MR"][system] = np.array([mel_distance(take, clip.truth, rate) for take, clip in pairs])
        scores["level_db"][system] = np.array([level_difference(take, clip.context, rate) for take, clip in pairs])
        if system in (OURS, TRUTH):
            scores["likeness"][system] = np.array([likeness(take, clip.context, LIKENESS_S, rate) for take, clip in pairs])
        if embedder and true is not None:
            scores["KLD"][system] = kld(true, class_probabilities(embedder, made, rate))
        print(f"evaluate: scored {system}", file=sys.stderr, flush=True)
    return {metric: values for metric, values in scores.items() if values}


@dataclass(frozen=True)
class How:
    """How ours were made and judged: what is said in each row about it."""

    sampler: str
    steps: int
    embedder: str | None = None

    def row(self, metric: str, system: str, values: Values, floor: float | None = None) -> Row:
        """Mean and standard deviation of a figure."""
        sampler, steps = (self.sampler, self.steps) if system.startswith(OURS) else (None, None)
        mean, spread = float(values.mean()), float(values.std())
        return Row("continuation", system, sampler, steps, metric, mean, spread, len(values), self._used(metric), floor)

    def difference(self, metric: str, system: str, values: Values) -> Row:
        """Mean of ours minus the system's, clip by clip, with its interval."""
        low, high = interval(values)
        name, mean, half = f"{OURS} - {system}", float(values.mean()), (high - low) / 2
        used = self._used(metric)
        return Row("continuation", name, self.sampler, self.steps, metric, mean, half, len(values), used, None, (low, high))

    def _used(self, metric: str) -> str | None:
        return self.embedder if metric == "KLD" else None


def rows_of(scores: Scores, how: How) -> list[Row]:
    """Means and spreads of every system, and the paired differences of ours from each."""
    rows: list[Row] = []
    for metric in ("MR", "KLD"):
        systems = scores.get(metric, {})
        for system, values in systems.items():
            rows.append(how.row(metric, system, values, float(systems[ELSEWHERE].mean())))
            if system != OURS:
                rows.append(how.difference(metric, system, systems[OURS] - values))
    for system, values in scores["level_db"].items():
        rows += [how.row("level_db", system, values), how.row("level_db_size", system, np.abs(values))]
    within = np.abs(scores["level_db"][OURS]) <= LEVEL_DB
    rows.append(how.row(f"level_within_{LEVEL_DB:g}_db", OURS, within.astype(np.float64)))
    # a copy counts where the true continuation is none
    ours, truth = scores["likeness"][OURS], scores["likeness"][TRUTH]
    fresh = truth <= COPY
    rows += [how.row("likeness", OURS, ours), how.row("likeness", TRUTH, truth)]
    return [*rows, how.row("copies", OURS, (ours[fresh] > COPY).astype(np.float64))] if fresh.any() else rows


def seed_rows(takes: Mapping[str, Sequence[Audio]], rate: int, how: How) -> list[Row]:
    """How far apart two seeds are: MR between them, and their correlation as waveforms."""
    pairs = list(zip(takes[OURS], takes[AGAIN], strict=True))
    apart = np.array([mel_distance(a, b, rate) for a, b in pairs])
    alike = np.array([float((a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9)) for a, b in pairs])
    return [how.row("MR_between_seeds", OURS, apart), how.row("seed_correlation", OURS, alike)]


def rtf_row(engine: Engine, clip: Clip, how: How) -> Row:
    """Seconds of generation, encoder and decoder counted in, per second of new audio, one clip at a time."""
    samples, times = clip.truth.shape[1], []
    for seed in range(TIMED):
        begun = time.perf_counter()
        continue_all(engine, [clip.context], samples, how.steps, how.sampler, seed)
        times.append((time.perf_counter() - begun) * engine.sample_rate / samples)
    return replace(how.row("rtf", OURS, np.array(times)), value=float(np.median(times)))


def evaluate(
    engine: Engine,
    clips: Sequence[Clip],
    steps: Sequence[int],
    sampler: str,
    embedder: YamNet | None,
    others: Mapping[str, Sequence[Audio]] | None = None,
) -> list[Row]:
    """All rows; baselines, bounds and the takes of other models are compared with every number of steps."""
    fixed, rate = bounds(engine, clips) | dict(others or {}), engine.sample_rate
    fixed_scores = score(clips, fixed, rate, embedder)
    rows: list[Row] = []
    for count in steps:
        how = How(sampler, count, embedder.name if embedder else None)
        takes = play_all(engine, clips, count, sampler)
        scores = score(clips, {OURS: takes[OURS], WRONG: takes[WRONG]}, rate, embedder)
        merged = {metric: scores.get(metric, {}) | values for metric, values in fixed_scores.items()}
        rows += [*rows_of(merged, how), *seed_rows(takes, rate, how), rtf_row(engine, clips[0], how)]
    return rows


def played_beside(args: Any, clips: Sequence[Clip]) -> dict[str, list[Audio]]:
    """The new part of every clip by each model that the options name beside the judged one. Raises as `opening.beside` does."""
    contexts, samples, steps = [clip.context for clip in clips], clips[0].truth.shape[1], args.beside_steps
    return {
        f"{Path(name).stem}, {args.sampler} {steps}": continue_all(Engine(model), contexts, samples, steps, args.sampler, seed=1)
        for name, model in opening.beside(args).items()
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and models/ (default: SEGUE_DATA)")
    parser.add_argument("--clips", type=int, default=CLIPS, help="how many clips")
    parser.add_argument("--steps", type=int, nargs="+", default=[4], help="sampler steps, one or more numbers")
    parser.add_argument("--sampler", default="ddim", choices=["ddim", "ddpm"], help="Algorithm 2 or 1")
    opening.add_beside(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """`segue evaluate`: 0, or 2 with one line where the model or the data are missing."""
    data = args.data or data_folder()
    embedder: YamNet | None = None
    try:
        if args.clips < 1 or min(args.steps) < 1:
            raise ValueError(f"evaluate: got {args.clips} clips and {args.steps} steps; give one or more of each")
        engine = Engine(load(args.model))
        clips = draw_clips(data / "eval", args.clips, *geometry(engine), engine.sample_rate)
        others = played_beside(args, clips)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        embedder = load_yamnet(data)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
    rows = evaluate(engine, clips, args.steps, args.sampler, embedder, others)
    print(json.dumps({"rows": [asdict(row) for row in rows]}) if args.json else table(rows))
    return 0
