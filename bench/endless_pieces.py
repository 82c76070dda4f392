"""A minute of endless continuation of every piece in a folder: loudness, movement, repeats and beat, piece by piece."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.engine.measure import MEL_HOP
from segue.train.data import RATE, SUFFIXES, Skipped, read_audio
from segue.train.metrics.drift import beat_of
from segue.train.metrics.seams import flux
from segue.train.report import markdown

EXCERPT_S = 24.0  # of each piece, out of its middle; the last of it that is played is heard before the first take
LU, ALIKE_FLUX, OFFSET = 3.0, (0.25, 0.75), 0.01  # what a minute is held to: LU, shares of the input's flux, of full scale

Played = Callable[[Path, float], dict[str, Any]]


def excerpts(folder: Path) -> list[Path]:
    """The audio files of a folder. Raises FileNotFoundError without any."""
    found = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"no audio in {folder}; give a folder of pieces")
    return found


def pieces(files: Sequence[Path], play: Played, scratch: Path) -> list[dict[str, Any]]:
    """What `figures` says of each file that can be played, by play(excerpt, its tempo); the others are told on standard error."""
    found, begun = list[dict[str, Any]](), time.monotonic()
    for number, file in enumerate(files, start=1):
        try:
            audio = read_audio(file)[0]
            first = max(0, (len(audio) - round(EXCERPT_S * RATE)) // 2)
            excerpt = audio[first : first + round(EXCERPT_S * RATE)]
            beat = beat_of(flux(np.ascontiguousarray(excerpt.T), RATE), RATE / MEL_HOP)
            soundfile.write(scratch / "excerpt.wav", excerpt, RATE, subtype="FLOAT")
            found.append({"piece": file.stem} | figures(play(scratch / "excerpt.wav", beat.bpm if beat else 120.0)))
        except (Skipped, ValueError) as error:
            print(f"endless: {file.name} left out: {error}", file=sys.stderr, flush=True)
        left = (time.monotonic() - begun) / number * (len(files) - number)
        print(f"endless: {number} of {len(files)} pieces, {left:.0f} s left", file=sys.stderr, flush=True)
    return found


def figures(told: dict[str, Any]) -> dict[str, Any]:
    """Of what was played and its source, the figures of one piece; flux as a share of the source's.

    level_lu: mean loudness less the source's. range_lu: loudness range of 3 s stretches, and the source's. tempo_held: share of
    stretches of 20 s near the source's tempo. largest_step: over the material's own, of all seams.
    """
    made, source = told["endless"], told["source"]
    return {
        "takes": told["takes"],
        "gaps": told["gaps"],
        "seconds": made["seconds"],
        "level_lu": made["loudness_lufs"]["mean"] - source["loudness_lufs"]["mean"],
        "range_lu": made["loudness_range_lu"],
        "source_range_lu": source["loudness_range_lu"],
        "lu_per_minute": made["loudness_lufs"]["per_minute"],
        "flux_share": made["flux"]["mean"] / source["flux"]["mean"] if made["flux"] and source["flux"] else None,
        "repeated": made["repeated"],
        "most_alike": made["most_alike"],
        "source_repeated": source["repeated"],
        "dc": made["dc"],
        "source_dc": source["dc"],
        "largest_step": told["largest_step_over_material"],
        "tempo_held": made["tempo"]["held"] if made["tempo"] else None,
        "beat_share": made["tempo"]["share"] if made["tempo"] else None,
        "source_beat_share": source["tempo"]["share"] if source["tempo"] else None,
        **made["faults"],
    }


def holding(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many pieces hold what a minute is held to, point by point."""
    return {
        f"level within {LU:g} LU of the source": sum(abs(row["level_lu"]) <= LU for row in rows),
        f"range at most {LU:g} LU": sum(row["range_lu"] <= LU for row in rows),
        "range no greater than the source's": sum(row["range_lu"] <= row["source_range_lu"] for row in rows),
        f"flux at least {ALIKE_FLUX[0]:.0%} of the source's": sum((row["flux_share"] or 0) >= ALIKE_FLUX[0] for row in rows),
        f"flux at least {ALIKE_FLUX[1]:.0%} of the source's": sum((row["flux_share"] or 0) >= ALIKE_FLUX[1] for row in rows),
        "no second heard before": sum(row["repeated"] == 0 for row in rows),
        "no second heard before, of those that do not repeat themselves": sum(
            row["repeated"] == row["source_repeated"] == 0 for row in rows
        ),
        "at the tempo throughout": sum(row["tempo_held"] == 1 for row in rows),
        f"DC under {OFFSET:g}, or no more than the source's": sum(row["dc"] <= max(OFFSET, row["source_dc"]) for row in rows),
        "no seam rougher than the material": sum((row["largest_step"] or 0) <= 1 for row in rows),
        "no gap": sum(row["gaps"] == 0 for row in rows),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, and how many hold each point."""
    heads = ["piece", "level, LU", "range, LU (source)", "LU a minute", "flux share", "heard before (source)", "most alike", "DC",
             "at the tempo", "beat (source)", "roughest seam", "clicks", "holes"]  # fmt: skip
    lines = [heads]
    for row in rows:
        lines.append([
            row["piece"], said(row["level_lu"], "+.1f"), f"{said(row['range_lu'])} ({said(row['source_range_lu'])})",
            said(row["lu_per_minute"], "+.1f"), said(row["flux_share"], ".2f"), f"{row['repeated']} ({row['source_repeated']})",
            said(row["most_alike"], ".2f"), said(row["dc"], ".4f"), said(row["tempo_held"], ".2f"),
            f"{said(row['beat_share'], '.2f')} ({said(row['source_beat_share'], '.2f')})",
            said(row["largest_step"], ".2f"), str(row["clicks"]), str(row["holes"]),
        ])  # fmt: skip
    held = "; ".join(f"{words}: {count}" for words, count in holding(rows).items())
    return f"{markdown(lines)}\n\nOf {len(rows)} pieces: {held}."


def said(value: float | None, form: str = ".1f") -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else format(value, form)
