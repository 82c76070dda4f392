"""Shared memory by name, without the bookkeeping of multiprocessing: whoever dies, the memory stays until its creator removes it.

multiprocessing.shared_memory would unlink a segment when any process that merely looked at it dies (until Python 3.13), and
imports `socket`. Threads: any, one at a time for each object.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from contextlib import suppress


class SharedMemoryError(OSError):
    """Memory that cannot be made or found; str() is a sentence."""


class Memory:
    """`bytes` bytes that several processes see; `map` is the mmap."""

    def __init__(self, name: str, map_: mmap.mmap, owner: bool) -> None:
        self.name = name
        self.map = map_
        self.owner = owner

    def close(self) -> None:
        """Lets go of it in this process; views that are still held keep it mapped until they go."""
        with suppress(BufferError):
            self.map.close()

    def unlink(self) -> None:
        """Removes the name; processes that hold the memory keep it."""
        if sys.platform != "win32":
            import _posixshmem  # type: ignore[import-not-found]

            with suppress(FileNotFoundError):
                _posixshmem.shm_unlink("/" + self.name)

    def lock(self) -> bool:
        """Maps every page into this process and asks that none is ever swapped out; whether the system agreed.

        Only reads: others may be writing.
        """
        view = memoryview(self.map)
        for place in range(0, len(view), mmap.PAGESIZE):
            view[place]
        view.release()
        if sys.platform == "win32":
            return False
        start = ctypes.c_char.from_buffer(self.map)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            return int(libc.mlock(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(self.map)))) == 0
        except (OSError, AttributeError):
            return False
        finally:
            del start


def create(name: str, size: int) -> Memory:
    """New memory of `size` zero bytes; raises SharedMemoryError if the name is taken or there is no room."""
    if sys.platform == "win32":
        return Memory(name, mmap.mmap(-1, size, tagname=name), True)
    import _posixshmem

    try:
        handle = _posixshmem.shm_open("/" + name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600)
    except FileExistsError:
        raise SharedMemoryError(
            f"shared memory: the name {name} is in use; end the other server or choose another name"
        ) from None
    try:
        os.ftruncate(handle, size)
        if hasattr(os, "posix_fallocate") and sys.platform == "linux":
            os.posix_fallocate(handle, 0, size)  # else the first touch of a page that has no room is a SIGBUS
        return Memory(name, mmap.mmap(handle, size), True)
    except OSError as error:
        _posixshmem.shm_unlink("/" + name)
        raise SharedMemoryError(
            f"shared memory: {size / 1e6:.0f} MB asked for, none to be had ({error.strerror}); "
            "free some of /dev/shm, or use fewer decks"
        ) from None
    finally:
        os.close(handle)


def attach(name: str, size: int = 0) -> Memory:
    """The memory that somebody else made; raises SharedMemoryError if there is none. size is needed on Windows only."""
    if sys.platform == "win32":
        return Memory(name, mmap.mmap(-1, size, tagname=name), False)
    import _posixshmem

    try:
        handle = _posixshmem.shm_open("/" + name, os.O_RDWR, mode=0o600)
    except FileNotFoundError:
        raise SharedMemoryError(f"shared memory: no segment named {name}; start the audio process first") from None
    try:
        return Memory(name, mmap.mmap(handle, os.fstat(handle).st_size), False)
    except (OSError, ValueError):
        raise SharedMemoryError(f"shared memory: {name} is still being made; try again") from None
    finally:
        os.close(handle)


def sweep(prefix: str) -> list[str]:
    """Removes memory named prefix and a process id, whose process was killed; the names. Where names can be listed."""
    folder = "/dev/shm"
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        number = name.removeprefix(prefix)
        if name.startswith(prefix) and number.isdecimal() and not _lives(int(number)):
            with suppress(OSError):  # another user's
                os.unlink(os.path.join(folder, name))
                found.append(name)
    return found


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
