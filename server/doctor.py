"""Checks what this machine has and lacks for playing live; each check stands alone, and none of them raises."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from segue.server.commands import PORT
from segue.server.config import BLOCK, RATE
from segue.server.quiet import quiet

MEMORY_NEEDED = 8 << 20  # bytes of locked memory below which a stream's pages cannot be pinned at all
LIMITS = "/etc/security/limits.d/audio.conf"
BUSIEST = 0.1  # share of its period that the compiled callback may take on an idle machine
BLOCKS = 200


@dataclass(frozen=True)
class Check:
    """One finding. ok False: something works less well, or not at all; advice says what to do."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def python() -> Check:
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, f"{platform.python_version()} on {platform.machine()}", "" if ok else "install Python 3.11+")


def cores() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    advice = "" if count >= 2 else "give it two cores: one for audio, one for the model"
    return Check("cores", count >= 2, f"{count} usable", advice)


def torch() -> Check:
    import torch

    return Check("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")


def gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("gpu", True, "none that PyTorch can use; the shipped model is made for the processor")
    return Check("gpu", True, f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")


def callback() -> Check:
    """Runs the compiled callback and its twin on the same noise, in memory of their own."""
    import numpy as np

    from segue.server.audio import layout
    from segue.server.audio.layout import Geometry
    from segue.server.audio.segment import Segment
    from segue.server.audio.twin import Twin

    core = layout.compiled()
    if core is None:
        return Check("callback", False, "no compiled callback, the numpy twin plays", "install gcc, then run `make setup`")
    sizes = Geometry(ring=4096, slot=4096, loop=4096, feed=4096)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (BLOCKS, sizes.in_channels, sizes.block)).astype(np.float32)
    pointer = partial(core.ffi.from_buffer, "float[]")
    out, spent = np.zeros((sizes.block, sizes.out_channels), np.float32), []
    segments = [Segment.create(sizes, f"segue-doctor-{os.getpid()}-{i}") for i in range(2)]
    try:
        twin = Twin(segments[1])
        for block in noise:
            heard = np.ascontiguousarray(block.T)
            begun = time.perf_counter()
            core.lib.segue_process(segments[0].header, pointer(heard), pointer(out), sizes.block, 0, 0)
            spent.append(time.perf_counter() - begun)
            if not np.array_equal(out.T, twin.process(block, sizes.block, 0, 0)):
                return Check("callback", False, "the compiled callback differs from its twin", "rebuild it: make clean setup")
    finally:
        for segment in segments:
            segment.close()
            segment.unlink()
    share = sorted(spent)[BLOCKS // 2] * sizes.rate / sizes.block
    found = f"compiled, equals its twin, takes {share:.2%} of a period of {sizes.block}"
    return Check("callback", share < BUSIEST, found, "" if share < BUSIEST else "end what else is running on this machine")


def portaudio() -> Check:
    with quiet():
        try:
            import sounddevice
        except OSError as error:
            return Check("portaudio", False, str(error), "install libportaudio2 (Debian: apt-get install libportaudio2)")
        apis = [f"{api['name']} ({len(api['devices'])})" for api in sounddevice.query_hostapis()]
        version = sounddevice.get_portaudio_version()[1].partition(",")[0]
    return Check("portaudio", bool(apis), f"{version}; host APIs and devices: {', '.join(apis) or 'none'}")


def devices() -> Check:
    from segue.server.lists import audio_devices

    with quiet():
        usable = [f"{d['name']} ({d['host_api']})" for d in audio_devices() if d["outputs"]]
    advice = "" if usable else "plug in a sound card or start JACK; without either, --device null runs silently"
    return Check("devices", bool(usable), ", ".join(usable) or "no output device", advice)


def jack() -> Check:
    import sounddevice

    with quiet():
        sounddevice._terminate()
        sounddevice._initialize()  # PortAudio looks for JACK only when it starts
        running = [api for api in sounddevice.query_hostapis() if "JACK" in api["name"] and api["devices"]]
        rate = sounddevice.query_devices(running[0]["devices"][0])["default_samplerate"] if running else 0
    name = os.environ.get("JACK_DEFAULT_SERVER", "default")
    if running:
        return Check("jack", True, f"server {name!r} runs at {rate:.0f} Hz")
    advice = "to play through JACK: " + ("jackd -d dummy -r 44100 -p 256" if shutil.which("jackd") else "apt-get install jackd2")
    return Check("jack", False, f"no server {name!r} answers", advice)


def real_time() -> Check:
    """Asks in a process of its own, so that this one keeps its priority."""
    ask = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))"
    granted = subprocess.run([sys.executable, "-S", "-c", ask], capture_output=True, timeout=20).returncode == 0
    import resource

    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    found = f"SCHED_FIFO {'granted' if granted else 'refused'}, rtprio limit {_limit(limit)}"
    advice = f"without it audio drops out under load: add `@audio - rtprio 95` to {LIMITS} and join the group audio"
    return Check("real_time", granted, found, "" if granted else advice)


def locked_memory() -> Check:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    ok = limit in (-1, resource.RLIM_INFINITY) or limit >= MEMORY_NEEDED
    advice = "" if ok else f"add `@audio - memlock unlimited` to {LIMITS}"
    return Check("locked_memory", ok, f"limit {_limit(limit)}", advice)


