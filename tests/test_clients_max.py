"""The Max patch and the Max for Live device: container, objects, connections, and messages that the table takes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from max_machine import Machine, atoms

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
every = pytest.mark.parametrize("name", ["max/segue.maxpat", "max/segue.maxhelp", "ableton/segue.amxd"])


def joined(content: dict[str, Any]) -> int:
    """How many wires there are, subpatches too; each has to join ports that are there."""
    boxes = {box["box"]["id"]: box["box"] for box in content["boxes"]}
    lines = [line["patchline"] for line in content["lines"]]
    for line in lines:
        (source, outlet), (target, inlet) = line["source"], line["destination"]
        assert outlet < boxes[source]["numoutlets"], boxes[source]
        assert inlet < boxes[target]["numinlets"], boxes[target]
    return len(lines) + sum(joined(box["patcher"]) for box in boxes.values() if "patcher" in box)


@every
def test_wires_join_ports_that_are_there(name):
    assert joined(patcher(name)) > 10


def sent(content: dict[str, Any], sender: str) -> list[list[Any]]:
    """The messages that are wired to an object, with a number for what is put in."""
    boxes = {box["box"]["id"]: box["box"] for box in content["boxes"]}
    (out,) = (box for box in boxes.values() if box.get("text", "").startswith(sender))
    lines = [line["patchline"] for line in content["lines"]]
    texts = [boxes[line["source"][0]].get("text", "") for line in lines if line["destination"][0] == out["id"]]
    return [atoms(text.replace("$1", "120.0" if "tempo" in text else "1.0")) for text in texts if text.startswith("/")]


def meant(messages: list[list[Any]]) -> set[tuple[str, int | None]]:
    """Name and deck of what the table takes them for."""
    commands = [Command(address, tuple(args)) for address, *args in messages]
    return {(spec.name, deck) for command in commands for spec, deck, _ in resolve(command, addresses())}


@both
def test_messages_to_the_server_are_in_the_table(name):
    own = {("freeze", 1), ("freeze", 2), ("tempo", None), ("downbeat", None)} if name.endswith(".amxd") else set()
    verbs = {(verb, deck) for verb in (*BUTTONS, "gain") for deck in (1, 2)}
    assert meant(sent(patcher(name), "udpsend")) == verbs | own | {("notify", None)}


def test_the_help_shows_every_button_and_messages_that_the_table_takes():
    content = patcher("max/segue.maxhelp")
    found = meant(sent(content, f"s {projection.SAY}"))
    assert found == {(verb, 1) for verb in BUTTONS} | {("transition", 2), ("tempo", None), ("panic", None)}
    texts = {box["box"].get("text") for box in content["boxes"]}
    assert "segue" in texts  # the patch itself, which lies beside it
    names = {box["box"].get("text") for box in patcher("max/segue.maxpat")["boxes"]}
    assert {f"r {projection.SAY}", f"s {projection.HEARD}"} <= names
    assert {f"s {projection.SAY}", f"r {projection.HEARD}"} <= texts


@every
def test_what_is_shown_are_events_of_the_table(name):
    (route,) = (
        box["box"]["text"].split()[1:] for box in patcher(name)["boxes"] if box["box"].get("text", "").startswith("route /segue")
    )
    events = {spec.address.format(deck=deck) for spec in SPECS if spec.kind is Kind.EVENT for deck in (1, 2)}
    assert set(route) <= events
    assert {"/segue/deck/1/state", "/segue/deck/1/next", "/segue/job", "/segue/fail"} <= set(route)


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


# -- run on as much of Max as they use


def lamp(machine: Machine, deck: int, verb: str) -> str:
    """The lamp that lies under the button of a verb."""
    texts = [box for box in machine.boxes.values() if box["maxclass"] == "comment" and box.get("text") == verb]
    x, y, *_ = sorted(box["patching_rect"] for box in texts)[deck - 1]
    (found,) = (
        name for name, box in machine.boxes.items() if box["maxclass"] == "led" and box["patching_rect"][:2] == [x - 22, y + 24]
    )
    return found


@both
def test_lamps_flash_while_a_take_comes_and_are_on_while_it_plays(name):
    machine = Machine(patcher(name))
    heard, vary = machine.named("udpreceive"), lamp(machine, 2, "vary")

    def job(number: int, state: str, deck: int = 2, verb: str = "vary") -> Any:
        machine.out(heard, ["/segue/job", number, deck, verb, state, 0.5, ""])
        return machine.lit.get(vary)

    assert job(4, "done") is None
    assert [job(5, state) for state in ("queued", "running", "ready", "armed", "playing")] == ["flash"] * 4 + [1]
    assert [job(6, "queued"), job(6, "playing"), job(5, "done")] == ["flash", 1, 1]  # the later one still plays
    assert job(6, "done") == 0
    assert [job(7, "running"), job(8, "playing", deck=1), job(9, "playing", verb="loop")] == ["flash"] * 3
    assert machine.lit[lamp(machine, 1, "vary")] == machine.lit[lamp(machine, 2, "loop")] == 1


@both
def test_the_lamp_of_stop_is_on_while_there_is_something_to_stop(name):
    machine = Machine(patcher(name))
    shown = []
    for state in ("dry", "take", "loop", "silence"):
        machine.out(machine.named("udpreceive"), ["/segue/deck/1/state", state])
        shown.append(machine.lit[lamp(machine, 1, "stop")])
    assert shown == [0, 1, 1, 0]
    assert lamp(machine, 2, "stop") not in machine.lit


def test_the_device_follows_lives_tempo_and_transport():
    machine = Machine(patcher("ableton/segue.amxd"))
    tempo, playing = machine.named("live.observer tempo"), machine.named("live.observer is_playing")
    machine.out(tempo, [126.0])
    assert machine.sent == [["/segue/tempo", 126.0]]
    machine.sent.clear()
    machine.out(playing, [0])  # how things stood when it was loaded
    assert machine.sent == []
    machine.out(playing, [1])
    assert sorted(machine.sent) == [["/segue/deck/1/freeze", 0], ["/segue/deck/2/freeze", 0]]
    machine.sent.clear()
    for _ in range(3):
        machine.out(machine.named("metro 1n"), ["bang"])
    assert machine.sent == [["/segue/downbeat"]]
    machine.sent.clear()
    machine.out(playing, [0])
    assert sorted(machine.sent) == [["/segue/deck/1/freeze", 1], ["/segue/deck/2/freeze", 1]]
    machine.sent.clear()
    (switch,) = (name for name, box in machine.boxes.items() if box["maxclass"] == "live.toggle")
    machine.out(switch, [0])  # the server has its tempo from elsewhere
    machine.out(tempo, [99.0])
    machine.out(playing, [1])
    machine.out(machine.named("metro 1n"), ["bang"])
    assert {one[0] for one in machine.sent} == {"/segue/deck/1/freeze", "/segue/deck/2/freeze"}
