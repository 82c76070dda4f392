"""The tasks by name, ours and those that packages register under the entry point group `segue.tasks`."""

from __future__ import annotations

from segue.engine.registry import Registry, load
from segue.engine.task import Task

GROUP = "segue.tasks"
NAMES = ("generate", "continuation", "infill", "regenerate", "renoise", "transition", "loop", "style", "classify", "restore")
BUILT_IN = {name: f"segue.engine.tasks.{name}:TASK" for name in NAMES}


def tasks() -> Registry[Task]:
    """All tasks that load, and a sentence for each that does not."""
    return load(GROUP, "task", _check, BUILT_IN)


def _check(name: str, part: object) -> Task:
    if not isinstance(part, Task):
        raise TypeError(f"got {type(part).__name__}; a task is a segue.engine.task.Task")
    if part.name != name:
        raise ValueError(f"registered as {name!r}, calls itself {part.name!r}; the names must be equal")
    return part
