"""`segue restore IN OUT --kind KIND`: makes anew what an old recording has lost, a whole file of any length, offline.

The file goes through twice: once to find its level, its gaps or where it clips, once to restore it. Memory does not grow.
What is made waits beside OUT as floats: peaks put back may lie beyond full scale, and then all is lowered until they fit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from segue.server.audio.files import FileError, FileReader
from segue.server.audio.writing import check_output, create
from segue.server.jobs import Audio
from segue.server.survey import DROP_DB, SHORTEST_GAP_S, Survey

if TYPE_CHECKING:
    from segue.engine.restoration import Repair

KINDS = ("lowpass", "declip", "gaps")
CHUNK = 1 << 18  # samples looked at at once
FULL_SCALE = 1 - 2.0**-23  # the largest sample of 24 bits
# Where each kind starts (T) and how hard it is held to what is left, by measurement (docs/LOG.md)
START = {"lowpass": 1.0, "declip": 0.3, "gaps": 1.0}
PULL = {"lowpass": 0.0, "declip": 0.0, "gaps": 0.0}


class RestoreError(ValueError):
    """A recording that cannot be restored; str() is a sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segue restore`."""
    parser.add_argument("input", metavar="IN", help="the recording: any audio file")
    parser.add_argument("output", metavar="OUT", help="WAV or FLAC file to write, at the model's rate, mono where IN is")
    parser.add_argument("--kind", required=True, choices=KINDS, help="what it lost: its treble, its peaks, or whole moments")
    parser.add_argument(
        "--cutoff", type=float, default=0.0, metavar="HZ", help="lowpass: above it nothing is left; found without it"
    )
    parser.add_argument("--level", type=float, default=0.0, help="declip: where it clips, 0 to 1; its own peak without it")
    parser.add_argument("--model", default="live")
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--torch-device", default="cpu", help="cpu or cuda")
    parser.add_argument("--steps", type=int, default=8, help="sampler steps of a window")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--T", type=float, default=None, help="level to start from: 1 is from noise, small keeps what is left")
    parser.add_argument("--weight", type=float, default=None, help="pull of what is left; 0 is unguided")


def surveyed(reader: FileReader, rate: int) -> Survey:
    """One pass over a recording. Raises RestoreError where it is silent."""
    found = Survey(rate)
    reader.seek(0)
    while found.at < reader.length:
        found.hear(reader.read(min(CHUNK, reader.length - found.at)))
    if not found.peak > 0:
        raise RestoreError("the recording is silent; give one with sound in it")
    return found


def cutoff_of(asked: float, found: Survey, rate: int) -> float:
    """The cut-off in Hz, as it is asked for or as it was found. Raises RestoreError."""
    if asked:
        if not 100 <= asked < rate / 2:
            raise RestoreError(f"--cutoff: got {asked:g} Hz; from 100 to {rate / 2:g}, above it nothing is left in the file")
        return asked
    cutoff = found.cutoff()
    if cutoff is None:
        raise RestoreError(
            f"--kind lowpass: found no frequency where the spectrum falls by {DROP_DB:g} dB for good; give it as --cutoff HZ"
        )
    return cutoff


def repair_of(args: argparse.Namespace, found: Survey, gain: float, rate: int) -> Repair:
    """How the recording is restored. Raises RestoreError for what does not fit together."""
    from segue.engine.damage import Clip, Damage, Gaps, LowPass
    from segue.engine.restoration import Repair
    from segue.engine.tasks.restore import TASK

    damage: Damage
    if args.kind == "lowpass":
        damage = LowPass(cutoff_of(args.cutoff, found, rate), rate)
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
    from segue.engine.damage import LowPass
    from segue.engine.restoration import Restorer

    rate, reference = model.rate, model.spec.reference_lufs
    found = surveyed(reader, rate)
    gain = 1.0 if reference is None else float(10 ** (np.clip(reference - found.lufs, *GAIN_DB) / 20))
    repair, restorer = repair_of(args, found, gain, rate), Restorer(model)

    def read(first: int, n: int) -> Audio:
        reader.seek(first)
        return reader.read(n)

    total, frames, peak, began = hashlib.sha256(), 0, 0.0, time.monotonic()
    count, channels = restorer.windows(reader.length), min(2, reader.channels)
    with waiting(Path(args.output), rate, channels) as made:
        for number, piece in enumerate(restorer.pieces(read, reader.length, repair), 1):
            kept = piece[:channels]
            made.write(kept.T)
            total.update(np.ascontiguousarray(kept).tobytes())
            frames, peak = frames + kept.shape[1], max(peak, float(np.abs(kept).max()))
            print(progress(number, count, began), end="", file=sys.stderr, flush=True)
        lowered = FULL_SCALE / max(peak, FULL_SCALE)
        made.seek(0)
        with create(args.output, rate, channels) as out:
            for block in made.blocks(CHUNK, dtype="float32", always_2d=True):
                out.write(block * np.float32(lowered))
    print(file=sys.stderr)
    seconds = time.monotonic() - began
    return {
        "kind": args.kind,
        "sample_rate": rate,
        "channels": channels,
        "frames": frames,
        "windows": count,
        "cutoff": repair.damage.cutoff if isinstance(repair.damage, LowPass) else None,
        "gaps": len(found.gaps) if args.kind == "gaps" else None,
        "steps": repair.steps,
        "T": repair.T,
        "weight": repair.weight,
        "gain_db": float(20 * np.log10(lowered)),
        "seconds": seconds,
        "rtf": seconds * rate / frames,
        "sha256": total.hexdigest(),
    }


@contextmanager
def waiting(output: Path, rate: int, channels: int) -> Iterator[soundfile.SoundFile]:
    """A file of floats to write and to read, without a name in the folder of the output: gone afterwards, even after a kill."""
    with (
        tempfile.TemporaryFile(dir=output.parent) as file,
        soundfile.SoundFile(file, "w+", rate, channels, format="W64", subtype="FLOAT") as made,
    ):
        yield made


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
        check_output(args.output)
        apart(Path(args.input), Path(args.output))
        model = make(args.backend, checkpoint.load(args.model, args.torch_device), args.torch_device)
        with FileReader(args.input, model.rate) as reader:
            report = restored(args, reader, model)
    except (RestoreError, FileError, ValueError, OSError, soundfile.LibsndfileError) as error:
        print(f"segue restore: {str(error).removeprefix('load: ')}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(report))
    else:
        lowered = f", lowered by {-report['gain_db']:.1f} dB so that its peaks fit" if report["gain_db"] < 0 else ""
        took = f"{report['frames'] / model.rate:.1f} s in {report['seconds']:.1f} s"
        print(f"{args.output}: {took}{lowered}, sha256 {report['sha256'][:16]}")
    return 0
