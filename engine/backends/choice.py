"""Which back-end is fastest on a machine: measured once, remembered in a folder, asked for by the name `auto`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from segue.engine.backends import Site, backends, chosen, make
from segue.engine.backends.site import key
from segue.engine.models.spec import Model

AUTO = "auto"
PACKAGES = ("onnxruntime", "openvino")
ROUNDS = 6
# On a CPU, by what each usually takes there; eager first, so that the others have something to be faster than.
MIXED = "denoiser=onnx-int8,codec=openvino-bf16"
CANDIDATES = ("eager", MIXED, "openvino-bf16", "openvino", "onnx-int8", "onnx")


def path_of(folder: Path, model: Model, device: str, threads: int) -> Path:
    """Where the choice for a model, machine and number of threads is kept."""
    return folder / f"choice-{key(f'choice {threads}', model, device, PACKAGES)}.json"


def remembered(folder: Path, model: Model, device: str, threads: int) -> str | None:
    """The choice that calibrate made, or None."""
    try:
        name = json.loads(path_of(folder, model, device, threads).read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def calibrate(
    model: Model, device: str, site: Site, time: Callable[[Model], float], candidates: tuple[str, ...] = CANDIDATES
) -> dict[str, float]:
    """Least seconds that each candidate needs for a take, by `time`, which is given the model made ready; refused ones are said.

    Candidates take turns for ROUNDS after one that warms them, so that other work on the machine falls on all of them, and the
    least of each is what it needs when left alone. The fastest is remembered in site.cache, where there is one.
    """
    made: dict[str, Model] = {}
    for name in candidates:
        if not set(chosen(name).values()) <= set(backends().found):
            continue
        try:
            made[name] = make(name, model, device, site)
        except ValueError as error:
            site.say(str(error))
    rounds = [{name: time(one) for name, one in made.items()} for _ in range(1 + ROUNDS)][1:]
    seconds = {name: min(times[name] for times in rounds) for name in made}
    for name, least in seconds.items():
        site.say(f"{name}: {1e3 * least:.0f} ms")
    if site.cache is not None:
        remember(path_of(site.cache, model, device, site.cores), seconds)
    return seconds


def remember(path: Path, seconds: Mapping[str, float]) -> None:
    """Write down the fastest, with what all took."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps({"backend": min(seconds, key=lambda name: seconds[name]), "seconds": dict(seconds)}))
    partial.replace(path)
