"""`segue serve`: the audio process, which also watches over the control process. It opens no socket and loads no torch.

The control process may die and is started again; it starts the engine process and does the same for it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from segue.server.audio.device import DeviceError
from segue.server.audio.files import FileReader
from segue.server.audio.memory import SharedMemoryError, sweep
from segue.server.audio.process import run_audio
from segue.server.audio.segment import Segment
from segue.server.audio.wiring import HIGHEST, wishes
from segue.server.commands import DECKS, PORT
from segue.server.config import BLOCK, RATE, Config, add_embedder
from segue.server.latency import LONGEST_S, recalled

CANNOT_START = 2
UNKNOWN = -1.0  # latency: as it was measured
SEGMENT = "segue-"  # and the process id: the stream's memory
RESTART_S = (0.05, 0.5, 2.0, 5.0)  # before the first, second, ... restart in a row of the control process
HEALTHY_S = 20.0
START_S = 20.0  # allowed on top for the control process to begin


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segue serve`."""
    parser.add_argument("--device", help="part of an audio device's name; `null` for none")
    parser.add_argument("--host-api", help="JACK, ALSA, Core Audio, WASAPI, ... or `null`")
    parser.add_argument("--rate", type=int, default=RATE, help=f"Hz, where the device leaves a choice ({RATE})")
    parser.add_argument("--block", type=int, default=BLOCK, help=f"frames a callback, likewise ({BLOCK})")
    parser.add_argument(
        "--cue", type=int, default=0, metavar="N", help="audition takes on outputs N and N + 1, which the main out leaves free: 3"
    )
    parser.add_argument("--decks", type=int, default=DECKS, choices=range(1, 9), metavar="1..8", help=f"decks ({DECKS})")
    parser.add_argument(
        "--inputs", action="append", default=[], metavar="DECK=L,R", help="input channels that a deck hears: 2=3,4, or 2=3"
    )
    parser.add_argument(
        "--open-inputs", type=int, default=0, metavar="N", help="input channels that are opened at least, for other maps later"
    )
    parser.add_argument("--name", default="segue", help="name as a JACK client")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens it to the network")
    parser.add_argument("--port", type=int, default=PORT, help=f"OSC port, UDP and TCP ({PORT})")
    parser.add_argument("--model", default="live", help="shipped model, or a checkpoint's path")
    parser.add_argument(
        "--backend", default=os.environ.get("SEGUE_BACKEND", "auto"), help="how the model runs; auto: the fastest measured"
    )
    parser.add_argument("--torch-device", default="cpu", help="cpu or cuda")
    add_embedder(parser)
    parser.add_argument("--threads", type=int, default=0, help="threads of the model; 0: all cores but one")
    parser.add_argument("--midi", nargs="?", const="", default=None, metavar="PORTS", help="listen to MIDI inputs of this name")
    parser.add_argument("--midi-map", default="", metavar="FILE", help="the MIDI map, written again when something is learnt")
    measured = "without it as `segue doctor --loopback` found"
    parser.add_argument(
        "--output-latency", type=float, metavar="S", help=f"seconds from output to ear, taken off tags; {measured}"
    )
    parser.add_argument("--input-latency", type=float, metavar="S", help=f"seconds from playing to input; {measured}")
    parser.add_argument(
        "--allowance", type=float, default=0.0, metavar="S", help="added to the block after which untagged messages sound"
    )
    parser.add_argument("--tempo", type=float, default=120.0, help="BPM at the start")
    parser.add_argument("--load", action="append", default=[], metavar="FILE", help="a file for deck 1, then deck 2, ...")
    parser.add_argument("--log", default="", help="JSON-lines log of the show")
    parser.add_argument("--patience", type=float, default=20.0, metavar="S", help="of silence, then a process is restarted (20)")
    parser.add_argument("--engine", nargs="+", default=[], help=argparse.SUPPRESS)


