"""SuperCollider, TouchOSC, Open Stage Control, Pd's help and asyncio: what they send the table takes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest
from test_clients_python import Server

from segue.clients.python import AsyncClient, SegueError
from segue.server.commands import DECKS, SPECS, Command, Kind, addresses
from segue.server.control.patterns import resolve
from segue.server.projections import cheatsheet, supercollider

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
PATIENCE = 20.0
TABLE = addresses()


@pytest.fixture
def server() -> Iterator[Server]:
    thread = Server()
    thread.start()
    assert thread.ready.wait(PATIENCE)
    yield thread
    thread.stop()


# -- asyncio


def test_the_asyncio_client_plays_asks_and_is_told_why_not(server: Server) -> None:
    async def talk() -> None:
        async with AsyncClient(port=server.port) as segue:
            deck = segue.deck(1)
            number = deck.continue_(beats=8, seed=3)
            assert (await segue.job(number, "playing")).args[0] == number
            assert deck.gain(0.5) == 0.5
            assert await deck.gain() == 0.5
            assert await segue.ping(1, "two") == (1, "two")
            assert (await segue.status())["engine"] == "ready"
            assert await segue.sync(5) == (5,)
            assert (await segue.wait("/segue/engine")).args == ("ready", "")
            with pytest.raises(SegueError, match="no memory"):
                await segue.job(deck.generate())
            with pytest.raises(SegueError, match="there is no deck 9"):
                await segue.ask("/segue/deck/9/gain")
            deck.send("gain", 0.25, at=time.time() + 1)
            await segue.ping()
            found = [event.address async for event in _some(segue, 3)]
            assert "/segue/notify" in found
        with pytest.raises(SegueError, match="closed"):
            segue.send("/x")

    asyncio.run(asyncio.wait_for(talk(), PATIENCE))
    assert server.commands[1][2] == {"beats": 8.0, "seed": 3, "id": server.commands[1][2]["id"]}
    assert [when for when in server.times if when is not None] == [pytest.approx(time.time() + 1, abs=PATIENCE)]


async def _some(segue: AsyncClient, count: int) -> Any:
    segue.deck(2).vary()
    async for event in segue.events():
        yield event
        count -= 1
        if not count:
            return


def test_many_asyncio_clients_at_once(server: Server) -> None:
    async def one(number: int) -> None:
        async with AsyncClient(port=server.port) as segue:
            assert await segue.ping(number) == (number,)
            job = segue.deck(1).continue_()
            assert (await segue.job(job)).args[0] == job

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(40)))

    asyncio.run(asyncio.wait_for(all_of_them(), PATIENCE))


def test_nobody_there_is_a_sentence() -> None:
    async def talk() -> None:
        async with AsyncClient(port=9, timeout=0.2) as segue:
            with pytest.raises(SegueError, match=r"no answer within 0\.2 s; is `segue serve` running"):
                await segue.ping()

    asyncio.run(talk())


# -- SuperCollider

SCRIPT = """
var segue = Segue("127.0.0.1", %d), deck = segue.deck(2), number;
fork {
    0.3.wait;
    number = deck.continue(beats: 8, seed: 3, quant: "bar");
    deck.gain = 0.5;
    deck.transition(to: 1, k: 0.25);
    deck.freeze(0);
    deck.load("a b.wav");
    segue.tempo = 126;
    segue.midiLearn("/segue/deck/1/k");
    segue.latency = 0.5;
    deck.stop(quant: "bar");
    0.7.wait;
    segue.latency = nil;
    if(segue.jobs[number].notNil and: { segue.jobs[number][\\state] == 'done' }) { segue.send('/segue/nudge', 0.25) };
    segue.free;
    0.2.wait;
    0.exit;
};
"""


@pytest.mark.skipif(shutil.which("sclang") is None, reason="sclang is missing: apt-get install supercollider-language")
def test_the_class_speaks_in_a_real_sclang(server: Server, tmp_path: Path) -> None:
    (tmp_path / "conversation.scd").write_text(f"({SCRIPT % server.port})")
    standard = Path("/usr/share/SuperCollider/SCClassLibrary")
    paths = f"includePaths:\n    - {standard}\n    - {CLIENTS / 'supercollider'}\nexcludePaths: []\npostInlineWarnings: false\n"
    (tmp_path / "conf.yaml").write_text(paths)
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    environment = {**os.environ, **home, "QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    argv = ["sclang", "-l", str(tmp_path / "conf.yaml"), str(tmp_path / "conversation.scd")]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=90)
    said = [command for command in server.commands if command[0] != "notify"]
    names = ["continue", "gain", "transition", "freeze", "load", "tempo", "learn", "stop", "nudge"]
    assert [name for name, _, _ in said] == names, done.stdout[-3000:]
    first = said[0][2]
    assert (said[0][1], first["beats"], first["seed"], first["quant"]) == (2, 8.0, 3, "bar")
    assert said[2][2] == {"to": 1, "k": 0.25, "id": said[2][2]["id"]}
    at = server.times[[name for name, _, _ in server.commands].index("stop")]
    assert at is not None  # a bundle
    assert "ERROR" not in done.stdout


def test_the_class_and_its_help_have_the_whole_table() -> None:
    made, page = supercollider.classes(), supercollider.help_page()
    for spec in SPECS:
        if spec.kind is Kind.EVENT or spec.name in supercollider._BY_HAND:
            continue
        name = supercollider.name_of(spec)
        assert f"\n\t{name} {{" in made
        assert f"{name}:: || {spec.doc}" in page
        for option in spec.options:
            assert f"'{option.name}', " in made


# -- layouts


def taken(address: str, *args: Any) -> None:
    """The table takes this."""
    assert len(resolve(Command(address, args), TABLE)) == 1


def test_the_touchosc_layout_sends_what_the_table_takes() -> None:
    root = xml.fromstring(zlib.decompress((CLIENTS / "touchosc" / "segue.tosc").read_bytes()))
    assert (root.tag, root.attrib) == ("lexml", {"version": "3"})
    identities = [node.attrib["ID"] for node in root.iter("node")]
    assert len(identities) == len(set(identities)) > 40
    sent = set()
    for node in root.iter("node"):
        x, y, width, height = (float(node.findtext(f"properties/property[key='frame']/value/{part}", "")) for part in "xywh")
        assert min(x, y) >= 0
        assert min(width, height) > 0
        for osc in node.iterfind("messages/osc"):
            address = osc.findtext("path/partial/value", "")
            if osc.findtext("send") == "1":
                low, high = (float(osc.findtext(f"arguments/partial/{end}", "")) for end in ("scaleMin", "scaleMax"))
                taken(address, high)
                if TABLE[address][0].kind is Kind.VALUE:
                    taken(address, low)
                sent.add(address)
            else:
                assert any(address == spec.address.format(deck=n) for spec in SPECS for n in range(1, DECKS + 1))
    assert {f"/segue/deck/{n}/{name}" for n in (1, 2) for name in ("continue", "stop", "gain", "k")} | {"/segue/panic"} <= sent


def test_touchosc_controls_lie_where_the_format_has_them() -> None:
    """A node stands in the root or among somebody's children, nowhere else, and holds the parts of its kind in their order."""
    root = xml.fromstring(zlib.decompress((CLIENTS / "touchosc" / "segue.tosc").read_bytes()))
    parents = {inside: outside for outside in root.iter() for inside in outside}
    for node in root.iter("node"):
        assert parents[node].tag in ("lexml", "children")
        parts = [part.tag for part in node]
        assert parts == [part for part in ("properties", "values", "messages", "children") if part in parts]
        assert node.attrib["type"] in ("GROUP", "BUTTON", "FADER", "LABEL", "TEXT")
        for listed in node.iterfind("properties/property"):
            assert listed.attrib["type"] in "bcfirs"
            assert [part.tag for part in listed] == ["key", "value"]
        for osc in node.iterfind("messages/osc"):
            variable = osc.findtext("triggers/trigger/var")
            assert variable in [value.findtext("key") for value in node.iterfind("values/value")]
            assert (osc.findtext("connections"), osc.findtext("feedback")) == ("00001", "0")


