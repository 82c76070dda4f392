"""The shared memory: what a reader gets while a writer runs, what may be written near the play head, and who may leave when."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from audio import CORES, NO_CORE, SMALL, drive, fresh_name, noise, stream

from segue.server.audio.layout import Geometry
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command, NotHeard, Policy, Ring, Source, TooNear, Torn


def test_reading_what_was_not_heard_or_is_gone() -> None:
    with stream(False) as (s, core):
        x = noise(1, 5000)
        drive(s, core, x)
        np.testing.assert_array_equal(s.read(Ring.INPUT, 0, 5000, 3900), x[:2, 1100:])
        np.testing.assert_array_equal(s.read(Ring.SOUNDED, 1, 4321, 321), x[2:, 4000:4321])
        with pytest.raises(NotHeard, match="0 to 5000 heard"):
            s.read(Ring.INPUT, 0, 5001, 10)
        with pytest.raises(NotHeard):
            s.read(Ring.INPUT, 0, 100, 101)
        with pytest.raises(Torn):
            s.read(Ring.INPUT, 0, 1001, 2)
        with pytest.raises(Torn):
            s.read(Ring.INPUT, 0, 5000, 4001)
        with pytest.raises(IndexError, match="there are 2"):
            s.read(Ring.INPUT, 2, 10, 1)


WRITER = """
import sys
import numpy as np
from segue.server.audio.core import make_core
from segue.server.audio.segment import Segment
s = Segment.attach(sys.argv[1])
core, frames = make_core(s), np.arange(s.block, dtype=np.float32)
while not s.stop_asked and s.frame + s.block < 2**24:  # float32 counts so far
    core.process(np.tile(frames + np.float32(s.frame), (4, 1)), 0)
"""


@pytest.mark.skipif(NO_CORE, reason="core.c is not compiled here")
def test_no_torn_window_is_ever_accepted() -> None:
    with stream(True, ring=4096, loop=2048, block=2048) as (s, _):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, s.name])
        accepted = torn = 0
        while writer.poll() is None and (accepted < 3000 or torn < 100):
            end = s.written(Ring.INPUT, 0)
            n = min(end, 3000)  # so long that what is being written now reaches into it
            try:
                window = s.read(Ring.INPUT, 0, end, n)
            except Torn:
                torn += 1
                continue
            accepted += n == 3000
            np.testing.assert_array_equal(window[0], np.arange(end - n, end, dtype=np.float32))
        s.ask_stop()
        assert writer.wait(10) == 0
        assert accepted > 10, f"{accepted} accepted, {torn} torn"
        assert torn > 10, "the reader was never in the writer's way"


@pytest.mark.parametrize("compiled", CORES)
def test_frames_that_may_be_sounding_are_never_rewritten(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        take = noise(2, 4000, 2)
        s.write_slot(0, 0, 0, take)
        s.publish_slot(0, 0, 1, 0, 4000)
        s.push(Command.play(0, Source.SLOT_A, 0))
        drive(s, core, noise(3, 640))
        assert s.slot_sounds(0, 0)
        assert not s.slot_sounds(0, 1)
        soonest = 640 + 2 * SMALL["block"]
        with pytest.raises(TooNear):
            s.write_slot(0, 0, soonest - 1, take[:, :10])
        s.write_slot(0, 0, soonest, take[:, :10])
        with pytest.raises(TooNear):  # the ring would come round to what is played next
            s.write_slot(0, 0, 4000, take[:, :641])
        s.write_slot(0, 0, 4000, take[:, :640])
        with pytest.raises(TooNear):
            s.publish_slot(0, 0, 1, 0, soonest - 1)
        with pytest.raises(ValueError, match="4000 frames"):
            s.write_slot(0, 1, 0, np.zeros((2, 4001), np.float32))


@pytest.mark.parametrize("compiled", CORES)
def test_a_slot_half_published_is_not_played(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.write_slot(0, 0, 0, np.ones((2, 500), np.float32))
        s.publish_slot(0, 0, 1, 0, 500, 400, 10, Policy.DRY)
        s.push(Command.play(0, Source.SLOT_A, 0))
        quiet = np.zeros((4, 64), np.float32)
        drive(s, core, quiet)
        slot = s.header.deck[0].slot[0]
        slot.sequence |= 1  # its writer died here
        slot.first = slot.last = -1
        assert (drive(s, core, quiet) == 1).all()
        s.publish_slot(0, 0, 1, 0, 500, 192, 0, Policy.SILENCE)
        out = drive(s, core, np.ones((4, 128), np.float32))
        assert (out[:, :64] == 2).all()  # deck 2 is dry
        assert (out[:, 64:] == 1).all()


def test_readers_see_whole_states_though_a_writer_died() -> None:
    with stream(False) as (s, core):
        drive(s, core, noise(4, 64))
        s.header.sequence |= 1
        assert s.clock_pair().block == 64
        drive(s, core, noise(4, 64))
        assert s.header.sequence % 2 == 0


def test_the_log_is_read_from_where_one_stopped() -> None:
    with stream(False) as (s, core):
        for number in range(100):
            s.push(Command.mark(id=number))
        drive(s, core, noise(5, 64))
        first = s.applied(0)
        assert [line.id for line in first] == list(range(100))
        assert s.applied(len(first)) == []
        s.push(Command.mark(id=100))
        drive(s, core, noise(5, 64))
        assert [line.id for line in s.applied(100)] == [100]
        for number in range(101, 5001):
            s.push(Command.mark(id=number))
            if number % 100 == 0:
                drive(s, core, noise(5, 64))
        kept = s.applied(101)  # the oldest lines are gone, which the index tells
        assert [line.index for line in kept] == list(range(5001 - len(kept), 5001))
        assert all(line.id == line.index for line in kept)


def test_names_in_use_and_unknown_names_are_sentences() -> None:
    with stream(False) as (s, _):
        with pytest.raises(SharedMemoryError, match="in use"):
            Segment.create(Geometry(**SMALL), s.name)
        other = Segment.attach(s.name)
        assert (other.rate, other.decks, other.block) == (8000, 2, 64)
        other.close()
        s.header.layout += 8  # made by a version whose structs differ
        with pytest.raises(SharedMemoryError, match="not a stream of this version"):
            Segment.attach(s.name)
    with pytest.raises(SharedMemoryError, match="no segment named"):
        Segment.attach(fresh_name())


def test_too_much_memory_is_a_sentence_and_no_crash() -> None:
    name = fresh_name()
    with pytest.raises(SharedMemoryError, match="use fewer decks"):
        Segment.create(Geometry(ring=10**12), name)
    with pytest.raises(SharedMemoryError, match="no segment"):
        Segment.attach(name)


def test_wrong_sizes_are_sentences() -> None:
    with pytest.raises(ValueError, match="decks lies between 1 and 8, got 9"):
        Geometry(decks=9)
    with pytest.raises(ValueError, match="4 input"):
        Geometry(in_channels=2)


def test_a_process_that_dies_leaves_the_memory_to_the_others() -> None:
    with stream(False) as (s, _):
        code = f"""
