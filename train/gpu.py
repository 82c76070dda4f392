"""Trains a whole model in a bounded time on a machine that was just lent: pieces of data in, pieces of a model out.

Stages: unpack, codec, its noise branch, its discriminator, latents, generator, distillation, pack; each in its share of time.
Every stage goes on from its checkpoint in --work, or from the pieces of an earlier --out; nothing is fetched from anywhere.

    python -m segue.train.gpu stage --data .cache/audio --pieces .cache/pieces      # here
    python -m segue.train.gpu run --pieces .cache/pieces --work WORK --out OUT --minutes 25 --session 9   # there, until done
    python -m segue.train.gpu join --out OUT --work HERE                            # here
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segue.engine.models.spec import ModelSpec
from segue.train import codec, codec_recipe, diffusion, distill, encode, few_steps_table, finetune, loop, parallel, recipe
from segue.train.clips import Library
from segue.train.codec_measures import measure, summary
from segue.train.data import read_index
from segue.train.diffusion_recipe import read_recipe
from segue.train.latents import Latents
from segue.train.pack import pack
from segue.train.pieces import ENTRIES, LIST, MEGABYTE, OUT_MB, cut, joined, stage, unstage
from segue.train.teacher import read_teacher

SHARES = {"codec": 0.15, "noise": 0.10, "finetune": 0.05, "diffusion": 0.55, "distill": 0.15}
PIECE_MB = 20.0  # in: with the tree of a repository it has to stay below what travels
OUT_TOTAL_MB = 60.0  # back, in four pieces and their list
RESULT = "result.tar"
ENCODE_SHARE = 0.1  # of the minutes, at most, in each call
VARIANTS = (0, 1, 2)  # songs as they are, and in two other speeds, levels and mixes
MEASURED = 4  # clips that the codec is measured on


@dataclass(frozen=True)
class Job:
    """Where things lie, a codec to take as it is ("" to train one), recipes by stage, minutes in all, end of this call."""

    pieces: Path
    work: Path
    out: Path
    codec: str
    recipes: dict[str, Path]
    minutes: float
    deadline: float

    def plan(self, name: str) -> loop.Plan:
        """A stage's share of the time, and what is left of this call; goes on where a checkpoint is."""
        known = {key: value for key, value in SHARES.items() if not self.codec or key in ("diffusion", "distill")}
        minutes = self.minutes * known[name] / sum(known.values())
        folder = self.work / name
        return loop.Plan(folder, minutes, max(0.0, (self.deadline - time.monotonic()) / 60), any(folder.glob("*.pt")))

    @property
    def over(self) -> bool:
        """Whether this call's time is up."""
        return time.monotonic() >= self.deadline

    @property
    def audio(self) -> Path:
        """Prepared audio."""
        return self.work / "audio"

    def done(self, name: str, run_steps: int) -> bool:
        """Whether a stage's checkpoint says that it is over."""
        file = self.work / name / ("diffusion.pt" if name == "diffusion" else "codec.pt")
        if not file.is_file():
            return False
        state = torch.load(file, map_location="cpu", weights_only=True)
        return bool(state["seconds"] >= 60 * self.plan(name).minutes or state["step"] >= run_steps)


def unpack(job: Job) -> None:
    """Pieces of audio to arrays, latents to their folder, pieces of an earlier run to the work folder."""
    for piece in sorted({file.parent for file in job.pieces.rglob(ENTRIES)}):
        new = unstage(piece, job.audio)
        _say(f"{piece.name}: {new} new songs")
    for folder in sorted({file.parent for file in job.pieces.rglob("latents-*.safetensors")}):
        place = job.work / ("latents-eval" if "eval" in folder.name else "latents")
        place.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("latents-*.safetensors"):
            if not (place / f"{folder.name}-{file.name}").is_file():
                shutil.copy(file, place / f"{folder.name}-{file.name}")
    for folder in sorted({file.parent for file in job.pieces.rglob(f"*{LIST}")}):
        for file in unbundle(folder, job.work):
            _say(f"from an earlier run: {file.relative_to(job.work)}")