class ControlKeeper:
    """Keeps a control process alive. Main thread of the audio process."""

    def __init__(self, config: Config) -> None:
        """config: its settings."""
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._began, self._failures, self._again, self._launches = 0.0, 0, 0.0, 0
        self._pulse, self._heard = -1, 0.0
        self.exit_code: int | None = None

    def start(self, segment: Segment) -> None:
        """Starts it on a segment, at the rate that the device runs at."""
        config = replace(self._config, segment=segment.name, rate=segment.rate, block=segment.block)
        self._config = compensated(config, segment.sentence)
        self._launch()

    def _launch(self) -> None:
        self._began = time.monotonic()
        self._launches += 1
        self._pulse_lost()
        self._pulse, theirs = os.pipe()
        os.set_blocking(self._pulse, False)
        argv = [sys.executable, "-m", "segue.server.control_process", self._config.to_json(), str(theirs)]
        self._process = subprocess.Popen(argv, start_new_session=True, pass_fds=[theirs])
        os.close(theirs)
        self._heard = self._began + START_S

    def _pulse_lost(self) -> None:
        if self._pulse >= 0:
            os.close(self._pulse)
        self._pulse = -1

    def _listen(self, process: subprocess.Popen[bytes], now: float) -> None:
        """Ends a control process that has given no sign of life for too long."""
        try:
            if os.read(self._pulse, 4096):
                self._heard = max(self._heard, now)
        except OSError:  # nothing to read
            pass
        if now - self._heard > self._config.patience:
            words = f"the control process did not answer for {self._config.patience:g} s"
            print(f"segue: {words}; starting it again", file=sys.stderr, flush=True)
            process.kill()

    def keep(self) -> bool:
        """Whether to go on; starts the process again where it died."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._again:
                self._launch()
            return True
        code = self._process.poll()
        if code is None:
            self._listen(self._process, now)
            return True
        if code == 0 or (code == CANNOT_START and self._launches == 1):  # later, the port may become free again
            self.exit_code = code
            return False
        self._failures = 0 if now - self._began > HEALTHY_S else self._failures + 1
        wait = RESTART_S[min(self._failures, len(RESTART_S) - 1)]
        print(f"segue: the control process ended (exit code {code}); starting it again", file=sys.stderr, flush=True)
        self._process, self._again = None, now + wait
        return True

    def close(self) -> None:
        """Ends it."""
        self._pulse_lost()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self._process.kill()


def compensated(config: Config, sentence: str) -> Config:
    """With the latencies that were measured on the stream, where none were said."""
    found = recalled(sentence)
    output = found.output_s if config.output_latency < 0 else config.output_latency
    given = found.input_s if config.input_latency < 0 else config.input_latency
    return replace(config, output_latency=output, input_latency=given)


def writable(path: str) -> None:
    """Raises ValueError with a sentence for a log that cannot be written."""
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise ValueError(f"--log {path} cannot be written ({error.strerror or error}); name another file") from None


def configured(args: argparse.Namespace, folder: str) -> Config:
    """The settings that the arguments say. Raises ValueError with a sentence."""
    for name, low, high in (
        ("open_inputs", 0, HIGHEST),
        ("rate", 8_000, 192_000),
        ("block", 16, 8192),
        ("port", 1, 65535),
        ("tempo", 20, 300),
    ):
        if not low <= getattr(args, name) <= high:
            raise ValueError(f"--{name.replace('_', '-')} lies between {low} and {high}, got {getattr(args, name)}")
    for name in ("output_latency", "input_latency"):
        if not 0 <= (getattr(args, name) or 0.0) <= LONGEST_S:
            raise ValueError(f"--{name.replace('_', '-')} lies between 0 and {LONGEST_S:g} s, got {getattr(args, name)}")
    wishes(args.inputs, args.decks)
    for path in args.load:
        FileReader(path, args.rate).close()
    if args.log:
        writable(args.log)
    return Config(
        segment=f"{SEGMENT}{os.getpid()}",
        rate=args.rate,
        block=args.block,
        decks=args.decks,
        cue=args.cue,
        inputs=tuple(args.inputs),
        open_inputs=args.open_inputs,
        device=args.device,
        host_api=args.host_api,
        client_name=args.name,
        host=args.host,
        port=args.port,
        model=args.model,
        backend=args.backend,
        torch_device=args.torch_device,
        threads=args.threads,
        midi=args.midi if args.midi is not None or not args.midi_map else "",
        midi_map=os.path.abspath(args.midi_map or Path(folder) / "midi.yaml"),
        output_latency=UNKNOWN if args.output_latency is None else args.output_latency,
        input_latency=UNKNOWN if args.input_latency is None else args.input_latency,
        allowance=args.allowance,
        tempo=args.tempo,
        files=tuple(os.path.abspath(f) for f in args.load),
        log=os.path.abspath(args.log) if args.log else "",
        state_file=str(Path(folder) / "state.json"),
        engine_argv=tuple(args.engine),
        patience=args.patience,
    )


def run(args: argparse.Namespace) -> int:
    """Serves until `/segue/quit` or a signal."""
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    with tempfile.TemporaryDirectory(prefix="segue-") as folder:
        try:
            config = configured(args, folder)
            sweep(SEGMENT)
            control = ControlKeeper(config)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, stop)

            def ready(segment: Segment) -> None:
                print(f"segue: {segment.sentence}", file=sys.stderr, flush=True)
                control.start(segment)

            try:
                run_audio(config, ready, lambda: not stopping and control.keep())
            finally:
                control.close()
        except (DeviceError, SharedMemoryError, ValueError) as error:
            print(f"segue serve: {error}", file=sys.stderr)
            return CANNOT_START
    return control.exit_code or 0
