"""From the hand to the frame: how long each door takes from a press to the frame at which the sound changes. Prints a table.

Every door sends `stop` to deck 1 of one live server on JACK's dummy driver: OSC over UDP, OSC over WebSocket, a click and a key
on the page in headless Chromium, and a pad over JACK MIDI. The time of a press is taken where it happens (on the page, the
browser's own stamp of the event), the frame from the show log, and its time from the sample clock. One block of it is meant.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import queue
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segue.bench.live import LiveError, jack, serve
from segue.clients.python import Client
from segue.server.control.packets import encode

RATE = 44_100
GAP_S = 0.08  # between two presses, and a little more each time, so that they fall anywhere in a block
STOP = "/segue/deck/1/stop"
PAD = 43  # of the default map: stop on deck 1
SETTLE_S = 1.0

Press = Callable[[], float]  # presses, and returns when: unix seconds


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 2 where there is no JACK."""
    parser = argparse.ArgumentParser(prog="segue.bench.doors", description=__doc__)
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        rows = measure(args.block, args.events)
    except LiveError as error:
        print(f"segue.bench.doors: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps({"block_ms": 1000 * args.block / RATE, "rows": rows}))
        return 0
    print(f"block {args.block}: {1000 * args.block / RATE:.2f} ms\n")
    print("| door | p50 ms | p95 ms | sd ms | presses |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['door']} | {row['p50']:.2f} | {row['p95']:.2f} | {row['sd']:.2f} | {row['events']} |")
    return 0


def measure(block: int, events: int) -> list[dict[str, Any]]:
    """A row a door; a door that is not there is left out, and said."""
    rows = []
    with jack(block), serve("--host-api", "JACK", "--block", str(block), "--midi", "pads") as (client, _, log):
        for name, opened in {
            "OSC over UDP": udp,
            "OSC over WebSocket": websocket,
            "click": click,
            "key": key,
            "pad": pad,
        }.items():
            try:
                with opened(client) as press:
                    waits = [one for one in pressed(client, log, press, events) if one is not None]
            except ImportError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            p50, p95 = np.percentile(waits, [50, 95])
            rows.append({"door": name, "p50": float(p50), "p95": float(p95), "sd": float(np.std(waits)), "events": len(waits)})
    return rows


def pressed(client: Client, log: Path, press: Press, events: int) -> list[float | None]:
    """Milliseconds from each press to its frame; None for one that did not arrive."""
    since = len(stops(log))
    times, clocks = [], []
    for number in range(events):
        times.append(press())
        time.sleep(GAP_S + 0.0007 * (number % 11))
        clocks.append(client.ask("/segue/clock").args)
    time.sleep(SETTLE_S)  # the log is written a few times a second
    frames = stops(log)[since:]
    if len(frames) != events:
        raise LiveError(f"{events} presses, {len(frames)} arrived")
    sounded = [c[2] + (at - c[0]) / c[1] for at, c in zip(frames, clocks, strict=True)]
    return [1000 * (heard - hand) for heard, hand in zip(sounded, times, strict=True)]


def stops(log: Path) -> list[int]:
    """The frames at which `stop` took effect."""
    whole, _, _ = log.read_text(encoding="utf-8").rpartition("\n")
    lines = map(json.loads, whole.splitlines())
    return [int(line["at"]) for line in lines if line["kind"] == "command" and line["address"] == STOP]


@contextlib.contextmanager
def udp(client: Client) -> Iterator[Press]:
    """OSC as most programs send it."""

    def press() -> float:
        now = time.time()
        client.send(STOP)
        return now

    yield press


@contextlib.contextmanager
def websocket(client: Client) -> Iterator[Press]:
    """OSC in a binary message."""
    connect = importlib.import_module("websockets.sync.client").connect
    with connect(f"ws://127.0.0.1:{client.port}/", compression=None) as socket:

        def press() -> float:
            now = time.time()
            socket.send(encode(STOP))
            return now

        yield press


@contextlib.contextmanager
def page(client: Client) -> Iterator[Any]:
    """The page, which notes when it was pressed."""
    if shutil.which("chromedriver") is None:
        raise ImportError("chromium-driver is not installed")
    webdriver = importlib.import_module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(f"http://127.0.0.1:{client.port}/")
        time.sleep(2 * SETTLE_S)
        for kind in ("pointerdown", "keydown"):
            script = (
                f"addEventListener('{kind}', e => {{ window.pressed = (performance.timeOrigin + e.timeStamp) / 1000 }}, true)"
            )
            driver.execute_script(script)
        yield driver
    finally:
        driver.quit()


@contextlib.contextmanager
def click(client: Client) -> Iterator[Press]:
    """A mouse on the page."""
    with page(client) as driver:
        button = driver.find_element("css selector", f'[data-address="{STOP}"]')

        def press() -> float:
            button.click()
            return float(driver.execute_script("return window.pressed"))

        yield press


@contextlib.contextmanager
def key(client: Client) -> Iterator[Press]:
    """A key on the page."""
    with page(client) as driver:
        body = driver.find_element("css selector", "body")

        def press() -> float:
            body.send_keys("p")
            return float(driver.execute_script("return window.pressed"))

        yield press


@contextlib.contextmanager
def pad(client: Client) -> Iterator[Press]:
    """A pad on JACK; its press is when its event was written for the next period."""
    device = importlib.import_module("jack").Client("pads", no_start_server=True)
    out = device.midi_outports.register("out")
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    written: queue.SimpleQueue[float] = queue.SimpleQueue()

    def process(frames: int) -> None:
        out.clear_buffer()
        if not waiting.empty():
            out.write_midi_event(0, waiting.get())
            written.put(time.time())

    device.set_process_callback(process)
    device.activate()
    time.sleep(3 * SETTLE_S)  # the server looks for new ports once a second

    def press() -> float:
        waiting.put(bytes((0x90, PAD, 100)))
        when = written.get(timeout=5.0)
        waiting.put(bytes((0x90, PAD, 0)))
        written.get(timeout=5.0)
        return when

    try:
        yield press
    finally:
        device.deactivate()
        device.close()


if __name__ == "__main__":
    sys.exit(main())
