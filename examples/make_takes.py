"""Renders one audio example of every verb that the model card names, out of the two clips here, with the model that ships.

    python examples/make_takes.py [FOLDER] [--pictures]

Writes NAME.ogg (Ogg Vorbis) of each: some seconds of what was heard, the take, and what came after; with --pictures a PNG beside
it, the generated stretch marked. Half a minute on one core. The same audio goes into the encoder every time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import yaml

from segue.server import cli
from segue.server.picture import Region, draw

HERE = Path(__file__).resolve().parent
CLIP_A, CLIP_B = str(HERE / "clip_a.flac"), str(HERE / "clip_b.flac")
TEMPO: list[Any] = [0.0, "/segue/tempo", 120.0]
QUALITY = 0.4  # of the encoder's 0 to 1


@dataclass(frozen=True)
class Example:
    """A verb in a short performance: messages as (second, address, arguments...), and the seconds of it that are kept."""

    name: str
    first_s: float
    last_s: float
    messages: tuple[list[Any], ...]


BACK: list[Any] = ["/segue/deck/1/stop", "quant", "bar"]
OTHER: list[Any] = [0.5, "/segue/deck/2/load", CLIP_B]


def order(verb: str, *options: str | float) -> list[Any]:
    """An order to deck 1 at 8 s, on the next bar."""
    return [8.0, f"/segue/deck/1/{verb}", *options, "quant", "bar"]


EXAMPLES = (
    Example("continue", 6, 18, (order("continue", "beats", 8, "seed", 42), [13.5, *BACK])),
    Example("vary", 6, 18, (order("vary", "beats", 8, "k", 0.75, "seed", 3), [13.5, *BACK])),
    Example("loop", 6, 21, (order("loop", "beats", 8, "seed", 5), [17.5, *BACK])),
    Example("transition", 6, 18, (OTHER, order("transition", "to", 2, "beats", 8, "seed", 7))),
    Example("style", 6, 18, (OTHER, order("style", "deck", 2, "beats", 8, "seed", 11), [13.5, *BACK])),
    Example("generate", 6, 14, (order("generate", "beats", 8, "seed", 1),)),
)


def rendered(example: Example, scratch: Path) -> tuple[Path, dict[str, Any]]:
    """The performance as a WAV file, and what `segue render --json` says of it. Raises RuntimeError where it fails."""
    score, out = scratch / "score.yaml", scratch / "out.wav"
    score.write_text(
        yaml.safe_dump([{"at": at, "send": list(send)} for at, *send in (TEMPO, *example.messages)]), encoding="utf-8"
    )
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.main(["render", CLIP_A, str(out), "--score", str(score), "--json"])
    if code:
        raise RuntimeError(f"make_takes: {example.name} was not rendered, `segue render` ended with {code}")
    return out, json.loads(said.getvalue())


def main() -> int:
    """0, or 1 with one line where a take did not sound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "takes")
    parser.add_argument("--pictures", action="store_true", help="draw each take too")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for example in EXAMPLES:
            out, told = rendered(example, Path(scratch))
            takes = [take for take in told["takes"] if take["start_frame"] is not None]
            if not takes:
                print(f"make_takes: no take of {example.name} sounded", file=sys.stderr)
                return 1
            audio, rate = soundfile.read(out, dtype="float32")
            first, last = round(example.first_s * rate), round(example.last_s * rate)
            cut = audio[first:last]
            soundfile.write(
                args.folder / f"{example.name}.ogg", cut, rate, format="OGG", subtype="VORBIS", compression_level=1 - QUALITY
            )
            if args.pictures:
                new = [
                    Region(take["start_frame"] - first, take["start_frame"] + take["frames"] - first, take["verb"])
                    for take in takes
                ]
                draw(cut, rate, new, args.folder / f"{example.name}.png", example.name)
            print(f"{args.folder / example.name}.ogg: take from {(takes[0]['start_frame'] - first) / rate:.2f} s on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
