"""The Max patch and the Max for Live device: container, objects, connections, and messages that the table takes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from segue.server.commands import SPECS, Command, Kind, addresses
from segue.server.control.patterns import resolve
from segue.server.projections import max as projection
from segue.server.projections.pd import BUTTONS

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
m4l = pytest.importorskip("py2max.m4l", reason="py2max is missing: pip install segue[dev]")
DEVICE_HEIGHT = 169  # pixels of Live's device strip


def patcher(name: str) -> dict[str, Any]:
    data = (CLIENTS / name).read_bytes()
    if name.endswith(".amxd"):
        data, kind = m4l.unpack_amxd(data)
        assert kind == "audio_effect"
        data = data.rstrip(b"\0")
    return json.loads(data)["patcher"]


both = pytest.mark.parametrize("name", ["max/segue.maxpat", "ableton/segue.amxd"])


@both
def test_wires_join_ports_that_are_there(name):
    boxes = {box["box"]["id"]: box["box"] for box in patcher(name)["boxes"]}
    lines = [line["patchline"] for line in patcher(name)["lines"]]
    assert len(lines) > 50
    for line in lines:
        (source, outlet), (target, inlet) = line["source"], line["destination"]
        assert outlet < boxes[source]["numoutlets"]
        assert inlet < boxes[target]["numinlets"]


@both
def test_messages_to_the_server_are_in_the_table(name):
    content = patcher(name)
    boxes = {box["box"]["id"]: box["box"] for box in content["boxes"]}
    (out,) = (box for box in boxes.values() if box.get("text", "").startswith("udpsend"))
    sent = [
        boxes[line["patchline"]["source"][0]]["text"].split()
        for line in content["lines"]
        if line["patchline"]["destination"][0] == out["id"]
    ]
    found = set()
    for address, *args in sent:
        values = [1.0 if arg == "$1" else int(arg) if arg.isdigit() else arg for arg in args]
        found |= {(spec.name, deck) for spec, deck, _ in resolve(Command(address, tuple(values)), addresses())}
    assert found == {(verb, deck) for verb in (*BUTTONS, "gain") for deck in (1, 2)} | {("notify", None)}


@both
def test_what_is_shown_are_events_of_the_table(name):
    (route,) = (
        box["box"]["text"].split()[1:] for box in patcher(name)["boxes"] if box["box"].get("text", "").startswith("route")
    )
    events = {spec.address.format(deck=deck) for spec in SPECS if spec.kind is Kind.EVENT for deck in (1, 2)}
    assert set(route) <= events
    assert {"/segue/deck/1/state", "/segue/deck/2/state", "/segue/job", "/segue/engine", "/segue/fail"} <= set(route)


def test_the_device_fits_its_strip_and_nothing_overlaps():
    shown = [box["box"]["presentation_rect"] for box in patcher("ableton/segue.amxd")["boxes"] if box["box"].get("presentation")]
    assert max(y + height for _, y, _, height in shown) <= DEVICE_HEIGHT
    for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(shown, 2):
        assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h


def test_the_device_lets_audio_through():
    content = patcher("ableton/segue.amxd")
    boxes = {box["box"]["id"]: box["box"].get("text") for box in content["boxes"]}
    audio = [line["patchline"] for line in content["lines"] if boxes[line["patchline"]["source"][0]] == "plugin~"]
    assert [(line["source"][1], boxes[line["destination"][0]], line["destination"][1]) for line in audio] == [
        (0, "plugout~", 0),
        (1, "plugout~", 1),
    ]


@pytest.mark.parametrize("device", [False, True])
def test_py2max_finds_no_fault(device):
    assert [str(finding) for finding in projection.filled(SPECS, 2, device).lint()] == []
