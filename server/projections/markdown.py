"""The vocabulary as pages: docs/OSC.md and docs/MIDI.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segue.server.commands import CODES, DECKS, PORT, SPECS, Arg, Kind, Spec
from segue.server.control.midi_lights import COMING, OFF, PLAYING
from segue.server.control.midi_map import ANY, CHANNEL_MODE, FINE, TAKEOVERS, WAYS, Binding, default_map, dump_map, number_of
from segue.server.control.packets import MAX_ARGS, MAX_BYTES, MAX_DEPTH, MAX_MESSAGES
from segue.server.events import FAILURES, LEASE, MAX_CLIENTS

_MADE = "<!-- made by `python -m segue.server.projections`; the table is server/commands.py -->\n"
_TYPES = {"i": "int", "f": "float", "s": "string", "b": "0 or 1", "h": "int64", "d": "double", "B": "blob"}

_OSC_HEAD = f"""# OSC

{_MADE}
The server listens on port {PORT}, on UDP and on TCP (framed by length, by SLIP, or bare: the first byte decides). From a shell:

```
oscsend localhost {PORT} /segue/deck/1/continue sf beats 8
segue send deck/1/continue beats 8 --wait playing
```

* **Decks** count from 1; there are {DECKS}, or as many as `segue serve --decks` says (8 at most).
  Below, `{{deck}}` stands for the number.
* **A verb** fires with no argument, `T`, `I`, nil or a number that is not 0. A single `0` is a button let go and does nothing.
* **Options** are names and values in turn, in any order, after the arguments: `,sfsi beats 8.0 seed 42`. Arguments may be named
  too.
* **A value** that is sent sets; the address alone asks, and the answer has the same address.
* **Numbers** may be ints, floats, bools or text that reads as a number. Outside its range a value is refused with a sentence.
* **Patterns** of OSC 1.0 and 1.1 work: `/segue/deck/*/gain`, `/segue/deck/[12]/stop`, `/segue/deck/{{1,2}}/k`, `//stop`.
* **Time tags**: a message in a bundle takes effect when its tag says; on a verb that makes a take, that is when the take becomes
  audible. A tag in the past is carried out at once and answered by `/segue/late`; one over 60 s ahead is refused.
* **Answers** go to the port that asked. `/segue/notify` leases all events for {LEASE:g} s and begins with the state of all;
  send it again every ten seconds or so. Where another port receives: `/segue/notify 9000`. At most {MAX_CLIENTS} clients listen.
* **Values** that one client sets are told to all others that listen, 30 times a second at most, the latest only.
* **Failures** come as `/segue/fail ,ssi address sentence code`, at most {FAILURES} a second to one sender, then their count.
* **Bounds**: {MAX_BYTES} bytes a packet, {MAX_ARGS} arguments a message, {MAX_MESSAGES} messages a bundle, bundles {MAX_DEPTH}
  deep. Arrays are flattened. The types are `i f s b h d t S c r m T F N I [ ]`.

## Browsers, OSCQuery, Zeroconf

The TCP port answers HTTP too. **A browser** gets the page at `http://localhost:{PORT}/`: decks, verbs, values, jobs, failures.
*spectrum* shows the spectra of what comes in and of what sounds, takes in their colour; a phone begins without.
Keys `q` to `p` press the verbs of deck 1, `a` to `;` those of deck 2, space taps, Esc is panic.

**OSCQuery**: `GET /` (without `Accept: text/html`) is the whole tree with `CONTENTS TYPE ACCESS VALUE RANGE DESCRIPTION UNIT`,
any address below it a part, `?VALUE` and so on one attribute, `?HOST_INFO` the ports. `OPTIONS` lists what a verb takes besides.
On **WebSocket**, binary messages are OSC both ways; `{{"COMMAND": "LISTEN", "DATA": "/segue/tempo"}}` tells a value at once and
whenever it changes, `IGNORE` ends that. `PATH_CHANGED` comes where a range changes: that of `seek`, when a file is loaded.

Pages of other origins, and requests under a host name that is not this machine's, are refused. The server listens on this machine
alone unless `--host` says otherwise; then it is announced as `_osc._udp` and `_oscjson._tcp` (extra `discovery`).

## Options of verbs that make a take

"""

_MIDI_HEAD = f"""# MIDI

{_MADE}
MIDI needs the extra `midi` (`pip install "segue[midi]"`). Every input whose name matches the port pattern is opened, also one
that is plugged in later, on ALSA or JACK. A message makes the same command as OSC would.

* A **note** presses a verb's button; note off, or velocity 0, lets it go.
* A **controller** sets a value between the two ends of its range; on a verb it is a pedal, down from 64 on.
* Controllers from {CHANNEL_MODE} on are channel mode messages: "all sound off" and "all notes off" are panic at any value.
* A **clock** with start, continue, stop and song position is a source of tempo: `/segue/sync/source midi` (docs/TEMPO.md).
* **Lights**: an output that matches the pattern is sent the pads' notes: velocity {COMING} while a verb's take is on its way,
  {PLAYING} while it plays, {OFF} after; the pad of `stop` while there is something to stop. Values are sent as controllers.
* **Learning**: touch *MIDI learn* on the page, a control there, then one on the controller. Over OSC:
  `/segue/midi/learn /segue/deck/1/k`; `/segue/midi/learned` says what was bound. `--midi-map FILE` keeps it.

