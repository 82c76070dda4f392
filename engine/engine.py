"""The engine: a request in, pieces of new audio out, window after window, each conditioned on what precedes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from segue.engine import noise
from segue.engine.compose import EDGE, Audio, Line, Parts, digest, encode, gain_to, line_of, parts_of
from segue.engine.conditioned import Conditioned
from segue.engine.groove import groove
from segue.engine.ground import grounded, held
from segue.engine.guidance import REGIMES, enter
from segue.engine.models.guide import Guide
from segue.engine.models.guide import guide as find_guide
from segue.engine.models.spec import Model
from segue.engine.novelty import Played
from segue.engine.paper import levels, xi_at
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.repetition import Heard
from segue.engine.request import CancelledError, EngineError, Piece, Request
from segue.engine.samplers import ROLLING, sampler
from segue.engine.samplers.rolling import rolls
from segue.engine.shapes import Window
from segue.engine.sounding import Sounding
from segue.engine.task import Sources, Task
from segue.engine.tasks import tasks
from segue.engine.tasks.style import class_weight, styled

__all__ = ["CancelledError", "Engine", "EngineError", "Piece", "Request"]

START = 0.5  # level at which a take starts that has a collage of the context to start from
CONTEXT_SHARE = 0.4  # of a window is left context at least: 2.4 s of 6 s (4.3, Levy et al. 2023)

FROM_NOTHING = "generate"  # the task that begins with a groove, where the model's sound is that of what a take is laid over
CONTINUED = ("continuation", "generate")  # what the rolling sampler can make: nothing is known after it

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class _Run:
    """What every window of one request shares."""

    request: Request
    task: Task
    line: Line
    start: float
    memory: Heard | None
    style: Tensor | None
    on_step: OnStep | None
    cancelled: Callable[[], bool] | None


class Engine:
    """Runs requests on one model, one at a time. Equal requests give equal bytes on one machine and back-end."""

    def __init__(self, model: Model, guide: Guide | None = None) -> None:
        """model: as `backends.make` gives it. guide: what the tasks style and classify measure; by default the model's own."""
        self.model = model
        self.sample_rate = model.codec.rate
        self._hop = model.codec.hop
        self._envelopes = int(getattr(model.codec, "envelopes", 0))
        self._size = int(model.window_s * self.sample_rate / self._hop)
        self._context = max(1, round(CONTEXT_SHARE * self._size))
        self.guide = guide or find_guide("", model)
        self._tasks = tasks()

    @property
    def window_s(self) -> float:
        """Seconds of one run of the model."""
        return self._seconds(self._size)

    @property
    def context_s(self) -> float:
        """Seconds of context that are worth giving."""
        return self._seconds(self._size - 1)

    @property
    def context_min_s(self) -> float:
        """Seconds of left context that a take needs."""
        return self._seconds(self._context)

    @property
    def new_frames(self) -> int:
        """Samples of new audio that one window after a context makes."""
        return (self._size - self._context - EDGE) * self._hop

    @property
    def new_s(self) -> float:
        """Seconds of the same."""
        return self.new_frames / self.sample_rate

    def warm_up(self) -> None:
        """One window of one step, so that the first real one costs what later ones do."""
        self.take(Request("generate", self.new_frames, steps=1, start=1.0))

    def take(self, request: Request) -> Audio:
        """All new audio `[2, new_frames]` (of a loop the whole phrase). Raises EngineError."""
        return np.concatenate([piece.audio for piece in self.pieces(request)], axis=1)

    def pieces(
        self, request: Request, on_step: OnStep | None = None, cancelled: Callable[[], bool] | None = None
    ) -> Iterator[Piece]:
        """New audio in consecutive pieces, one a window.

        on_step(step, steps) after each sampler step of the window at hand, step from 0. cancelled() is asked before each step;
        once it is true CancelledError is raised. Raises EngineError for a request that cannot be carried out.
        """
        with torch.no_grad():
            try:
                task = self._checked(request)
                parts = parts_of(request, task, self.sample_rate)
                if from_nothing := self._envelopes > 0 and request.task == FROM_NOTHING and self._start(request) < 1:
                    parts = replace(parts, middle=groove(request, self.sample_rate, self.model.spec.reference_lufs))
                line = line_of(parts, self.model.codec, self._size, self._context, self.model.spec.reference_lufs)
                memory = self._memory(request) if self._envelopes else None
                if self._envelopes:
                    known = memory, request.beat_s, self._played(request)
                    kept = task.kept(**task.check(request.parameters))
                    line = grounded(line, parts, self._envelopes, self._hop, self.sample_rate, request.seed, *known, kept=kept)
                laid = line.texture is not None and (parts.middle is None or from_nothing)
                start = self._start(request) if laid else 1.0
                run = _Run(request, task, line, start, memory, self._style(request), on_step, cancelled)
            except EngineError:
                raise
            except ValueError as error:
                raise EngineError(str(error)) from error
        yield from self._windows(run, parts)

    def _checked(self, request: Request) -> Task:
        """The request's task, once all its words and numbers are known to be allowed. Raises ValueError."""
        task = self._tasks[request.task]
        task.check(request.parameters)
        sampler(request.sampler)
        levels(request.steps)
        if request.regime not in REGIMES:
            raise ValueError(f"regime: got {request.regime!r}; one of {', '.join(REGIMES)}")
        if "measured" in task.needs:
            raise ValueError(f"{task.name}: works on whole recordings, not on takes; use `segue {task.name}`")
        if "classes" in task.needs and (not self._knows_classes or request.classes is None):
            raise ValueError(f"{task.name}: needs a classifier and classes, the guide {self.guide.name} brings none; use style")
        if not 0 <= self._start(request) <= 1:
            raise ValueError(f"start: got {request.start:g}; 0 keeps the collage of the context, 1 is noise alone")
        if request.sampler == ROLLING and (task.name not in CONTINUED or request.regime != "clean"):
            raise ValueError(f"rolling: makes {' and '.join(CONTINUED)} in the regime clean, got {task.name} in {request.regime}")
        if not 0 <= self._xi(request) < float("inf"):
            raise ValueError(f"xi: got {self._xi(request):g}; a number from 0 on, {self.model.spec.xi:g} is usual")
        return task

    def _windows(self, run: _Run, parts: Parts) -> Iterator[Piece]:
        line, request = run.line, run.request
        latents, name = line.x_bar.clone(), digest(request)
        memory = run.memory.audio if run.memory is not None and line.texture is not None else None
        sounding = Sounding(self.model.codec, line, parts, self._context, request.match_level, memory)
        for made, last in self._made(run, latents):
            start = sounding.done
            audio = sounding.piece(latents, made, last)
            if audio is not None:
                yield Piece(start, audio, 1 / line.gain, request.steps, name)
        if parts.rest is not None:
            yield Piece(sounding.done, parts.rest, 1.0, 0, name)

    def _made(self, run: _Run, latents: Tensor) -> Iterator[tuple[int, bool]]:
        """How many new frames stand in the line, and whether these are all, each time that there are more."""
        if run.request.sampler == ROLLING:
            yield from self._rolled(run, latents)
            return
        left, windows = run.line.left, run.line.windows
        for number, window in enumerate(windows):
            with torch.no_grad():
                latents[..., left + window.first : left + window.first + window.new] = self._solve(run, latents, window, number)
            yield window.first + window.new, number == len(windows) - 1

    def _rolled(self, run: _Run, latents: Tensor) -> Iterator[tuple[int, bool]]:
        """The same by the rolling sampler: a hop of frames for each call of the model."""
        request, denoiser, left = run.request, self._denoiser(run), run.line.left
        new = latents.shape[-1] - left
        problem = self._problem(run, denoiser, latents, Window(0, new, left, 0), 0)
        ladder = levels(request.steps, problem.t_T)
        # What is made while nobody hears anything yet has passed when it is there: two hops at once are more than that.
        hop = max(1, (self._size - self._context) // (request.steps + 1))
        self._stop(run)
        moved = problem.to(getattr(denoiser, "device", "cpu"))
        for n, (x, done) in enumerate(rolls(denoiser, moved, ladder, self._size, 2 * hop, hop)):
            if run.on_step:
                run.on_step(n % request.steps, request.steps)
            self._stop(run)
            if done > left:
                latents[..., left:done] = x[..., left:done].cpu()
                yield done - left, done - left == new

    def _solve(self, run: _Run, latents: Tensor, window: Window, number: int) -> Tensor:
        """The new frames `[1, C, new]` of one window, given the line as far as it is made."""
        request, denoiser = run.request, self._denoiser(run)
        problem = self._problem(run, denoiser, latents, window, number)

        def told(i: int, x_0: Tensor) -> None:
            if run.on_step:
                run.on_step(i - 1, request.steps)
            self._stop(run)

        self._stop(run)
        x_0 = sampler(request.sampler)(
            denoiser,
            problem.to(getattr(denoiser, "device", "cpu")),
            levels(request.steps, problem.t_T) if problem.t_T else [0.0],
            xi=xi_at(self._xi(request), request.steps),
            generator=noise.generator(request.seed, number, 1),
            on_step=told,
        )
        made = x_0[..., window.left : window.left + window.new].cpu()
        if run.start < 1 and not problem.terms:  # a take of takes keeps its colour; what is guided elsewhere may go there
            made = held(made, run.line.x_bar[..., run.line.left + window.first :][..., : window.new])
        return made

    def _problem(self, run: _Run, denoiser: Denoiser, latents: Tensor, window: Window, number: int) -> Problem:
        """What is to be solved in one window, given the line as far as it is made."""
        request, begin = run.request, run.line.left + window.start
        x_bar = latents[..., begin : begin + window.left + window.new + window.right]
        classes = None if request.classes is None else torch.from_numpy(request.classes)
        guide = self.guide
        sources = Sources(x_bar, window.left, window.right, guide.embedder, run.style, guide.classifier, classes)
        # A take from nothing goes on from itself: after its first window there is a context.
        task = self._tasks["continuation"] if window.left and not run.task.needs | run.task.also else run.task
        z = noise.normal(tuple(x_bar.shape), noise.generator(request.seed, number)) * (1 + self.model.spec.heat / request.steps)
        parameters = request.parameters if task is run.task else {}
        problem = task.problem(sources, z, **parameters)
        if run.start < 1:
            new = slice(window.left, window.left + window.new)
            problem = problem.from_level(run.start, styled(x_bar, new, run.style, run.task, request.parameters), z)
        return enter(problem, request.regime, denoiser, request.tail)

    def _denoiser(self, run: _Run) -> Denoiser:
        """The model's; one that takes a condition is told the wanted classes, or the style's embedding, if of its length."""
        length, classes = int(getattr(self.model.spec.denoiser, "cond_dim", 0)), run.request.classes
        if length and classes is not None and classes.shape[-1] == length:
            weight = 1.0 if self.guide.classifier else class_weight(run.task, run.request.parameters)
            return Conditioned(self.model.denoiser, torch.from_numpy(np.nan_to_num(classes)), weight)
        if length and run.style is not None and self.guide.embedder.dim == length:
            return Conditioned(self.model.denoiser, self.guide.embedder.embed(run.style))
        return self.model.denoiser

    @staticmethod
    def _start(request: Request) -> float:
        return START if request.start is None else request.start

    @property
    def _knows_classes(self) -> bool:
        """Whether a classifier can guide to classes, or the denoiser be told them."""
        return self.guide.classifier is not None or bool(self.model.spec.classes)

    def _xi(self, request: Request) -> float:
        return self.model.spec.xi if request.xi is None else request.xi

    @staticmethod
    def _stop(run: _Run) -> None:
        if run.cancelled and run.cancelled():
            raise CancelledError(f"{run.task.name}: cancelled")

    def _memory(self, request: Request) -> Heard | None:
        """What was heard before takes were, as far back as a window, whole frames of it; None where that is not known."""
        audio = request.audio("memory")
        frames = 0 if audio is None else min(audio.shape[1] // self._hop, self._size)
        if audio is None or not frames:
            return None
        audio = audio[:, -frames * self._hop :]
        gain = gain_to(self.model.spec.reference_lufs, [audio], self.sample_rate)
        return Heard(encode(self.model.codec, audio * np.float32(gain))[0].cpu().numpy(), audio, self._envelopes)

    def _played(self, request: Request) -> Played | None:
        return None if request.played is None else Played(request.played, self.sample_rate, request.unheard)

    def _style(self, request: Request) -> Tensor | None:
        """Latents of the wanted style, at the model's loudness."""
        audio = request.audio("style")
        if audio is None:
            return None
        if audio.shape[1] < self._hop:
            raise EngineError(f"style: got {audio.shape[1]} samples; give audio of at least a second")
        audio = audio[:, : self._size * self._hop]
        return encode(self.model.codec, audio * np.float32(gain_to(self.model.spec.reference_lufs, [audio], self.sample_rate)))

    def _seconds(self, frames: int) -> float:
        return frames * self._hop / self.sample_rate
