"""The vocabulary table: every command survives OSC and binding, and every wrong argument ends in a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.binding import bind, convert, is_release
from segue.server.commands import CODES, SPECS, Arg, Command, CommandError, Kind, Spec, addresses
from segue.server.control.packets import decode, encode
from segue.server.control.patterns import expand, resolve

TABLE = addresses()
RECEIVED = [spec for spec in SPECS if spec.kind is not Kind.EVENT]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=8),
    st.just(10**400),
    st.just(-math.inf),
)


def refusal(call: Callable[[], object]) -> CommandError | None:
    try:
        call()
    except CommandError as error:
        return error
    return None


def spec_of(name: str) -> Spec:
    return next(spec for spec in SPECS if spec.name == name and spec.kind is not Kind.EVENT)


def valid(arg: Arg) -> st.SearchStrategy[object]:
    if arg.type == "s":
        return (
            st.sampled_from(arg.choices) if arg.choices else st.text(st.characters(codec="ascii", min_codepoint=32), max_size=9)
        )
    if arg.type == "b":
        return st.booleans()
    low, high = arg.low if arg.low is not None else -1000, arg.high if arg.high is not None else 1000
    if arg.type == "i":
        return st.integers(int(low), int(high))
    return st.floats(float(low), float(high), width=64).map(lambda x: min(max(round(x, 3), float(low)), float(high)))


@st.composite
def commands(draw: st.DrawFn) -> tuple[Spec, dict[str, object], list[object]]:
    """A spec, what is meant, and the arguments that say it."""
    spec = draw(st.sampled_from([s for s in RECEIVED if not s.echo]))
    required = [a for a in (*spec.args, *spec.options) if a.required]
    free = [a for a in (*spec.args, *spec.options) if not a.required]
    chosen = required + draw(st.lists(st.sampled_from(free), unique=True) if free else st.just([]))
    meant = {arg.name: draw(valid(arg)) for arg in chosen}
    return spec, meant, [part for pair in meant.items() for part in pair]


@given(commands())
def test_every_command_survives_osc_and_binding(made):
    spec, meant, args = made
    sent = decode(encode(spec.address.format(deck=1), args, "".join(tag(a) for a in args)))[0]
    assert bind(spec, sent.args) == meant


def tag(value: object) -> str:
    return {bool: "T" if value else "F", int: "i", str: "s", float: "d"}[type(value)]


@given(st.sampled_from(RECEIVED), st.lists(VALUES, max_size=5))
def test_any_arguments_bind_within_their_limits_or_fail_with_a_sentence(spec, args):
    error = refusal(lambda: bind(spec, args))
    if error is not None:
        assert error.code == "bad-argument"
        assert str(error).startswith(f"{spec.name}: ")
        assert len(str(error)) < 400
        return
    by_name = {arg.name: arg for arg in (*spec.args, *spec.options)}
    for name, value in bind(spec, args).items():
        arg = by_name[name]
        assert type(value) is {"i": int, "f": float, "s": str, "b": bool}[arg.type]
        if arg.type in "if":
            assert math.isfinite(value)
            assert (-math.inf if arg.low is None else arg.low) <= value <= (math.inf if arg.high is None else arg.high)


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("gain", [math.nan], "gain: gain is a finite number, got nan"),
        ("gain", ["loud"], "gain: gain is a number, got 'loud'"),
        ("gain", [5], "gain: gain lies between 0 and 4, got 5"),
        ("gain", [10**400], "gain: gain is a number, got a number of 1329 bits"),
        ("gain", [b"1"], "gain: gain is a number, got b'1'"),
        ("meter", [3.5], "meter: beats is a whole number, got 3.5"),
        ("quant", ["bars"], "quant: quant is one of off 1/4 beat bar 2bar 4bar 8bar loop, got 'bars'"),
        ("load", [7], "load: path is text, got 7"),
        ("load", [], "load: path is missing (an audio file)"),
        ("continue", ["beets", 8], "continue: no option 'beets'; it takes beats sec seed"),
        ("continue", [1, "beats"], "continue: options come as name and value, got 1 of them"),
        ("continue", [math.nan], "continue: a button sends 0 or a finite number, got nan"),
        ("undo", ["x", 1], "undo: no option 'x'; it takes none"),
    ],
)
def test_sentences_say_what_got_and_allowed(name, args, sentence):
    with pytest.raises(CommandError) as error:
        bind(spec_of(name), args)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("press", [(), (1,), (0.7,), (True,), (None,)])
def test_a_press_fires_and_zero_is_a_release(press):
    verb = spec_of("continue")
    assert bind(verb, press) == {}
    assert not is_release(verb, press)
    assert all(is_release(verb, (zero,)) for zero in (0, 0.0, False))


@pytest.mark.parametrize(
    ("name", "args"), [("freeze", (0,)), ("seek", (0.0,)), ("sync", (0,)), ("notify", (0,)), ("gain", (0,)), ("ping", (0,))]
)
def test_zero_is_a_value_where_a_number_is_asked_for(name, args):
    assert not is_release(spec_of(name), args)


def test_options_follow_a_button_and_positions_may_be_named():
    assert bind(spec_of("continue"), [1, "beats", 8]) == {"beats": 8.0}
    assert bind(spec_of("seek"), ["sec", 3]) == bind(spec_of("seek"), [3]) == {"sec": 3.0}
    assert bind(spec_of("transition"), ["to", 2.0, "at", "12.5"]) == {"to": 2, "at": 12.5}


@given(VALUES)
def test_what_was_converted_converts_to_itself(value):
    for arg in (Arg("x", "i", ""), Arg("x", "f", ""), Arg("x", "b", ""), Arg("x", "h", ""), Arg("x", "s", "")):
        try:
            once = convert(SPECS[0], arg, value)
        except CommandError:
            continue
        assert convert(SPECS[0], arg, once) == once


def test_the_table_is_consistent():
    assert len({spec.address for spec in SPECS if spec.kind is Kind.EVENT}) == len([s for s in SPECS if s.kind is Kind.EVENT])
    assert len(set(CODES.values())) == len(CODES)
    replies = {spec.address for spec in SPECS}
    for spec in RECEIVED:
        assert not spec.reply or spec.reply in replies, spec
        for arg in (*spec.args, *spec.options):
            if arg.default is not None:
                assert convert(spec, arg, arg.default) == arg.default, (spec, arg)


def test_resolve_finds_spec_deck_and_arguments():
    ((spec, deck, bound),) = resolve(Command("/segue/deck/2/continue", ("beats", 4)), TABLE)
    assert (spec.name, deck, bound) == ("continue", 2, {"beats": 4.0})
    assert [deck for _, deck, _ in resolve(Command("/segue/deck/*/gain", (0.5,)), TABLE)] == [1, 2]
    assert resolve(Command("/segue/deck/1/continue", (0,)), TABLE) == []


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("/segue/deck/3/continue", "no-such-deck", "there is no deck 3: decks are 1 to 2"),
        ("/segue/deck/0/gain", "no-such-deck", "there is no deck 0: decks are 1 to 2"),
        (
            "/segue/deck/1/contineu",
            "unknown-address",
            "unknown address /segue/deck/1/contineu: did you mean /segue/deck/1/continue?",
        ),
        ("/segue/fail", "unknown-address", "unknown address /segue/fail"),
        ("/nobody", "unknown-address", "unknown address /nobody: segue commands lists them"),
        ("/segue/deck/*/zap", "unknown-address", "pattern /segue/deck/*/zap matches no address"),
        ("/segue/deck/[", "unknown-address", "pattern /segue/deck/[ cannot be read: [ is not closed"),
    ],
)
def test_resolve_says_what_is_not_there(address, code, sentence):
    with pytest.raises(CommandError) as error:
        resolve(Command(address), TABLE)
    assert error.value.code == code
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/a/b", ["/a/b"]),
        ("/a/?", ["/a/b"]),
        ("/*/b", ["/a/b"]),
        ("/*", []),
        ("//b", ["/a/b", "/a/c/b", "/b/x/b"]),
        ("/a//b", ["/a/b", "/a/c/b"]),
        ("/a/[abc]c", ["/a/bc"]),
        ("/a/[a-c]*", ["/a/b", "/a/bc"]),
        ("/a/[!b]*", ["/a/xc"]),
        ("/a/{b,xc}", ["/a/b", "/a/xc"]),
        ("/a/[\\w]*", []),
        ("/a/.", []),
    ],
)
def test_patterns_follow_osc(pattern, expected):
    assert expand(pattern, ["/a/b", "/a/bc", "/a/xc", "/a/c/b", "/b/x/b"]) == expected


@given(st.text("/ab*?[]{},!-\\^.", max_size=30))
def test_any_pattern_ends_quickly_in_addresses_or_a_sentence(pattern):
    found: list[str] = []
    error = refusal(lambda: found.extend(expand(pattern, TABLE)))
    assert error is None or error.code == "unknown-address"
    assert set(found) <= set(TABLE)


@given(st.sampled_from(sorted(TABLE)))
def test_an_address_with_its_letters_replaced_still_finds_itself(address):
    assert address in expand("/" + "?" * (len(address.split("/")[1])) + "/" + "/".join(address.split("/")[2:]), TABLE)