## The default map

| MIDI | address | range |
|---|---|---|
"""

_MIDI_TAIL = """
## Another map

`segue serve --midi-map FILE` reads a YAML file with lines of the form below; `/segue/midi/map` tells the map that is in use, or
sets one sent with it. Any address that is received is good.

```yaml
{map}```

| key | values | |
|---|---|---|
| `note`, `control` or `program` | 0 to 127 | what is played; a program is a scene's number, or presses; `any`: what is free |
| `address` | | what it does |
| `channel` | 1 to 16 | all, without it |
| `low`, `high` | numbers | the values at the two ends of a controller; those of the table without them |
| `way` | {ways} | `fine`: 14 bits, with controller number + {fine}; the last three: encoders, told by their turns |
| `takeover` | {takeovers} | a fader elsewhere than its value jumps there, waits until it crosses it, or shares out its way |
| `momentary` | true false | a pad let go undoes what it did: `stop` after a verb, the low end of a value |
"""

_EXAMPLES = (
    Binding("note", 60, "/segue/deck/1/continue", momentary=True),
    Binding("control", 7, "/segue/deck/1/gain", 1, 0.0, 1.0, "fine", "cross"),
    Binding("control", 16, "/segue/deck/1/k", way="offset"),
    Binding("program", 0, "/segue/deck/2/transition"),
    Binding("program", ANY, "/segue/scene/recall"),
)

_CHAPTERS = (
    ("Verbs of a deck", Kind.VERB, True),
    ("Values of a deck", Kind.VALUE, True),
    ("Values of the server", Kind.VALUE, False),
    ("Actions of the server", Kind.ACTION, False),
    ("Sent by the server", Kind.EVENT, None),
)


def osc(specs: Sequence[Spec] = SPECS) -> str:
    """The text of docs/OSC.md."""
    common = _common(specs)
    chapters = [
        _chapter(title, [s for s in specs if s.kind is kind and per_deck in (None, s.per_deck)], common)
        for title, kind, per_deck in _CHAPTERS
    ]
    codes = "".join(f"| {number} | {word} |\n" for word, number in CODES.items())
    shared = _table([("option", arg) for arg in common])
    return f"{_OSC_HEAD}{shared}{''.join(chapters)}\n## Codes of failures\n\n| code | reason |\n|---|---|\n{codes}"


def _common(specs: Sequence[Spec]) -> list[Arg]:
    """Options that every verb with a seed has: said once."""
    takes = [spec for spec in specs if any(option.name == "seed" for option in spec.options)]
    return [arg for arg in takes[0].options if all(arg in spec.options for spec in takes)] if takes else []


def midi(decks: int = DECKS) -> str:
    """The text of docs/MIDI.md."""
    bindings = default_map(decks)
    rows = "".join(f"| {one.kind} {number_of(one)} | `{one.address}` | {_ends(one)} |\n" for one in bindings)
    return (
        _MIDI_HEAD
        + rows
        + _MIDI_TAIL.format(
            map=dump_map(bindings[:3] + _EXAMPLES + bindings[-2:]), ways=" ".join(WAYS), takeovers=" ".join(TAKEOVERS), fine=FINE
        )
    )


def _ends(one: Binding) -> str:
    return "" if one.low is None or one.high is None else f"{one.low:g} to {one.high:g}"


def _chapter(title: str, specs: Iterable[Spec], common: Sequence[Arg]) -> str:
    return f"\n## {title}\n\n" + "\n".join(_section(spec, common) for spec in specs)


def _section(spec: Spec, common: Sequence[Arg]) -> str:
    tags = f" `,{spec.types}`" if spec.types else ""
    answer = f" Answered by `{spec.reply}`." if spec.reply and spec.reply != spec.address else ""
    makes_take = bool(common) and all(arg in spec.options for arg in common)
    more = " Takes the options above." if makes_take else ""
    own = [arg for arg in spec.options if not (makes_take and arg in common)]
    rows = [("argument", arg) for arg in spec.args] + [("option", arg) for arg in own] + [("answer", arg) for arg in spec.returns]
    heading = f"### `{spec.address}`{tags}\n\n{spec.doc[0].upper()}{spec.doc[1:]}.{answer}{more}\n"
    return f"{heading}\n{_table(rows)}" if rows else heading


def _table(rows: Sequence[tuple[str, Arg]]) -> str:
    lines = (
        f"| {kind} | `{arg.name}` | {_TYPES[arg.type]} | {_range(arg)} | {_default(arg)} | {arg.doc} |\n" for kind, arg in rows
    )
    return "| | name | type | range | default | |\n|---|---|---|---|---|---|\n" + "".join(lines)


def _range(arg: Arg) -> str:
    unit = f" {arg.unit}" if arg.unit else ""
    if arg.choices:
        return " ".join(arg.choices)
    if arg.low is None and arg.high is None:
        return unit.strip()
    if arg.high is None:
        return f"from {arg.low:g}{unit}"
    return f"{_short(arg.low)} to {_short(arg.high)}{unit}"


def _short(bound: float | None) -> str:
    return "any" if bound is None else "2³¹ - 1" if bound == 2**31 - 1 else f"{bound:g}"


def _default(arg: Arg) -> str:
    if arg.required:
        return "required"
    if arg.default is None:
        return ""
    return str(int(arg.default)) if isinstance(arg.default, bool) else str(arg.default)
