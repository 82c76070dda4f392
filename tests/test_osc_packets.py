"""OSC bytes: what python-osc writes is read alike, what is written here python-osc reads, and garbage ends in a sentence."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from segue.server.control import packets
from segue.server.control.packets import PacketError, bundle, decode, encode, time_tag, unix_time

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=40)
INT32 = st.integers(-(2**31), 2**31 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)
TYPED = st.one_of(
    st.tuples(st.just("i"), INT32),
    st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("f"), FLOAT32),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.sampled_from("sS"), TEXT),
    st.tuples(st.just("b"), st.binary(max_size=40)),
    st.tuples(st.just("c"), st.characters(blacklist_categories=("Cs",))),
    st.tuples(st.just("r"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("m"), st.binary(min_size=4, max_size=4)),
    st.sampled_from([("T", True), ("F", False), ("I", True), ("N", None)]),
)


@given(st.lists(TYPED, max_size=12), st.none() | st.floats(1e9, 2e9))
def test_every_type_comes_back(typed, time):
    tags, values = "".join(t for t, _ in typed), tuple(v for _, v in typed)
    (message,) = decode(encode("/a/b", values, tags, time))
    assert message.address == "/a/b"
    assert message.args == values
    assert message.time == (None if time is None else pytest.approx(time, abs=1e-6))


@given(st.lists(st.one_of(INT32, FLOAT32, TEXT, st.booleans(), st.none(), st.binary(min_size=1, max_size=9)), max_size=12))
def test_python_osc_reads_what_is_written_here(values):
    assert OscMessage(encode("/a", values)).params == values


@given(st.lists(st.tuples(st.sampled_from("ihfdsbTFN"), st.integers(0, 99)), max_size=12))
def test_what_python_osc_writes_is_read_alike(pairs):
    make = {"f": float, "d": float, "s": str, "b": lambda n: bytes([n]), "T": lambda n: True, "F": lambda n: False}
    builder = OscMessageBuilder("/x")
    for tag, number in pairs:
        builder.add_arg(None if tag == "N" else make.get(tag, int)(number), tag)
    datagram = builder.build().dgram
    assert list(decode(datagram)[0].args) == OscMessage(datagram).params


def test_arrays_are_flattened_and_impulses_are_presses():
    builder = OscMessageBuilder("/x")
    builder.add_arg([1, [2, 3]])
    assert decode(builder.build().dgram)[0].args == (1, 2, 3)
    assert decode(b"/x\0\0,I\0\0")[0].args == (True,)
    assert decode(b"/x\0\0")[0].args == ()


def test_the_innermost_bundle_gives_the_time():
    one, two = encode("/one"), encode("/two")
    nested = bundle([one, bundle([two], 2000.5), one], 1000.25)
    assert [(m.address, m.time) for m in decode(nested)] == [("/one", 1000.25), ("/two", 2000.5), ("/one", 1000.25)]
    assert decode(bundle([one]))[0].time is None


def test_python_osc_bundles_keep_their_time():
    builder = OscBundleBuilder(1_700_000_000.125)
    builder.add_content(OscMessageBuilder("/x").build())
    assert decode(builder.build().dgram)[0].time == 1_700_000_000.125


@given(st.floats(0, 4e9))
def test_time_tags_keep_a_microsecond_also_after_2036(time):
    again = unix_time(time_tag(time))
    assert again is not None
    assert math.isclose(again, time, abs_tol=1e-6)


@pytest.mark.parametrize("time", [math.nan, math.inf, -1e12, 1e12])
def test_a_time_without_a_tag_is_refused(time):
    with pytest.raises(PacketError, match="no OSC time tag"):
        encode("/x", (), time=time)


def nested(depth: int) -> bytes:
    packet = encode("/x")
    for _ in range(depth):
        packet = bundle([packet])
    return packet


def test_bounds_are_the_announced_ones():
    assert len(decode(nested(packets.MAX_DEPTH))) == 1
    assert len(decode(bundle([encode("/x")] * packets.MAX_MESSAGES))) == packets.MAX_MESSAGES
    assert len(decode(encode("/x", [1] * packets.MAX_ARGS))[0].args) == packets.MAX_ARGS
    too_many = b"/x\0\0," + b"T" * (packets.MAX_ARGS + 1) + bytes(2)
    for bad in (
        nested(packets.MAX_DEPTH + 1),
        bundle([encode("/x")] * (packets.MAX_MESSAGES + 1)),
        too_many + bytes(-len(too_many) % 4),
        b"/" + b"a" * packets.MAX_BYTES + bytes(3),
    ):
        with pytest.raises(PacketError):
            decode(bad)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "packet begins with"),
        (b"hello\0\0\0", "packet begins with"),
        (b"/abc", "does not end"),
        (b"/x\0\0i\0\0\0", "begin with a comma"),
        (b"/x\0\0,i\0\0\0\0", "were announced"),
        (b"/x\0\0,Q\0\0", "no argument type 'Q'"),
        (b"/x\0\0,b\0\0" + struct.pack(">i", -8), "blob of -8 bytes"),
        (b"/x\0\0,b\0\0" + struct.pack(">i", 2**31 - 1), "blob of"),
        (b"/\xff\xfe\0,\0\0\0", "not UTF-8"),
        (b"/x\0\0,\0\0\0more", "bytes too many"),
        (b"#bundle\0", "without a time tag"),
        (b"#bundle\0" + bytes(8) + b"\0\0\0\5/x\0\0", "bundle element"),
        (b"/x\0\0,c\0\0\0\x11\0\0", "no character"),
    ],
)
def test_a_bad_packet_is_a_sentence(data, sentence):
    with pytest.raises(PacketError, match=sentence):
        decode(data)


@given(
    st.binary(max_size=200)
    | st.binary(max_size=80).map(lambda b: b"/x\0\0,ibs" + b)
    | st.binary(max_size=80).map(lambda b: b"#bundle\0" + b)
)
def test_garbage_is_refused_with_a_sentence_or_read(data):
    sentence = ""
    try:
        decode(data)
    except PacketError as error:
        sentence = str(error)
    assert len(sentence) < 300


@pytest.mark.parametrize(
    ("args", "types"),
    [
        ((2**40,), "i"),
        (("x",), "f"),
        (("a\0b",), None),
        (("\ud800",), None),
        ((1,), ""),
        ((1,), "q"),
        ((2**70,), None),
        ((1e300,), "f"),
        (("ab",), "c"),
    ],
)
def test_what_osc_cannot_carry_is_refused(args, types):
    with pytest.raises(PacketError):
        encode("/x", args, types)
