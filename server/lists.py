"""Prints what there is, as a table or as JSON: commands, models, devices."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from typing import Any

from segue.server.commands import SPECS, Arg, Spec
from segue.server.quiet import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments beyond --json, which every command has."""


def show(as_json: bool, name: str, rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> int:
    """Prints `{name: rows}`, or the named columns under each other."""
    if as_json:
        print(json.dumps({name: list(rows)}))
        return 0
    if not rows:
        print(empty, file=sys.stderr)
        return 0
    cells = [[column.replace("_", " ") for column in columns], *([cell(row.get(c)) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    return f"{value:,}".replace(",", " ") if isinstance(value, int) and not isinstance(value, bool) else str(value)


def describe_arg(arg: Arg, option: bool) -> dict[str, Any]:
    """One argument: range is [low, high] (null: open), the choices, or null."""
    limits = [None if bound is None or not math.isfinite(bound) else bound for bound in (arg.low, arg.high)]
    allowed: list[Any] | None = list(arg.choices) if arg.choices else (None if limits == [None, None] else limits)
    fields = {"name": arg.name, "type": arg.type, "unit": arg.unit, "range": allowed, "default": arg.default}
    return fields | {"option": option, "doc": arg.doc}


def describe(spec: Spec) -> dict[str, Any]:
    """One address with everything the table says about it."""
    args = [describe_arg(a, False) for a in spec.args] + [describe_arg(a, True) for a in spec.options]
    return {
        "address": spec.address,
        "types": spec.types,
        "args": args,
        "access": spec.access,
        "reply": spec.reply,
        "doc": spec.doc,
        "kind": spec.kind.value,
    }


def run_commands(args: argparse.Namespace) -> int:
    """`segue commands`."""
    return show(args.json, "commands", [describe(spec) for spec in SPECS], ("address", "types", "access", "doc"), "no commands")


def run_models(args: argparse.Namespace) -> int:
    """`segue models`."""
    from dataclasses import asdict

    from segue.engine.checkpoint import list_models

    columns = ("name", "family", "parameters", "codec_parameters", "sample_rate", "hop", "latent_dim", "window_s", "weights")
    return show(args.json, "models", [asdict(model) for model in list_models()], columns, "no models")


def audio_devices() -> list[dict[str, Any]]:
    """PortAudio's devices. Raises OSError with what to install where the library is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise OSError(f"{error}; install it (Debian: apt-get install libportaudio2)") from error
    apis = sounddevice.query_hostapis()
    return [
        {
            "index": device["index"],
            "kind": "audio",
            "name": device["name"],
            "host_api": apis[device["hostapi"]]["name"],
            "inputs": device["max_input_channels"],
            "outputs": device["max_output_channels"],
            "rate": device["default_samplerate"],
        }
        for device in sounddevice.query_devices()
    ]


def midi_devices() -> list[dict[str, Any]]:
    """MIDI ports that can be read, of every back-end that was compiled in. Raises ImportError without the extra `midi`."""
    import rtmidi

    os.environ.setdefault("JACK_NO_START_SERVER", "1")  # to look for a server is not to start one
    rows = []
    for api in rtmidi.get_compiled_api():
        try:
            port = rtmidi.MidiIn(api, "segue-list")
            names = port.get_ports()
            port.delete()
        except rtmidi.SystemError:  # this back-end's server does not run
            continue
        rows += [{"kind": "midi", "name": name, "host_api": rtmidi.get_api_display_name(api)} for name in names]
    return rows


def run_devices(args: argparse.Namespace) -> int:
    """`segue devices`."""
    rows: list[dict[str, Any]] = []
    for look in (audio_devices, midi_devices):
        try:
            with quiet():
                rows += look()
        except (OSError, ImportError) as error:
            print(f"segue devices: {error}", file=sys.stderr)
    columns = ("kind", "host_api", "name", "inputs", "outputs", "rate")
    empty = "no devices: serve on JACK (jackd -d dummy needs no card) or with --device null"
    return show(args.json, "devices", rows, columns, empty)
