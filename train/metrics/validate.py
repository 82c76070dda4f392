"""`segue evaluate validate`: FAD and KLD of the evaluation split against itself under known harm, beside what is known of it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segue.train.data import SUFFIXES
from segue.train.metrics.degrade import HALVES, KNOWN, SECONDS, Harm
from segue.train.metrics.ears import Embedder, embedder_of
from segue.train.metrics.frechet import frechet
from segue.train.report import markdown, put
from segue.train.yamnet import YamNet, data_folder

CLEAN = "as it is"
SPLIT = "random halves of its patches"
LEAST = 1e-6  # added to each mean probability; the reference figures come from so small a floor
SEED = 20231


@dataclass(frozen=True)
class Check:
    """FAD and KLD of one harm: found, and known of YAMNet; no KLD where the embedder names no classes. n: patches a side."""

    harm: str
    fad: float
    kld: float | None
    known_fad: float | None
    known_kld: float | None
    n: int
    embedder: str


@torch.no_grad()
def checks(
    embedder: Embedder, folder: Path, seconds: float | None = SECONDS, harms: Mapping[str, tuple[Harm, float, float]] = KNOWN
) -> list[Check]:
    """Every harm on the mono audio at the embedder's rate; the first `seconds` of each file, or all of it."""
    rng = np.random.default_rng(SEED)
    heard: dict[str, list[NDArray[np.float32]]] = {name: [] for name in (CLEAN, *harms)}
    files = [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]
    begun = time.monotonic()
    for number, path in enumerate(files, start=1):
        mono = _mono(path, embedder.rate, seconds)
        for name, kept in heard.items():
            audio = mono if name == CLEAN else harms[name][0](mono, embedder.rate, rng)
            kept.append(embedder.patches(torch.from_numpy(np.ascontiguousarray(audio)))[0].numpy())
        left = (time.monotonic() - begun) * (len(files) - number) / number
        print(f"validate: {number} of {len(files)} files, {left:.0f} s left", file=sys.stderr, flush=True)
    sets = {name: np.concatenate(kept) for name, kept in heard.items()}
    clean = sets.pop(CLEAN)
    order, half = rng.permutation(len(clean)), len(clean) // 2
    one, other = clean[order[:half]], clean[order[half:]]
    found = [Check(SPLIT, frechet(one, other), _kld(embedder, one, other), None, None, half, embedder.name)]
    for name, made in sets.items():
        fad, kld = frechet(clean, made), _kld(embedder, clean, made)
        known_fad, known_kld = harms[name][1:] if embedder.name == YamNet.name else (None, None)
        found.append(Check(name, fad, kld, known_fad, known_kld, len(made), embedder.name))
    return found


def _mono(path: Path, rate: int, seconds: float | None) -> NDArray[np.float32]:
    """`[1, N]` at a rate."""
    import soundfile
    import soxr

    audio, found = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(audio.mean(axis=1), found, rate).astype(np.float32)
    return np.asarray(mono[None, : None if seconds is None else round(seconds * rate)])


def _kld(embedder: Embedder, true: NDArray[np.float32], made: NDArray[np.float32]) -> float | None:
    p, q = (embedder.classes(torch.from_numpy(e)[None])[0].double().numpy() + LEAST for e in (true, made))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum()) if len(p) else None


def table(found: Sequence[Check]) -> str:
    """The checks as Markdown, each figure that is known with how far it is missed."""

    def beside(value: float | None, known: float | None) -> str:
        return "" if known is None or value is None else f"{known:g} ({100 * (value / known - 1):+.0f} %)"

    lines = [["harm", "FAD", "known", "KLD", "known"]]
    for one in found:
        known = (
            (f"{HALVES[0][0]:g} to {HALVES[0][1]:g}", f"{HALVES[1][0]:g} to {HALVES[1][1]:g}")
            if one.harm == SPLIT and one.embedder == YamNet.name
            else (beside(one.fad, one.known_fad), beside(one.kld, one.known_kld))
        )
        lines.append([one.harm, f"{one.fad:.2f}", known[0], _told(one.kld), known[1]])
    return markdown(lines)


def _told(kld: float | None) -> str:
    return "-" if kld is None else f"{kld:.3f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate validate`."""
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and models/ (default: SEGUE_DATA)")
    parser.add_argument("--embedder", default="yamnet", help="yamnet, a file of its weights, vggish:FILE, or module:function")
    parser.add_argument("--into", type=Path, default=None, help="Markdown file that gets the table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="from the beginning of each file; 0 is all of it")


def run(args: Any) -> int:
    """`segue evaluate validate`: 0, or 2 with one line where the data are missing."""
    torch.set_flush_denormal(True)
    data = args.data or data_folder()
    try:
        found = checks(embedder_of(args.embedder, data), data / "eval", args.seconds or None)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if args.into:
        put(args.into, "validate", table(found))
    if args.json:
        print(json.dumps({"checks": [asdict(check) for check in found]}))
        return 0
    for check in found:
        known = "" if check.known_fad is None else f"   known {check.known_fad:g} / {check.known_kld:g}"
        print(f"{check.harm:30} FAD {check.fad:6.2f}  KLD {_told(check.kld):5}{known}   {check.embedder}, {check.n} patches")
    return 0
