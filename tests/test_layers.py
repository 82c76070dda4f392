"""Who may import whom, and absolute imports only, read from the source of every file.

The Python client is also a distribution of its own, under another name: its modules import one another, relatively.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY = {
    "segue": {"server"},  # __main__ calls the command
    "engine": {"engine"},
    "server": {"engine", "server"},
    "clients": {"clients"},
    "train": {"engine", "train"},
    "bench": {"engine", "server", "clients", "train", "bench"},
}
TWO_NAMES = "clients/python"
ALONE = {"server/commands.py", "engine/protocols.py"}  # these import nothing of ours


def imports(file: Path) -> list[str]:
    """Every module that a file imports, also inside functions; a relative import begins with a dot."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [f"segue.{alias.name}" for alias in node.names] if module == "segue" else [module]
    return found


@pytest.mark.parametrize("room", MAY)
def test_a_room_imports_only_what_it_may(room):
    wrong = []
    for file in (ROOT / room).rglob("*.py"):
        name = str(file.relative_to(ROOT))
        for module in imports(file):
            parts = module.split(".")
            ours = parts[0] == "segue" and len(parts) > 1 and parts[1] in MAY
            if name.startswith(TWO_NAMES):
                wrong += [f"{name} imports {module}"] * (ours or module.startswith(".."))
            elif module.startswith(".") or (ours and (parts[1] not in MAY[room] or name in ALONE)):
                wrong.append(f"{name} imports {module}")
    assert wrong == []


def test_the_walk_sees_imports_of_every_form(tmp_path):
    file = tmp_path / "x.py"
    lines = ["import segue.train", "from . import y", "from segue import engine", "if x:", "    from segue.server import cli"]
    file.write_text("\n".join(lines))
    assert set(imports(file)) == {"segue.train", ".", "segue.engine", "segue.server"}