def train_codec(job: Job) -> str:
    """The three stages of a codec; its checkpoint."""
    data = [job.audio]
    recipes = {name: codec_recipe.read_recipe(job.recipes[name]) for name in ("codec", "noise")}
    pair = finetune.read_recipe(job.recipes["finetune"])
    stages: list[tuple[str, int, Callable[[Path | None], Path]]] = [
        ("codec", recipes["codec"].steps, lambda start: codec.train_codec(recipes["codec"], data, job.plan("codec"))),
        ("noise", recipes["noise"].steps, lambda start: codec.train_codec(recipes["noise"], data, job.plan("noise"), start)),
        ("finetune", pair[0].steps, lambda start: finetune.finetune_codec(*pair, data, start, job.plan("finetune"))),
    ]
    path: Path | None = None
    for name, steps, run in stages:
        if not job.done(name, steps) and not job.over:
            _say(f"stage {name}: {job.plan(name).minutes:.1f} min")
            fresh = not job.plan(name).resume
            run(path if fresh else None)
            export(job, name, job.work / name / "codec.pt")
        path = job.work / name / "codec.pt"
    if path is None or not path.is_file():
        return ""
    tell_codec(path, job.audio)
    return str(path)


@torch.no_grad()
def tell_codec(path: Path, audio: Path) -> None:
    """Print how well the codec returns audio that it may have trained on."""
    import numpy as np

    _, model = encode.load_codec(path)
    library, rows = Library([audio]), []
    for i in range(MEASURED):
        x = torch.from_numpy(library.clip(np.random.default_rng([i]), 100 * model.hop))
        rows.append(measure(x, model.decode(model.encode(x[None]))[0], model.hop))
    _say("codec: " + "  ".join(f"{key} {value:.2f}" for key, value in summary(rows).items()))


def make_latents(job: Job, codec_name: str) -> None:
    """Latents of all songs, held-out ones apart."""
    _, model = encode.load_codec(codec_name)
    for split, name in (("train", "latents"), ("eval", "latents-eval")):
        try:
            library = Library([job.audio], split)
        except FileNotFoundError:
            continue
        left = max(0.0, min(ENCODE_SHARE * job.minutes, (job.deadline - time.monotonic()) / 60))
        where = model.to(parallel.device())
        for line in encode.export_latents(where, library, job.work / name, VARIANTS, minutes=left):
            _say(line)


def train_generator(job: Job) -> Path | None:
    """The generator, and its few-step versions with their table; the checkpoint to pack."""
    wanted = read_recipe(job.recipes["diffusion"])
    latents = Latents([job.work / "latents"], wanted.frames, wanted.denoiser.channels)
    held = job.work / "latents-eval"
    held_out = Latents([held], wanted.frames) if held.is_dir() and any(held.iterdir()) else latents
    path = job.work / "diffusion" / "diffusion.pt"
    if not job.done("diffusion", wanted.steps) and not job.over:
        _say(f"stage diffusion: {job.plan('diffusion').minutes:.1f} min")
        diffusion.train_diffusion(wanted, latents, held_out, job.plan("diffusion"))
        export(job, "diffusion", path)
    if not path.is_file():
        return None
    if job.done("diffusion", wanted.steps) and not job.over:
        _distil(job, path, latents, held_out)
    return path


def _distil(job: Job, path: Path, latents: Latents, held_out: Latents) -> None:
    wanted = distill.read_recipe(job.recipes["distill"])
    teacher = read_teacher(str(path), parallel.device())
    done = distill.distil(wanted, teacher, latents, job.plan("distill"))
    for _, file in done:
        export(job, "distill", file)
    print(few_steps_table.shown(distill.before_and_after(wanted, teacher, done, held_out), as_json=False), flush=True)


