"""The `segue` command: finds the sub-command, imports its module only, and turns whatever goes wrong into one line.

Exit codes: 0 done; 1 it ran and did not succeed; 2 it could not start, with one line saying why; 130 interrupted.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, TypeAlias

import segue

HELP = ("-h", "--help", "help")
DONE, FAILED, NOT_STARTED, INTERRUPTED = 0, 1, 2, 130

Table: TypeAlias = Mapping[str, tuple[str, str]]

DOC = "Plays on when the performer does not: generated audio over OSC and MIDI, on the exact sample."
# Sub-command: (what it does, "module" or "module:function"). A module has add_arguments(parser) and run(args) -> exit code.
COMMANDS: Table = {
    "serve": ("run the audio server", "segue.server.app"),
    "demo": ("hear, continue and bridge a clip with the real server; write demo.wav and demo.png", "segue.bench.demo"),
    "render": ("play a score over a file, offline and repeatably", "segue.server.render"),
    "restore": ("make anew what a recording has lost: treble, clipped peaks or gaps", "segue.server.restore"),
    "send": ("send one command to a running server and print the answer", "segue.clients.python.send"),
    "bridge": ("join another program to a running server: ableton", "bridge"),
    "devices": ("list audio and MIDI devices", "segue.server.lists:run_devices"),
    "commands": ("list every OSC address", "segue.server.lists:run_commands"),
    "models": ("list the models at hand", "segue.server.lists:run_models"),
    "doctor": ("check what this machine has and lacks", "segue.server.doctor"),
    "train": ("train a model of your own", "train"),
    "export": ("write a model for other runtimes", "export"),
    "evaluate": ("judge a model against baselines, bounds and the truth", "evaluate"),
    "bench": ("time the model's parts and whole takes (engine), or run another measurement", "bench"),
}
TRAIN: Table = {
    "prepare": ("make training audio from a folder of music", "segue.train.data"),
    "codec": ("train the codec", "segue.train.codec"),
    "codec-finetune": ("train the codec's decoder on against a discriminator", "segue.train.finetune"),
    "encode": ("turn prepared audio into the codec's latents", "segue.train.encode"),
    "diffusion": ("train the generator on latents", "segue.train.diffusion"),
    "distill": ("teach the generator to need 8, 4 or 2 steps", "segue.train.distill"),
    "compare": ("print what few steps are worth before and after distilling", "segue.train.few_steps"),
    "embedder": ("teach a small network on latents what YAMNet hears, for guidance", "segue.train.embedder"),
    "overfit": ("fit a model of any family to one clip, to see what it can hold", "segue.train.overfit"),
    "pack": ("put codec and generator into one model file", "segue.train.pack"),
    "gpu": ("train a whole model in a bounded time from pieces of data, for a machine that is lent", "segue.train.gpu"),
}
EVALUATE: Table = {
    "continuations": ("compare continuations with what was really played", "segue.train.evaluate"),
    "table": ("every task of the paper's 4.3 in the form of its Table 1, resumable", "segue.train.table"),
    "ablate": ("vary one choice of the method and judge each value as the table does", "segue.train.ablate"),
    "references": ("FAD against other reference sets: the same pieces, other artists, any folder", "segue.train.references"),
    "counts": ("FAD over the number of takes, and without the loudest or noisiest", "segue.train.counts"),
    "progress": ("FAD over training steps, of a folder of model files", "segue.train.progress"),
    "report": ("turn stored rows into the tables and pictures of a Markdown file", "segue.train.report"),
    "takes": ("write takes of chosen systems to a folder, to be heard or checked", "segue.train.takes"),
    "check": ("find clicks, holes, offsets, clipping, lost sides and stuck frames in takes", "segue.train.check"),
    "ladder": ("does a variation lie further away the more noise it starts from?", "segue.train.ladder"),
    "kicks": ("how strong hits of the bass are in the middle of a transition", "segue.train.kicks"),
    "codec": ("what the codec alone does to music, clip by clip", "segue.train.codec_table"),
    "beats": ("on composed pieces of known tempo: does a take stay on the beat?", "segue.train.beats"),
    "endless": ("play on for minutes and tell what drifts, repeats or goes wrong", "segue.bench.endless"),
    "listen": ("serve a page for blind pairwise comparison of takes, or count its votes", "segue.train.listening"),
    "validate": ("show that FAD and KLD know better from worse", "segue.train.metrics.validate"),
}
EXPORT: Table = {
    "onnx": ("write codec, denoiser and guidance gradient as ONNX files", "segue.train.export_onnx"),
    "tensorrt": ("build the same as TensorRT engines; for TensorRT-RTX without a GPU too", "segue.train.export_tensorrt"),
}
EXTRAS = {
    "rtmidi": "midi", "mido": "midi", "matplotlib": "eval", "zeroconf": "discovery", "aalink": "link",
    "onnx": "onnx", "onnxscript": "onnx", "onnxruntime": "onnx", "openvino": "openvino",
    "python_stretch": "stretch", "librosa": "judge",
    "tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx", "tensorboard": "train",
}  # fmt: skip
# These carry a sentence of ours or of the system; anything else is a defect.
EXPECTED = (OSError, ValueError, RuntimeError)


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(NOT_STARTED, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def bench_programs() -> dict[str, tuple[str, str]]:
    """The programs of `bench/` with the first line of each, read without running them."""
    spec = find_spec("segue.bench")
    files = [p for where in (spec.submodule_search_locations or ()) for p in Path(where).glob("[!_]*.py")] if spec else []
    programs = {}
    for file in sorted(files):
        text = file.read_text(encoding="utf-8")
        if "def add_arguments(" in text:
            doc = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
            programs[file.stem] = (doc, f"segue.bench.{file.stem}")
    return programs


BRIDGE: Table = {
    "ableton": ("fire verbs from clips and scenes of Ableton Live, through AbletonOSC", "segue.clients.python.ableton"),
}
# `segue bench --model NAME` is `segue bench engine --model NAME`
DEFAULTS = {"bench": "engine", "evaluate": "continuations"}
GROUPS: Mapping[str, Callable[[], Table]] = {
    "train": lambda: TRAIN,
    "bench": bench_programs,
    "evaluate": lambda: EVALUATE,
    "export": lambda: EXPORT,
    "bridge": lambda: BRIDGE,
}


def overview(prog: str, doc: str, commands: Table) -> str:
    """The help text of a level that has sub-commands; nothing of them is imported for it."""
    width = max(map(len, commands), default=0)
    lines = [f"  {name:<{width}}  {doc}" for name, (doc, _) in commands.items()]
    return "\n".join([f"usage: {prog} COMMAND [OPTIONS]", "", doc, "", *lines, "", f"`{prog} COMMAND --help` says more."])


def choose(prog: str, doc: str, commands: Table, argv: Sequence[str]) -> tuple[str, str, Sequence[str]] | int:
    """(program name, target, its arguments), or an exit code when only help was asked for or no such command exists."""
    name = argv[0] if argv else "--help"
    if name in HELP:
        print(overview(prog, doc, commands))
        return DONE if argv else NOT_STARTED
    if name not in commands:
        print(f"{prog}: no command {name!r}; there are {', '.join(commands) or 'none'}", file=sys.stderr)
        return NOT_STARTED
    help_line, target = commands[name]
    if target in GROUPS:
        rest = argv[1:]
        if target in DEFAULTS and (not rest or (rest[0].startswith("-") and rest[0] not in HELP)):
            rest = [DEFAULTS[target], *rest]
        return choose(f"{prog} {name}", help_line, GROUPS[target](), rest)
    return f"{prog} {name}", target, argv[1:]


def perform(prog: str, target: str, argv: Sequence[str]) -> int:
    """Imports one module, lets it declare its arguments, and runs it."""
    module_name, _, function = target.partition(":")
    module = importlib.import_module(module_name)
    parser = OneLineParser(prog=prog, description=(module.__doc__ or "").strip(), conflict_handler="resolve")
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output, and nothing else there")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    module.add_arguments(parser)
    return int(getattr(module, function or "run")(parser.parse_args(argv)) or DONE)


def sentence(error: BaseException) -> str:
    """One line for an error, with what to do where that is known."""
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        if missing in EXTRAS:
            return f"{missing} is not installed; it comes with an extra: pip install 'segue[{EXTRAS[missing]}]'"
        return f"{error.name} is not installed; run `make setup`, or install segue again"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, EXPECTED) and text:
        return text
    return f"unexpected {type(error).__name__}: {text}; `--debug` shows where"


def main(argv: Sequence[str] | None = None) -> int:
    """The console script."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] == ["--version"]:
        print(f"segue {segue.__version__}")
        return DONE
    chosen = choose("segue", DOC, COMMANDS, argv)
    if isinstance(chosen, int):
        return chosen
    try:
        return perform(*chosen)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if "--debug" in argv:
            traceback.print_exc()
        print(f"{chosen[0]}: {sentence(error)}", file=sys.stderr)
        return NOT_STARTED if isinstance(error, (*EXPECTED, ImportError)) else FAILED


if __name__ == "__main__":
    sys.exit(main())
