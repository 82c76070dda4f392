"""`segue evaluate codec`: what the codec alone does to music, clip by clip, with the Frechet distance and its floor beside it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.engine.checkpoint import CheckpointError, load
from segue.engine.engine import Engine
from segue.engine.measure import mel_distance
from segue.train.cases import Stretch, draw
from segue.train.codec_measures import mel_noise_baseline, si_sdr, side_error
from segue.train.metrics.ears import Audio, Embedder, embedder_of, hear
from segue.train.metrics.frechet import frechet
from segue.train.metrics.spectral import multi_resolution
from segue.train.metrics.transients import transient_errors_db
from segue.train.playing import reconstruct
from segue.train.report import markdown, put
from segue.train.yamnet import data_folder

CLIPS = 36
TIMED = 5
OURS, NOISE = "codec", "noise in 64 mel bands"


@dataclass(frozen=True)
class ClipFigures:
    """What a system does to one clip. mr: nepers. spectral: multi-resolution distance. transient_db, ahead_db: median over the
    clip's hits of level after and before each, None without hits. side_db: of the side-to-mid level."""

    song: str
    system: str
    mr: float
    spectral: float
    si_sdr_db: float
    transient_db: float | None
    ahead_db: float | None
    side_db: float


def figures(song: str, system: str, x: Audio, y: Audio, rate: int) -> ClipFigures:
    """All figures of y `[2, n]` as a copy of x."""
    a, b = (torch.from_numpy(np.ascontiguousarray(audio, np.float32)) for audio in (x, y))
    after, before = transient_errors_db(x, y, rate)
    force, ahead = (float(np.median(errors)) if len(errors) else None for errors in (after, before))
    return ClipFigures(
        song, system, mel_distance(x, y, rate), multi_resolution(x, y), si_sdr(a, b), force, ahead, side_error(a, b)
    )


def summary(system: str, clips: Sequence[ClipFigures]) -> dict[str, Any]:
    """Means over clips; the median of SI-SDR, and of the size of the transients' errors the mean."""

    def mean(values: Sequence[float | None], size: bool = False) -> float | None:
        known = [abs(v) if size else v for v in values if v is not None]
        return float(np.mean(known)) if known else None

    return {
        "system": system,
        "n": len(clips),
        "mr": mean([one.mr for one in clips]),
        "spectral": mean([one.spectral for one in clips]),
        "si_sdr_db": float(np.median([one.si_sdr_db for one in clips])),
        "transient_db": mean([one.transient_db for one in clips]),
        "transient_db_size": mean([one.transient_db for one in clips], size=True),
        "ahead_db": mean([one.ahead_db for one in clips]),
        "side_db": mean([one.side_db for one in clips]),
    }


def distances(embedder: Embedder, drawn: Sequence[Stretch], made: Sequence[Audio], rate: int) -> dict[str, Any]:
    """FAD of copies from the references of the same songs, its floor (true audio from the same), and their quotient."""
    reference, true, copies = (
        hear(embedder, audio, rate).flat for audio in ([one.reference for one in drawn], [one.audio for one in drawn], made)
    )
    fad, floor = frechet(reference, copies), frechet(reference, true)
    return {"embedder": embedder.name, "fad": fad, "floor": floor, "over_floor": fad / floor}


def rtf(engine: Engine, audio: Audio) -> float:
    """Seconds of encoding and decoding together per second of audio, median of TIMED."""
    times = []
    for _ in range(TIMED + 1):
        begun = time.perf_counter()
        reconstruct(engine, audio)
        times.append(time.perf_counter() - begun)
    return float(np.median(times[1:]) * engine.sample_rate / audio.shape[1])


def lines_of(rows: Sequence[dict[str, Any]], clips: Sequence[ClipFigures]) -> str:
    """The summaries as a table, and the codec's clips below."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    told = markdown([heads, *([_cell(row.get(key)) for key in heads] for row in rows)])
    own = [asdict(one) for one in clips if one.system == OURS]
    keys = [key for key in own[0] if key != "system"]
    return told + "\n\n" + markdown([keys, *([_cell(one[key]) for key in keys] for one in own)])


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate codec`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and models/ (default: SEGUE_DATA)")
    parser.add_argument("--clips", type=int, default=CLIPS, help="how many clips of 6 s")
    parser.add_argument("--embedder", default="yamnet", help="as of `segue evaluate table`")
    parser.add_argument("--into", type=Path, default=None, help="Markdown file that gets the tables")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """`segue evaluate codec`: 0, or 2 with one line where the model or the data are missing."""
    data = args.data or data_folder()
    try:
        engine = Engine(load(args.model))
        drawn = draw(data / "eval", args.clips, engine.sample_rate)
        embedder = embedder_of(args.embedder, data)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    rate, clips = engine.sample_rate, list[ClipFigures]()
    made: dict[str, list[Audio]] = {OURS: [], NOISE: []}
    for number, one in enumerate(drawn, start=1):
        made[OURS].append(reconstruct(engine, one.audio))
        made[NOISE].append(mel_noise_baseline(torch.from_numpy(one.audio)).numpy())
        clips += [figures(one.song, system, one.audio, copies[-1], rate) for system, copies in made.items()]
        print(f"codec: {number} of {len(drawn)} clips", file=sys.stderr, flush=True)
    rows = [
        summary(name, [one for one in clips if one.system == name]) | distances(embedder, drawn, copies, rate)
        for name, copies in made.items()
    ]
    rows[0]["rtf"] = rtf(engine, drawn[0].audio)
    if args.into:
        put(args.into, "codec", lines_of(rows, clips))
    print(json.dumps({"rows": rows, "clips": [asdict(one) for one in clips]}) if args.json else lines_of(rows, clips))
    return 0
