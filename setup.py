"""Builds the audio callback and the reader of MIDI clocks; everything else stands in pyproject.toml."""

from setuptools import setup

MODULES = ["server/audio/build_core.py:ffi", "server/control/build_jack_clock.py:ffi"]
setup(cffi_modules=MODULES, options={"bdist_wheel": {"py_limited_api": "cp311"}})
