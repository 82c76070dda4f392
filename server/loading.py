"""Loading: what a file is, then the level it is played at, then the feeder. Control thread only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from segue.server.analysing import Analyst
from segue.server.analysis import Analysis, regular
from segue.server.audio.track import Track
from segue.server.effects import LoadFile
from segue.server.files import FileDecks, Loaded, Moved, Refused
from segue.server.loudness import gain_db


@dataclass(frozen=True)
class Ready:
    """A file stands ready on a deck. track: as it is played; frames: its length; what: what is known of it."""

    deck: int
    track: str
    frames: int
    what: Analysis


class Loading:
    """Files on their way to their decks; a newer one takes the place of an older."""

    def __init__(self, files: FileDecks, analyst: Analyst, rate: int) -> None:
        """rate: of the stream, Hz."""
        self._files, self._analyst, self._rate = files, analyst, rate
        self._asked: dict[int, LoadFile] = {}
        self._coming: dict[int, tuple[LoadFile, Analysis]] = {}

    def load(self, wanted: LoadFile) -> None:
        """Asks for a file. Raises ValueError for a path that is too long."""
        self._asked.pop(wanted.deck, None)
        if wanted.gain_db is not None and wanted.bpm and wanted.beat is not None:
            self._begin(wanted, Analysis())
            return
        self._asked[wanted.deck] = wanted
        self._analyst.ask(wanted.path)

    def _begin(self, wanted: LoadFile, what: Analysis) -> None:
        gain = wanted.gain_db if wanted.gain_db is not None else gain_db(what.lufs, what.peak_db, wanted.reference_lufs)
        self._coming[wanted.deck] = (wanted, what)
        self._files.load(wanted.deck, str(Track(wanted.path, round(gain, 2))), wanted.route, wanted.address)

    def poll(self) -> Iterator[Ready | Refused | Moved]:
        """What has been done since the last call."""
        for result in self._analyst.poll():
            for wanted in [one for one in self._asked.values() if one.path == result.path]:
                del self._asked[wanted.deck]
                if isinstance(result.what, str):
                    yield Refused(wanted.deck, result.what, wanted.route, wanted.address)
                    continue
                try:
                    self._begin(wanted, result.what)
                except ValueError as error:  # with its level the path has become too long
                    yield Refused(wanted.deck, str(error), wanted.route, wanted.address)
        for news in self._files.poll():
            if isinstance(news, Loaded):
                wanted, what = self._coming.pop(news.deck)
                yield Ready(news.deck, news.path, news.frames, self._told(wanted, what, news.frames))
            else:
                if isinstance(news, Refused):
                    self._coming.pop(news.deck, None)
                yield news

    def _told(self, wanted: LoadFile, what: Analysis, frames: int) -> Analysis:
        """The analysis with what the performer knows better."""
        if wanted.bpm:
            first = wanted.beat if wanted.beat is not None else (what.beats[0] / self._rate if what.beats else 0.0)
            what = replace(what, bpm=wanted.bpm, beats=regular(frames, self._rate, wanted.bpm, first))
        if wanted.beat is None or not what.beats:
            return what
        place = wanted.beat * self._rate
        return replace(what, downbeat=min(range(len(what.beats)), key=lambda i: abs(what.beats[i] - place)))

    def close(self) -> None:
        """Ends what is under way."""
        self._analyst.close()
