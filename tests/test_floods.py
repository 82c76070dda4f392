"""Two hundred clients, floods and garbage on every port of a server: answered or dropped, counted, and the music goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect

from segue.bench.live import serve
from segue.clients.python import Client
from segue.server.control.packets import decode, encode

RATE = 44_100
CLIENTS = 200
PATIENCE = 30.0
FLOOD_S = 3.0


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    song = str(tmp_path_factory.mktemp("song") / "song.wav")
    soundfile.write(song, 0.2 * np.random.default_rng(1).standard_normal((RATE * 90, 2), np.float32), RATE)
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.3"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        with serve("--device", "null", "--load", song) as (made, _, _):
            made.send("/segue/deck/1/play")
            time.sleep(3.5)
            yield made


def music(client: Client) -> dict[str, int]:
    """What the callback has had to do without."""
    counters = client.status()["counters"]
    return {name: counters[name] for name in counters if name in ("underruns", "lost", "queue_refusals")}


def test_two_hundred_web_clients_watch_and_ask_at_once(client: Client) -> None:
    before = music(client)

    async def one(number: int) -> int:
        async with connect(f"ws://127.0.0.1:{client.port}/", open_timeout=PATIENCE) as socket:
            for address in ("/segue/notify", "/segue/subscribe", "/segue/waveform"):
                await socket.send(encode(address))
            waves = 0
            await socket.send(encode("/segue/ping", (number,)))
            answered = False
            end = time.monotonic() + PATIENCE
            while not answered or waves < 5:
                assert time.monotonic() < end
                data = await asyncio.wait_for(socket.recv(), PATIENCE)
                assert isinstance(data, bytes)
                for message in decode(data):
                    waves += message.address.endswith("/wave")
                    answered |= message.address == "/segue/pong" and message.args == (number,)
            return number

    async def everyone() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(CLIENTS)))

    job = client.deck(1).continue_(beats=4)
    assert sorted(asyncio.run(everyone())) == list(range(CLIENTS))
    client.job(job, "playing")
    assert music(client) == before


def test_floods_and_garbage_on_every_door_at_once(client: Client) -> None:
    before, over = music(client), time.monotonic() + FLOOD_S
    bad = client.status()["door"]["bad"]
    port = client.port

    def datagrams() -> None:
        noise = random.Random(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while time.monotonic() < over:
                for _ in range(20):
                    sender.sendto(noise.randbytes(noise.randint(1, 200)), ("127.0.0.1", port))
                    sender.sendto(encode("/segue/deck/2/gain", (noise.random(),)), ("127.0.0.1", port))
                time.sleep(0.002)

    def streams(first: bytes) -> None:
        noise = random.Random(first)
        while time.monotonic() < over:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as one:
                one.settimeout(0.2)
                one.sendall(first + noise.randbytes(500))
                one.recv(100)

    doors = [b"GET / HTTP/1.1\r\n", b"GET /segue HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"\0\0\0", b"\xc0/x", b"POST /"]
    threads = [threading.Thread(target=datagrams), *(threading.Thread(target=streams, args=(first,)) for first in doors)]
    for thread in threads:
        thread.start()
    waits: list[float] = []
    while time.monotonic() < over:
        sent = time.monotonic()
        client.ping(1, timeout=PATIENCE)
        waits.append(time.monotonic() - sent)
        time.sleep(0.05)
    for thread in threads:
        thread.join(PATIENCE)
    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.25  # it answers in between
    job = client.deck(1).vary(beats=4)
    client.job(job, "playing")
    door = client.status()["door"]
    assert door["bad"] - bad > 100
    assert door["errors"] == 0
    assert music(client) == before
