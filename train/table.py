"""`segue evaluate table`: the tasks of 4.3 for a checkpoint, its baselines and bounds, in the form of Table 1."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from segue.engine.checkpoint import CheckpointError, load
from segue.engine.models.guide import guide as find_guide
from segue.train import opening
from segue.train.bootstrap import interval
from segue.train.cases import TASKS, WINDOW_S
from segue.train.judge import REFERENCE, SEAM_METRICS, Plan, start, stored_stretches, work
from segue.train.metrics.divergence import kld, kld_of_sets
from segue.train.metrics.frechet import at_infinity, excess, frechet, halves
from segue.train.metrics.realism import K, manifold, precision
from segue.train.metrics.spectral import BANDS_HZ, roughness
from segue.train.rows import LESS, Row
from segue.train.store import Arrays, Store, carry_out, pieces
from segue.train.systems import CODEC, FADE, PLAYED, TRUTH, Way, ways
from segue.train.yamnet import data_folder

CLIPS = 36
EACH = 6  # clips a piece
LEAST_REALISM = 1e-3

Rows: TypeAlias = Callable[[Plan, str, Mapping[str, Arrays]], list[Row]]


def complete(plan: Plan, folder: Path, processes: int) -> dict[str, dict[str, Arrays]]:
    """All results of a plan, by task and system: what the folder lacks is made first."""
    store = Store(folder, plan.identity)
    count = len(stored_stretches(plan, store))
    if count <= K:
        raise ValueError(f"evaluate: got {count} stretches of {plan.clips} clips, realism needs more than {K}; score more clips")
    work_of = {(task, system): pieces(task, system, count, EACH) for task, _ in plan.played for system in plan.systems(task)}
    todo = [piece for parts in work_of.values() for piece in parts if not store.has(piece)]
    carry_out(todo, work, start, (plan, folder), processes)
    found: dict[str, dict[str, Arrays]] = {task: {} for task, _ in plan.played}
    for (task, system), parts in work_of.items():
        found[task][system] = store.get(parts)
    return found


def rows_of(plan: Plan, task: str, results: Mapping[str, Arrays]) -> list[Row]:
    """Every figure of every system in one task."""
    reference, truth, codec = (results[name] for name in (REFERENCE, TRUTH, CODEC))
    flat = _flat(reference)
    floor = frechet(flat, _flat(truth))
    played = {way.name: way for way in dict(plan.played)[task]}
    rows: list[Row] = []

    def add(system: str, metric: str, value: float, spread: float | None = None, **more: Any) -> None:
        way, by = played.get(system), plan.embedder if metric in BY_EMBEDDER else None
        told = None if not np.isfinite(value) else float(value)
        sampler, steps = (way.sampler, way.steps) if way else (None, None)
        rows.append(Row(task, system, sampler, steps, metric, told, spread, len(truth["e"]), by, **more))

    add(REFERENCE, "FAD_halves", halves(reference["e"].astype(np.float64)))
    for system, made in results.items():
        if system == REFERENCE:
            continue
        add(system, "FAD", frechet(flat, _flat(made)), floor=floor)
        add(system, "FAD_infinity", at_infinity(reference["e"], made["e"]), floor=at_infinity(reference["e"], truth["e"]))
        value, low, high = excess(reference["e"], truth["e"], codec["e"], made["e"])
        add(system, "FAD_excess", value, interval=(low, high) if np.isfinite(low) else None, floor=0.0)
        if reference["p"].shape[1]:  # the embedder names classes
            _divergences(add, system, results)
        add(system, "precision", precision(reference["e"].mean(1), made["e"].astype(np.float32).mean(1)))
        for metric in ("MR", *SEAM_METRICS):
            known = made[metric][np.isfinite(made[metric])]
            if len(known):
                true = truth[metric][np.isfinite(truth[metric])]
                least = float(true.mean()) if len(true) else None
                add(system, metric, known.mean(), float(known.std()), floor=least, interval=interval(known))
        names = [f"{low}-{high}" for low, high in pairwise(BANDS_HZ)]
        for i, name in enumerate(f"{side} {band} Hz" for side in ("mid", "side") for band in names):
            add(system, f"dB {name}", made["bands"][:, i].mean(), float(made["bands"][:, i].std()))
        if task == "transition":
            _transition(add, system, results)
    for ours, other in pairs(list(played.values())):
        apart = results[ours.name]["MR"] - results[other.name]["MR"]
        low, high = interval(apart)
        name = f"{ours.name} - {other.name}"
        rows.append(Row(task, name, None, None, LESS, float(apart.mean()), (high - low) / 2, len(apart), interval=(low, high)))
    return rows


def pairs(played: Sequence[Way]) -> list[tuple[Way, Way]]:
    """Each way of the judged model with that of each model beside it that plays the same."""
    return [(one, other) for one in played for other in played if other.model and not one.model and one.task == other.task]


BY_EMBEDDER = {"FAD", "FAD_infinity", "FAD_excess", "FAD_halves", "KLD", "KLD_paired", "KLD_style", "precision", "realism"}


def _divergences(add: Any, system: str, results: Mapping[str, Arrays]) -> None:
    """KLD of sets, by pairs, and of guided takes from what guides them."""
    reference, truth, made = (results[name] for name in (REFERENCE, TRUTH, system))
    add(system, "KLD", kld_of_sets(reference["p"], made["p"]), floor=kld_of_sets(reference["p"], truth["p"]))
    each = kld(truth["p"].astype(np.float64), made["p"].astype(np.float64))
    add(system, "KLD_paired", each.mean(), float(each.std()), floor=0.0, interval=interval(each))
    if "KLD_style" in made:
        apart = made["KLD_style"]
        add(system, "KLD_style", apart.mean(), float(apart.std()), interval=interval(apart))


def _transition(add: Any, system: str, results: Mapping[str, Arrays]) -> None:
    """Realism normalised track by track by the plain crossfade's, and the curve of Fig. 1."""
    known = manifold(results[REFERENCE]["e"].astype(np.float64).mean(1))
    own, plain = (known.realism(results[name]["e"].astype(np.float64).mean(1)) for name in (system, FADE))
    share = own / np.maximum(plain, LEAST_REALISM)
    add(system, "realism", share.mean(), float(share.std()), floor=1.0)
    curve = results[system]["curve"].mean(axis=0)
    add(system, "curve_roughness", roughness(curve))
    for i, value in enumerate(curve):
        add(system, f"curve {i:02d}", value)


