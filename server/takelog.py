"""What the takes of a performance were, as figures: one row a take, with its seams measured in what sounded."""

from __future__ import annotations

from typing import Any

from segue.engine.measure import loudness_step_lu, step_over_material
from segue.server.jobs import Audio
from segue.server.reports import take_facts
from segue.server.state import World

SEAM_MARGIN_S = 1.1  # a seam nearer than this to an end of the recording cannot be measured


def rows(world: World, sounded: Audio, rate: int, first: int = 0) -> list[dict[str, Any]]:
    """The takes that played, oldest first. sounded: `[2, n]`, whose first sample is stream frame `first`."""
    return [row(take_facts(take, rate), sounded, rate, first) for take in world.takes.values() if take.heard_at is not None]


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
