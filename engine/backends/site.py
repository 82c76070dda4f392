"""Where a back-end is made ready: which parts, how many threads, where what it builds is kept, and whom it tells."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from segue.engine.checkpoint import digest
from segue.engine.models.spec import Model

PARTS = ("denoiser", "codec")
DRIVER = Path("/proc/driver/nvidia/version")  # where Linux says which driver runs
FORMAT = 1  # of what the cache holds; a change of the graphs raises it


def silent(sentence: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Site:
    """parts: of the model that are made ready, the others stay eager. threads: 0 for as many as PyTorch has.

    cache: a folder for what takes long to build, None to build it anew. say: gets a sentence while something long goes on.
    """

    parts: tuple[str, ...] = PARTS
    threads: int = 0
    cache: Path | None = None
    say: Callable[[str], None] = silent

    @property
    def cores(self) -> int:
        """Threads to run with."""
        return self.threads or torch.get_num_threads()

    def kept(self, name: str, model: Model, device: str, packages: tuple[str, ...], build: Callable[[], bytes]) -> bytes:
        """What build gives, from the cache where an earlier run left it for this model, device, driver and these versions."""
        if self.cache is None:
            return build()
        path = self.cache / f"{name}-{key(name, model, device, packages)}"
        if path.is_file():
            return path.read_bytes()
        data = build()
        self.cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_bytes(data)
        partial.replace(path)
        return data


def key(name: str, model: Model, device: str, packages: tuple[str, ...] = ()) -> str:
    """A name for what is built from a model: its weights and sizes, the machine, the driver, the versions."""
    networks = [repr(part) for part in (model.spec.codec, model.spec.denoiser)]
    facts = [FORMAT, name, identity(model), *networks, device, hardware(device), versions(packages)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:20]


def identity(model: Model) -> str:
    """The hash of the weights; computed for a model that was not loaded from a file."""
    if model.sha256:
        return model.sha256
    parts = [getattr(part, "inner", part) for part in (model.codec, model.denoiser)]
    return ",".join(digest({k: v.cpu() for k, v in part.state_dict().items()}) for part in parts if isinstance(part, nn.Module))


def hardware(device: str) -> str:
    """The processor or card that what is built may depend on, with the driver."""
    if not device.startswith("cuda"):
        return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    card = f"{torch.cuda.get_device_name(device)} {torch.cuda.get_device_capability(device)} CUDA {torch.version.cuda}"
    return f"{card} {DRIVER.read_text().splitlines()[0]}" if DRIVER.is_file() else card


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of some packages beside PyTorch's; an absent one is empty."""
    found = {"torch": str(torch.__version__)}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found
