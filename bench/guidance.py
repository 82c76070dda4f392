"""Whether guidance guides: takes towards the sound of another song, or a class, judged by YAMNet against unguided ones.

Each clip of eval/ is continued with the sound of another artist's clip as the style. Unguided takes are the baseline, the
style's own song elsewhere is the floor. YAMNet also judges takes that YAMNet guided, so a distance that knows nothing of it
stands beside: of the mean log-mel spectra.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from segue.engine.checkpoint import load
from segue.engine.engine import Engine, Request
from segue.engine.measure import log_mel
from segue.engine.models.embedder import SUFFIX
from segue.engine.models.guide import SHIPPED, YAMNET_SCALE, Guide, guide
from segue.engine.models.spec import Model
from segue.engine.models.yamnet import YamNet
from segue.engine.resample import resampled
from segue.train.bootstrap import interval
from segue.train.excerpts import Clip, draw_clips, geometry
from segue.train.yamnet import FILE, data_folder, load_yamnet

Audio: TypeAlias = NDArray[np.float32]
Values: TypeAlias = NDArray[np.float64]

GUIDES = ("none", "statistics", "latent", "yamnet")
COMMON_CLASSES = ("Music", "Silence", "Speech", "Inside, small room", "Outside, rural or natural")  # of nearly everything


@dataclass(frozen=True)
class Row:
    """One figure. difference: from the unguided takes of the same clips, with its 95 % interval."""

    task: str
    guide: str
    weight: float
    steps: int
    regime: str
    metric: str
    value: float
    spread: float
    n: int
    difference: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Judge:
    """YAMNet, and the mean log-mel spectrum, of audio at a rate."""

    net: YamNet
    rate: int

    def embedding(self, audio: Audio) -> torch.Tensor:
        """`[1024]`, 1 being the usual distance of two songs."""
        return self.net.embed(self._heard(audio))[0] / YAMNET_SCALE

    def probabilities(self, audio: Audio) -> torch.Tensor:
        """`[521]`."""
        return self.net.probabilities(self._heard(audio))[0]

    def _heard(self, audio: Audio) -> torch.Tensor:
        return resampled(torch.from_numpy(np.ascontiguousarray(audio)).mean(0)[None], self.rate, self.net.rate)

    def apart(self, a: Audio, b: Audio) -> tuple[float, float]:
        """Distance of two spans: of YAMNet's embeddings, and mean absolute difference of the mean log-mel spectra."""
        colours = [log_mel(part, self.rate).mean(axis=1) for part in (a, b)]
        colours = [colour - colour.mean() for colour in colours]
        return float((self.embedding(a) - self.embedding(b)).norm()), float(np.abs(colours[0] - colours[1]).mean())


