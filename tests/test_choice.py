"""The fastest back-end is measured, remembered for its machine and threads, and never waited for."""

import pytest
import torch

from segue.engine.backends import Site, choice
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.spec import Model, ModelSpec
from segue.engine.models.vae import LiveCodec
from segue.server import engine_process
from segue.server.config import Config


@pytest.fixture(scope="module")
def model():
    spec = DitSpec(width=32, layers=1, heads=2, rank=4)
    return Model(ModelSpec("tiny", denoiser=spec), LiveCodec().eval(), Dit(spec).eval(), "nowhere", "f" * 64)


def test_the_fastest_is_remembered_for_this_model_and_these_threads(model, tmp_path):
    said = []
    site = Site(threads=3, cache=tmp_path, say=said.append)
    seconds = choice.calibrate(model, "cpu", site, lambda made: 0.25, ("eager", "nobody"))
    assert seconds == {"eager": 0.25}
    assert said == ["eager: 250 ms"]
    assert choice.remembered(tmp_path, model, "cpu", 3) == "eager"
    assert choice.remembered(tmp_path, model, "cpu", 2) is None
    choice.path_of(tmp_path, model, "cpu", 3).write_text("[]")
    assert choice.remembered(tmp_path, model, "cpu", 3) is None


def test_a_machine_that_is_busy_for_a_while_does_not_choose_badly(model, tmp_path, monkeypatch):
    """Other work comes and goes: it falls on takes of all candidates, and on no candidate's best."""
    asked, exact = [], {"one": 0.3, "two": 0.2, "three": 0.25}
    monkeypatch.setattr(choice, "backends", lambda: type("", (), {"found": exact}))
    monkeypatch.setattr(choice, "make", lambda name, *_: name)

    def time(name):
        asked.append(name)
        busy = 5 < len(asked) <= 12  # the whole of some rounds and parts of others
        return exact[name] * (3 if busy else 1)

    seconds = choice.calibrate(model, "cpu", Site(cache=tmp_path), time, tuple(exact))
    assert seconds == exact
    assert asked == [*exact] * (choice.ROUNDS + 1)
    assert choice.remembered(tmp_path, model, "cpu", torch.get_num_threads()) == "two"


def test_a_first_start_is_eager_and_measures_beside_the_music(model, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(engine_process.subprocess, "Popen", lambda command, **_: started.append(command))
    monkeypatch.setattr(engine_process, "find_spec", lambda name: object())
    site = Site(cache=tmp_path)
    config = Config(backend=choice.AUTO)
    assert engine_process.backend_of(config, model, site) == "eager"
    assert started[0][started[0].index("calibrate") + 1 :][:2] == ["--model", "live"]
    choice.remember(choice.path_of(tmp_path, model, "cpu", torch.get_num_threads()), {"eager": 0.3, "onnx": 0.2})
    assert engine_process.backend_of(config, model, site) == "onnx"
    assert engine_process.backend_of(Config(backend="compiled"), model, site) == "compiled"
    monkeypatch.setattr(engine_process, "find_spec", lambda name: None)
    assert engine_process.backend_of(config, Model(model.spec, model.codec, model.denoiser, "", "a"), site) == "eager"
    assert len(started) == 1