def _limit(value: int) -> str:
    return "unlimited" if value < 0 else str(value)


def shared_memory() -> Check:
    from segue.server.audio.layout import Geometry, areas

    needed = areas(Geometry())[-1]
    free = shutil.disk_usage("/dev/shm").free
    found = f"{free / 1e6:.0f} MB free in /dev/shm, {needed / 1e6:.0f} MB needed"
    return Check("shared_memory", free >= needed, found, "" if free >= needed else "free some of it, or mount /dev/shm larger")


def osc_port() -> Check:
    for kind, word in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", PORT))
            except OSError as error:
                advice = "a server runs already, or choose another --port"
                return Check("osc_port", False, f"{word} {PORT}: {error.strerror}", advice)
    return Check("osc_port", True, f"UDP and TCP {PORT} are free")


def midi() -> Check:
    try:
        import rtmidi
    except ImportError:
        return Check("midi", False, "python-rtmidi is not installed", "pip install 'segue[midi]'")
    from segue.server.lists import midi_devices

    apis = [rtmidi.get_api_display_name(api) for api in rtmidi.get_compiled_api()]
    with quiet():
        ports = [d["name"] for d in midi_devices()]
    return Check("midi", True, f"back-ends {', '.join(apis)}; ports: {', '.join(ports) or 'none'}")


def weights() -> Check:
    from segue.engine.checkpoint import load

    model = load()
    return Check("weights", True, f"{model.name}: {model.rate} Hz, sha256 {model.sha256[:16]}")


def clock() -> Check:
    file = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    source = file.read_text().strip() if file.exists() else "unknown"
    ok = source in ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "unknown")
    found = f"{source}, resolution {time.get_clock_info('monotonic').resolution * 1e9:.0f} ns"
    return Check("clock", ok, found, "" if ok else "boot with clocksource=tsc")


def governor() -> Check:
    file = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    name = file.read_text().strip() if file.exists() else "not readable"
    ok = name != "powersave"
    return Check("governor", ok, name, "" if ok else "on stage: cpupower frequency-set -g performance")


CHECKS: tuple[Callable[[], Check], ...] = (
    python, cores, torch, gpu, callback, weights, portaudio, devices, jack, real_time, locked_memory, shared_memory, osc_port,
    midi, clock, governor,
)  # fmt: skip
REQUIRED = frozenset({"python", "torch", "weights", "shared_memory"})


def examine(check: Callable[[], Check]) -> Check:
    """The check's finding; an exception is a finding too."""
    try:
        return check()
    except Exception as error:
        found = " ".join(f"could not be checked: {type(error).__name__}: {error}".split())
        return Check(check.__name__, False, found, "the rest was checked all the same")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, beside looking."""
    parser.add_argument("--loopback", action="store_true", help="measure the round trip from output 1 to input 1, and keep it")
    parser.add_argument("--wire", action="store_true", help="with --loopback on JACK: connect the two there, without a cable")
    parser.add_argument("--device", help="with --loopback: part of an audio device's name")
    parser.add_argument("--host-api", help="with --loopback: JACK, ALSA, Core Audio, WASAPI, ...")
    parser.add_argument("--rate", type=int, default=RATE, help=f"with --loopback: Hz ({RATE})")
    parser.add_argument("--block", type=int, default=BLOCK, help=f"with --loopback: frames a callback ({BLOCK})")


def loopback(args: argparse.Namespace) -> int:
    """Measures the round trip, prints and keeps it; 1 where nothing came back."""
    from segue.server.latency import keep
    from segue.server.loopback import LoopbackError, measure, settings

    try:
        with quiet():
            trip = measure(settings(args.host_api, args.device, args.rate, args.block), args.wire)
        file = keep(trip.stream, trip.latency)
    except (LoopbackError, OSError) as error:
        print(json.dumps({"error": str(error)}) if args.json else f"look  loopback       {error}")
        return 1
    found, whole = trip.latency, trip.latency.round_trip_s
    told = {"told_output_s": trip.told_output_s, "told_input_s": trip.told_input_s}
    if args.json:
        rows = asdict(found) | told | {"round_trip_s": whole, "frames": trip.frames, "stream": trip.stream, "file": str(file)}
        print(json.dumps(rows))
        return 0
    parts = f"output {1e3 * found.output_s:.2f} ms, input {1e3 * found.input_s:.2f} ms"
    how = "as the back-end tells" if trip.told_output_s + trip.told_input_s > 0 else "half each, since the back-end tells nothing"
    print(f"ok    loopback       {1e3 * whole:.2f} ms round trip ({parts}, {how}), {trip.stream}; kept in {file}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Prints what was found; 1 if the server could not play here at all."""
    if getattr(args, "loopback", False):
        return loopback(args)
    found = [examine(check) for check in CHECKS]
    if args.json:
        print(json.dumps({"checks": [asdict(check) for check in found]}))
    else:
        for check in found:
            print(f"{'ok  ' if check.ok else 'look'}  {check.name:<14} {check.found}")
            if check.advice:
                print(f"{'':<20} -> {check.advice}")
    return int(any(not check.ok and check.name in REQUIRED for check in found))
