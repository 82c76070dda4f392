"""One piece of an evaluation: some clips of a task played by a system, with all that is measured on each take."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.measure import loudness, loudness_step_lu, mel_distance, step_over_material
from segue.train.cases import WINDOW_S, Case, Stretch, cases, draw, scored_length
from segue.train.data import RATE
from segue.train.metrics.divergence import kld
from segue.train.metrics.ears import Audio, Embedder, embedder_of, hear
from segue.train.metrics.seams import beat_offset, flux_z, phase_coherence
from segue.train.metrics.spectral import band_distances, flatness, over_time
from segue.train.opening import check_rate
from segue.train.store import Arrays, Piece, Store
from segue.train.systems import FIXED, Player, Way

REFERENCE = "reference"
STRETCHES = "stretches.npy"
MEASURES = 2  # of what is stored of each take; a folder of another is refused
SEEDS = 1000  # seeds of one system: clip i has SEEDS + i
SEAM_METRICS = ("loudness_step_lu", "step_over_material", "flux_z", "phase_coherence", "beat_offset")
STEADY_S = 2.0  # on each side of a join, where its beats are looked for


@dataclass(frozen=True)
class Plan:
    """What an evaluation consists of. played: the model's ways for each task; the fixed systems come by themselves.

    seconds: of the stretches that are played and of those in the reference.
    """

    model: str
    data: Path
    embedder: str
    clips: int
    played: tuple[tuple[str, tuple[Way, ...]], ...]
    seconds: float = WINDOW_S

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for two runs to share a folder; further ways may join later."""
        whole = {"model": self.model, "embedder": self.embedder, "clips": self.clips, "measures": MEASURES}
        return whole if self.seconds == WINDOW_S else whole | {"seconds": self.seconds}

    def systems(self, task: str) -> list[str]:
        """Every system that plays a task, the reference first."""
        return [REFERENCE, *FIXED[task], *(way.name for way in dict(self.played)[task])]


class Judge:
    """The model, the listener and the clips, as one process holds them."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan, self.store = plan, store
        self.engine = Engine(load(plan.model))
        check_rate(plan.model, self.engine.sample_rate)
        self.embedder: Embedder = embedder_of(plan.embedder, plan.data)
        self._players: dict[str, Player] = {name: play for fixed in FIXED.values() for name, play in fixed.items()}
        self._players |= {way.name: way.play for _, played in plan.played for way in played}
        self._drawn = stored_stretches(plan, store)
        self._ways = {way.name: way for _, played in plan.played for way in played}
        self._engines: dict[tuple[str, float | None], Engine] = {("", None): self.engine}
        self._cases: dict[str, list[Case]] = {}

    def judge(self, piece: Piece) -> None:
        """Plays and measures a piece, and stores what was found."""
        rate = self.engine.sample_rate
        if piece.system == REFERENCE:
            length = scored_length(piece.task, rate, self.plan.seconds)
            heard = hear(self.embedder, [one.reference[:, :length] for one in self._drawn[piece.first : piece.last]], rate)
            self.store.put(piece, {"e": heard.e.astype(np.float16), "p": heard.p.astype(np.float32)})
            return
        if piece.task not in self._cases:
            self._cases[piece.task] = cases(piece.task, self._drawn, rate)
        given, made, seconds = self._cases[piece.task][piece.first : piece.last], [], []
        for i, case in enumerate(given, start=piece.first):
            begun = time.perf_counter()
            made.append(self._players[piece.system](self._engine_of(piece.system), case, SEEDS + i))
            seconds.append(time.perf_counter() - begun)
        heard = hear(self.embedder, made, rate)
        arrays: Arrays = {"e": heard.e.astype(np.float16), "p": heard.p.astype(np.float32), "seconds": np.array(seconds)}
        way = self._ways.get(piece.system)
        if way and way.task in ("style", "classify"):
            wanted = hear(self.embedder, [case.style for case in given if case.style is not None], rate)
            arrays["KLD_style"] = kld(wanted.p, heard.p)
        rows = [measures(case, take, rate) for case, take in zip(given, made, strict=True)]
        self.store.put(piece, arrays | {key: np.array([row[key] for row in rows]) for key in rows[0]})

    def _engine_of(self, system: str) -> Engine:
        """The engine that a system plays on: the judged model's, but of a way with a model or a window of its own."""
        way = self._ways.get(system)
        key = (way.model, way.window_s) if way else ("", None)
        if key not in self._engines:
            model = load(key[0]) if key[0] else self.engine.model
            spec = model.spec if key[1] is None else replace(model.spec, window_s=key[1])
            self._engines[key] = Engine(replace(model, spec=spec))
        return self._engines[key]


def measures(case: Case, take: Audio, rate: int) -> dict[str, Any]:
    """Every figure of one take by itself: MR, loudness, noisiness, band distances, distance from the first track over time, and
    its joins' means."""
    found: dict[str, Any] = {"MR": mel_distance(take, case.truth, rate), "lufs": loudness(take, rate), "flatness": flatness(take)}
    found["bands"] = list(band_distances(take, case.truth, rate).values())
    if case.task == "transition":
        found["curve"] = over_time(take, case.truth, rate)
    joins = [at_join(*sides, rate) for sides in _joins(case, take)]
    for name in SEAM_METRICS:
        values = [abs(join[name]) if name != "phase_coherence" else join[name] for join in joins]
        found[name] = float(np.mean(values)) if values else float("nan")
    return found


def _joins(case: Case, take: Audio) -> list[tuple[Audio, Audio]]:
    """What lies before and after each join."""
    joins = [] if case.left is None else [(case.left, take)]
    return joins if case.right is None else [*joins, (take, case.right)]


def at_join(before: Audio, after: Audio, rate: int) -> dict[str, float]:
    """SEAM_METRICS of one join."""
    audio, frame = np.concatenate([before, after], axis=1), before.shape[1]
    span = round(STEADY_S * rate)
    return {
        "loudness_step_lu": loudness_step_lu(audio, frame, rate),
        "step_over_material": step_over_material(audio, frame, rate),
        "flux_z": flux_z(audio, frame, rate),
        "phase_coherence": phase_coherence(audio, frame),
        "beat_offset": beat_offset(before[:, -span:], after[:, :span], rate),
    }


def stored_stretches(plan: Plan, store: Store) -> list[Stretch]:
    """The clips of a plan: drawn once, then read from the store by every process."""
    file, names = store.folder / STRETCHES, store.folder / "songs.txt"
    if not file.is_file():
        drawn = draw(plan.data / "eval", plan.clips, RATE, plan.seconds)
        names.write_text("\n".join(one.song for one in drawn), encoding="utf-8")
        part = store.folder / "stretches.part.npy"
        np.save(part, np.stack([np.stack([one.audio, one.reference]) for one in drawn]))
        part.replace(file)
    whole = np.load(file, mmap_mode="r")
    return [Stretch(song, np.array(a[0]), np.array(a[1])) for song, a in zip(names.read_text().split("\n"), whole, strict=True)]


_here: dict[str, Judge] = {}  # of a worker process: set once by `start`


def start(plan: Plan, folder: Path) -> None:
    """Begins a process: one thread of torch, so that processes do not wait for each other's."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _here["judge"] = Judge(plan, Store(folder, plan.identity))


def work(piece: Piece) -> None:
    """Carries a piece out in a process that was begun."""
    _here["judge"].judge(piece)
