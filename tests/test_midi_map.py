"""MIDI beyond a note and a controller: fine, relative and soft faders, momentary pads, learning, lights."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_midi import PATIENCE, Sender, jack_process, jack_server  # noqa: F401  (fixtures)

from segue.server.commands import Command, CommandError, Value, addresses
from segue.server.control import midi
from segue.server.control.midi_learn import Learner
from segue.server.control.midi_lights import COMING, OFF, PLAYING, Lights
from segue.server.control.midi_map import ANY, Binding, MidiError, default_map, dump_map, parse_map
from segue.server.control.midi_translate import Translator, steps
from segue.server.control.patterns import resolve
from segue.server.control.surface import Surface

GAIN, K, STEPS = "/segue/deck/1/gain", "/segue/deck/1/k", "/segue/deck/1/steps"
CONTINUE = "/segue/deck/1/continue"
TABLE = addresses()


def fader(address: str = K, **more: Any) -> Translator:
    made = Translator([Binding("control", 7, address, low=0.0, high=1.0, **more)])
    made.told(address, 0.5)
    return made


def moved(made: Translator, *amounts: int, number: int = 7) -> list[Value]:
    """The values that a controller sets on its way."""
    return [command.args[0] for amount in amounts for command in made.commands((0xB0, number, amount))]


def test_a_fine_controller_has_14_bits():
    made = fader(way="fine")
    assert moved(made, 64) == [pytest.approx(64 * 128 / 16383)]
    assert moved(made, 1, number=7 + 32) == [pytest.approx((64 * 128 + 1) / 16383)]
    assert moved(made, 127) == [pytest.approx(127 * 128 / 16383)]
    assert moved(made, 127, number=39) == [1.0]


@pytest.mark.parametrize(("way", "clockwise", "back", "far"), [("offset", 65, 63, 74), ("twos", 1, 127, 10), ("sign", 1, 65, 10)])
def test_an_encoder_moves_the_value_by_what_it_was_turned(way, clockwise, back, far):
    made = fader(way=way)
    assert moved(made, clockwise, back, far) == [pytest.approx(0.5 + n / 127) for n in (1, 0, 10)]
    made.told(K, 1.0)  # somebody else has moved it meanwhile
    assert moved(made, clockwise, back) == [1.0, pytest.approx(126 / 127)]
    assert steps(way, 64 if way == "offset" else 0) == 0


def test_an_encoder_steps_through_choices():
    made = Translator([Binding("control", 7, "/segue/deck/1/quant", way="offset")])
    assert moved(made, 65, 65, 63) == ["1/4", "beat", "1/4"]


def test_jump_goes_where_the_fader_is():
    assert moved(fader(takeover="jump"), 0, 127) == [0.0, 1.0]


def test_cross_waits_until_the_fader_has_crossed_the_value():
    made = fader(takeover="cross")
    assert moved(made, 10, 40, 60) == []
    assert moved(made, 70, 80) == [pytest.approx(70 / 127), pytest.approx(80 / 127)]  # from 60 to 70 it went over 63.5
    made.told(K, 0.1)  # lost again
    assert moved(made, 90, 60) == []
    assert moved(made, 13) == [pytest.approx(13 / 127)]


def test_scale_divides_what_is_left_of_the_way():
    made = fader(takeover="scale")
    assert moved(made, 0) == []  # where it stands is not known before
    up = moved(made, 32, 64, 96, 127)
    assert up == sorted(up)
    assert up[0] == pytest.approx(0.5 + (32 / 127) * 0.5)
    assert up[-1] == pytest.approx(1.0)
    made.told(K, 0.5)
    down = moved(made, 96, 64, 32, 0)
    assert down == sorted(down, reverse=True)
    assert down[-1] == pytest.approx(0.0)


@given(st.sampled_from(["jump", "cross", "scale"]), st.lists(st.tuples(st.booleans(), st.integers(0, 127)), max_size=30))
def test_any_way_of_a_fader_stays_within_the_range(takeover, moves):
    made = Translator([Binding("control", 7, GAIN, takeover=takeover)])
    for told, amount in moves:
        if told:
            made.told(GAIN, amount / 32)
        for command in made.commands((0xB0, 7, amount)):
            assert len(resolve(command, TABLE)) == 1


def test_pads_let_go_do_what_they_are_told_to():
    pad = Translator([Binding("note", 60, CONTINUE, momentary=True), Binding("note", 61, K, low=0.1, high=0.9, momentary=True)])
    assert [(c.address, c.args) for c in pad.commands((0x90, 60, 9)) + pad.commands((0x80, 60, 0))] == [
        (CONTINUE, (1,)),
        ("/segue/deck/1/stop", (1,)),
    ]
    held = pad.commands((0x90, 61, 9)) + pad.commands((0x90, 61, 0))
    assert [command.args[0] for command in held] == [pytest.approx(0.9), pytest.approx(0.1)]


def test_a_program_change_recalls_the_scene_of_its_number_unless_it_is_bound():
    made = Translator(parse_map("- {program: 7, address: /segue/panic}\n- {program: any, address: /segue/scene/recall}"))
    assert [(one.address, one.args) for one in made.commands((0xC0, 12))] == [("/segue/scene/recall", (12,))]
    assert [(one.address, one.args) for one in made.commands((0xC0, 0))] == [("/segue/scene/recall", (0,))]
    assert [(one.address, one.args) for one in made.commands((0xC0, 7))] == [("/segue/panic", (1,))]
    assert [one.args for one in Translator(default_map()).commands((0xC5, 3))] == [(3,)]
    assert parse_map(dump_map(default_map())) == default_map()


def test_learning_one_program_leaves_the_scenes_of_the_others():
    learner = Learner(2, "", lambda bindings: None)
    learner.add(Binding("program", 5, "/segue/scene/recall", 1))
    assert Binding("program", ANY, "/segue/scene/recall") in learner.bindings


def test_a_program_change_presses():
    made = Translator([Binding("program", 3, CONTINUE, channel=2)])
    assert [(c.address, c.args) for c in made.commands((0xC1, 3))] == [(CONTINUE, (1,))]
    assert made.commands((0xC0, 3)) == []


def test_every_kind_of_line_survives_its_text():
    lines = (
        Binding("control", 7, K, 3, 0.2, 0.8, "fine", "cross"),
        Binding("control", 8, GAIN, way="twos"),
        Binding("note", 60, CONTINUE, momentary=True),
        Binding("program", 5, "/segue/panic"),
    )
    assert parse_map(dump_map(lines)) == lines


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- {control: 7, address: /segue/deck/1/k, way: sideways}", "way is one of absolute fine offset twos sign"),
        ("- {control: 7, address: /segue/deck/1/k, takeover: 1}", "takeover is one of jump cross scale, got 1"),
        ("- {note: 7, address: /segue/deck/1/k, momentary: 2}", "momentary is one of true false, got 2"),
        ("- {control: 40, address: /segue/deck/1/k, way: fine}", "fine needs a controller from 0 to 31, got 40"),
        ("- {note: 40, address: /segue/deck/1/k, way: twos}", "twos is for a controller of a value"),
        ("- {note: 40, control: 2, address: /segue/panic}", "has to name a note or a control or a program"),
        ("- {note: true, address: /segue/panic}", "note is a whole number"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(text, sentence):
    with pytest.raises(MidiError, match=sentence):
        parse_map(text)


def test_learning_binds_the_next_message_and_writes_it_down(tmp_path):
    file, used = tmp_path / "map.yaml", []
    learner = Learner(2, str(file), used.append)
    assert learner.bindings == default_map(2)
    assert learner.hear((0x90, 99, 1)) is None
    learner.want(K)
    assert learner.hear((0xF8,)) is None
    assert learner.hear((0x80, 99, 0)) is None  # a pad let go teaches nothing
    made = learner.hear((0xB4, 11, 5))
    assert made == Binding("control", 11, K, 5, 0.0, 1.0)
    learner.add(made)
    assert made in used[-1]
    assert not any(one.address == K and one != made for one in used[-1])
    assert learner.hear((0xB4, 12, 5)) is None  # only one
    assert Learner(2, str(file), used.append).bindings == learner.bindings
    with pytest.raises(MidiError, match="no address /segue/zap"):
        learner.want("/segue/zap")
    file.write_text("- 3")
    with pytest.raises(MidiError, match="entry 1"):
        Learner(2, str(file), used.append)


def test_pads_show_what_their_verbs_do_and_only_changes_are_sent():
    lights = Lights(default_map())

    def job(state: str) -> list[bytes]:
        return lights.news("/segue/job", (5, 1, "continue", state, 0.0, ""))

    assert job("queued") == [bytes((0x90, 36, COMING))]
    assert job("running") == []
    assert job("playing") == [bytes((0x90, 36, PLAYING))]
    assert lights.news("/segue/deck/1/state", ("slot_a",)) == [bytes((0x90, 43, PLAYING))]  # stop has something to do
    assert job("done") == [bytes((0x90, 36, OFF))]
    assert lights.news("/segue/deck/1/state", ("dry",)) == [bytes((0x90, 43, OFF))]
    assert lights.news("/segue/deck/2/next", ("vary", 3.0)) == [bytes((0x90, 47, COMING))]
    assert lights.news("/segue/deck/1/gain", (1.0,)) == [bytes((0xB0, 20, 127))]
    assert lights.news("/segue/deck/1/gain", (1.0,)) == []
    assert sorted(lights.all()) == [bytes((0x90, 47, COMING)), bytes((0xB0, 20, 127))]


class Receiver:
    """A JACK client with one MIDI input: the controller's lights."""

    def __init__(self, server: str) -> None:
        jack = pytest.importorskip("jack", reason="JACK-Client is missing: pip install segue[dev]")
        self.client = jack.Client("pads lit", no_start_server=True, servername=server)
        self.port = self.client.midi_inports.register("in")
        self.heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.client.set_process_callback(self._process)
        self.client.activate()

    def _process(self, frames: int) -> None:
        for _, data in self.port.incoming_midi_events():
            self.heard.put(bytes(data))

    def close(self) -> None:
        self.client.deactivate()
        self.client.close()


