"""The loop that every training shares: until its minutes or steps are over, with checkpoints, figures and checks on the way."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from segue.train import checkpoints, parallel
from segue.train.board import Board

SAVE_SECONDS = 120.0
REPORT_STEPS = 20
PAUSE_POLL_SECONDS = 1.0
SMOOTHING = 0.05
WORST = 100  # steps in a row whose loss is not finite, after which there is no hope


class Run(Protocol):
    """Everything that a training must keep to go on exactly; its random draws depend on `step` alone."""

    step: int
    seconds: float

    def advance(self, progress: float) -> dict[str, float]:
        """One step of the optimiser at `progress` (0 to 1) of the whole run; its figures, `loss` among them."""

    def state(self) -> dict[str, Any]:
        """The whole run as plain tensors and values. All processes call it."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


@dataclass(frozen=True)
class Plan:
    """How a run is carried out. minutes: its age, over all calls, at which it ends; session: minutes after which this call ends.

    pause_file: the run pauses while this file exists. board: write TensorBoard's files too. keep: steps after which a
    checkpoint of its own, `NAME-STEP.pt`, stays.
    """

    out: Path
    minutes: float = 60.0
    session: float = math.inf
    resume: bool = False
    pause_file: Path | None = None
    save_seconds: float = SAVE_SECONDS
    report_steps: int = REPORT_STEPS
    board: bool = False
    keep: tuple[int, ...] = ()


@dataclass(frozen=True)
class Every:
    """Something that is done after every so many steps by all processes; what it returns is printed. steps 0: never."""

    steps: int
    do: Callable[[int], str]


def train(run: Run, name: str, plan: Plan, steps: int, every: Sequence[Every] = ()) -> Path:
    """Train until the run is `plan.minutes` old or has `steps` steps; returns the checkpoint `plan.out/NAME.pt`.

    Raises FileNotFoundError where there is nothing to resume, FileExistsError where a run would be written over, RuntimeError
    where the loss stays not finite.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    path = plan.out / f"{name}.pt"
    if plan.resume:
        resume(run, path)
    elif path.exists():
        raise FileExistsError(f"{path} is there already: go on with it by --resume, or choose another --out")
    teller = _Teller(run, name, plan, steps)
    try:
        _advance(run, path, plan, steps, every, teller)
    finally:
        teller.close()
    save(run, path)
    return path


def _advance(run: Run, path: Path, plan: Plan, steps: int, every: Sequence[Every], teller: _Teller) -> None:
    last = saved = begun = time.monotonic()
    while run.step < steps and run.seconds < plan.minutes * 60:
        paused = _paused(plan.pause_file)
        last, begun = last + paused, begun + paused
        figures = run.advance(progress(run, steps, plan.minutes))
        now = time.monotonic()
        run.seconds, last = parallel.largest(run.seconds + now - last), now
        teller.hear(run, figures)
        for item in every:
            if item.steps and run.step % item.steps == 0:
                teller.say(f"step {run.step}  {item.do(run.step)}")
        if run.step in plan.keep:
            save(run, path.with_name(f"{path.stem}-{run.step:06d}.pt"))
        if parallel.largest(float(now - begun > plan.session * 60)):
            return
        if parallel.largest(float(now - saved > plan.save_seconds)):
            save(run, path)
            saved = time.monotonic()


class _Teller:
    """What the first process says of a run: smoothed figures, pace, time left. All processes notice where there is no hope."""

    def __init__(self, run: Run, name: str, plan: Plan, steps: int) -> None:
        self._plan, self._steps = plan, steps
        self._board = Board(plan.out, name, plan.board, run.step) if parallel.rank() == 0 else None
        self._means: dict[str, float] = {}
        self._first, self._seconds, self._bad = run.step, run.seconds, 0

    def hear(self, run: Run, figures: dict[str, float]) -> None:
        """The figures of a step. Raises RuntimeError after WORST steps whose loss is not finite."""
        self._bad = 0 if math.isfinite(figures["loss"]) else self._bad + 1
        if parallel.largest(self._bad) >= WORST:
            raise RuntimeError(f"the loss was not finite for {WORST} steps; lower `rate`, or choose `precision: bf16`")
        for key, value in figures.items():
            old = self._means.get(key, math.nan)
            self._means[key] = old + SMOOTHING * (value - old) if math.isfinite(old) else value
        if self._board and run.step % self._plan.report_steps == 0:
            self._board.tell(run.step, figures | {"seconds": run.seconds})
            text = "  ".join(f"{key} {value:.4f}" for key, value in sorted(self._means.items()))
            pace = (run.step - self._first) / max(1e-9, run.seconds - self._seconds)
            left = _minutes_left(run, self._steps, self._plan.minutes)
            self.say(f"step {run.step}  {text}  {pace:.2f} steps/s  {left:.1f} min left")

    def say(self, line: str) -> None:
        """A line on standard error, from the first process alone."""
        if self._board:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing more is told."""
        if self._board:
            self._board.close()


