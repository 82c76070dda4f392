"""The engine process: one inference thread beside a reader of orders. It ends when the control process does.

Run as `python -m segue.server.engine_process FD`, FD being its end of a socket pair.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from segue.server.config import Config
from segue.server.jobs import EngineState, Job
from segue.server.pipe import receive_order, send_event

if TYPE_CHECKING:
    from segue.engine.backends import Site
    from segue.engine.engine import Engine
    from segue.engine.models.spec import Model

BATCH = 8  # takes of one forward pass, where its width is free
# Builds what runs jobs from the settings, and says what it is; tests put their own here.
Loader = Callable[[Config], "tuple[object, EngineState]"]


class Orders:
    """Orders as they come: jobs in a queue, abandoned ones in a set. The reader thread fills it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.jobs: queue.Queue[Job] = queue.Queue()
        self.abandoned: set[int] = set()

    def read(self) -> None:
        """Reads until the control process is gone, then ends this process."""
        try:
            while True:
                op, text = receive_order(self._pipe)
                if op == "job":
                    self.jobs.put(Job.from_json(text))
                elif op == "abandon":
                    self.abandoned.add(int(text))
        except (EOFError, OSError):
            os._exit(0)


def spare_cores() -> int:
    """Threads for the model: all cores but one.

    A thread pool that has to wait for a core which audio or another program holds is several times slower than one thread fewer.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def make_engine(config: Config) -> tuple[Engine, EngineState]:
    """The engine that the settings ask for, warm, and what it is. Raises ValueError or OSError with a sentence."""
    import torch

    from segue.engine import checkpoint
    from segue.engine.backends import Site, ready
    from segue.engine.backends.cache import cache_folder
    from segue.engine.engine import Engine
    from segue.engine.models.guide import guide

    torch.set_num_threads(config.threads or spare_cores())
    torch.set_flush_denormal(True)
    site = Site(cache=cache_folder(), say=lambda text: print(f"engine: {text}", file=sys.stderr, flush=True))
    plain = checkpoint.load(config.model, config.torch_device)
    backend = backend_of(config, plain, site)
    model, _ = ready(backend, plain, config.torch_device, site)
    engine = Engine(model, guide(config.embedder, model))
    engine.warm_up()
    window = (engine.context_s, engine.context_min_s, engine.new_s)
    return engine, EngineState("ready", "", *window, config.model, batch_of(config.torch_device, backend))


def batch_of(device: str, backend: str) -> int:
    """Takes that are made at once: a batch costs little more than one on a GPU, as much as one after another on a CPU."""
    return BATCH if device.startswith("cuda") and backend == "eager" else 1


def backend_of(config: Config, model: Model, site: Site) -> str:
    """The back-end's name. For `auto` what an earlier measurement chose, else eager, while one is made beside the music."""
    from segue.engine.backends.choice import AUTO, PACKAGES, remembered

    if config.backend != AUTO:
        return config.backend
    assert site.cache is not None
    name = remembered(site.cache, model, config.torch_device, site.cores)
    if name is None and any(find_spec(package) for package in PACKAGES):
        site.say("measuring which back-end is fastest here, for the next start")
        options = ["--model", config.model, "--device", config.torch_device, "--threads", str(site.cores)]
        command = [sys.executable, "-m", "segue", "bench", "calibrate", *options]
        gently = ["nice", "-n", "19"] if shutil.which("nice") else []
        subprocess.Popen([*gently, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    return name or "eager"


def load(config: Config) -> tuple[object, EngineState]:
    """The real thing: an engine on the stream's memory."""
    from segue.server.audio.segment import Segment
    from segue.server.inference import Inference

    engine, state = make_engine(config)
    return Inference(engine, Segment.attach(config.segment), config.rate), state


def main(loader: Loader = load) -> None:
    """Serves jobs until the pipe closes."""
    pipe = Connection(int(sys.argv[1]))
    op, text = receive_order(pipe)
    if op != "start":
        raise ValueError(f"the first order is start, got {op}")
    try:
        inference, state = loader(Config.from_json(text))
    except Exception as error:  # whatever stands in the way, the performer reads one sentence
        send_event(pipe, EngineState("down", f"the engine cannot start: {error}"))
        sys.exit(1)
    orders = Orders(pipe)
    threading.Thread(target=orders.read, daemon=True).start()
    send_event(pipe, state)
    while True:
        serve(pipe, inference, orders, orders.jobs.get())


def serve(pipe: Connection, inference: object, orders: Orders, job: Job) -> None:
    """Runs one job and sends what comes of it."""
    from segue.server.jobs import Progress

    def share(value: float) -> None:
        send_event(pipe, Progress(job.id, value))

    for event in inference.run(job, lambda: job.id in orders.abandoned, share):  # type: ignore[attr-defined]
        send_event(pipe, event)
    orders.abandoned -= {job.id, *(one for one, _ in job.also)}


if __name__ == "__main__":
    main()
