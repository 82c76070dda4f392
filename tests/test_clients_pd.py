"""The Pure Data patch in a real Pure Data: its buttons send what the table takes, and what the server says is shown."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from segue.server.commands import DECKS, Command, addresses
from segue.server.control.packets import decode, encode
from segue.server.control.patterns import resolve
from segue.server.projections.pd import BUTTONS

PATCH = Path(__file__).resolve().parent.parent / "clients" / "pd" / "segue.pd"
PATIENCE = 10.0
TABLE = addresses()

needs_pd = pytest.mark.skipif(shutil.which("pd") is None, reason="Pure Data is missing: apt-get install puredata-core")


@contextlib.contextmanager
def pure_data(*messages: str, also: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """Pd with the shipped patch, connected to a socket of ours, and messages to its receivers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        command = ["pd", "-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr", "-open", str(PATCH)]
        command += ["-open", str(also)] if also else []
        for message in (f"segue-server 127.0.0.1 {server.getsockname()[1]}", *messages):
            command += ["-send", message]
        program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            yield program, server
        finally:
            program.kill()
            program.communicate()


@needs_pd
def test_every_button_sends_a_command_that_the_table_takes():
    presses = [(deck, name) for deck in range(1, DECKS + 1) for name in BUTTONS]
    with pure_data("segue-2-beats 4", *(f"segue-{deck}-{name} bang" for deck, name in presses)) as (_, server):
        heard = [decode(server.recv(9999))[0] for _ in range(1 + len(presses))]
    assert heard[0].address == "/segue/notify"
    for (deck, name), message in zip(presses, heard[1:], strict=True):
        ((spec, number, bound),) = resolve(Command(message.address, message.args), TABLE)
        assert (spec.name, number) == (name, deck)
        assert bound == ({} if name == "stop" else {"beats": 4.0 if deck == 2 else 8.0})


SHOWN = {
    "segue-1-state": ("/segue/deck/1/state", ("dry",), "symbol dry"),
    "segue-2-state": ("/segue/deck/2/state", ("take",), "symbol take"),
    "segue-1-next-beats": ("/segue/deck/1/next", ("continue", 3.5), "3.5"),
    "segue-engine-state": ("/segue/engine", ("ready", ""), "symbol ready"),
    "segue-job-state": ("/segue/job", (7, 1, "continue", "playing", 1.0, ""), "symbol playing"),
    "segue-fail-sentence": ("/segue/fail", ("/x", "no such thing", 2), r"symbol no\ such\ thing"),
    "segue-2-gain": ("/segue/deck/2/gain", (0.25,), "set 0.25"),
}


@needs_pd
def test_what_the_server_says_is_shown(tmp_path):
    probe = tmp_path / "probe.pd"
    lines = ["#N canvas 0 0 400 400 12;"]
    for name in SHOWN:
        lines += [f"#X obj 10 10 r {name};", f"#X obj 200 10 print {name};"]
    lines += [f"#X connect {2 * at} 0 {2 * at + 1} 0;" for at in range(len(SHOWN))]
    probe.write_text("\n".join(lines) + "\n")
    with pure_data(also=probe) as (program, server):
        _, patch = server.recvfrom(9999)
        for address, args, _ in SHOWN.values():
            server.sendto(encode(address, args), patch)
        missing = {f"{name}: {text}" for name, (_, _, text) in SHOWN.items()}
        assert program.stderr is not None
        for line in program.stderr:
            missing.discard(line.strip())
            assert "error" not in line
            if not missing:
                break
    assert not missing


def test_every_wire_joins_two_objects():
    levels: list[int] = [0]  # how many objects each open canvas has so far
    wires = 0
    for line in PATCH.read_text().splitlines()[1:]:
        if line.startswith("#N canvas"):
            levels.append(0)
        elif wire := re.match(r"#X connect (\d+) \d+ (\d+) \d+;", line):
            source, target = map(int, wire.groups())
            assert max(source, target) < levels[-1]
            assert source != target
            wires += 1
        else:
            if line.startswith("#X restore"):
                levels.pop()
            levels[-1] += 1
    assert len(levels) == 1
    assert wires > 50