import os, signal
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command
segment = Segment.attach({s.name!r})
assert segment.push(Command.mark(id=77))
os.kill(os.getpid(), signal.SIGKILL)
"""
        died = subprocess.run([sys.executable, "-c", code], env=os.environ)
        assert died.returncode == -9
        again = Segment.attach(s.name)
        assert again.header.queue_head == 1
        again.close()


def test_the_audio_process_imports_no_sockets_and_no_torch() -> None:
    # soundfile's typing_extensions loads the C module `_socket` for a type of it; nothing opens one.
    code = """
import sys
import segue.server.audio.process, segue.server.audio.host, segue.server.audio.file, segue.server.audio.null
from segue.server.audio import device
try:
    device.devices()
except OSError:
    pass
print([m for m in ("socket", "ssl", "asyncio", "torch", "multiprocessing") if m in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip().splitlines()[-1] == "[]"


def test_what_follows_the_published_end_is_written_however_late() -> None:
    with stream(False) as (s, core):
        take = noise(30, 4000, 2)
        s.write_slot(0, 0, 0, take[:, :1000])
        s.publish_slot(0, 0, 1, 0, 1000)
        s.push(Command.play(0, Source.SLOT_A, 0, 0))
        x = noise(31, 3000)
        x[2:] = 0.0
        out = [drive(s, core, x[:, :960])]
        with pytest.raises(TooNear):
            s.write_slot(0, 0, 990, take[:, 990:])  # some of it may be on its way out
        s.write_slot(0, 0, 1000, take[:, 1000:])
        s.publish_slot(0, 0, 1, 0, 4000)
        out.append(drive(s, core, x[:, 960:]))
        np.testing.assert_array_equal(np.concatenate(out, axis=1), take[:, :3000])
