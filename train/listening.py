"""`segue evaluate listen`: a page for blind pairwise comparison of takes, and the wins it gathered (Figure 2, Levy et al. 2023).

A folder holds one folder a system, and in each the same file names: one a prompt. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from segue.engine.measure import Audio, loudness
from segue.train.bootstrap import COVERAGE
from segue.train.data import SUFFIXES

PAGE = Path(__file__).with_name("listening.html")
PORT = 8124
LUFS, PEAK = -20.0, 0.9  # where both of a pair are brought, unless a peak forbids it: then both are that much softer
CHOICES = ("a", "b", "none")
LONGEST_BODY = 4096


@dataclass(frozen=True)
class Trial:
    """Two takes on one prompt; which of the systems is a was drawn."""

    number: int
    prompt: str
    a: str
    b: str


@dataclass(frozen=True)
class Tally:
    """How often `one` was preferred to `other`; share counts the decided ones, with its Wilson interval."""

    one: str
    other: str
    wins: int
    losses: int
    undecided: int
    share: float | None
    interval: tuple[float, float] | None


def trials(folder: Path, seed: int) -> list[Trial]:
    """Every pair of systems on every prompt that both have, order and sides drawn. Raises FileNotFoundError without any."""
    takes = {system.name: _prompts(system) for system in sorted(folder.glob("*")) if system.is_dir()}
    pairs = [(one, other, name) for one, other in combinations(takes, 2) for name in sorted(takes[one] & takes[other])]
    if not pairs:
        advice = "make one folder a system, one file a prompt"
        raise FileNotFoundError(f"listen: no two folders in {folder} share a file name; {advice}")
    rng = np.random.default_rng(seed)
    made = []
    for number, index in enumerate(rng.permutation(len(pairs))):
        one, other, name = pairs[index]
        a, b = (one, other) if rng.random() < 0.5 else (other, one)
        made.append(Trial(number, name, a, b))
    return made


def _prompts(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix in SUFFIXES}


def matched(one: Path, other: Path) -> tuple[bytes, bytes]:
    """Both files as WAV at one loudness: LUFS, or as much less as lets neither pass PEAK."""
    import soundfile

    read = [soundfile.read(path, dtype="float32", always_2d=True) for path in (one, other)]
    factors = gains([(audio.T, rate) for audio, rate in read])
    files = []
    for factor, (audio, rate) in zip(factors, read, strict=True):
        file = io.BytesIO()
        soundfile.write(file, np.clip(audio * np.float32(factor), -1, 1), rate, format="WAV", subtype="PCM_16")
        files.append(file.getvalue())
    return files[0], files[1]


def gains(takes: Sequence[tuple[Audio, int]]) -> list[float]:
    """Factors that bring takes `[2, n]`, each at its rate, to one loudness: LUFS, or as much less as lets none pass PEAK."""
    wanted = [10 ** ((LUFS - loudness(audio, rate)) / 20) for audio, rate in takes]
    peaks = [gain * float(np.abs(audio).max(initial=0.0)) for gain, (audio, _) in zip(wanted, takes, strict=True)]
    less = min(1.0, PEAK / max(*peaks, 1e-9))
    return [gain * less for gain in wanted]


def tally(results: Path) -> list[Tally]:
    """The wins of every pair of systems in a file of results, one JSON object a line."""
    counts: dict[tuple[str, str], list[int]] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        vote = json.loads(line)
        one, other = sorted((vote["a"], vote["b"]))
        place = 2 if vote["choice"] == "none" else 0 if vote[vote["choice"]] == one else 1
        counts.setdefault((one, other), [0, 0, 0])[place] += 1
    found = []
    for (one, other), (wins, losses, undecided) in sorted(counts.items()):
        decided = wins + losses
        share, between = (wins / decided, wilson(wins, decided)) if decided else (None, None)
        found.append(Tally(one, other, wins, losses, undecided, share, between))
    return found


def wilson(wins: int, count: int) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927), which stays within 0 and 1 and is right for few votes too."""
    z = NormalDist().inv_cdf((1 + COVERAGE) / 2)
    share, spread = wins / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * float(np.sqrt(share * (1 - share) / count + spread / (4 * count)))
    return max(0.0, centre - half), min(1.0, centre + half)


