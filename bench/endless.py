"""Endless continuation over minutes: what drifts, what repeats, and what goes wrong, in what the server really plays.

The whole server is rendered offline, `continue endless 1` after a source has played, and the recording is judged from the first
take on. Loudness, flux, tempo and repeats stand beside those of the source.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.engine.measure import MEL_HOP, loudness
from segue.server.audio.files import FileError
from segue.server.config import Config
from segue.server.jobs import Audio
from segue.server.render import COST_S, opened, rendered
from segue.server.render import add_arguments as add_render_arguments
from segue.server.score import Event, ScoreError
from segue.train.metrics.drift import EVERY_S, beat_of, drift
from segue.train.metrics.faults import faults
from segue.train.metrics.repeats import ALIKE, repeats
from segue.train.metrics.seams import flux
from segue.train.report import markdown, put

RATE = 44_100
SOURCE = Path(__file__).resolve().parent.parent / "examples" / "clip_a.flac"
AFTER_S = 8.0  # what the source plays before it is continued, where it is long enough
BAR, AHEAD = 4, 2  # beats of a bar; costs of a window that may pass between the asking and the first bar that can be met
BEATS, SEED = 8.0, 42
FADE_S = 1.0  # left out of the recording on either side of what is judged
TOLD = 20  # repeats that are told one by one
SHORT_S, GATE_LUFS, BELOW_LU, LRA_PERCENTILES = 3, -70.0, 20.0, (10, 95)  # EBU Tech 3342


@dataclass(frozen=True)
class Course:
    """A figure over a recording, stretch by stretch: its mean, its slope a minute and its range."""

    mean: float
    per_minute: float | None
    least: float
    largest: float


class Recording:
    """Samples first to last of a sound file, read piece by piece."""

    def __init__(self, path: Path, first: int = 0, last: int | None = None) -> None:
        """Raises OSError or a soundfile error."""
        self._file = soundfile.SoundFile(path)
        self.rate, self._first = int(self._file.samplerate), first
        self.length = max(0, (self._file.frames if last is None else min(last, self._file.frames)) - first)

    def read(self, first: int, count: int) -> Audio:
        """`[2, count]` from its sample `first` on, fewer at its end."""
        self._file.seek(self._first + first)
        audio: Audio = self._file.read(min(count, self.length - first), dtype="float32", always_2d=True).T
        return np.ascontiguousarray(np.broadcast_to(audio, (2, audio.shape[1])) if len(audio) == 1 else audio[:2])

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def judged(recording: Recording, bpm: float | None = None) -> dict[str, Any]:
    """Everything that is measured on a recording; None stands for what it is too short for."""
    rate, size = recording.rate, round(EVERY_S * recording.rate)
    levels, risen, beats, found, offsets = list[float](), list[float](), [], [], list[float]()
    for first in range(0, recording.length, size):
        part = recording.read(first, size)
        levels += [loudness(part[:, i : i + rate], rate) for i in range(0, part.shape[1] - rate + 1, rate)]
        found.append(faults(part, rate))
        if part.shape[1] >= SHORT_S * rate:
            onsets = flux(part, rate)
            risen.append(float(onsets.mean()))
            offsets.append(found[-1].dc)  # the mean of a few milliseconds at the end would be no offset
            if part.shape[1] == size:
                beats.append(beat_of(onsets, rate / MEL_HOP))
        print(
            f"endless: judged {(first + part.shape[1]) / rate:.0f} of {recording.length / rate:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    again = repeats(recording.read, recording.length, rate)
    alike = sorted((one for one in again if one.correlation > ALIKE), key=lambda one: -one.correlation)
    drifted = drift(beats, EVERY_S, bpm)
    return {
        "seconds": recording.length / rate,
        "loudness_lufs": course(levels, 1.0),
        "loudness_range_lu": loudness_range(levels),
        "flux": course(risen, EVERY_S),
        "tempo": asdict(drifted) if drifted else None,
        "dc": max(offsets, default=None),
        "faults": {name: sum(getattr(one, name) for one in found) for name in ("clicks", "holes", "clipped", "stuck_s")},
        "side_db": course([one.side_db for one in found], EVERY_S),
        "windows": len(again),
        "repeated": len(alike),
        "most_alike": max((one.correlation for one in again), default=None),
        "repeats": [asdict(one) for one in alike[:TOLD]],
    }


def course(values: Sequence[float], every_s: float) -> dict[str, float] | None:
    """The course of values taken every so many seconds, without a slope where there is one alone; None without any."""
    if not values:
        return None
    minutes = np.arange(len(values)) * every_s / 60
    slope = float(np.polyfit(minutes, values, 1)[0]) if len(values) > 1 else None
    return asdict(Course(float(np.mean(values)), slope, float(min(values)), float(max(values))))


def loudness_range(levels: Sequence[float]) -> float | None:
    """Loudness range in LU (EBU Tech 3342: 10th to 95th percentile of the loudness of SHORT_S, gated at -70 LUFS and 20 LU below
    the mean) out of the loudness of every second; None where nothing sounds for so long."""
    power = 10 ** (np.asarray(levels) / 10)
    if len(power) < SHORT_S:
        return None
    short = np.convolve(power, np.full(SHORT_S, 1 / SHORT_S), "valid")
    short = short[short >= 10 ** (GATE_LUFS / 10)]
    short = short[short >= short.mean() / 10 ** (BELOW_LU / 10)] if len(short) else short
    if not len(short):
        return None
    low, high = np.percentile(10 * np.log10(short), LRA_PERCENTILES)
    return float(high - low)


def score(beats: float, bpm: float, seed: int, after_s: float = AFTER_S) -> list[Event]:
    """Play on without an end from the first bar after `after_s`."""
    words = ("beats", beats, "seed", seed, "quant", "bar", "endless", True)
    return [Event(0.0, "/segue/tempo", (bpm,)), Event(after_s, "/segue/deck/1/continue", words)]


def asked_s(length_s: float, bpm: float, cost: float) -> float:
    """Seconds of a source of so many after which it is continued: AFTER_S, or so much sooner that the first take begins on a bar
    before the source ends. Silence after its end is none of its music, and takes would be cut from it."""
    return max(0.0, min(AFTER_S, length_s - BAR * 60 / bpm - AHEAD * cost))


def play(args: Any, out: Path) -> dict[str, Any]:
    """Renders the minutes to a file; the report of `segue render`. Raises ScoreError where no take was heard."""
    with opened(str(args.input), RATE) as reader:
        after_s = asked_s(reader.length / RATE, args.bpm, args.cost)
        tail = max(0.0, after_s + 60 * args.minutes + 2 * FADE_S - reader.length / RATE)
        options = argparse.ArgumentParser()
        add_render_arguments(options)
        given = {"score": "-", "model": args.model, "backend": args.backend, "tempo": args.bpm, "tail": tail, "cost": args.cost}
        words = [f"--{name}={value}" for name, value in given.items()]
        wanted = options.parse_args([str(args.input), str(out), *words])
        report, fails = rendered(wanted, score(args.beats, args.bpm, args.seed, after_s), reader)
    if not report["takes"]:
        raise ScoreError(f"no take was heard{''.join(f'; {words[1]}' for words in fails[:1])}; see `segue doctor`")
    return report


def gaps(takes: Sequence[dict[str, Any]]) -> int:
    """How many takes do not begin where the one before them ends."""
    places = sorted((take["start_frame"], take["start_frame"] + take["frames"]) for take in takes)
    return sum(one[1] != two[0] for one, two in pairwise(places))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate endless`."""
    parser.add_argument("--minutes", type=float, default=5.0, help="of endless continuation")
    parser.add_argument("--input", type=Path, default=SOURCE, help="what is continued: any audio file of at least 10 s")
    parser.add_argument("--bpm", type=float, default=120.0, help="its tempo, which the server is told")
    parser.add_argument("--beats", type=float, default=BEATS, help="of each take")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first take")
    parser.add_argument("--model", default=Config().model, help="name of a shipped model, or a model file")
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--cost", type=float, default=COST_S, help="seconds charged for a window of new audio")
    parser.add_argument("--out", type=Path, default=None, help="WAV file to keep what sounded in (default: kept nowhere)")
    parser.add_argument("--into", type=Path, default=None, help="Markdown file that gets the table")
    parser.add_argument("--pieces", type=Path, default=None, help="a folder in place of --input: each file, at its own tempo")
    parser.add_argument("--heard", type=Path, default=None, help="judge this recording as it is, and play nothing")


