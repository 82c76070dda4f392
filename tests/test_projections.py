"""What is made from the vocabulary: committed files are what the table makes today, and say everything in it."""

from __future__ import annotations

import ast
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from segue.server.commands import CODES, SPECS, Kind
from segue.server.control.midi_map import default_map, number_of, parse_map
from segue.server.projections import FILES, markdown, python

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", FILES)
def test_committed_files_are_what_the_table_makes(name):
    if name.startswith(("clients/max", "clients/ableton")):
        pytest.importorskip("py2max", reason="py2max is missing: pip install segue[dev]")
    assert unpacked(name, (ROOT / name).read_bytes()) == unpacked(name, FILES[name]()), "run: python -m segue.server.projections"


def unpacked(name: str, data: bytes) -> bytes:
    """What is inside: compressed bytes differ from one zlib to the next."""
    return zlib.decompress(data) if name.endswith(".tosc") else data


def test_the_program_writes_them_all(tmp_path):
    pytest.importorskip("py2max", reason="py2max is missing: pip install segue[dev]")
    (tmp_path / "server").mkdir()
    command = [sys.executable, "-m", "segue.server.projections", str(tmp_path)]
    outside = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (outside.returncode, outside.stderr.count("\n")) == (2, 1)
    (tmp_path / "server" / "commands.py").write_text("")
    subprocess.run(command, capture_output=True, check=True)
    assert all((tmp_path / name).read_bytes() == (ROOT / name).read_bytes() for name in FILES)


def test_the_osc_page_has_every_address_option_and_code():
    page = markdown.osc()
    for spec in SPECS:
        chapter = page.split(f"### `{spec.address}`", 1)[1].split("\n### ")[0]
        for arg in (*spec.args, *spec.options):
            assert f"`{arg.name}`" in chapter or f"| option | `{arg.name}`" in page.split("\n## Options")[1].split("\n## ")[0], (
                spec.address,
                arg.name,
            )
    assert all(f"| {number} | {word} |" in page for word, number in CODES.items())


def test_the_midi_page_has_every_binding_and_its_example_reads():
    page = markdown.midi()
    assert all(f"| {one.kind} {number_of(one)} | `{one.address}` |" in page for one in default_map())
    example = page.split("```yaml\n")[1].split("```")[0]
    assert {one.kind for one in parse_map(example)} == {"note", "control", "program"}
    assert set(default_map()[:3]) < set(parse_map(example))


def test_the_python_client_has_every_verb_and_value():
    tree = ast.parse(python.module())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    methods = {name: {f.name: f for f in node.body if isinstance(f, ast.FunctionDef)} for name, node in classes.items()}
    for spec in SPECS:
        if spec.kind is Kind.EVENT or spec.name in python.BY_HAND:
            continue
        path = spec.address.removeprefix("/segue/").removeprefix("deck/{deck}/")
        name = path.replace("/", "_") + "_" * (path == "continue")
        method = methods["DeckMethods" if spec.per_deck else "ServerMethods"][name]
        assert f'"{path}"' in ast.unparse(method).replace("'", '"')  # what is sent
        names = [arg.arg.rstrip("_") for arg in (*method.args.args[1:], *method.args.kwonlyargs)]
        assert names == [arg.name for arg in (*spec.args, *spec.options)]
        assert ast.get_docstring(method)