def test_another_program_reads_the_touchosc_layout_and_finds_no_fault() -> None:
    py2tosc = pytest.importorskip("py2tosc", reason="py2tosc is missing: pip install segue[dev]")
    data = (CLIENTS / "touchosc" / "segue.tosc").read_bytes()
    read = py2tosc.load(str(CLIENTS / "touchosc" / "segue.tosc"))
    assert read.validate() == []
    found = list(read.walk())
    assert len(found) == len(list(xml.fromstring(zlib.decompress(data)).iter("node")))  # each lies where a reader looks
    sent = {"".join(part.value for part in one.path) for control in found for one in control.messages if one.send}
    assert {f"/segue/deck/{n}/{name}" for n in (1, 2) for name in ("continue", "stop", "gain", "k")} | {"/segue/panic"} <= sent
    again = py2tosc.loads(read.dumps())
    assert [one.messages for one in again.walk()] == [one.messages for one in found]


PLACE = {"type", "id", "left", "top", "width", "height"}
OSC = PLACE | {"address", "target", "typeTags"}
# Properties of Open Stage Control 1.x that are used, by kind of widget: a fader has no label, a list shows its value in its own.
KNOWN = {
    "root": {"type", "id", "widgets", "tabs"},
    "panel": PLACE | {"widgets", "tabs"},
    "script": {"type", "id", "onCreate"},
    "text": PLACE | {"address", "target", "default", "bypass"},
    "button": OSC | {"label", "mode", "on", "off", "colorWidget"},
    "fader": OSC | {"range", "decimals", "default", "doubleTap"},
    "dropdown": OSC | {"values"},
    "input": OSC,
}


