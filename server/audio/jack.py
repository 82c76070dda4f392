"""The two things PortAudio does not say or do for JACK: the server's period, and our client's name.

Main thread of the audio process only. Nothing here starts a JACK server.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

NO_START_SERVER = 1
_kept: list[Any] = []  # PortAudio keeps the pointer to the name


def jack_period() -> int | None:
    """Frames a cycle of the running JACK server (JACK_DEFAULT_SERVER names it); None where none runs."""
    path = ctypes.util.find_library("jack")
    if path is None:
        return None
    library = ctypes.CDLL(path)
    library.jack_client_open.restype = ctypes.c_void_p
    client = library.jack_client_open(b"segue-look", NO_START_SERVER, None)
    if not client:
        return None
    library.jack_get_buffer_size.argtypes = library.jack_client_close.argtypes = [ctypes.c_void_p]
    period = int(library.jack_get_buffer_size(client))
    library.jack_client_close(client)
    return period


def name_client(portaudio: str, name: str) -> bool:
    """Sets the name under which PortAudio (the library of that path) opens JACK from its next start on; whether it can."""
    try:
        setter = ctypes.CDLL(portaudio).PaJack_SetClientName
    except (OSError, AttributeError):
        return False
    _kept.append(ctypes.create_string_buffer(name.encode()))
    return int(setter(_kept[-1])) == 0
