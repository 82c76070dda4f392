"""The options of `style` and `vary` that guide a take: which task they make, and that the table declares what the tasks do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fake_runner import RATE, STATE, FakeRunner

from segue.engine.tasks import tasks
from segue.server.commands import SPECS, Kind, Value
from segue.server.config import Config
from segue.server.jobs import Job
from segue.server.stage import Stage
from segue.server.verbs import PARAMETERS, TASKS

SPEC_OF = {spec.name: spec for spec in SPECS if spec.kind is Kind.VERB}
VERB_OF = {task: verb for verb, task in TASKS.items()} | {"renoise": "vary", "classify": "style"}


@pytest.mark.parametrize("task", sorted(VERB_OF))
def test_declared_parameters_are_options_of_their_verb(task: str) -> None:
    options = {arg.name: arg for arg in SPEC_OF[VERB_OF[task]].options}
    declared = {p.name: p for p in tasks()[task].parameters}
    assert tuple(declared) == PARAMETERS.get(task, ())
    for name, parameter in declared.items():
        option = options[name]
        assert (option.low, option.high) == (parameter.low, parameter.high)
        assert option.default in (parameter.default, None)
        assert option.type == "f"


class Recorder(FakeRunner):
    """Keeps the jobs that it is given."""

    jobs: list[Job]

    def run(self, job: Job, *rest: object) -> Iterator[object]:  # type: ignore[override]
        Recorder.jobs.append(job)
        return super().run(job, *rest)  # type: ignore[arg-type]


@pytest.fixture
def stage() -> Iterator[Stage]:
    Recorder.jobs = []
    made = Stage(Config(), Recorder, STATE, 0.2)
    made.play(None, 12 * RATE)
    yield made
    made.close()


def asked(stage: Stage, verb: str, *args: Value) -> Job:
    stage.send(f"/segue/deck/1/{verb}", *args, "sec", 1.0)
    stage.play(None, RATE)
    return Recorder.jobs[-1]


@pytest.mark.parametrize(
    ("verb", "args", "task", "classes", "parameters"),
    [
        ("style", ("deck", 2, "weight", 4.0), "style", (), {"weight": 4.0, "class_weight": 1.0, "reconstruction": 1.0}),
        ("style", ("class", "Techno", "reconstruction", 0.0), "classify", ("Techno",), {"weight": 1.0, "reconstruction": 0.0}),
        (
            "style",
            ("deck", 2, "class", "Techno", "class_weight", 9.0),
            "style",
            ("Techno",),
            {"weight": 1.0, "class_weight": 9.0, "reconstruction": 1.0},
        ),
        ("vary", ("T", 0.25), "renoise", (), {"T": 0.25}),
        ("vary", ("k", 0.5), "renoise", (), {"T": pytest.approx(0.5)}),
        ("vary", ("k", 1.0), "renoise", (), {"T": pytest.approx(1.0)}),
        ("vary", (), "renoise", (), {"T": pytest.approx(2 / math.pi * math.atan(0.85 / 0.15))}),
    ],
)
def test_options_reach_the_engine(
    stage: Stage, verb: str, args: tuple[Value, ...], task: str, classes: tuple[str, ...], parameters: Mapping[str, float]
) -> None:
    job = asked(stage, verb, *args)
    assert (job.task, job.classes, job.parameters) == (task, classes, parameters)
    assert (job.style is not None) == (task == "style")
    assert Job.from_json(job.to_json()) == job


def test_where_a_take_starts_is_the_engines_until_it_is_said(stage: Stage) -> None:
    assert asked(stage, "continue").start is None
    told = asked(stage, "continue", "T", 0.0)
    assert told.start == 0.0
    assert Job.from_json(told.to_json()).start == 0.0
    varied = asked(stage, "vary", "T", 0.4)
    assert (varied.start, dict(varied.parameters)) == (None, {"T": pytest.approx(0.4)})


def test_weights_are_values_of_the_deck(stage: Stage) -> None:
    stage.send("/segue/deck/1/weight", 7.0)
    assert asked(stage, "style", "deck", 2).parameters["weight"] == 7.0


def test_xi_is_the_models_own_until_it_is_set(stage: Stage) -> None:
    """The latent models' and the waveform models' differ tenfold, so the server must not send one for the other."""
    assert asked(stage, "continue").xi is None
    assert asked(stage, "continue", "xi", 0.0).xi == 0.0
    stage.send("/segue/deck/1/xi", 0.25)
    assert asked(stage, "continue").xi == 0.25
    assert asked(stage, "continue", "xi", 0.5).xi == 0.5
    assert asked(stage, "continue", "xi", -1.0).xi is None
    stage.send("/segue/deck/1/xi", -1.0)
    job = asked(stage, "continue")
    assert job.xi is None
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize("args", [(), ("deck", 2, "path", "a.wav")])
def test_style_says_what_it_takes(stage: Stage, args: tuple[Value, ...]) -> None:
    stage.send("/segue/deck/1/style", *args)
    stage.play(None, RATE)
    (fail,) = [words for address, words in stage.sent if address == "/segue/fail"]
    assert "deck or path, a class, or a class beside one of them" in str(fail[1])


def test_a_file_is_a_style(stage: Stage, tmp_path: Path) -> None:
    path = str(tmp_path / "a.wav")
    stage.send("/segue/deck/1/style", "path", path, "sec", 1.0)
    stage.play(None, RATE)
    style = Recorder.jobs[-1].style
    assert style is not None
    assert getattr(style, "path", "") == path
