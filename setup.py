"""Builds the audio callback; everything else stands in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["server/audio/build_core.py:ffi"], options={"bdist_wheel": {"py_limited_api": "cp311"}})
