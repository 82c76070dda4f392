"""What the performer does in `segue.bench.score`: commands drawn from the vocabulary, some of which must be refused. Pure.

Nothing is drawn that is meant to be silence (mute, solo, gain 0, monitor, generated): what falls silent then is a fault.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from segue.server.recording import HOLD_S

QUANTS = ("off", "1/4", "beat", "bar")
AWAY_S = 5.0  # after a deck was left: `capture` keeps what sounded on it, and what did not, so a phrase must lie after that
DECK = "/segue/deck/1/"
FILE = "/segue/deck/2/"


@dataclass(frozen=True)
class Act:
    """One command; pause: seconds before the next. job: the number under which its job reports. bad: it must be refused.

    asks: it is answered at its own address.
    """

    address: str
    args: tuple[Any, ...] = ()
    pause: float = 1.0
    job: int | None = None
    bad: bool = False
    asks: bool = False


class Part:
    """Draws acts, in groups that belong together."""

    def __init__(self, seed: int, files: list[str]) -> None:
        """files: music for deck 2."""
        self._random, self._files, self._id = random.Random(seed), files, 0
        self._groups: tuple[tuple[float, Callable[[], list[Act]]], ...] = (
            (6.0, self._take), (2.0, self._held), (2.0, self._loop), (1.5, self._switch), (1.5, self._deck), (3.0, self._values),
            (2.0, self._questions), (1.5, self._wrong), (0.5, self._panic), (1.0, self._phrase), (1.0, self._speculation),
        )  # fmt: skip

    def acts(self) -> Iterator[Act]:
        """Acts without end."""
        weights, groups = [weight for weight, _ in self._groups], [group for _, group in self._groups]
        while True:
            yield from self._random.choices(groups, weights)[0]()

    def _numbered(self, verb: str, *args: Any, pause: float = 2.0, deck: str = DECK) -> Act:
        self._id += 1
        return Act(deck + verb, ("id", self._id, *args), pause, self._id)

    def _common(self, beats: tuple[float, ...] = (2.0, 4.0, 8.0)) -> tuple[Any, ...]:
        draw = self._random.choice
        return ("beats", draw(beats), "quant", draw(QUANTS), "steps", draw((1, 2, 4)), "seed", self._random.randrange(1000))

    def _pause(self, low: float = 0.5, high: float = 4.0) -> float:
        return self._random.uniform(low, high)

    def _take(self) -> list[Act]:
        verb = self._random.choice(("continue", "continue", "vary", "generate", "style"))
        more = ("deck", 1) if verb == "style" else ("endless", 1) if verb == "continue" and self._random.random() < 0.3 else ()
        acts = [self._numbered(verb, *self._common(), *more, pause=self._pause(2.0, 6.0))]
        if more or self._random.random() < 0.3:
            acts.append(Act(DECK + "stop", ("quant", self._random.choice(QUANTS)), self._pause()))
        return acts

    def _held(self) -> list[Act]:
        made = self._numbered("continue", *self._common(), "commit", 0, pause=self._pause(3.0, 6.0))
        then = self._random.choice(("commit", "cancel"))
        return [made, Act(f"{DECK}{then}", ("id", made.job), self._pause(2.0, 4.0)), Act(DECK + "stop", (), self._pause())]

    def _loop(self) -> list[Act]:
        acts = [self._numbered("loop", "beats", 4.0, "quant", "beat", "steps", 2, pause=self._pause(5.0, 7.0))]
        for verb in ("overdub", "undo", "redo", "undo"):
            acts.append(Act(DECK + verb, (), self._pause(2.5, 4.0)))
        return [*acts, Act(DECK + "stop", ("quant", "bar"), self._pause(2.0, 3.0))]

    def _switch(self) -> list[Act]:
        acts = []
        for held in (0.1, 0.1, 0.1, HOLD_S + 0.2):
            acts += [Act(DECK + "footswitch", (1,), held), Act(DECK + "footswitch", (0,), self._pause(2.0, 4.0))]
        return [*acts, Act(DECK + "stop", ("quant", "off"), 1.0)]

    def _deck(self) -> list[Act]:
        """A file deck: a transition into it and back to the performer."""
        path = self._random.choice(self._files)
        begun = [Act(FILE + "load", (path,), 4.0), Act(FILE + "cue", (0.0,), 0.3)]
        bridge = self._numbered("transition", "to", 2, "at", 5.0, *self._common((4.0, 8.0)), pause=self._pause(8.0, 10.0))
        fill = self._numbered("infill", "beats", 2.0, "steps", 1, pause=4.0, deck=FILE)
        back = [Act(DECK + "stop", ("quant", "off"), 0.5), Act(FILE + "pause", (), AWAY_S)]
        return [*begun, bridge, fill, Act(FILE + "seek", (3.0,), 1.0), *back]

    def _values(self) -> list[Act]:
        low, high = self._random.uniform, self._random.choice
        chosen = self._random.sample(
            [
                Act(DECK + "gain", (low(0.7, 1.2),)), Act(DECK + "xfade", (low(0.0, 0.1),)), Act(DECK + "k", (low(0.2, 1.0),)),
                Act(DECK + "steps", (high((1, 2, 4)),)), Act(DECK + "beats", (high((2.0, 4.0, 8.0)),)), Act("/segue/downbeat"),
                Act(DECK + "quant", (high(QUANTS),)), Act("/segue/meter", (high((3, 4)),)), Act(DECK + "freeze", (high((0, 1)),)),
                Act("/segue/nudge", (low(-0.1, 0.1),)), Act("/segue/scene/save", (1,)), Act("/segue/scene/recall", (1,)),
            ],
            3,
        )  # fmt: skip
        return [Act(one.address, one.args, self._pause(0.2, 1.0)) for one in chosen]

    def _questions(self) -> list[Act]:
        names = (
            "/segue/tempo",
            "/segue/version",
            "/segue/clock",
            "/segue/status",
            "/segue/sync/source",
            DECK + "gain",
            DECK + "quant",
        )
        return [Act(name, (), self._pause(0.2, 1.0), asks=True) for name in self._random.sample(names, 3)]

    def _wrong(self) -> list[Act]:
        chosen = self._random.sample(
            [
                Act("/segue/tempo", (0.0,)), Act("/segue/tempo", (10_000.0,)), Act("/segue/tempo", (float("nan"),)),
                Act("/segue/no/such", (1,)), Act("/segue/deck/9/continue"), Act(DECK + "gain", (-1.0,)),
                Act(DECK + "continue", ("beats", 0.0)), Act(DECK + "continue", ("beats",)), Act("/segue/nudge", (1e9,)),
                Act("/segue/meter", (0,)), Act(DECK + "quant", ("sometimes",)), Act(FILE + "load", ("/no/such/file.wav",)),
                Act(DECK + "commit", ("id", 2**30)), Act("/segue/tempo", (float("inf"),)), Act("/segue/sync/source", ("gps",)),
            ],
            3,
        )  # fmt: skip
        return [Act(one.address, one.args, self._pause(0.2, 1.0), bad=True) for one in chosen]

    def _panic(self) -> list[Act]:
        return [self._numbered("continue", *self._common(), pause=1.5), Act("/segue/panic", (), self._pause())]

    def _phrase(self) -> list[Act]:
        return [Act(DECK + "capture", ("beats", 4.0, "quant", "beat"), 1.5), Act(DECK + "commit", ("quant", "beat"), 3.0)]

    def _speculation(self) -> list[Act]:
        on = Act(DECK + "speculate", ("continue",), 6.0)
        select = self._numbered("continue", pause=3.0)
        return [on, select, Act(DECK + "speculate", ("off",), 0.5), Act(DECK + "stop", ("quant", "off"), self._pause())]
