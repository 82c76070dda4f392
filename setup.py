"""Builds the audio callback; everything else stands in pyproject.toml."""

from setuptools import setup

# One wheel a platform: the extension keeps to the limited API of the oldest Python that pyproject.toml allows.
setup(cffi_modules=["server/audio/build_core.py:ffi"], options={"bdist_wheel": {"py_limited_api": "cp311"}})
