"""What the takes of a performance were, as figures: one row a take, with its seams measured in what sounded."""

from __future__ import annotations

from typing import Any

from segue.engine.measure import loudness_step_lu, step_over_material
from segue.server.jobs import Audio
from segue.server.state import Take, World

SEAM_MARGIN_S = 1.1  # a seam nearer than this to an end of the recording cannot be measured


def rows(world: World, sounded: Audio, rate: int, first: int = 0) -> list[dict[str, Any]]:
    """The takes that played, oldest first. sounded: `[2, n]`, whose first sample is stream frame `first`."""
    return [row(take, sounded, rate, first) for take in world.takes.values() if take.heard_at is not None]


def row(take: Take, sounded: Audio, rate: int, first: int) -> dict[str, Any]:
    """One take, with the keys of `segue demo --json`."""
    start = take.heard_at or 0
    end = max(start, take.exit)
    new_s = take.made / rate
    return {
        "verb": take.job.verb,
        "deck": take.job.deck,
        "seed": take.job.seed,
        "steps": take.job.steps,
        "sent_frame": take.asked_at,
        "context_end_frame": take.t0,
        "start_frame": start,
        "entry_offset": start - take.t0,
        "frames": end - start,
        "context_s": take.context / rate,
        "context_hash": take.context_hash,
        "new_s": new_s,
        "generation_s": take.seconds,
        "rtf": take.seconds / new_s if new_s else None,
        "state": take.state.value,
        "ladder_rung": take.rung,
        "late_frames": max(0, start - take.due) if take.due is not None else 0,
        "seams": [seam(sounded, frame, rate, first) for frame in (start, end)],
    }


def seam(sounded: Audio, frame: int, rate: int, first: int) -> dict[str, Any]:
    """The two figures of a seam at a stream frame; null where too little was recorded around it."""
    at, margin = frame - first, round(SEAM_MARGIN_S * rate)
    known = margin <= at <= sounded.shape[1] - margin
    return {
        "frame": frame,
        "step_over_material": float(step_over_material(sounded, at, rate)) if known else None,
        "loudness_step_lu": float(loudness_step_lu(sounded, at, rate)) if known else None,
    }
