"""Processes that hang instead of dying: the engine, then the control process, each stopped by a signal."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from segue.bench.live import serve
from segue.clients.python import Client, SegueError


def child(of: int, module: str) -> psutil.Process:
    return next(p for p in psutil.Process(of).children(recursive=True) if any(w.endswith(module) for w in p.cmdline()))


def ready(client: Client, pid_of_engine: int) -> None:
    client.wait(lambda e: e.address == "/segue/engine" and e.args[0] == "ready", 20.0)
    assert not psutil.pid_exists(pid_of_engine) or psutil.Process(pid_of_engine).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_hangs_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    program = str(Path(__file__).with_name("fake_engine.py"))
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps([sys.executable, program, "0.1"]))
    with serve("--device", "null", "--patience", "2") as (client, server, _):
        client.wait(lambda e: e.address == "/segue/engine", 10.0)
        engine = child(server.pid, "fake_engine.py")
        engine.send_signal(signal.SIGSTOP)
        job = client.deck(1).generate(sec=1.0)
        failed = client.wait(lambda e: e.address == "/segue/job" and e.args[0] == job and e.args[3] == "failed", 10.0)
        assert "did not answer for 2 s" in str(failed.args[5])
        ready(client, engine.pid)
        control = child(server.pid, "segue.server.control_process")
        client.send("/segue/tempo", 93.0)
        client.ask("/segue/ping")
        time.sleep(0.5)  # the state file is written several times a second
        control.send_signal(signal.SIGSTOP)
        frame = None
        until = time.monotonic() + 60.0
        while time.monotonic() < until and frame is None:
            try:
                frame = client.status(timeout=1.0)["frame"]
            except SegueError:  # nobody listens yet
                time.sleep(0.2)
        assert frame is not None
        assert child(server.pid, "segue.server.control_process").pid != control.pid
        assert client.ask("/segue/tempo").args == (93.0,)