def pack_all(job: Job, codec_name: str, path: Path) -> None:
    """Model files of the generator and of each distilled one, in half precision, in pieces."""
    folder = job.work / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for file in [path, *sorted((job.work / "distill").glob("distilled-*.pt"))]:
        target = folder / f"{file.stem}.safetensors"
        pack(codec_name, file, target, {}, ModelSpec(file.stem))
        _say(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB")
    bundle(job)


def export(job: Job, stage_name: str, path: Path) -> None:
    """Bring out a checkpoint's averaged weights in half precision, from which a run goes on with a fresh optimiser."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    small = {key: value for key, value in state.items() if key not in ("dit", "codec", "optimiser", "judge", "judge_optimiser")}
    small["ema"] = {key: value.half() if value.is_floating_point() else value for key, value in state["ema"].items()}
    folder = job.work / "export" / stage_name
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(small, folder / path.name)
    figures = path.with_suffix(".jsonl")
    if figures.is_file():
        shutil.copy(figures, folder / figures.name)
    bundle(job)


def bundle(job: Job) -> None:
    """Everything worth keeping as one archive in pieces, models first; what does not fit is named and left out."""
    models, kept = sorted((job.work / "models").glob("*.safetensors")), sorted((job.work / "export").rglob("*.*"))
    archive, total = job.work / RESULT, 0
    with tarfile.open(archive, "w") as tar:
        for file in [*models, *kept]:
            total += file.stat().st_size
            if total > OUT_TOTAL_MB * MEGABYTE:
                total -= file.stat().st_size
                _say(f"left out, {OUT_TOTAL_MB:g} MB are full: {file.name}")
                continue
            tar.add(file, file.relative_to(job.work if file in models else job.work / "export"))
    for old in job.out.glob(f"{RESULT}*"):
        old.unlink()
    cut(archive, job.out)


def unbundle(folder: Path, out: Path) -> list[Path]:
    """The inverse of `bundle`, into `out`; files that are there stay. Returns what was new. Raises as `joined` does."""
    made = []
    for archive in joined(folder, out):
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                if not (out / member.name).exists():
                    tar.extract(member, out, filter="data")
                    made.append(out / member.name)
        archive.unlink()
    return made


def carry_out(job: Job) -> None:
    """All stages that this call has time for. Raises as they do."""
    unpack(job)
    name = job.codec or train_codec(job)
    if not name:
        return
    if job.audio.is_dir():
        make_latents(job, name)
    path = train_generator(job)
    if path:
        pack_all(job, name, path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train gpu`."""
    parser.add_argument("action", choices=["stage", "run", "join"], help="cut data to pieces; train; put a result together")
    parser.add_argument("--data", type=Path, default=Path(".cache/audio"), help="stage: prepared audio")
    parser.add_argument("--pieces", type=Path, default=Path(".cache/pieces"), help="audio, latents, or an earlier --out")
    parser.add_argument("--piece-mb", type=float, default=PIECE_MB, help="stage: size of a piece")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu"), help="folder that this machine keeps between calls")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-out"), help=f"results, in files of at most {OUT_MB:g} MB")
    parser.add_argument("--codec", default="", help="a codec to take as it is, such as live, instead of training one")
    parser.add_argument("--recipes", default="gpu", help="P of P_codec, P_noise, P_finetune, P_diffusion, P_distill")
    parser.add_argument("--minutes", type=float, default=25.0, help="time of all training stages together, over all calls")
    parser.add_argument("--session", type=float, default=9.0, help="minutes after which this call ends; call again to go on")


def run(args: Any) -> int:
    """`segue train gpu`: 0, or 2 with one line where something is missing or wrong."""
    parallel.start()
    try:
        if args.action == "stage":
            if not read_index(args.data):
                raise FileNotFoundError(f"no prepared audio in {args.data}: run `segue train prepare FOLDER --out DIR` first")
            for piece in stage(args.data, args.pieces, args.piece_mb):
                print(piece)
        elif args.action == "join":
            if not any(args.out.glob(f"*{LIST}")):
                raise FileNotFoundError(f"join: no result in {args.out}; name the --out of `segue train gpu run`")
            print(*unbundle(args.out, args.work), sep="\n")
        else:
            recipes = {name: recipe.find(Path(f"{args.recipes}_{name}")) for name in SHARES}
            deadline = time.monotonic() + 60 * args.session
            carry_out(Job(args.pieces, args.work, args.out, args.codec, recipes, args.minutes, deadline))
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def main() -> int:
    """`python -m segue.train.gpu`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