def run(args: Any) -> int:
    """`segue evaluate endless`: 0, or 2 with one line where it could not be played."""
    if args.pieces:
        return run_pieces(args)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            told = heard(args) if args.heard else played(args, args.out or Path(scratch) / "endless.wav")
    except (OSError, FileError, ScoreError, soundfile.LibsndfileError) as error:
        print(f"endless: {error}", file=sys.stderr)
        return 2
    if args.into:
        put(args.into, "endless", table(told))
    print(json.dumps(told) if args.json else text(told))
    return 0


def run_pieces(args: Any) -> int:
    """`segue evaluate endless --pieces`: as `run`, a row a file."""
    from segue.bench import endless_pieces

    with tempfile.TemporaryDirectory() as scratch:

        def play_one(excerpt: Path, bpm: float) -> dict[str, Any]:
            return played(argparse.Namespace(**{**vars(args), "input": excerpt, "bpm": bpm}), Path(scratch) / "endless.wav")

        try:
            rows = endless_pieces.pieces(endless_pieces.excerpts(args.pieces), play_one, Path(scratch))
        except (OSError, soundfile.LibsndfileError) as error:
            print(f"endless: {error}", file=sys.stderr)
            return 2
    told = endless_pieces.table(rows)
    if args.into:
        put(args.into, "endless_pieces", told)
    print(json.dumps({"pieces": rows, "holding": endless_pieces.holding(rows)}) if args.json else told)
    return 0


