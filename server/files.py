"""File decks as the control process sees them: loading, cueing and starting on the frame, through the feeder's mailbox.

Control thread only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from segue.server.audio.segment import Segment
from segue.server.audio.values import Command, FileState, NotHeard, Tape

READY_S = 0.25  # seconds of a file that have to be buffered before it is started there
FADE_S = 0.002  # between two places of a file, so that a seek does not click
LEAD_BLOCKS = 2


@dataclass(frozen=True)
class Loaded:
    """A file stands ready; frames: its length at the stream's rate."""

    deck: int
    path: str
    frames: int


@dataclass(frozen=True)
class Refused:
    """A file could not be used."""

    deck: int
    sentence: str
    route: str
    address: str


@dataclass(frozen=True)
class Moved:
    """A file plays, or rests, at `position` from `frame` on."""

    deck: int
    frame: int
    position: int
    playing: bool
    track: str
    exact: bool = False
    id: int = 0  # by which it can be revoked


@dataclass(frozen=True)
class _Load:
    ticket: int
    path: str
    route: str
    address: str


class FileDecks:
    """What the decks' files are asked to do, until it is done."""

    def __init__(self, segment: Segment) -> None:
        """segment: the stream's memory; its feeder answers."""
        self._segment = segment
        self._loads: dict[int, _Load] = {}
        self._paths: dict[int, str] = {}
        self._moves: dict[int, list[tuple[int | None, Moved]]] = {}
        self._tickets: dict[int, int] = {}  # of each deck's last request
        self._done: list[Moved | Refused] = []  # that nobody was told yet

    def load(self, deck: int, path: str, route: str = "", address: str = "") -> None:
        """Asks for a file on a deck; `poll` tells what became of it. Raises ValueError for a path that is too long."""
        self._loads[deck] = _Load(self._request(deck, path), path, route, address)
        self._moves.pop(deck, None)

    def prepare(self, deck: int, track: str, position: int) -> None:
        """Has a track ready at a place, for a `move` that is to come. Raises ValueError for a path that is too long."""
        self._request(deck, track, position)
        self._paths[deck] = track

    def _request(self, deck: int, path: str, position: int = 0) -> int:
        self._tickets[deck] = self._segment.request_file(deck - 1, path, position)
        return self._tickets[deck]

    def move(self, deck: int, frame: int, position: int, playing: bool, track: str, exact: bool = False, id: int = 0) -> None:
        """Plays a track on a deck from `position` at `frame`, or rests there; later by what buffering takes.

        exact: and then as far on as it is late. id: for `revoke`. Raises ValueError for a path that is too long.
        """
        asked = Moved(deck, frame, position, playing, track, exact, id)
        here = track == self._paths.get(deck, "") and self._answered(deck)
        ticket = None
        if not here or (playing and not self._buffered(deck, position)):
            ticket = self._request(deck, track, position)
            self._paths[deck] = track
        self._moves.setdefault(deck, []).append((ticket, asked))
        self._move_on(deck)  # at once: its frame may lie in the next block

    def revoke(self, id: int) -> None:
        """Forgets a move that has not been given to the callback yet."""
        for moves in self._moves.values():
            moves[:] = [one for one in moves if one[1].id != id]
        self._done = [one for one in self._done if not (isinstance(one, Moved) and one.id == id)]

    def _answered(self, deck: int) -> bool:
        """Whether the feeder holds what it was asked for last: until then its memory is of another track, or place."""
        status = self._segment.file_status(deck - 1)
        return status.state is FileState.READY and status.ticket == self._tickets.get(deck, status.ticket)

    def _buffered(self, deck: int, position: int) -> bool:
        try:
            self._segment.read_feed(deck - 1, position, round(READY_S * self._segment.rate))
        except NotHeard:
            return False
        return True

    def poll(self) -> list[Loaded | Refused | Moved]:
        """What has been done since the last call."""
        news: list[Loaded | Refused | Moved] = []
        for deck in list(self._loads):
            news += self._poll_load(deck)
        for deck in self._moves:
            self._move_on(deck)
        news += self._done
        self._done = []
        return news

    def _move_on(self, deck: int) -> None:
        """Carries out a deck's moves, in order, as far as what they need is there."""
        moves = self._moves[deck]
        while moves and deck not in self._loads:
            done = self._poll_move(deck, *moves[0])
            if done is None:
                return
            moves.pop(0)
            self._done.append(done)

    def _poll_load(self, deck: int) -> list[Loaded | Refused | Moved]:
        load, status = self._loads[deck], self._segment.file_status(deck - 1)
        if status.ticket != load.ticket or status.state is FileState.LOADING:
            return []
        del self._loads[deck]
        if status.state is not FileState.READY:
            return [Refused(deck, status.sentence, load.route, load.address)]
        self._paths[deck] = load.path
        self._segment.push(Command.feed(deck - 1, Tape.PAUSE, position=0, file=status.file, fade=self._fade()))
        return [Loaded(deck, load.path, status.length)]

    def _poll_move(self, deck: int, ticket: int | None, asked: Moved) -> Moved | Refused | None:
        status = self._segment.file_status(deck - 1)
        if status.state is FileState.LOADING or (ticket is not None and status.ticket != ticket):
            if ticket is not None and status.state is not FileState.LOADING and ticket != self._tickets[deck]:
                # Something else was asked for since, and answered instead.
                self._moves[deck][0] = (self._request(deck, asked.track, asked.position), asked)
                self._paths[deck] = asked.track
            return None
        if status.state is not FileState.READY:
            return Refused(deck, status.sentence or f"deck {deck} has no file: load one", "", "")
        frame, position = asked.frame, asked.position
        if ticket is not None:  # buffering took its time: never a start in the past
            frame = max(frame, self._segment.frame + LEAD_BLOCKS * self._segment.block)
        if asked.exact and asked.playing:
            position += frame - asked.frame
        tape = Tape.PLAY if asked.playing else Tape.PAUSE
        self._segment.push(Command.feed(deck - 1, tape, frame, position, status.file, self._fade(), id=asked.id))
        return replace(asked, frame=frame, position=position)

    def _fade(self) -> int:
        return round(FADE_S * self._segment.rate)
