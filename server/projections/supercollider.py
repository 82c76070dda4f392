"""The SuperCollider class and its help: verbs and values as methods of a deck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from segue.server.commands import PORT, ROOT, SPECS, Arg, Kind, Spec

_BY_HAND = {"notify", "subscribe", "waveform", "ping", "jobs"}  # what the class does by itself

_HEAD = f"""// Made by `python -m segue.server.projections`, not by hand. One server: Segue.new.deck(1).continue(beats: 8)

Segue {{
	var <addr, <decks, <values, <jobs, <>latency, <>onEvent, lease, receiver, count;

	*new {{ |host = "127.0.0.1", port = {PORT}|
		^super.new.init(host, port)
	}}

	init {{ |host, port|
		addr = NetAddr(host, port);
		decks = IdentityDictionary.new;
		values = IdentityDictionary.new;
		jobs = IdentityDictionary.new;
		count = 1000.rand + 1 * 10000;
		receiver = {{ |msg, time, from| if(msg[0].asString.beginsWith("{ROOT}/")) {{ this.heard(msg, time) }} }};
		thisProcess.addOSCRecvFunc(receiver);
		addr.sendMsg('{ROOT}/notify');
		lease = SkipJack({{ addr.sendMsg('{ROOT}/notify') }}, 10, name: "segue");
	}}

	free {{
		lease.stop;
		thisProcess.removeOSCRecvFunc(receiver);
		addr.sendMsg('{ROOT}/notify', 0);
	}}

	deck {{ |number = 1|
		^decks[number] ?? {{ decks[number] = SegueDeck(this, number); decks[number] }}
	}}

	// Sends now, or as a bundle that sounds latency seconds from now.
	send {{ |address ... args|
		if(latency.isNil) {{ addr.sendMsg(address, *args) }} {{ addr.sendBundle(latency, [address] ++ args) }}
	}}

	// Sends one value if there is one, and returns what was told last.
	value {{ |address, value|
		if(value.notNil) {{ values[address] = value; this.send(address, value) }};
		^values[address]
	}}

	nextJob {{ count = count + 1; ^count }}

	heard {{ |msg, time|
		switch(msg[0],
			'{ROOT}/job', {{ jobs[msg[1]] = (deck: msg[2], verb: msg[3], state: msg[4], progress: msg[5], sentence: msg[6]) }},
			'{ROOT}/fail', {{ ("segue: " ++ msg[1] ++ ": " ++ msg[2]).warn }},
			{{ if(msg.size == 2) {{ values[msg[0]] = msg[1] }} }}
		);
		onEvent.value(msg, time);
	}}
"""

_DECK = """}

SegueDeck {
	var <segue, <number;

	*new { |segue, number| ^super.newCopyArgs(segue, number) }

	address { |name| ^("/segue/deck/" ++ number ++ "/" ++ name).asSymbol }

	// What it plays: dry, slot_a, slot_b, loop or silence.
	state { ^segue.values[this.address("state")] }

	// Sends a verb; returns the number of its job.
	take { |verb, options|
		var pairs = options.clump(2).reject({ |pair| pair[1].isNil });
		var id = pairs.detect({ |pair| pair[0] == 'id' });
		if(id.isNil) { id = ['id', segue.nextJob]; pairs = pairs.add(id) };
		segue.send(this.address(verb), *pairs.flatten(1));
		^id[1]
	}

	verb { |verb, args, options|
		var pairs = options.clump(2).reject({ |pair| pair[1].isNil });
		segue.send(this.address(verb), *(args.reject(_.isNil) ++ pairs.flatten(1)));
	}
"""


def classes(specs: Sequence[Spec] = SPECS) -> str:
    """The text of clients/supercollider/Segue.sc."""
    received = [spec for spec in specs if spec.kind is not Kind.EVENT]
    server = "".join(map(_of_server, (s for s in received if not s.per_deck and s.name not in _BY_HAND)))
    deck = "".join(map(_of_deck, (s for s in received if s.per_deck)))
    return f"{_HEAD}{server}{_DECK}{deck}}}\n"


def help_page(specs: Sequence[Spec] = SPECS) -> str:
    """The text of clients/supercollider/HelpSource/Classes/Segue.schelp."""
    deck = "".join(_helped(s, f"deck(1).{name_of(s)}") for s in specs if s.kind is not Kind.EVENT and s.per_deck)
    server = "".join(_helped(s, name_of(s)) for s in _of_the_server(specs))
    return f"""TITLE:: Segue
summary:: plays on when the performer does not: a client of the Segue server
categories:: External Control>OSC
related:: Classes/NetAddr

DESCRIPTION::
Sends verbs and values to a Segue server and keeps what it says. Start code::segue serve:: first.

code::
s = Segue("127.0.0.1", {PORT});
s.onEvent = {{ |msg| msg.postln }};
d = s.deck(1);
j = d.continue(beats: 8, seed: 3); // the number of its job
s.jobs[j];                         // its state
d.gain = 0.5;
s.latency = 0.5;                   // bundles: what is sent from now on sounds half a second later, to the frame
d.stop;
s.free;
::

CLASSMETHODS::

METHOD:: new
argument:: host
where the server is
argument:: port
its OSC port

INSTANCEMETHODS::

METHOD:: deck
A deck by its number, from 1; the methods below that begin with code::deck(1):: are its own.

METHOD:: latency
Seconds until what is sent takes effect, as a bundle's time; code::nil:: is at once.

METHOD:: jobs
What was told of each job last, by its number: code::(deck: verb: state: progress: sentence:)::

METHOD:: values
What was told at an address last.

METHOD:: onEvent
A function of every message from the server, and its time.

METHOD:: free
Ends the lease and listens no more.

SUBSECTION:: Values and actions of the server
table::
{server}::

SUBSECTION:: Verbs and values of a deck
table::
{deck}::
"""


def path_of(spec: Spec) -> str:
    """An address below the server, or below its deck."""
    return spec.address.removeprefix(f"{ROOT}/").removeprefix("deck/{deck}/")


def name_of(spec: Spec) -> str:
    """The method of an address: `deck/1/continue` is `continue`, `midi/learn` is `midiLearn`."""
    first, *rest = path_of(spec).replace("_", "/").split("/")
    return first + "".join(part.capitalize() for part in rest)


def _of_the_server(specs: Sequence[Spec]) -> Iterator[Spec]:
    return (s for s in specs if s.kind is not Kind.EVENT and not s.per_deck and s.name not in _BY_HAND)


def _helped(spec: Spec, name: str) -> str:
    options = " ".join(arg.name for arg in (*spec.args, *spec.options) if spec.kind is not Kind.VALUE)
    return f"## code::{name}:: || {spec.doc} || {options}\n"


def _of_server(spec: Spec) -> str:
    name = name_of(spec)
    if spec.kind is Kind.VALUE:
        return _value(name, f"'{spec.address}'", "this")
    names = ", ".join(_argument(arg) for arg in spec.args)
    head = f"|{names}| " if names else ""
    passed = f", *[{names}].reject(_.isNil)" if names else ""
    return f"\n\t// {spec.doc}\n\t{name} {{ {head}this.send('{spec.address}'{passed}) }}\n"


def _of_deck(spec: Spec) -> str:
    name = name_of(spec)
    if spec.kind is Kind.VALUE:
        return _value(name, f'this.address("{path_of(spec)}")', "segue")
    arguments = [*spec.args, *spec.options]
    head = f"|{', '.join(map(_argument, arguments))}| " if arguments else ""
    pairs = "[" + ", ".join(f"'{arg.name}', {_argument(arg)}" for arg in spec.options) + "]"
    if any(option.name == "seed" for option in spec.options):
        call = f'^this.take("{path_of(spec)}", {pairs})'
    else:
        call = f'this.verb("{path_of(spec)}", [{", ".join(map(_argument, spec.args))}], {pairs})'
    return f"\n\t// {spec.doc}\n\t{name} {{ {head}\n\t\t{call}\n\t}}\n"


def _value(name: str, address: str, owner: str) -> str:
    return f"\n\t{name} {{ |value| ^{owner}.value({address}, value) }}\n\t{name}_ {{ |value| {owner}.value({address}, value) }}\n"


def _argument(arg: Arg) -> str:
    """Names that the language takes: no capitals at the beginning, no word of its own."""
    name = arg.name[0].lower() + arg.name[1:]
    parts = name.split("_")
    name = parts[0] + "".join(part.capitalize() for part in parts[1:])
    return f"{name}Name" if name in ("class", "var", "this") else f"{name}Level" if arg.name[0].isupper() else name