class Server(ThreadingHTTPServer):
    """Serves the page, the pairs without their names, and takes votes, on this machine only."""

    def __init__(self, folder: Path, results: Path, seed: int, port: int, rater: str = "") -> None:
        """port 0 is any that is free. Raises OSError where the port is taken."""
        self.folder, self.results, self.rater = folder, results, rater
        self.trials = trials(folder, seed)
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def vote(self, body: bytes) -> str | None:
        """Writes a vote down; a sentence where it is none."""
        try:
            given = json.loads(body)
            number, choice = given["trial"], given["choice"]
            known = isinstance(number, int) and 0 <= number < len(self.trials) and choice in CHOICES
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            return f"vote: give trial, 0 to {len(self.trials) - 1}, and choice, one of {', '.join(CHOICES)}"
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(self.trials[number]), "choice": choice, "rater": self.rater}) + "\n")
        return None

    def audio(self, number: str, side: str) -> bytes | None:
        """One side of a pair, or None where there is none such."""
        if not number.isdecimal() or int(number) >= len(self.trials) or side not in ("a.wav", "b.wav"):
            return None
        trial = self.trials[int(number)]
        return matched(*(self.folder / system / trial.prompt for system in (trial.a, trial.b)))[side == "b.wav"]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        """The page, the number of trials, or one side of one."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts == [""]:
            self._answer(200, PAGE.read_bytes(), "text/html; charset=utf-8")
        elif parts == ["trials"]:
            self._answer(200, json.dumps({"count": len(self.server.trials)}).encode(), "application/json")
        else:
            audio = self.server.audio(parts[1], parts[2]) if len(parts) == 3 and parts[0] == "audio" else None
            self._answer(404, b"no such thing", "text/plain") if audio is None else self._answer(200, audio, "audio/wav")

    def do_POST(self) -> None:
        """A vote."""
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(min(int(length), LONGEST_BODY)) if length.isdecimal() else b""
        amiss = self.server.vote(body) if self.path == "/vote" else "no such thing"
        self._answer(400 if amiss else 200, (amiss or "{}").encode(), "text/plain" if amiss else "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a line for every file would hide the ones that matter."""


def lines(found: Sequence[Tally]) -> str:
    """The wins as lines of text."""
    rows = []
    for one in found:
        share = "" if one.share is None or one.interval is None else (
            f"  {100 * one.share:.0f} %, 95 % in [{100 * one.interval[0]:.0f}, {100 * one.interval[1]:.0f}]"
        )  # fmt: skip
        rows.append(f"{one.one} over {one.other}: {one.wins} wins, {one.losses} losses, {one.undecided} undecided{share}")
    return "\n".join(rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate listen`."""
    parser.add_argument("folder", type=Path, help="one folder a system, in each the same file names")
    parser.add_argument("--results", type=Path, required=True, help="file that votes are added to")
    parser.add_argument("--port", type=int, default=PORT, help="port of the page on this machine")
    parser.add_argument("--seed", type=int, default=0, help="of the order and the sides; give each listener another")
    parser.add_argument("--rater", default="", help="a name that is written beside each vote")
    parser.add_argument("--tally", action="store_true", help="print the wins so far, and serve nothing")


def run(args: Any) -> int:
    """`segue evaluate listen`: 0 when interrupted or tallied, 2 with one line where there is nothing to hear or to count."""
    try:
        if args.tally:
            found = tally(args.results)
            print(json.dumps({"pairs": [asdict(one) for one in found]}) if args.json else lines(found))
            return 0
        server = Server(args.folder, args.results, args.seed, args.port, args.rater)
    except (OSError, ValueError, KeyError) as error:
        print(f"listen: {error}" if not str(error).startswith("listen") else error, file=sys.stderr)
        return 2
    words = f"{len(server.trials)} pairs at {server.url} (interrupt to end; votes go to {args.results})"
    print(words, file=sys.stderr, flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
