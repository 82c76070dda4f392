"""The vocabulary: every address that the server answers or sends. OSC, MIDI, web, clients and docs are projections of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

ROOT = "/segue"
PORT = 7348
DECKS = 2

Value: TypeAlias = int | float | str | bool | bytes | None


class Kind(Enum):
    """What a message at an address does."""

    VERB = "verb"  # fires a job or an action on a deck
    VALUE = "value"  # a value sent sets, no argument asks
    ACTION = "action"  # asks or tells the server
    EVENT = "event"  # sent by the server only


class CommandError(ValueError):
    """A message that cannot be carried out; `code` is a stable word for programs, str() a sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Arg:
    """One argument or option; low and high are inclusive.

    type is one of i f s b h d B: int, float, string, bool, 64-bit int, double, blob.
    """

    name: str
    type: str
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    default: Value = None
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Spec:
    """One address. `{deck}` in it stands for a deck's number, from 1.

    returns: the arguments of the reply, where the table has no event of that address. echo: takes any arguments at all.
    """

    address: str
    kind: Kind
    doc: str
    args: tuple[Arg, ...] = ()
    options: tuple[Arg, ...] = ()
    reply: str = ""
    returns: tuple[Arg, ...] = ()
    echo: bool = False

    @property
    def name(self) -> str:
        """The last part of the address: `continue` of `/segue/deck/{deck}/continue`."""
        return self.address.rsplit("/", 1)[1]

    @property
    def per_deck(self) -> bool:
        """Whether the address exists once a deck."""
        return "{deck}" in self.address

    @property
    def types(self) -> str:
        """OSC type tags of the positional arguments; a bool is written as the integer 0 or 1, which every sender can make."""
        return "".join({"b": "i", "B": "b"}.get(a.type, a.type) for a in self.args)

    @property
    def access(self) -> str:
        """`rw`, `w` or `r`, as seen by a client."""
        return {Kind.VALUE: "rw", Kind.EVENT: "r"}.get(self.kind, "w")


@dataclass(frozen=True)
class Command:
    """One message from any front door.

    time: unix seconds of its time tag, None for "immediately". arrival: unix seconds at which it reached the machine.
    sender: an opaque route for replies.
    """

    address: str
    args: tuple[Value, ...] = ()
    time: float | None = None
    sender: str = ""
    arrival: float | None = field(default=None, compare=False)


STRETCH_LIMIT = 8.0  # %, by which a tempo is changed at most where a command does not say
REFERENCE_LUFS = -14.0  # what streaming services bring music to
SHARE = 0.5  # of the engine's time, for takes that nobody has asked for yet
QUANTS = ("off", "1/4", "beat", "bar", "2bar", "4bar", "8bar", "loop")
SAMPLERS = ("ddim", "rolling")
REGIMES = ("clean", "guided", "tail")
MONITOR = ("mute-while-generated", "thru", "mute")
TEMPO_SOURCES = ("internal", "tap", "midi", "link", "audio")

_LENGTH = (
    Arg("beats", "f", "length of the new audio in beats", "beat", 0.25, 256),
    Arg("sec", "f", "length of the new audio in seconds", "s", 0.1, 60),
)
_COMMON = (
    Arg("seed", "i", "seed of the noise; -1 draws one", "", -1, 2**31 - 1, -1),
    Arg("steps", "i", "sampler steps", "step", 1, 1000, 4),
    Arg("xi", "f", "guidance step size, quoted at 50 steps; below 0 is the model's own", "", -1, 10, -1.0),
    Arg("regime", "s", "how the context enters the model", choices=REGIMES, default="clean"),
    Arg("quant", "s", "where the take enters", choices=QUANTS, default="off"),
    Arg("xfade", "f", "crossfade at both seams", "s", 0, 2, 0.02),
    Arg("commit", "b", "play when ready; 0 keeps the take until `commit`", default=True),
    Arg("id", "i", "a number of the sender's choice for this job", "", 0, 2**31 - 1),
)
_K = Arg("k", "f", "share of noise in the start, Table 2: 1 is new, 0 is what stands there", "", 0, 1, 0.85)
_T = Arg("T", "f", "level to start from instead of mixing by k: 1 is new, 0 is what stands there; the slides' T / 1000", "", 0, 1)
_START = Arg("T", "f", "level to start from: 1 is new, 0 is a collage of what was heard, on its beat", "", 0, 1)
_WEIGHT = Arg("weight", "f", "push of the style, or of the classes without one, on each new frame", "", 0, 1000, 1.0)
_CLASS_WEIGHT = Arg("class_weight", "f", "push of the classes beside that of a style", "", 0, 1000, 1.0)
_RECONSTRUCTION = Arg("reconstruction", "f", "pull of the context, in the regimes guided and tail", "", 0, 100, 1.0)
_TAKE = _LENGTH + _COMMON
_ENDLESS = Arg("endless", "b", "plays on, take after take of this length, until `stop`", default=False)
_SAMPLER = Arg(
    "sampler", "s", "ddim: made window after window; rolling: hop after hop, sooner to begin", choices=SAMPLERS, default="ddim"
)
_SCENE = Arg("scene", "i", "its number", "", 0, 127, required=True)
_ID = Arg("id", "i", "the job meant; the newest without it", "", 0, 2**31 - 1)

