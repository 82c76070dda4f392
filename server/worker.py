"""The control process's handle of the engine process: starts it, feeds it, hears it, starts it again when it dies."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Protocol

from segue.server.config import Config
from segue.server.jobs import EngineState, Failed, Finished, Job, WorkerEvent
from segue.server.pipe import receive_event, send_order

BACKOFF_S = (0.1, 1.0, 5.0, 15.0)  # waits before the second, third, ... start in a row
LOOK_S = 0.5
HEALTHY_S = 30.0  # a process that lived so long starts the count anew


class Worker(Protocol):
    """Something that carries out jobs; its events arrive by the callback it was made with."""

    def submit(self, job: Job) -> None:
        """Queues a job."""

    def abandon(self, job: int) -> None:
        """Ends a job before its time; nothing more of it needs to come."""

    def close(self) -> None:
        """Ends the worker."""


class ProcessWorker:
    """An engine process that is kept alive. `submit` and `abandon` from the control thread; events come in a thread."""

    def __init__(self, config: Config, on_event: Callable[[WorkerEvent], None], argv: Sequence[str] = ()) -> None:
        """argv: another program that speaks the same protocol, for tests."""
        self._config = config
        self._on_event = on_event
        self._argv = list(argv) or [sys.executable, "-m", "segue.server.engine_process"]
        self._pipe: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._outstanding: set[int] = set()
        self._heard = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="engine-keeper")
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process id, for `status`."""
        return self._process.pid if self._process else None

    def submit(self, job: Job) -> None:
        """Queues a job; a dead engine reports itself down by an event."""
        if not self._outstanding:
            self._heard = time.monotonic()
        self._outstanding.add(job.id)
        self._order("job", job.to_json())

    def abandon(self, job: int) -> None:
        """Asks the engine to stop a job at its next step."""
        self._order("abandon", str(job))

    def _order(self, op: str, text: str) -> None:
        pipe = self._pipe
        if pipe is not None:
            with contextlib.suppress(OSError):  # the keeper sees the death and reports it
                send_order(pipe, op, text)

    def close(self) -> None:
        """Ends the process."""
        self._closing.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join(timeout=5.0)

    def _keep(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began = time.monotonic()
            self._on_event(EngineState("starting"))
            sentence = self._run()
            if self._closing.is_set():
                return
            failures = 0 if time.monotonic() - began > HEALTHY_S else failures + 1
            wait = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            words = f"{sentence}; starting it again in {wait:g} s"
            print(f"segue: {words}", file=sys.stderr, flush=True)
            self._on_event(EngineState("down", words))
            self._closing.wait(wait)

    def _hangs(self, pipe: Connection) -> bool:
        """Waits for something to read; true where there is work and nothing has come for too long."""
        while not pipe.poll(LOOK_S):
            if self._outstanding and time.monotonic() - self._heard > self._config.patience:
                return True
        return False

    def _run(self) -> str:
        """Runs one engine process until it ends; returns why, as a sentence."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen([*self._argv, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        self._outstanding.clear()
        sentence = ""
        with Connection(ours.detach()) as pipe:
            try:
                send_order(pipe, "start", self._config.to_json())
                while not self._hangs(pipe):
                    event = receive_event(pipe)
                    self._heard = time.monotonic()
                    if isinstance(event, EngineState) and event.state == "down":
                        sentence = event.sentence
                        continue
                    if isinstance(event, Finished | Failed):
                        self._outstanding.discard(event.job)
                    self._pipe = pipe
                    self._on_event(event)
                sentence = f"the engine process did not answer for {self._config.patience:g} s"
                self._process.kill()
            except (EOFError, OSError):
                pass
            self._pipe = None
        code = self._process.wait()
        return sentence or f"the engine process ended (exit code {code})"