def _flat(arrays: Arrays) -> Any:
    return arrays["e"].astype(np.float64).reshape(-1, arrays["e"].shape[-1])


def plan_of(args: Any, played: Sequence[tuple[str, tuple[Way, ...]]], seconds: float = WINDOW_S) -> Plan:
    """What the options ask for."""
    return Plan(args.model, args.data or data_folder(), args.embedder, args.clips, tuple(played), seconds)


def add_common(parser: argparse.ArgumentParser, clips: int = CLIPS) -> None:
    """Options that every stored evaluation has."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and models/ (default: SEGUE_DATA)")
    parser.add_argument("--embedder", default="yamnet", help="yamnet, a file of its weights, vggish:FILE, or module:function")
    parser.add_argument("--clips", type=int, default=clips, help="how many clips")
    parser.add_argument("--store", type=Path, required=True, help="folder that keeps results; a run goes on where one stopped")
    parser.add_argument("--processes", type=int, default=1, help="how many at once, of one thread each")
    parser.add_argument("--out", type=Path, default=None, help="file to write the rows to, as JSON")
    parser.add_argument("--into", type=Path, default=None, help="Markdown file that gets the table, with a picture beside it")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate table`."""
    add_common(parser)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, help="which tasks of 4.3")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--sampler", default="ddim", choices=["ddim", "ddpm"], help="Algorithm 2 or 1")
    opening.add_beside(parser)
    played = [name for names in PLAYED.values() for name in names]
    parser.add_argument("--beside-tasks", nargs="+", default=played, choices=played, help="what those play (default: all)")


def run(args: Any) -> int:
    """`segue evaluate table`: 0, or 2 with one line where model, data or folder are amiss."""
    try:
        found = {"": load(args.model)} | opening.beside(args)
        guided = {name: find_guide("", model).classifier is not None for name, model in found.items()}
    except (CheckpointError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2

    def played_by(task: str, name: str) -> tuple[Way, ...]:
        if not name:
            return ways(task, args.steps, args.sampler, classifier=guided[name])
        found = ways(task, args.beside_steps, args.sampler, name, guided[name])
        return tuple(way for way in found if way.task in args.beside_tasks)

    played = [(task, tuple(way for name in guided for way in played_by(task, name))) for task in args.tasks]
    return finish(args, played, name="table")


def finish(
    args: Any,
    played: Sequence[tuple[str, tuple[Way, ...]]],
    seconds: float = WINDOW_S,
    name: str = "",
    rows_from: Rows | None = None,
) -> int:
    """Makes what is missing, then prints and writes the rows; into a document as its part of that name.

    rows_from: the rows of a task out of its results; the table's own without.
    """
    from segue.train.report import into

    plan = plan_of(args, played, seconds)
    try:
        results = complete(plan, args.store, args.processes)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    rows = [row for task, made in results.items() for row in (rows_from or rows_of)(plan, task, made)]
    told_rows = [asdict(row) for row in rows]
    text = json.dumps({"model": plan.model, "clips": plan.clips, "name": name, "rows": told_rows}, allow_nan=False)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    told = into(rows, args.into, name)
    print(text if args.json else told)
    return 0
