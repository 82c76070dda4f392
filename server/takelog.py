"""What the takes of a performance were, as figures: one row a take, with its seams measured in what sounded."""

from __future__ import annotations

from typing import Any

from segue.engine.measure import loudness_step_lu, step_over_material
from segue.server.audio.files import FileReader
from segue.server.jobs import Audio
from segue.server.reports import take_facts
from segue.server.state import World
from segue.server.takes import State

SEAM_MARGIN_S = 1.1  # a seam nearer than this to an end of the recording cannot be measured


def still_playing(world: World, rate: int) -> list[dict[str, Any]]:
    """Facts of the takes that sounded and are not over, which no log has yet."""
    heard = (take for take in world.takes.values() if take.heard_at is not None and take.state is not State.DONE)
    return [take_facts(take, rate) for take in heard]


def measured(facts: dict[str, Any], sounded: FileReader, rate: int) -> dict[str, Any]:
    """As `row`, from a recording on disk whose first sample is stream frame 0."""
    around = round((SEAM_MARGIN_S + 0.1) * rate)

    def at(frame: int) -> dict[str, Any]:
        first = max(0, frame - around)
        sounded.seek(first)
        return seam(sounded.read(max(0, min(frame + around, sounded.length) - first)), frame, rate, first)

    return {**facts, "seams": [at(frame) for frame in (facts["start_frame"], facts["start_frame"] + facts["frames"])]}


def row(facts: dict[str, Any], sounded: Audio, rate: int, first: int) -> dict[str, Any]:
    """A take's facts, and its two seams as they sounded."""
    start = facts["start_frame"]
    return {**facts, "seams": [seam(sounded, frame, rate, first) for frame in (start, start + facts["frames"])]}


def seam(sounded: Audio, frame: int, rate: int, first: int) -> dict[str, Any]:
    """The two figures of a seam at a stream frame; null where too little was recorded around it."""
    at, margin = frame - first, round(SEAM_MARGIN_S * rate)
    known = margin <= at <= sounded.shape[1] - margin
    return {
        "frame": frame,
        "step_over_material": float(step_over_material(sounded, at, rate)) if known else None,
        "loudness_step_lu": float(loudness_step_lu(sounded, at, rate)) if known else None,
    }
