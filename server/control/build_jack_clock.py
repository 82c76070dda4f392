"""Compiles jack_clock.c into the extension module `_jack_clock` (cffi, API mode, limited API); where it cannot, RtMidi does."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent

ffi = FFI()
ffi.cdef((HERE / "jack_clock.h").read_text())
ffi.set_source(
    "segue.server.control._jack_clock",
    '#include <stdint.h>\n#include "jack_clock.h"\n',
    sources=["server/control/jack_clock.c"],
    depends=["server/control/jack_clock.h"],
    include_dirs=["server/control"],
    libraries=["dl"],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra"],
    py_limited_api=True,
    optional=True,
)
