"""Writes every projection of the vocabulary: `python -m segue.server.projections [ROOT]`, from the root of the repository."""

import sys
from pathlib import Path

from segue.server.projections import FILES


def main(root: Path) -> int:
    """0 when everything was written, 2 outside of a repository."""
    if not (root / "server" / "commands.py").is_file():
        print(f"{root.resolve()} is no repository of segue: call this at its root", file=sys.stderr)
        return 2
    for name, make in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(make())
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(*sys.argv[1:2])))
