"""Compiles core.c into the extension module `_core` (cffi, API mode, limited API); a machine without a compiler goes without."""

from __future__ import annotations

import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
# Contraction into fused multiply-adds would round otherwise than the numpy twin does.
FLAGS = ["/O2", "/fp:precise"] if sys.platform == "win32" else ["-std=gnu11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra"]

ffi = FFI()
ffi.cdef((HERE / "core.h").read_text())
ffi.set_source(
    "segue.server.audio._core",
    '#include <stdint.h>\n#include "core.h"\n',
    sources=["server/audio/core.c"],
    depends=["server/audio/core.h"],
    include_dirs=["server/audio"],
    extra_compile_args=FLAGS,
    py_limited_api=True,
    optional=True,
)