def test_a_controller_on_jack_learns_and_is_lit(jack_server, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr(midi, "POLL", 0.05)
    commands: list[Command] = []
    told: list[tuple[str, tuple[Value, ...]]] = []

    async def until(what: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < end, "nothing came"
            await asyncio.sleep(0.02)

    async def talk() -> None:
        sender, receiver = Sender(jack_server), Receiver(jack_server)
        surface = Surface(
            commands.append,
            lambda address, args: told.append((address, args)),
            ports="pads",
            api="jack",
            decks=2,
            file=str(tmp_path / "map.yaml"),
            on_clock=None,
            say=lambda sentence: None,
        )
        surface.open()
        try:
            with pytest.raises(CommandError, match="no address"):
                surface.learn("/nothing")
            surface.learn("/segue/deck/2/vary")

            def press() -> bool:
                sender.waiting.put(b"\x90\x50\x64")
                return bool(told)

            await until(press)
            assert told[0] == ("/segue/midi/learned", ("/segue/deck/2/vary", "note 80 channel 1"))
            await until(lambda: press() and commands)
            assert (commands[0].address, commands[0].args) == ("/segue/deck/2/vary", (1,))
            assert "{note: 80, address: /segue/deck/2/vary, channel: 1}" in surface.text(None)

            def light() -> bool:
                surface.news("/segue/job", (1, 2, "vary", "playing", 1.0, ""))
                surface.news("/segue/job", (1, 2, "vary", "done", 1.0, ""))
                return not receiver.heard.empty()

            await until(light)
            assert receiver.heard.get() in (bytes((0x90, 80, PLAYING)), bytes((0x90, 80, OFF)))
            assert surface.text("- {note: 1, address: /segue/panic}") == "- {note: 1, address: /segue/panic}\n"
            with pytest.raises(CommandError, match="unknown address"):
                surface.text("- {note: 1, address: /x}")
        finally:
            surface.close()
            sender.close()
            receiver.close()

    asyncio.run(talk())