_DECK = f"{ROOT}/deck/{{deck}}"


def _verb(name: str, doc: str, options: tuple[Arg, ...] = _TAKE, args: tuple[Arg, ...] = ()) -> Spec:
    return Spec(f"{_DECK}/{name}", Kind.VERB, doc, args, options, reply=f"{ROOT}/job")


def _value(path: str, doc: str, arg: Arg) -> Spec:
    return Spec(path, Kind.VALUE, doc, (arg,), reply=path)


def _action(name: str, doc: str, args: tuple[Arg, ...] = (), reply: str = "", returns: tuple[Arg, ...] = ()) -> Spec:
    return Spec(f"{ROOT}/{name}", Kind.ACTION, doc, args, reply=f"{ROOT}/{reply}" if reply else "", returns=returns)


def _event(path: str, doc: str, args: tuple[Arg, ...]) -> Spec:
    return Spec(path, Kind.EVENT, doc, args)


SPECS: tuple[Spec, ...] = (
    # verbs that make a take
    _verb("continue", "plays on from what has just sounded (continuation)", (*_TAKE, _START, _ENDLESS, _SAMPLER)),
    _verb(
        "transition",
        "bridges into another deck and goes on there (transition)",
        (
            Arg("to", "i", "the deck to arrive at; the other one of two without it", "deck", 1),
            Arg("at", "f", "place in the target's file where it enters, about: the nearest beat", "s", 0),
            *_TAKE,
            _K,
            Arg("align", "b", "1: beats on beats at one tempo, as far as both are known; 0: just there", default=True),
            Arg("limit", "f", "by which the target's tempo is changed at most", "%", 0, 50, STRETCH_LIMIT),
        ),
    ),
    _verb("infill", "fills the coming stretch anew, joined to what follows on a file deck (infill)", (*_TAKE, _START)),
    _verb("vary", "varies what was heard last, keeping its outline (renoise, from T or the level of k)", (*_TAKE, _K, _T)),
    _verb("loop", "makes the last phrase into a loop that closes without a seam (loop)"),
    _verb(
        "style",
        "continues in the style of a deck or a file, towards a class, or both (embedder and classifier guidance)",
        (
            Arg("deck", "i", "the deck whose sound is the style", "deck", 1),
            Arg("path", "s", "a file whose sound is the style"),
            Arg("class", "s", "the name of a class of the classifier"),
            *_TAKE,
            _START,
            _WEIGHT,
            _CLASS_WEIGHT,
            _RECONSTRUCTION,
        ),
    ),
    _verb("generate", "plays something new: a groove at the tempo that the model moves; T 1: noise alone", (*_TAKE, _START)),
    # verbs on takes and decks
    _verb("commit", "plays a take that was held back by `commit 0`", (_ID, _COMMON[4], _COMMON[5])),
    _verb("cancel", "drops the newest pending job", (_ID,)),
    _verb("stop", "ends the take and returns to dry", (_COMMON[4], _COMMON[5])),
    _verb("capture", "keeps what has just sounded as a take; with a quant what ends nearest to it", (*_LENGTH, _COMMON[4])),
    _verb("overdub", "adds one round of what is played over the loop to it, as a layer that undo takes off", (_COMMON[4],)),
    _verb(
        "footswitch",
        "one switch for all: pressed it records, closes the loop, plays on from it; held for 0.6 s it takes that back",
        (),
        (Arg("down", "b", "1 pressed, 0 let go", default=True),),
    ),
    _verb(
        "freeze", "pins the context: later verbs condition on this moment; 0 unpins", (), (Arg("on", "b", "1 pins, 0 unpins"),)
    ),
    _verb("undo", "plays the take before this one", ()),
    _verb("redo", "plays the take that `undo` left", ()),
    _verb(
        "load",
        "loads a file, which makes this a file deck; its level, tempo and beats are found out unless they are said",
        (
            Arg("gain", "f", "how much louder it is played; without it as the reference says", "dB", -60, 24),
            Arg("bpm", "f", "its tempo", "BPM", 20, 300),
            Arg("beat", "f", "a place in it where a bar begins", "s", 0),
        ),
        (Arg("path", "s", "an audio file", required=True),),
    ),
    _verb("play", "starts the file", (_COMMON[4],)),
    _verb("pause", "pauses the file", (_COMMON[4],)),
    _verb("seek", "moves to a place in the file", (), (Arg("sec", "f", "place in the file", "s", 0, required=True),)),
    _verb(
        "cue", "moves to a place in the file and pauses there", (), (Arg("sec", "f", "place in the file", "s", 0, default=0.0),)
    ),
    _verb(
        "audition",
        "plays a take that stands ready on the cue pair, as it would sound if it were selected now; the main out goes on",
        (
            Arg("verb", "s", "of the verb of `speculate` that is meant; off ends it"),
            Arg("seed", "i", "the one of this seed; the youngest without it", "", 0, 2**31 - 1),
            Arg("id", "i", "a job that `commit 0` or `capture` holds, from its beginning", "", 0, 2**31 - 1),
        ),
    ),
    # values of a deck
    _value(f"{_DECK}/gain", "level of the deck", Arg("gain", "f", "linear gain", "", 0, 4, 1.0)),
    _value(
        f"{_DECK}/speculate",
        "verbs whose takes are made ahead, to sound one block later: off, or some of continue vary loop transition generate",
        Arg("verbs", "s", "names with spaces between", default="off"),
    ),
    _value(
        f"{_DECK}/candidates",
        "takes that are kept ready for each verb of `speculate`, each of another seed",
        Arg("count", "i", "how many", "", 1, 8, 1),
    ),
    _value(
        f"{_DECK}/seeds",
        "seeds of the takes that are made ahead, one take a seed; none draws them",
        Arg("seeds", "s", "at most eight, with spaces between", default=""),
    ),
    _value(f"{_DECK}/mute", "silences the deck", Arg("on", "b", "1 or 0", default=False)),
    _value(f"{_DECK}/solo", "silences every deck that is not soloed", Arg("on", "b", "1 or 0", default=False)),
    _value(
        f"{_DECK}/inputs",
        "device channels that the deck hears when it plays no file",
        Arg("channels", "s", "3,4 for left and right, 3 for both sides, or none", default="none"),
    ),
    _value(
        f"{_DECK}/gate", "level under which the input counts as silent", Arg("gate", "f", "peak level", "dBFS", -120, 0, -50.0)
    ),
    _value(f"{_DECK}/steps", "steps of verbs that do not say", _COMMON[1]),
    _value(f"{_DECK}/xi", "guidance of verbs that do not say", _COMMON[2]),
    _value(f"{_DECK}/k", "share of noise of verbs that do not say", _K),
    _value(f"{_DECK}/weight", "push of the style of verbs that do not say", _WEIGHT),
    _value(f"{_DECK}/class_weight", "push of the classes of verbs that do not say", _CLASS_WEIGHT),
    _value(f"{_DECK}/reconstruction", "pull of the context of verbs that do not say", _RECONSTRUCTION),
    _value(f"{_DECK}/regime", "context regime of verbs that do not say", _COMMON[3]),
    _value(f"{_DECK}/quant", "entry of verbs that do not say", _COMMON[4]),
    _value(f"{_DECK}/xfade", "crossfade of verbs that do not say", _COMMON[5]),
    _value(f"{_DECK}/beats", "length of verbs that do not say", Arg("beats", "f", "length", "beat", 0.25, 256, 8.0)),
    # time
    _value(f"{ROOT}/tempo", "tempo; not to be set where it is another's", Arg("bpm", "f", "tempo", "BPM", 20, 300, 120.0)),
    _value(f"{ROOT}/meter", "beats a bar", Arg("beats", "i", "beats", "beat", 1, 32, 4)),
    _value(
        f"{ROOT}/sync/source",
        "where tempo and beats come from; a change moves no beat, the grid goes over to the new source's beats",
        Arg("source", "s", "own clock, taps, MIDI clock, Link, the music of deck 1", choices=TEMPO_SOURCES, default="internal"),
    ),
    _value(
        f"{ROOT}/transport",
        "whether the source of tempo plays; set with Link it starts or stops everyone",
        Arg("on", "b", "1 or 0", default=False),
    ),
    _action("tap", "taps the tempo: the median of the last four intervals"),
    _action("downbeat", "says that this moment is the first beat of a bar"),
    _action("nudge", "moves the beat", (Arg("beats", "f", "how far, later is positive", "beat", -4, 4, required=True),)),
    # the mix
    _value(
        f"{ROOT}/monitor",
        "whether live inputs go to the outputs: while nothing generated stands in their place; always, beside takes and loops; "
        "or never, where a mixer lets the performer through",
        Arg("mode", "s", "when they are heard", choices=MONITOR, default=MONITOR[0]),
    ),
    _value(f"{ROOT}/generated", "level of everything generated", Arg("gain", "f", "linear gain", "", 0, 4, 1.0)),
    _value(
        f"{ROOT}/reference",
        "integrated loudness that files are brought to when they are loaded, 12 dB up or down at most, to -1 dBTP at most",
        Arg("lufs", "f", "loudness", "LUFS", -40, -5, REFERENCE_LUFS),
    ),
    _value(
        f"{ROOT}/speculate/share",
        "share of the engine's time for takes that are made ahead; 0 makes none",
        Arg("share", "f", "of 1", "", 0, 1, SHARE),
    ),
    # scenes
    _action("scene/save", "keeps every value of every deck under a number", (_SCENE,)),
    _action("scene/recall", "sets what was kept under a number", (_SCENE,)),
    # the server
    _value(
        f"{ROOT}/lock",
        "performance lock: load, cue, seek, scene/save, clear_sched, quit and the like are refused",
        Arg("on", "b", "1 or 0", default=False),
    ),
    _action("panic", "ends every take on every deck within 10 ms"),
    Spec(f"{ROOT}/ping", Kind.ACTION, "answers with what was sent", reply=f"{ROOT}/pong", echo=True),
    _action("status", "asks for the state of everything", reply="status", returns=(Arg("state", "s", "as JSON"),)),
    _action("version", "asks for the version", reply="version", returns=(Arg("version", "s", "major.minor.patch"),)),
    _action(
        "sync",
        "answers once everything sent before has been carried out",
        (Arg("id", "i", "comes back in the answer", default=0),),
        reply="synced",
    ),
    _action(
        "clock",
        "asks for the sample clock",
        reply="clock",
        returns=(
            Arg("frame", "h", "a frame", "frame"),
            Arg("rate", "f", "frames a second", "Hz"),
            Arg("time", "d", "when that frame sounds", "unix s"),
        ),
    ),
    _action(
        "notify",
        "sends replies and events to this port of the sender from now on, for 30 s, beginning with the state; 0 ends it",
        (Arg("port", "i", "UDP port; the sending one if absent", "", 0, 65535),),
        reply="notify",
        returns=(Arg("sec", "f", "how long the lease lasts", "s"),),
    ),
    _action(
        "subscribe",
        "sends meters and beats too",
        (Arg("on", "b", "1 or 0", default=True),),
        reply="subscribe",
        returns=(Arg("on", "i", "1 or 0"),),
    ),
    _action(
        "waveform",
        "sends the waveform of what sounds and of what is coming too, for as long as notify's lease runs",
        (Arg("on", "b", "1 or 0", default=True),),
        reply="waveform",
        returns=(Arg("on", "i", "1 or 0"),),
    ),
    _action(
        "spectrum",
        "sends the spectrum of what comes in and of what sounds too, for as long as notify's lease runs",
        (Arg("on", "b", "1 or 0", default=True),),
        reply="spectrum",
        returns=(Arg("on", "i", "1 or 0"),),
    ),
    _action(
        "midi/learn",
        "binds the next MIDI message to an address; without one, no more",
        (Arg("address", "s", "any that is received", default=""),),
    ),
    _action(
        "midi/map",
        "asks for the MIDI map; with a text, which docs/MIDI.md describes, sets it",
        (Arg("text", "s", "YAML"),),
        reply="midi/map",
        returns=(Arg("text", "s", "YAML"),),
    ),
    _action("meters", "asks for the levels once, deck by deck"),
    _action("jobs", "asks for all jobs that are not over", reply="job"),
    _action("dump_osc", "prints every message that arrives", (Arg("on", "b", "1 or 0", default=True),)),
    _action("clear_sched", "forgets all messages that are not due yet"),
    _action("quit", "ends the server", reply="quit"),
    # what the server sends
    _event(f"{ROOT}/pong", "the answer to ping, with its arguments", ()),
    _event(f"{ROOT}/synced", "the answer to sync", (Arg("id", "i", "the number that was sent"),)),
    _event(
        f"{ROOT}/fail",
        "something could not be done",
        (Arg("address", "s", "what was asked"), Arg("sentence", "s", "why not"), Arg("code", "i", "number of the reason")),
    ),
    _event(
        f"{ROOT}/late", "a message came after its time", (Arg("address", "s", "what was asked"), Arg("sec", "f", "how late", "s"))
    ),
    _event(
        f"{ROOT}/job",
        "a job changed its state",
        (
            Arg("id", "i", "the job"),
            Arg("deck", "i", "its deck"),
            Arg("verb", "s", "what was asked"),
            Arg("state", "s", "queued running ready armed playing done cancelled failed late dropped"),
            Arg("progress", "f", "0 to 1"),
            Arg("sentence", "s", "the reason of a failure, else empty"),
        ),
    ),
    _event(
        f"{ROOT}/take",
        "where a take lies, when it starts to play",
        (
            Arg("id", "i", "the job"),
            Arg("deck", "i", "its deck"),
            Arg("context_end_frame", "h", "t0", "frame"),
            Arg("start_frame", "h", "t1", "frame"),
            Arg("entry_offset", "h", "t1 - t0", "frame"),
            Arg("seed", "i", "its seed"),
            Arg("steps", "i", "its steps"),
            Arg("ladder_rung", "s", "finished, candidate, fewer-steps, late, crossfade, last-take, loop or dry"),
        ),
    ),
    _event(
        f"{ROOT}/transition",
        "how a transition falls on the beat, when it begins to be made",
        (
            Arg("id", "i", "the job"),
            Arg("deck", "i", "the deck that it leaves"),
            Arg("to", "i", "the deck that it arrives at"),
            Arg("factor", "f", "how many times as long the target is played from then on, 1 for as it is"),
            Arg("bpm_from", "f", "tempo of the first", "BPM"),
            Arg("bpm_to", "f", "tempo of the second by itself, 0 where no beat is sure", "BPM"),
            Arg("error", "f", "root mean square of what is left between the beats of the two, -1 where they are not known", "ms"),
            Arg("sentence", "s", "why beats do not fall on beats, else empty"),
        ),
    ),
    _event(f"{_DECK}/state", "what the deck plays: dry, take, loop, silence", (Arg("state", "s", "source"),)),
    _event(
        f"{_DECK}/candidate",
        "a take stands ready for a verb of `speculate`; where last is first, it does no longer",
        (
            Arg("verb", "s", "the verb"),
            Arg("first", "h", "its frames", "frame"),
            Arg("last", "h", "end of its frames", "frame"),
            Arg("seed", "i", "its seed"),
        ),
    ),
    _event(
        f"{_DECK}/selected",
        "a take that stood ready was chosen by its verb",
        (
            Arg("verb", "s", "the verb"),
            Arg("id", "i", "the job"),
            Arg("seed", "i", "its seed"),
            Arg("age", "f", "from the end of its context to the verb", "s"),
        ),
    ),
    _event(
        f"{_DECK}/auditioned",
        "what sounds on the cue pair from now on; an empty verb: nothing",
        (Arg("verb", "s", "the verb"), Arg("seed", "i", "its seed"), Arg("sec", "f", "how much of it", "s")),
    ),
    _event(
        f"{_DECK}/next",
        "what the deck will play",
        (Arg("verb", "s", "verb or empty"), Arg("beats", "f", "beats until then", "beat")),
    ),
    _event(
        f"{_DECK}/meters",
        "levels, linear, 30 times a second to subscribers",
        (
            Arg("input_peak", "f", "peak of what came in"),
            Arg("input_rms", "f", "root mean square of it"),
            Arg("output_peak", "f", "peak of what sounded"),
            Arg("output_rms", "f", "root mean square of it"),
        ),
    ),
    _event(
        f"{_DECK}/wave",
        "the outline of what sounded, 30 times a second to watchers",
        (
            Arg("frame", "h", "the first frame of the first column", "frame"),
            Arg("column", "i", "frames a column", "frame"),
            Arg("columns", "B", "three bytes each: lowest and highest, 128 is zero; 0 dry, 1 take, 2 loop, 3 silence"),
        ),
    ),
    _event(
        f"{_DECK}/spectrum",
        "the spectrum of one of the two, column by column, to those who asked",
        (
            Arg("what", "s", "input or output"),
            Arg("frame", "h", "the first frame of the first column", "frame"),
            Arg("column", "i", "frames a column", "frame"),
            Arg("bands", "i", "bands a column, evenly spaced in octaves from 30 Hz to half the rate"),
            Arg("columns", "B", "one byte as the third of wave, then a byte a band: 0 is -90 dB, 255 a sine of full scale"),
        ),
    ),
    _event(
        f"{_DECK}/coming",
        "a take that is on its way or plays, to watchers, whenever that changes",
        (
            Arg("id", "i", "the job"),
            Arg("verb", "s", "what was asked"),
            Arg("state", "s", "as in job"),
            Arg("start_frame", "h", "t1, 0 while nobody knows", "frame"),
            Arg("end_frame", "h", "where it is left", "frame"),
            Arg("context_end_frame", "h", "t0, where its first column belongs", "frame"),
            Arg("columns", "B", "two bytes each, of as many frames as those of wave: lowest and highest, 128 is zero"),
        ),
    ),
    _event(
        f"{ROOT}/midi/learned",
        "a MIDI message was bound",
        (Arg("address", "s", "what it does now"), Arg("message", "s", "note, control or program, with its number and channel")),
    ),
    _event(
        f"{ROOT}/grid",
        "where beats fall, to watchers, whenever that changes",
        (
            Arg("rate", "f", "frames a second", "Hz"),
            Arg("frame", "d", "of beat 0, which begins a bar", "frame"),
            Arg("bpm", "f", "tempo", "BPM"),
            Arg("beats", "i", "beats a bar", "beat"),
        ),
    ),
    _event(f"{_DECK}/file", "the file of a file deck", (Arg("path", "s", "file"), Arg("sec", "f", "length", "s"))),
    _event(
        f"{_DECK}/track",
        "what was found out of a file that was loaded, or said of it",
        (
            Arg("gain", "f", "how much louder it is played", "dB"),
            Arg("lufs", "f", "integrated loudness of the file, -120 where it is silent or was not measured", "LUFS"),
            Arg("peak", "f", "its true peak, -120 likewise", "dBTP"),
            Arg("bpm", "f", "its tempo, 0 where no beat is sure", "BPM"),
            Arg("beat", "f", "its first beat, the first of a bar where that was said; -1 where there is none", "s"),
        ),
    ),
    _event(
        f"{ROOT}/sync/state",
        "how the source of tempo is",
        (
            Arg("source", "s", "the source"),
            Arg("state", "s", "waiting locked lost missing"),
            Arg("sentence", "s", "the reason, else empty"),
        ),
    ),
    _event(
        f"{ROOT}/beat", "a beat, sent ahead with its time as the bundle's tag", (Arg("beat", "i", "beat"), Arg("bar", "i", "bar"))
    ),
    _event(
        f"{ROOT}/engine", "state of the engine", (Arg("state", "s", "starting ready busy down"), Arg("sentence", "s", "more"))
    ),
)

# Numbers sent in /segue/fail, by code word: stable, only ever added to.
CODES: Mapping[str, int] = {
    "unknown-address": 1,
    "bad-argument": 2,
    "no-such-deck": 3,
    "not-enough-audio": 4,
    "no-file": 5,
    "bad-file": 6,
    "no-job": 7,
    "engine-down": 8,
    "generation-failed": 9,
    "too-far-ahead": 10,
    "queue-full": 11,
    "live-target": 12,
    "not-available": 13,
    "bad-packet": 14,
    "locked": 15,
}


def addresses(specs: Iterable[Spec] = SPECS, decks: int = DECKS) -> dict[str, tuple[Spec, int | None]]:
    """Every concrete address that can be received, with its spec and deck."""
    table: dict[str, tuple[Spec, int | None]] = {}
    for spec in specs:
        if spec.kind is Kind.EVENT:
            continue
        if spec.per_deck:
            table.update({spec.address.format(deck=n): (spec, n) for n in range(1, decks + 1)})
        else:
            table[spec.address] = (spec, None)
    return table
