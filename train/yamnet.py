"""Where evaluation finds YAMNet: in the data folder, which does not ship."""

from __future__ import annotations

import os
from pathlib import Path

from segue.engine.models.yamnet import YamNet, read_yamnet

__all__ = ["FILE", "YamNet", "data_folder", "load_yamnet"]

FILE = Path("models") / "yamnet_dequant_fp16.safetensors"


def data_folder() -> Path:
    """Where data for training and evaluation lies: SEGUE_DATA, else `../shared/data` from the repository's root."""
    return Path(os.environ.get("SEGUE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def load_yamnet(data: Path | None = None) -> YamNet:
    """The network with its weights out of the data folder. Raises FileNotFoundError with one sentence where they are absent."""
    path = (data or data_folder()) / FILE
    if not path.is_file():
        raise FileNotFoundError(f"YAMNet: no weights at {path}; set SEGUE_DATA to the data folder, or leave class metrics out")
    return read_yamnet(path)
