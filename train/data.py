"""A folder of audio becomes memory-mapped 44.1 kHz stereo arrays with an index, and says what it left out."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.train.metadata import About, known_of

RATE = 44_100
REFERENCE_LUFS = -18.0  # the level that live audio is brought to before it is encoded
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")
STEMS = ("drums", "bass", "synths", "vocals", "other")
SHORTEST_SECONDS = 1.0
SILENCE_PEAK = 1e-3  # -60 dBFS
SOURCE_RATES = (8_000, 192_000)
INDEX = "index.json"
INDEX_SECONDS = 5.0  # between two writings of the index

# ITU-R BS.1770-4 as analogue prototypes: corner in Hz, Q, gain in dB, whether it is the shelf or the high-pass.
K_WEIGHTING = (
    (1681.974450955533, 0.7071752369554196, 3.999843853973347, True),
    (38.13547087602444, 0.5003270373238773, 0.0, False),
)

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """One prepared file. `frames` at 44.1 kHz; `gain` brings it to REFERENCE_LUFS; `stem` is "" for a full mix.

    label: the class of the music, "" where none is known.
    """

    name: str
    song: str
    stem: str
    artist: str
    split: str
    frames: int
    gain: float
    label: str = ""


class Skipped(Exception):
    """Why a file was left out, as a sentence."""


def k_weighted(audio: Audio, rate: int = RATE) -> Audio:
    """`[N, 2]` through the two K-weighting filters of ITU-R BS.1770-4, mapped to `rate` by the bilinear transform."""
    from scipy.signal import lfilter

    out = audio
    for f0, q, gain_db, shelf in K_WEIGHTING:
        k = np.tan(np.pi * f0 / rate)
        a = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
        if shelf:
            v = 10 ** (gain_db / 20)
            w = v**0.4996667741545416
            b = np.array([v + w * k / q + k * k, 2 * (k * k - v), v - w * k / q + k * k])
        else:
            b = np.array([1.0, -2.0, 1.0]) * a[0]
        out = lfilter(b / a[0], a / a[0], out, axis=0).astype(np.float32)
    return out


def loudness(audio: Audio, rate: int = RATE) -> float:
    """Integrated loudness of `[N, 2]` in LUFS, gated as in ITU-R BS.1770-4; -inf for silence."""
    block, step = int(0.4 * rate), int(0.1 * rate)
    energy = np.cumsum(np.concatenate([[0.0], np.square(k_weighted(audio, rate)).astype(np.float64).sum(1)]))
    starts = np.arange(0, max(len(audio) - block, 0) + 1, step)
    ends = np.minimum(starts + block, len(audio))
    power = (energy[ends] - energy[starts]) / block
    power = power[power > 10 ** ((-70 + 0.691) / 10)]
    if not len(power):
        return float("-inf")
    power = power[power > 0.1 * power.mean()]
    return float(-0.691 + 10 * np.log10(power.mean()))


def read_audio(path: Path) -> tuple[Audio, str]:
    """`[N, 2]` float32 at 44.1 kHz and the artist tag ("" without one). Raises `Skipped` with the reason."""
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(path) as file:
            rate, artist = file.samplerate, str(file.artist or "")
            audio = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise Skipped(f"unreadable: {error}") from error
    if not SOURCE_RATES[0] <= rate <= SOURCE_RATES[1]:
        raise Skipped(f"sample rate {rate} Hz, allowed {SOURCE_RATES[0]} to {SOURCE_RATES[1]}: resample it")
    if len(audio) < SHORTEST_SECONDS * rate:
        raise Skipped(f"{len(audio) / rate:.2f} s long, needed {SHORTEST_SECONDS} s: join it with others")
    if not np.isfinite(audio).all():
        raise Skipped("holds samples that are not finite: export it again")
    if np.abs(audio).max() < SILENCE_PEAK:
        raise Skipped("silent: its peak is below -60 dBFS")
    audio = audio[:, [0, min(1, audio.shape[1] - 1)]]
    return np.ascontiguousarray(audio if rate == RATE else soxr.resample(audio, rate, RATE), dtype=np.float32), artist


def split_of(key: str, holdout: float) -> str:
    """`eval` for a share `holdout` of all keys, else `train`: the same key goes the same way on every machine."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "eval" if place < holdout else "train"


def song_and_stem(path: Path) -> tuple[str, str]:
    """`song.drums.opus` is the stem `drums` of `song`; any other file is a song of its own."""
    head, _, tail = path.stem.rpartition(".")
    return (head, tail) if head and tail in STEMS else (path.stem, "")


def store(out: Path, name: str, audio: Audio) -> float:
    """Write `[N, 2]` as int16; returns the gain that takes the stored array to REFERENCE_LUFS as float."""
    scale = min(1.0, 0.999 / max(float(np.abs(audio).max()), 1e-9))
    level = loudness(audio) + 20 * np.log10(scale)
    if level == float("-inf"):
        raise Skipped("silent: nothing above -70 LUFS")
    np.save(out / f"{name}.npy", np.round(audio * (scale * 32767)).astype(np.int16))
    return float(10 ** ((REFERENCE_LUFS - level) / 20))


