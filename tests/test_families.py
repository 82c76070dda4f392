"""Model families come from entry points: somebody's own is listed, saved, loaded and played like ours."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from segue.engine import checkpoint, registry
from segue.engine.backends import make
from segue.engine.engine import Engine, Request
from segue.engine.models import families as home
from segue.engine.models.families import GROUP, Family, build_codec, build_denoiser, families, presets
from segue.engine.models.folding import Fold, FoldSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet1d import Unet1d, UnetSpec

SIZES = UnetSpec(channels=32, width=8, multipliers=(1, 2), blocks=1, attention=1, heads=2, groups=4)
MINE = ModelSpec("mine-small", FoldSpec(frame=16, hop=16), SIZES, window_s=0.3, family="mine")
THEIRS = Family("mine", FoldSpec, UnetSpec, Fold, Unet1d, {"mine-small": MINE, "live": replace(MINE, name="live")})


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers two families, one of which is none."""
    module = types.ModuleType("somebodys")
    module.FAMILY, module.OTHER = THEIRS, 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somebodys", module)
    points = [EntryPoint(name, f"somebodys:{part}", GROUP) for name, part in (("mine", "FAMILY"), ("number", "OTHER"))]
    points.append(EntryPoint("renamed", "somebodys:FAMILY", GROUP))
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == GROUP else [])


@pytest.mark.usefixtures("plugged")
def test_a_family_of_somebodys_own_is_listed_saved_loaded_and_played(tmp_path: Path) -> None:
    assert "mine-small" in {row.name for row in checkpoint.list_models()}
    codec, denoiser = build_codec(MINE)[0], build_denoiser(MINE)[0]
    for parameter in denoiser.parameters():
        nn.init.normal_(parameter, std=0.05)
    checkpoint.save(tmp_path / "mine.safetensors", MINE, codec, denoiser)
    model = checkpoint.load(tmp_path / "mine.safetensors")
    assert model.spec == MINE
    take = Engine(make("eager", model)).take(Request("generate", 4000, steps=2))
    assert take.shape == (2, 4000)
    assert np.isfinite(take).all()


@pytest.mark.usefixtures("plugged")
def test_what_is_no_family_is_named_and_ours_stand_before_anyones() -> None:
    table = families()
    assert set(home.BUILT_IN) | {"mine"} == set(table.found)
    assert "a family is a segue.engine.models.families.Family" in table.broken["number"]
    assert "calls itself 'mine'" in table.broken["renamed"]
    assert presets()["live"].family == "latent-dit"
    with pytest.raises(ValueError, match=r"family: got 'nobodys'; one of .*mine"):
        table["nobodys"]


def test_every_preset_builds_and_fits_itself() -> None:
    for name, spec in presets().items():
        assert spec.name == name
        assert spec.denoiser.channels == spec.codec.latent_dim
        assert spec.window_frames > 0