def progress(run: Run, steps: int, minutes: float) -> float:
    """How much of a run is over, by its steps or by its clock, whichever is further."""
    return max(run.step / steps, run.seconds / (minutes * 60))


def save(run: Run, path: Path) -> None:
    """Write the checkpoint, replacing it in one step. All processes call it; the first writes."""
    state = run.state()
    if parallel.rank() == 0:
        torch.save(state, path.with_suffix(".tmp"))
        with path.with_suffix(".tmp").open("rb") as file:
            os.fsync(file.fileno())
        path.with_suffix(".tmp").replace(path)


def resume(run: Run, path: Path) -> None:
    """Go on from `save`. Raises FileNotFoundError where there is nothing."""
    if not path.is_file():
        raise FileNotFoundError(f"resume: no {path}; leave out --resume to begin a run, or name the --out of one")
    run.restore(checkpoints.read(path))


def _paused(pause_file: Path | None) -> float:
    """Wait, all processes together, while the file exists; returns the seconds waited."""
    begun = time.monotonic()
    while pause_file is not None and parallel.largest(float(pause_file.exists())):
        time.sleep(PAUSE_POLL_SECONDS)
    return time.monotonic() - begun


def _minutes_left(run: Run, steps: int, minutes: float) -> float:
    return min(minutes - run.seconds / 60, (steps - run.step) * run.seconds / run.step / 60)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that every stage of `segue train` which trains has."""
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--minutes", type=float, default=60.0, help="age of the run, over all calls, at which it ends")
    parser.add_argument("--session", type=float, default=math.inf, help="end this call after so many minutes; --resume goes on")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--pause-file", type=Path, default=None, help="pause while this file exists")
    parser.add_argument("--save-seconds", type=float, default=SAVE_SECONDS, help="seconds between two checkpoints")
    parser.add_argument("--report-steps", type=int, default=REPORT_STEPS, help="steps between two lines of figures")
    parser.add_argument("--keep", type=int, nargs="+", default=[], metavar="STEP", help="keep the checkpoints of these steps too")
    parser.add_argument("--board", action="store_true", help="write TensorBoard files into OUT/board (extra `train`)")


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that those options say. Raises ValueError for a number outside its range."""
    wrong = [
        (name, got, least)
        for name, got, least, fine in (
            ("minutes", args.minutes, "more than 0", args.minutes > 0),
            ("session", args.session, "more than 0", args.session > 0),
            ("save-seconds", args.save_seconds, "0 or more", args.save_seconds >= 0),
            ("report-steps", args.report_steps, "1 or more", args.report_steps >= 1),
            ("keep", args.keep, "steps of 1 or more", all(step >= 1 for step in args.keep)),
        )
        if not fine
    ]
    if wrong:
        name, got, least = wrong[0]
        raise ValueError(f"--{name}: got {got}, allowed {least}; correct it")
    return Plan(
        args.out, args.minutes, args.session, args.resume, args.pause_file, args.save_seconds, args.report_steps, args.board,
        tuple(args.keep),
    )  # fmt: skip


def command(training: Callable[[], Path]) -> int:
    """Trains in every process and prints the checkpoint once: 0, or 2 with one line where what was given is wrong."""
    parallel.start()
    first = parallel.rank() == 0
    try:
        path = training()
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        parallel.finish()
    if first:
        print(path)
    return 0