def audio_files(folder: Path) -> list[Path]:
    """Every audio file below the folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def read_index(out: Path) -> dict[str, Entry]:
    """The prepared entries by name; empty where nothing was prepared."""
    path = out / INDEX
    return {row["name"]: Entry(**row) for row in json.loads(path.read_text())} if path.is_file() else {}


def write_index(out: Path, entries: Iterable[Entry]) -> None:
    """Replace the index in one step, so that a reader never meets half of it."""
    rows = [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.name)]
    (out / "index.tmp").write_text(json.dumps(rows, indent=0))
    (out / "index.tmp").replace(out / INDEX)


def prepare(
    folder: Path, out: Path, holdout: float = 0.0, metadata: Path | None = None, minutes: float = math.inf
) -> Iterator[str]:
    """Prepare every file below `folder` into `out`, yielding one line a file; what is already there stays.

    A share `holdout` of the artists (of the files, where no artist is known) is marked `eval` and never trained on.
    Begins no file after `minutes`. Raises `FileNotFoundError` where the folder holds no audio, ValueError for wrong metadata.
    """
    files = audio_files(folder)
    if not files:
        raise FileNotFoundError(f"no audio in {folder}: looked for {', '.join(SUFFIXES)}; name a folder that holds some")
    out.mkdir(parents=True, exist_ok=True)
    entries, about = read_index(out), known_of(folder, metadata)
    todo = [(path, name) for path in files if (name := name_of(folder, path)) not in entries]
    begun = written = time.monotonic()
    try:
        for number, (path, name) in enumerate(todo):
            if time.monotonic() - begun > 60 * minutes:
                yield f"{minutes:g} minutes are over after {number} of {len(todo)} files; run it again to go on"
                return
            try:
                entries[name] = entry_of(path, name, out, about(path), holdout)
            except Skipped as reason:
                yield f"skipped {path.name}: {reason}"
                continue
            if time.monotonic() - written > INDEX_SECONDS:
                write_index(out, entries.values())
                written = time.monotonic()
            after = len(todo) - number - 1
            left = (time.monotonic() - begun) / (number + 1) * after / 60
            yield f"prepared {path.name}: {entries[name].frames / RATE:.0f} s; {after} to go, {left:.1f} min"
    finally:
        write_index(out, entries.values())


def name_of(folder: Path, path: Path) -> str:
    """The name of a file's entry: the folder's, then its place in it."""
    return f"{folder.name}--" + "--".join(path.relative_to(folder).with_suffix("").parts)


def entry_of(path: Path, name: str, out: Path, about: About, holdout: float) -> Entry:
    """Read and store one file; the artist that is known goes before its tag. Raises `Skipped` with the reason."""
    audio, tag = read_audio(path)
    gain = store(out, name, audio)
    stem = song_and_stem(path)[1]
    song = name.removesuffix(f".{stem}") if stem else name  # with its folders: every album has a first track
    artist = about.artist or tag
    return Entry(name, song, stem, artist, split_of(artist or song, holdout), len(audio), gain, about.label)


def prepare_synthesis(minutes: float, out: Path, seed: int = 0, seconds: float = 60.0) -> Iterator[str]:
    """Compose `minutes` of music by program into `out`, in pieces of about `seconds`, yielding one line a piece."""
    from segue.engine.synthesis import pieces

    out.mkdir(parents=True, exist_ok=True)
    entries = read_index(out)
    for number, piece in enumerate(pieces(seed, minutes, seconds)):
        name = f"synthesis--{seed}-{number:04d}"
        gain = store(out, name, piece.audio)
        entries[name] = Entry(name, name, "", "synthesis", "train", len(piece.audio), gain, piece.style)
        write_index(out, entries.values())
        yield f"composed {name}: {piece.style} at {piece.bpm:.0f} BPM"


def open_entry(out: Path, entry: Entry) -> NDArray[np.int16]:
    """The stored `[N, 2]` int16 array, mapped, not read."""
    array: NDArray[np.int16] = np.load(out / f"{entry.name}.npy", mmap_mode="r")
    return array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train prepare`."""
    parser.add_argument("folder", type=Path, nargs="?", help="folder of audio files, searched with its subfolders")
    parser.add_argument("--synthesis", type=float, default=0.0, metavar="MINUTES", help="add music composed by program")
    parser.add_argument("--out", type=Path, default=Path(".cache/audio"), help="folder for the arrays and their index")
    parser.add_argument("--metadata", type=Path, default=None, help="the Free Music Archive's fma_metadata, if elsewhere")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no file after this time; run again to go on")
    parser.add_argument("--holdout", type=float, default=0.05, help="share of artists (else files) kept for evaluation")


def run(args: Any) -> int:
    """`segue train prepare`: 0, or 2 with one line where there is nothing to prepare."""
    try:
        if args.folder is None and not args.synthesis > 0:
            raise ValueError("prepare: got no music; name a folder of it, or --synthesis MINUTES")
        if not 0 <= args.holdout <= 1:
            raise ValueError(f"--holdout: got {args.holdout:g}, allowed a share from 0 to 1; correct it")
        if not args.minutes > 0:
            raise ValueError(f"--minutes: got {args.minutes:g}, allowed more than 0; correct it")
        from_folder = prepare(args.folder, args.out, args.holdout, args.metadata, args.minutes) if args.folder else ()
        from_program = prepare_synthesis(args.synthesis, args.out) if args.synthesis > 0 else ()
        skipped = 0
        for line in chain(from_folder, from_program):
            skipped += line.startswith("skipped")
            print(line, file=sys.stderr, flush=True)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    entries = list(read_index(args.out).values())
    minutes = sum(entry.frames for entry in entries) / RATE / 60
    held, kinds = sum(entry.split == "eval" for entry in entries), {entry.label for entry in entries} - {""}
    print(f"{len(entries)} files, {minutes:.0f} minutes, {len(kinds)} classes, {held} held out, in {args.out}; {skipped} skipped")
    return 0 if entries else 2