def heard(args: Any) -> dict[str, Any]:
    """The figures of a recording."""
    recording = Recording(args.heard)
    try:
        return {"endless": judged(recording, args.bpm)}
    finally:
        recording.close()


def played(args: Any, out: Path) -> dict[str, Any]:
    """The figures of what the server played on, and of the source before it."""
    report = play(args, out)
    takes = report["takes"]
    first = min(take["start_frame"] for take in takes)
    last = max(take["start_frame"] + take["frames"] for take in takes)
    told: dict[str, Any] = {"takes": len(takes), "gaps": gaps(takes), "states": sorted({take["state"] for take in takes})}
    steps = [s["step_over_material"] for take in takes for s in take["seams"] if s["step_over_material"] is not None]
    told["largest_step_over_material"] = max(steps, default=None)
    for name, recording in (("endless", Recording(out, first, last)), ("source", Recording(args.input))):
        try:
            told[name] = judged(recording, args.bpm)
        finally:
            recording.close()
    return told


def table(told: dict[str, Any]) -> str:
    """The figures as Markdown, those of what was played beside those of the source."""
    parts = {name: told[name] for name in ("endless", "source") if name in told}
    rows = [["", *(f"{name}, {found['seconds']:.0f} s" for name, found in parts.items())]]

    def row(what: str, *keys: str, digits: int = 2) -> None:
        values: list[Any] = list(parts.values())
        for key in keys:
            values = [None if value is None else value[key] for value in values]
        rows.append([what, *("-" if value is None else f"{value:.{digits}f}" for value in values)])

    row("tempo, BPM away at most, %", "tempo", "departure_percent")
    row("tempo, BPM a minute", "tempo", "bpm_per_minute")
    row("share of stretches within 4 % of the tempo", "tempo", "held")
    row("share of the onsets that a beat explains", "tempo", "share")
    row("loudness, LUFS", "loudness_lufs", "mean", digits=1)
    row("loudness range of 3 s, LU", "loudness_range_lu", digits=1)
    row("loudness, LU a minute", "loudness_lufs", "per_minute")
    row("spectral flux", "flux", "mean", digits=1)
    row("side over mid, dB", "side_db", "mean", digits=1)
    row("DC, largest, of full scale", "dc", digits=4)
    row("windows of 1 s", "windows", digits=0)
    row("of them heard before (correlation over 0.9)", "repeated", digits=0)
    row("most alike", "most_alike")
    for kind in ("clicks", "holes", "clipped", "stuck_s"):
        row(kind, "faults", kind, digits=0)
    return markdown(rows)


def text(told: dict[str, Any]) -> str:
    """The figures as lines of text."""
    lines = [f"{name}: {value}" for name, value in told.items() if name not in ("endless", "source")]
    for name in ("endless", "source"):
        lines += [f"{name} {key}: {value}" for key, value in told.get(name, {}).items() if key != "repeats"]
    return "\n".join(lines)
