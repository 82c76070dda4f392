"""`segue restore IN OUT --kind KIND`: makes anew what an old recording has lost, a whole file of any length, offline.

The file goes through twice: once to find its level, its gaps or where it clips, once to restore it. Memory does not grow.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from segue.engine.measure import loudness
from segue.server.audio.files import FileError, FileReader
from segue.server.jobs import Audio

if TYPE_CHECKING:
    from segue.engine.restoration import Repair

KINDS = ("lowpass", "declip", "gaps")
CHUNK = 1 << 18  # samples looked at at once
SHORTEST_GAP_S = 0.005  # of digital silence on both sides, inside the recording
# Where each kind starts (T) and how hard it is held to what is left, by measurement (docs/LOG.md)
START = {"lowpass": 1.0, "declip": 0.3, "gaps": 1.0}
PULL = {"lowpass": 0.0, "declip": 0.0, "gaps": 0.0}


class RestoreError(ValueError):
    """A recording that cannot be restored; str() is a sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segue restore`."""
    parser.add_argument("input", metavar="IN", help="the recording: any audio file")
    parser.add_argument("output", metavar="OUT", help="WAV or FLAC file to write, at the model's rate")
    parser.add_argument("--kind", required=True, choices=KINDS, help="what it lost: its treble, its peaks, or whole moments")
    parser.add_argument("--cutoff", type=float, default=0.0, metavar="HZ", help="lowpass: above it nothing is left")
    parser.add_argument("--level", type=float, default=0.0, help="declip: where it clips, 0 to 1; its own peak without it")
    parser.add_argument("--model", default="live")
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--torch-device", default="cpu", help="cpu or cuda")
    parser.add_argument("--steps", type=int, default=8, help="sampler steps of a window")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--T", type=float, default=None, help="level to start from: 1 is from noise, small keeps what is left")
    parser.add_argument("--weight", type=float, default=None, help="pull of what is left; 0 is unguided")


class Survey:
    """What one pass over a recording finds: its power, its peak, and where it is digital silence."""

    def __init__(self, rate: int) -> None:
        """rate: of the recording as it is read, in Hz."""
        self.peak, self.at, self._power, self._rate = 0.0, 0, 0.0, rate
        self._least = max(1, round(SHORTEST_GAP_S * rate))
        self._gaps: list[tuple[int, int]] = []
        self._silent_from: int | None = 0

    def hear(self, audio: Audio) -> None:
        """The next samples."""
        self.peak = max(self.peak, float(np.abs(audio).max(initial=0.0)))
        silent = (audio == 0).all(axis=0)
        edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=np.int8(self._silent_from is not None)))
        for edge in edges:
            place = self.at + int(edge)
            if self._silent_from is None:
                self._silent_from = place
                continue
            if self._silent_from > 0 and place - self._silent_from >= self._least:
                self._gaps.append((self._silent_from, place))
            self._silent_from = None
        self.at += audio.shape[1]
        self._power += audio.shape[1] * 10 ** (loudness(audio, self._rate) / 10)

    @property
    def lufs(self) -> float:
        """Loudness of everything heard so far."""
        return float(10 * np.log10(max(self._power / max(1, self.at), 1e-12)))

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Silences inside the recording, not before its beginning nor after its end: (first, last + 1)."""
        return tuple(self._gaps)


def surveyed(reader: FileReader, rate: int) -> Survey:
    """One pass over a recording. Raises RestoreError where it is silent."""
    found = Survey(rate)
    reader.seek(0)
    while found.at < reader.length:
        found.hear(reader.read(min(CHUNK, reader.length - found.at)))
    if not found.peak > 0:
        raise RestoreError("the recording is silent; give one with sound in it")
    return found


def repair_of(args: argparse.Namespace, found: Survey, gain: float, rate: int) -> Repair:
    """How the recording is restored. Raises RestoreError for what does not fit together."""
    from segue.engine.damage import Clip, Damage, Gaps, LowPass
    from segue.engine.restoration import Repair
    from segue.engine.tasks.restore import TASK

    damage: Damage
    if args.kind == "lowpass":
        if not 100 <= args.cutoff < rate / 2:
            raise RestoreError(
                f"--cutoff: got {args.cutoff:g} Hz; from 100 to {rate / 2:g}, above it nothing is left in the file"
            )
        damage = LowPass(args.cutoff, rate)
    elif args.kind == "declip":
        level = args.level or found.peak
        if not 0 < level <= found.peak:
            raise RestoreError(f"--level: got {level:g}; above 0 and at most the recording's peak, {found.peak:g}")
        damage = Clip(level)
    else:
        if not found.gaps:
            least = f"{1000 * SHORTEST_GAP_S:g} ms"
            raise RestoreError(
                f"--kind gaps: found no silence of {least} inside the recording; what was lost must be digital silence"
            )
        damage = Gaps(found.gaps, rate)
    T = START[args.kind] if args.T is None else args.T
    weight = PULL[args.kind] if args.weight is None else args.weight
    TASK.check({"T": T, "weight": weight})
    if args.steps < 1:
        raise RestoreError(f"--steps: got {args.steps}; at least 1")
    return Repair(damage, gain=gain, T=T, weight=weight, steps=args.steps, seed=args.seed)


def progress(number: int, count: int, began: float) -> str:
    """A bar with the time that is left."""
    spent = time.monotonic() - began
    left = spent * (count - number) / max(1, number)
    full = round(30 * number / count)
    return f"\rsegue restore: [{'#' * full}{'.' * (30 - full)}] {number} of {count} windows, {left:.0f} s left "


def restored(args: argparse.Namespace, reader: FileReader, model: Any) -> dict[str, Any]:
    """Restores the file; returns the figures. Raises RestoreError."""
    from segue.engine.compose import GAIN_DB
    from segue.engine.restoration import Restorer

    rate, reference = model.rate, model.spec.reference_lufs
    found = surveyed(reader, rate)
    gain = 1.0 if reference is None else float(10 ** (np.clip(reference - found.lufs, *GAIN_DB) / 20))
    repair, restorer = repair_of(args, found, gain, rate), Restorer(model)

    def read(first: int, n: int) -> Audio:
        reader.seek(first)
        return reader.read(n)

    total, frames, began = hashlib.sha256(), 0, time.monotonic()
    count = restorer.windows(reader.length)
    with soundfile.SoundFile(args.output, "w", rate, 2, subtype="PCM_24") as out:
        for number, piece in enumerate(restorer.pieces(read, reader.length, repair), 1):
            out.write(piece.T)
            total.update(np.ascontiguousarray(piece).tobytes())
            frames += piece.shape[1]
            print(progress(number, count, began), end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    seconds = time.monotonic() - began
    return {
        "kind": args.kind,
        "sample_rate": rate,
        "frames": frames,
        "windows": count,
        "gaps": len(found.gaps) if args.kind == "gaps" else None,
        "steps": repair.steps,
        "T": repair.T,
        "weight": repair.weight,
        "seconds": seconds,
        "rtf": seconds * rate / frames,
        "sha256": total.hexdigest(),
    }


def apart(source: Path, out: Path) -> None:
    """Raises RestoreError where a recording would be written over itself."""
    if out.exists() and source.exists() and out.samefile(source):
        raise RestoreError(f"{out}: is the recording itself; give another name for the output")


def run(args: argparse.Namespace) -> int:
    """Restores; exit code 2 with one line where it cannot."""
    import torch

    from segue.engine import checkpoint
    from segue.engine.backends import make

    torch.set_flush_denormal(True)
    try:
        model = make(args.backend, checkpoint.load(args.model, args.torch_device), args.torch_device)
        apart(Path(args.input), Path(args.output))
        with FileReader(args.input, model.rate) as reader:
            report = restored(args, reader, model)
    except (RestoreError, FileError, ValueError, OSError, soundfile.LibsndfileError) as error:
        print(f"segue restore: {str(error).removeprefix('load: ')}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(report))
    else:
        print(
            f"{args.output}: {report['frames'] / model.rate:.1f} s in {report['seconds']:.1f} s, sha256 {report['sha256'][:16]}"
        )
    return 0