def widgets(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A widget and all that it holds."""
    yield one
    for inside in one.get("widgets", ()):
        yield from widgets(inside)


def read_session() -> list[dict[str, Any]]:
    whole = json.loads((CLIENTS / "openstagecontrol" / "segue.json").read_text())
    assert (whole["createdWith"], whole["type"], whole["content"]["type"]) == ("Open Stage Control", "session", "root")
    return list(widgets(whole["content"]))


def test_the_open_stage_control_session_sends_what_the_table_takes() -> None:
    found = read_session()
    assert len({one["id"] for one in found}) == len(found)
    for one in found:
        if one["type"] == "button":
            taken(one["address"], one["on"])
            assert one["typeTags"] == "i"  # b would be a blob
            if one["mode"] == "push":
                assert resolve(Command(one["address"], (one["off"],)), TABLE) == []
            else:
                taken(one["address"], one["off"])
        elif one["type"] == "fader":
            assert one["typeTags"] in ("i", "f")
            taken(one["address"], float(one["range"]["min"]))
            taken(one["address"], float(one["range"]["max"]))
        elif one["type"] == "dropdown":
            for value in one["values"]:
                taken(one["address"], value)
    values = {spec.address.format(deck=1) for spec in SPECS if spec.kind is Kind.VALUE and spec.per_deck}
    assert values <= {one.get("address") for one in found}


def test_the_open_stage_control_session_has_known_properties_names_for_values_and_room_for_all() -> None:
    for one in read_session():
        assert set(one) <= KNOWN[one["type"]], one["id"]
        if one["type"] == "panel":
            inside = one["widgets"]
            names = {(w["left"], w["width"], w["top"] + w["height"]) for w in inside if w["type"] == "text"}
            for held in inside:
                assert held["left"] + held["width"] <= one["width"]
                assert held["top"] + held["height"] <= one["height"]
                if held["type"] in ("fader", "dropdown", "input"):
                    assert (held["left"], held["width"], held["top"]) in names  # its name stands above it


def test_the_cheat_sheet_fits_on_a_page_and_has_every_address() -> None:
    page = cheatsheet.page()
    for spec in SPECS:
        path = spec.address.removeprefix("/segue/").removeprefix("deck/{deck}/")
        assert f"{path}`" in page or f"`{path} " in page, path
    assert len(page.splitlines()) < 100


# -- Pd's help


@pytest.mark.skipif(shutil.which("pd") is None, reason="Pure Data is missing: apt-get install puredata-core")
def test_the_help_patch_opens_without_an_error_and_presses() -> None:
    patch = CLIENTS / "pd" / "segue-help.pd"
    argv = ["pd", "-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr", "-open", str(patch), "-send", "pd quit"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
    assert not [line for line in done.stderr.splitlines() if "couldn't create" in line or "error" in line.lower()], done.stderr
