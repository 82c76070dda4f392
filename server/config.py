"""Settings of one run of the server: a value that every process gets as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from dataclasses import dataclass

from segue.server.commands import DECKS, PORT

RATE = 44_100  # Hz, the model's rate; a device may run at another
BLOCK = 256


@dataclass(frozen=True)
class Config:
    """What `segue serve` was asked for.

    device: part of a device's name, or None for the default; host_api: `JACK`, `ALSA`, `null`, ... or None.
    midi_map: a file for the MIDI map, which learning writes; need not exist.
    output_latency: seconds between the output port and the ear, taken off every time tag; input_latency: between what is played
    and the input port. By both together phrases come in after what they were played to.
    inputs: device channels that a deck hears, as `2=3,4`, where it is not the next pair; open_inputs: opened at least, for later.
    cue: the first of the two output channels on which takes are auditioned, from 1; 0 for none.
    allowance: seconds on top of the block after which a message without a tag takes effect: all are later, more are in time.
    embedder: what style and classes are measured by: a file, `statistics`, or nothing for what ships with the model.
    patience: seconds without a sign of life after which the engine, with work to do, or the control process is started again.
    """

    segment: str = ""
    rate: int = RATE
    block: int = BLOCK
    decks: int = DECKS
    cue: int = 0
    inputs: tuple[str, ...] = ()
    open_inputs: int = 0
    device: str | None = None
    host_api: str | None = None
    client_name: str = "segue"
    autoconnect: bool = False
    host: str = "127.0.0.1"
    port: int = PORT
    model: str = "live"
    backend: str = "eager"
    torch_device: str = "cpu"
    embedder: str = ""
    threads: int = 0
    midi: str | None = None
    midi_map: str = ""
    output_latency: float = 0.0
    input_latency: float = 0.0
    state_file: str = ""
    log: str = ""
    files: tuple[str, ...] = ()
    engine_argv: tuple[str, ...] = ()
    tempo: float = 120.0
    patience: float = 20.0
    allowance: float = 0.0

    def to_json(self) -> str:
        """The settings as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        """The settings from `to_json`; raises ValueError for anything else."""
        data = json.loads(text)
        for name in ("files", "inputs", "engine_argv"):
            data[name] = tuple(data.get(name, ()))
        return cls(**data)


def add_embedder(parser: argparse.ArgumentParser) -> None:
    """The option that names what style and classes are measured by, alike for every command that makes takes."""
    known = os.environ.get("SEGUE_YAMNET", "")
    parser.add_argument("--embedder", default=known, metavar="FILE", help="what style and classes are measured by")