def partners(clips: Sequence[Clip]) -> list[Clip]:
    """For each clip one of another song, whose sound is to be the style."""
    count = len(clips)
    return [
        clips[(i + next(j for j in range(count // 2, 2 * count) if clips[(i + j) % count].song != clip.song)) % count]
        for i, clip in enumerate(clips)
    ]


def leading_class(judge: Judge, style: Audio, names: Sequence[str]) -> str:
    """The likeliest class of a style, but for those that nearly everything has."""
    p = judge.probabilities(style)
    for name in COMMON_CLASSES:
        p[names.index(name)] = 0
    return names[int(p.argmax())]


@dataclass(frozen=True)
class Plan:
    """What is played: clips and their styles, in which way."""

    clips: Sequence[Clip]
    styles: Sequence[Clip]
    steps: int
    regime: str
    xi: float | None


def styled(engine: Engine, plan: Plan, weight: float) -> Iterator[Audio]:
    """A take of every clip towards its style; weight 0 is unguided."""
    for i, (clip, style) in enumerate(zip(plan.clips, plan.styles, strict=True)):
        yield engine.take(
            Request(
                "style",
                clip.truth.shape[1],
                left=clip.context,
                style=style.audio,
                steps=plan.steps,
                seed=i,
                regime=plan.regime,
                xi=plan.xi if weight else 0.0,
                parameters={"weight": weight},
            )
        )


def classified(engine: Engine, plan: Plan, weight: float, classes: Sequence[str]) -> Iterator[Audio]:
    """A take of every clip towards its class."""
    for i, (clip, name) in enumerate(zip(plan.clips, classes, strict=True)):
        yield engine.take(
            Request(
                "classify",
                clip.truth.shape[1],
                left=clip.context,
                classes=engine.guide.wanted((name,)).numpy(),
                steps=plan.steps,
                seed=i,
                regime=plan.regime,
                xi=plan.xi if weight else 0.0,
                parameters={"weight": weight},
            )
        )


def rows(
    task: str, name: str, weight: float, plan: Plan, found: dict[str, Values], plain: dict[str, Values] | None
) -> Iterator[Row]:
    """Mean, spread, and the difference from unguided takes, of every metric."""
    for metric, values in found.items():
        apart = None if plain is None or metric not in plain else values - plain[metric]
        mean = None if apart is None else float(apart.mean())
        low_high = None if apart is None else interval(apart)
        value, spread = float(values.mean()), float(values.std())
        yield Row(task, name, weight, plan.steps, plan.regime, metric, value, spread, len(values), mean, low_high)


def measured(makes: Callable[[], Iterator[Audio]], judge: Callable[[Audio, int], dict[str, float]]) -> dict[str, Values]:
    """Every metric of every take, and the seconds that it took."""
    found: dict[str, list[float]] = {}
    began = time.perf_counter()
    for i, take in enumerate(makes()):
        seconds = time.perf_counter() - began
        for metric, value in {**judge(take, i), "seconds": seconds}.items():
            found.setdefault(metric, []).append(value)
        began = time.perf_counter()
    return {metric: np.array(values) for metric, values in found.items()}


def run_style(engines: dict[str, Engine], plan: Plan, judge: Judge, weights: Sequence[float]) -> Iterator[Row]:
    """Table 2's embedder row (Table 1's "Cl. Guidance")."""

    def of(take: Audio, i: int) -> dict[str, float]:
        far, colour = judge.apart(take, plan.styles[i].audio)
        return {"yamnet_distance": far, "colour_distance": colour}

    first = next(iter(engines.values()))
    plain = measured(lambda: styled(first, plan, 0.0), of)
    yield from rows("style", "none", 0.0, plan, plain, None)
    floor = [of(style.elsewhere, i) for i, style in enumerate(plan.styles)]
    yield from rows("style", "same song", 0.0, plan, {k: np.array([f[k] for f in floor]) for k in floor[0]}, plain)
    for name, engine in engines.items():
        for weight in weights:
            found = measured(lambda engine=engine, weight=weight: styled(engine, plan, weight), of)  # type: ignore[misc]
            yield from rows("style", name, weight, plan, found, plain)


def run_classes(engines: dict[str, Engine], plan: Plan, judge: Judge, weights: Sequence[float]) -> Iterator[Row]:
    """Table 2's BCE row."""
    able = {name: engine for name, engine in engines.items() if engine.guide.classifier is not None}
    if not able:
        return
    first = next(iter(able.values()))
    names = first.guide.classes
    classes = [leading_class(judge, style.audio, names) for style in plan.styles]

    def of(take: Audio, i: int) -> dict[str, float]:
        p = float(judge.probabilities(take)[names.index(classes[i])])
        return {"class_probability": p, "class_bce": -float(np.log(max(p, 1e-12)))}

    plain = measured(lambda: classified(first, plan, 0.0, classes), of)
    yield from rows("classify", "none", 0.0, plan, plain, None)
    for name, engine in able.items():
        for weight in weights:
            found = measured(lambda engine=engine, weight=weight: classified(engine, plan, weight, classes), of)  # type: ignore[misc]
            yield from rows("classify", name, weight, plan, found, plain)


def guides(model: Model, words: Sequence[str], data: Path, latent: str) -> Iterator[tuple[str, Guide]]:
    """The guides by name; `latent` is a file, or empty for the one that ships."""
    for word in words:
        file = {"latent": latent or str(SHIPPED / f"{model.name}{SUFFIX}"), "yamnet": str(data / FILE)}.get(word, word)
        yield word, guide(file, model)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench guidance`."""
    parser.add_argument("--model", default="live")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and models/ (default: SEGUE_DATA)")
    parser.add_argument("--guides", nargs="+", choices=GUIDES[1:], default=list(GUIDES[1:]))
    parser.add_argument("--latent", default="", metavar="FILE", help="embedder on latents; the one that ships without it")
    parser.add_argument("--clips", type=int, default=18)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0], help="of the style, and of the class")
    parser.add_argument("--regime", default="clean", choices=["clean", "guided", "tail"])
    parser.add_argument("--xi", type=float, default=None, help="at 50 steps; the model's own without it")
    parser.add_argument("--tasks", nargs="+", choices=["style", "classify"], default=["style", "classify"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")


@torch.no_grad()
def run(args: Any) -> int:
    """`segue bench guidance`: 0, or 2 with one line where model or data are missing."""
    torch.set_flush_denormal(True)
    data = args.data or data_folder()
    try:
        model = load(args.model)
        engines = {name: Engine(model, one) for name, one in guides(model, args.guides, data, args.latent)}
        judge = Judge(load_yamnet(data), model.rate)
        any_engine = next(iter(engines.values()))
        clips = draw_clips(data / "eval", args.clips, *geometry(any_engine), model.rate)
    except (FileNotFoundError, ValueError, StopIteration) as error:
        print(error or "bench guidance: no guide is left", file=sys.stderr)
        return 2
    plan = Plan(clips, partners(clips), args.steps, args.regime, args.xi)
    made: list[Row] = []
    for task, play in (("style", run_style), ("classify", run_classes)):
        for row in play(engines, plan, judge, args.weights) if task in args.tasks else ():
            made.append(row)
            print(line(row), file=sys.stderr if args.json else sys.stdout, flush=True)
    if args.json:
        print(json.dumps({"model": args.model, "rows": [asdict(row) for row in made]}))
    return 0


def line(row: Row) -> str:
    """A row as text."""
    words = f"{row.task:9} {row.guide:11} {row.weight:7g}  {row.metric:18} {row.value:9.4f} +- {row.spread:.4f}"
    if row.difference is None or row.interval is None:
        return words
    return f"{words}   {row.difference:+.4f} [{row.interval[0]:+.4f}, {row.interval[1]:+.4f}]"
