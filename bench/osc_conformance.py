"""What OSC 1.0 and 1.1 define, and who takes it: this server, liblo and python-osc. Prints a table.

Each feature is a packet, or an address and a pattern, and what it means; a peer takes it if it reads just that. liblo is asked
through `oscdump` and its own pattern matching, python-osc through its message, bundle and dispatcher.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import math
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_packet import OscPacket

from segue.server.control.packets import bundle, decode, encode
from segue.server.control.patterns import expand

WAIT_S = 3.0
KNOWN = ("/segue/deck/1/gain", "/segue/deck/2/gain", "/segue/deck/1/stop", "/segue/tempo")
NO_PEER = "not here"


@dataclass(frozen=True)
class Type:
    """One argument type: its tag, its bytes, and how `oscdump` prints it."""

    tag: str
    data: bytes
    value: object
    shown: str


TYPES = (
    Type("i", struct.pack(">i", -7), -7, "-7"),
    Type("f", struct.pack(">f", 0.5), 0.5, "0.500000"),
    Type("s", b"two words\0\0\0", "two words", '"two words"'),
    Type("b", struct.pack(">i", 2) + b"ab\0\0", b"ab", "[2b 0x61 0x62]"),
    Type("h", struct.pack(">q", 2**40), 2**40, str(2**40)),
    Type("d", struct.pack(">d", 0.1), 0.1, "0.100000"),
    Type("t", struct.pack(">Q", 2208988800 + 5 << 32), 5.0, "83aa7e85"),
    Type("S", b"sym\0", "sym", "'sym"),
    Type("c", struct.pack(">I", ord("q")), "q", "'q'"),
    Type("r", struct.pack(">I", 0x10203040), 0x10203040, "0x"),
    Type("m", b"\0\x90\x40\x7f", b"\0\x90\x40\x7f", "MIDI"),
    Type("T", b"", True, "#T"),
    Type("F", b"", False, "#F"),
    Type("N", b"", None, "Nil"),
    Type("I", b"", True, "Infinitum"),
)
PATTERNS = {
    "`?`": ("/segue/deck/?/gain", 2),
    "`*`": ("/segue/*/1/gain", 1),
    "`[12]`": ("/segue/deck/[12]/gain", 2),
    "`[!1]`": ("/segue/deck/[!1]/gain", 1),
    "`[1-2]`": ("/segue/deck/[1-2]/stop", 1),
    "`{gain,stop}`": ("/segue/deck/1/{gain,stop}", 2),
    "`//` of OSC 1.1": ("//stop", 1),
}


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 where this server takes everything, else 1."""
    parser = argparse.ArgumentParser(prog="segue.bench.osc_conformance", description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    rows = table()
    print(json.dumps({"rows": rows, "versions": versions()}) if args.json else shown(rows))
    return 0 if all(row["segue"] == "yes" for row in rows) else 1


def table() -> list[dict[str, str]]:
    """A row a feature: `feature`, `segue`, `liblo`, `python-osc`, each yes, no, or not here."""
    packets: list[tuple[str, bytes, Callable[[object], bool], str]] = []
    for one in TYPES:
        message = b"/x\0\0" + f",{one.tag}".encode() + bytes(2) + one.data
        packets.append((f"type `{one.tag}`", message, _same(one.value), one.shown))
    array = b"/x\0\0,[ii]\0\0\0" + struct.pack(">ii", 1, 2)
    packets.append(("array `[ii]`", array, lambda got: _flat(got) == [1, 2], "1 2"))
    inner = bundle([encode("/x", (4,))], None)
    packets.append(("bundle in a bundle", bundle([inner]), lambda got: _flat(got) == [4], "4"))
    packets.append(("time tag of a bundle", encode("/x", (5,), time=time.time() + 0.05), lambda got: _flat(got) == [5], "5"))
    dumped = _dumped([packet for _, packet, _, _ in packets])
    rows = [
        {
            "feature": name,
            "segue": _yes(right(_of_segue(packet))),
            "liblo": NO_PEER if dumped is None else _yes(any(text in line for line in [dumped[at]])),
            "python-osc": _yes(right(_of_python_osc(packet))),
        }
        for at, (name, packet, right, text) in enumerate(packets)
    ]
    return rows + [_pattern(name, pattern, count) for name, (pattern, count) in PATTERNS.items()]


def versions() -> dict[str, str]:
    """Of what was asked."""
    return {"python-osc": version("python-osc"), "liblo": _liblo_version()}


def shown(rows: Sequence[dict[str, str]]) -> str:
    """The rows as a table in Markdown."""
    found = versions()
    head = f"| feature | segue | liblo {found['liblo']} | python-osc {found['python-osc']} |\n|---|---|---|---|\n"
    return head + "\n".join("| " + " | ".join(row.values()) + " |" for row in rows)


def _yes(taken: bool) -> str:
    return "yes" if taken else "no"


def _same(value: object) -> Callable[[object], bool]:
    def same(got: object) -> bool:
        if not isinstance(got, list) or len(got) != 1:
            return False
        (one,) = got
        if isinstance(value, float) and isinstance(one, (int, float)):
            return math.isclose(one, value, rel_tol=1e-6)
        midi = isinstance(one, tuple) and isinstance(value, bytes) and bytes(one) == value
        return midi or (one == value and isinstance(one, bool) == isinstance(value, bool))

    return same


def _flat(got: object) -> list[object]:
    if isinstance(got, (list, tuple)):
        return [inside for one in got for inside in _flat(one)]
    return [got]


def _of_segue(packet: bytes) -> object:
    return [value for message in decode(packet) for value in message.args]


def _of_python_osc(packet: bytes) -> object:
    try:
        found = [value for timed in OscPacket(packet).messages for value in timed.message.params]
    except Exception:  # it raises several kinds
        return None
    first = found[0] if found else None
    if isinstance(first, tuple) and len(first) == 2 and hasattr(first[0], "timestamp"):  # a time tag, as a date
        return [first[0].timestamp()]
    return found


def _dumped(packets: Sequence[bytes]) -> list[str] | None:
    """What `oscdump` prints for each packet; None where it is not installed."""
    if shutil.which("oscdump") is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            time.sleep(0.3)
            for at, packet in enumerate(packets):
                sender.sendto(encode("/mark", (at,)), ("127.0.0.1", port))
                sender.sendto(packet, ("127.0.0.1", port))
                time.sleep(0.1 if b"#bundle" in packet else 0.02)
            time.sleep(0.5)
    finally:
        program.terminate()
    text, _ = program.communicate(timeout=WAIT_S)
    lines, at = [""] * len(packets), -1
    for line in text.splitlines():
        if "/mark" in line:
            at = int(line.split()[-1])
        elif " /x " in f"{line} " and at >= 0:
            lines[at] = line.partition(" /x ")[2]
    return lines


def _pattern(name: str, pattern: str, count: int) -> dict[str, str]:
    liblo = _liblo()
    dispatcher = Dispatcher()
    for known in KNOWN:
        dispatcher.map(known, print)
    try:
        python_osc = len(list(dispatcher.handlers_for_address(pattern)))
    except Exception:  # it makes a regular expression of it
        python_osc = -1
    matched = -1 if liblo is None else sum(bool(liblo.lo_pattern_match(k.encode(), pattern.encode())) for k in KNOWN)
    return {
        "feature": f"pattern {name}",
        "segue": _yes(len(expand(pattern, KNOWN)) == count),
        "liblo": NO_PEER if liblo is None else _yes(matched == count),
        "python-osc": _yes(python_osc == count),
    }


def _liblo() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("lo")
    return ctypes.CDLL(name) if name else None


def _liblo_version() -> str:
    liblo = _liblo()
    if liblo is None or not hasattr(liblo, "lo_version"):
        return ""
    text = ctypes.create_string_buffer(64)
    liblo.lo_version(text, 64, None, None, None, None, None, None, None)
    return text.value.decode()


if __name__ == "__main__":
    sys.exit(main())
