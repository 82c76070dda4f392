"""Who finds out what files are: a process for each, one at a time, or at once where time stands still. Control thread only."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from typing import IO, Protocol, TypeAlias

from segue.server.analysis import Analysis, analysed
from segue.server.audio.files import FileError

KEPT = 64  # analyses that are remembered
PATIENCE = 6000  # looks at a process, of a few milliseconds each and more, before it is ended


@dataclass(frozen=True)
class Result:
    """What a file is, or the sentence that says why nobody knows."""

    path: str
    what: Analysis | str


class Analyst(Protocol):
    """Finds out what files are."""

    def ask(self, path: str) -> None:
        """Wants to know of a file."""

    def poll(self) -> list[Result]:
        """What was found out since the last call."""

    def close(self) -> None:
        """Ends what is under way."""


class AtOnce:
    """Finds out while it is asked, so that an offline rendering is the same every time."""

    def __init__(self, rate: int) -> None:
        """rate: of the stream, Hz."""
        self._rate = rate
        self._found: list[Result] = []

    def ask(self, path: str) -> None:
        """See Analyst."""
        try:
            self._found.append(Result(path, analysed(path, self._rate)))
        except FileError as error:
            self._found.append(Result(path, str(error)))

    def poll(self) -> list[Result]:
        """See Analyst."""
        found, self._found = self._found, []
        return found

    def close(self) -> None:
        """Nothing to end."""


Stamp: TypeAlias = tuple[str, int, int]


class Processes:
    """Finds out in a process that yields to everything else; the control process never waits for it."""

    def __init__(self, rate: int) -> None:
        """rate: of the stream, Hz."""
        self._rate = rate
        self._asked: deque[str] = deque()
        self._known: dict[Stamp, Analysis] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._out: IO[bytes] | None = None
        self._path, self._looks = "", 0

    def ask(self, path: str) -> None:
        """See Analyst."""
        if path not in self._asked and path != self._path:
            self._asked.append(path)

    def poll(self) -> list[Result]:
        """See Analyst."""
        if self._process is not None:
            self._looks += 1
            if self._process.poll() is None:
                if self._looks > PATIENCE:
                    self._process.kill()
                return []
            return [self._ended()]
        if not self._asked:
            return []
        path = self._asked.popleft()
        known = self._known.get(_stamp(path))
        if known is not None:
            return [Result(path, known)]
        self._begin(path)
        return []

    def _begin(self, path: str) -> None:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        argv = [sys.executable, "-m", "segue.server.analysis", path, str(self._rate)]
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe would fill, and then the process would wait for us
        self._process = subprocess.Popen(argv, stdout=self._out, stderr=self._out, env={**os.environ, **threads})
        self._path, self._looks = path, 0

    def _ended(self) -> Result:
        assert self._process is not None  # poll checked
        assert self._out is not None  # opened with it
        path, code = self._path, self._process.returncode
        self._out.seek(0)
        text = self._out.read().decode(errors="replace").strip()
        self._out.close()
        self._process, self._path = None, ""
        if code == 0:
            what = Analysis.from_json(text.splitlines()[-1])
            self._known[_stamp(path)] = what
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
            return Result(path, what)
        reason = text.splitlines()[-1] if text else f"exit code {code}"
        lost = f"load: {path} could not be analysed ({reason}); load it with gain, bpm and beat"
        return Result(path, reason if code == 2 else lost)

    def close(self) -> None:
        """See Analyst."""
        self._asked.clear()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._out is not None:
                self._out.close()
        self._process = None


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return path, 0, 0
    return path, status.st_mtime_ns, status.st_size
