"""Messages between control and engine process: a JSON head and raw audio behind it, never a pickle."""

from __future__ import annotations

import dataclasses
import json
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from segue.server.jobs import EngineState, Failed, Finished, Piece, Progress, Running, WorkerEvent

EVENTS = {c.__name__: c for c in (Running, Progress, Piece, Finished, Failed, EngineState)}
LARGEST = 64 * 2**20  # bytes of one message; a minute of stereo float audio is 21 MB


def send_event(pipe: Connection, event: WorkerEvent) -> None:
    """Writes an event; raises OSError when the other end is gone."""
    body = b""
    data: dict[str, Any] = {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
    if isinstance(event, Piece):
        body = np.ascontiguousarray(event.audio, np.float32).tobytes()
        data["audio"] = event.audio.shape[1]
    head = json.dumps([type(event).__name__, data]).encode()
    pipe.send_bytes(len(head).to_bytes(4, "big") + head + body)


def receive_event(pipe: Connection) -> WorkerEvent:
    """Waits for an event; raises EOFError or OSError when the other end is gone."""
    message = pipe.recv_bytes(LARGEST)
    length = int.from_bytes(message[:4], "big")
    name, data = json.loads(message[4 : 4 + length])
    if name == "Piece":
        data["audio"] = np.frombuffer(message, np.float32, offset=4 + length).reshape(2, data["audio"]).copy()
    event: WorkerEvent = EVENTS[name](**data)
    return event


def send_order(pipe: Connection, op: str, text: str) -> None:
    """Writes an order to the engine process: `start CONFIG`, `job JOB`, `abandon ID`."""
    pipe.send_bytes(f"{op} {text}".encode())


def receive_order(pipe: Connection) -> tuple[str, str]:
    """Waits for an order."""
    op, _, text = pipe.recv_bytes(2**20).decode().partition(" ")
    return op, text
