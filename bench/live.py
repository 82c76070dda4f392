"""Real servers for measurements: jackd's dummy driver, `segue serve`, and what both said. End what was started by closing."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from segue.clients.python import Client, SegueError

START_S = 150.0  # an engine may be built first, once
PORTS = range(20_000, 32_000)  # below those that Linux and others hand out


class LiveError(RuntimeError):
    """A server that a measurement needs could not be started."""


def free_port() -> int:
    """A port that nobody uses at the moment, UDP and TCP; none that a system hands out, which may be gone a moment later."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextlib.contextmanager
def jack(period: int, rate: int = 44_100) -> Iterator[str]:
    """A JACK server on the dummy driver under a name of its own, which is also put into JACK_DEFAULT_SERVER."""
    if shutil.which("jackd") is None:
        raise LiveError("jackd is not installed: apt-get install jackd2")
    name = f"segue{os.getpid()}p{period}"
    environment = {**os.environ, "JACK_NO_AUDIO_RESERVATION": "1"}
    argv = ["jackd", "-n", name, "-R", "-P", "70", "-d", "dummy", "-r", str(rate), "-p", str(period), "-C", "4", "-P", "2"]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log, env=environment)
        before = os.environ.get("JACK_DEFAULT_SERVER")
        os.environ.update(JACK_DEFAULT_SERVER=name, JACK_NO_START_SERVER="1")
        try:
            _wait_for_jack(server)
            yield name
        finally:
            stop(server)
            if before is None:
                del os.environ["JACK_DEFAULT_SERVER"]
            else:
                os.environ["JACK_DEFAULT_SERVER"] = before


def _wait_for_jack(server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        if server.poll() is not None:
            raise LiveError(f"jackd ended with code {server.returncode}")
        answer = subprocess.run(["jack_bufsize"], capture_output=True, check=False)
        if answer.returncode == 0:
            return
        time.sleep(0.1)
    raise LiveError("jackd does not answer")


@contextlib.contextmanager
def serve(*options: str, port: int | None = None) -> Iterator[tuple[Client, subprocess.Popen[bytes], Path]]:
    """`segue serve` with these options, a client that listens to it, and the path of its show log."""
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "show.jsonl"
        # A JSON list in SEGUE_TEST_ENGINE puts another engine process in the model's place.
        engine = json.loads(os.environ.get("SEGUE_TEST_ENGINE", "[]"))
        options = (*options, "--engine", *engine) if engine else options
        argv = [sys.executable, "-m", "segue", "serve", "--port", str(port), "--log", str(log), *options]
        server = subprocess.Popen(argv)
        try:
            with wait_for_server(server, port) as client:
                yield client, server, log
        finally:
            stop(server)


def wait_for_server(server: subprocess.Popen[bytes], port: int) -> Client:
    """A client of a server that has just been started, once its engine is ready."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if server.poll() is not None:
            raise LiveError(f"segue serve ended with code {server.returncode}")
        with contextlib.suppress(SegueError, OSError):
            client = Client(port=port, timeout=1.0)
            try:
                if client.status()["engine"] == "ready":
                    return client
            except BaseException:
                client.close()
                raise
            client.close()
        time.sleep(0.1)
    raise LiveError(f"segue serve is not ready after {START_S:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that was started here."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
