"""Parts that packages register under an entry point group, ours like anyone's; a broken one is named and skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Registry(Generic[T]):
    """What was found: parts by name, and a sentence for each one that could not be loaded."""

    found: Mapping[str, T] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    what: str = "part"

    def __getitem__(self, name: str) -> T:
        """The part of that name. Raises ValueError with the reason, or with the names there are."""
        if name in self.found:
            return self.found[name]
        if name in self.broken:
            raise ValueError(f"{self.what}: {self.broken[name]}")
        raise ValueError(f"{self.what}: got {name!r}; one of {', '.join(sorted(self.found))}")


def load(group: str, what: str, check: Callable[[str, object], T], built_in: Mapping[str, str]) -> Registry[T]:
    """Everything registered under group; built_in (name to `module:attribute`) stands even where nothing is installed.

    check(name, loaded) gives the part, or raises. Whatever a plug-in raises becomes a sentence in `broken`.
    """
    ours = [EntryPoint(name, value, group) for name, value in built_in.items()]
    theirs = [point for point in entry_points(group=group) if point.name not in built_in]
    return collect([*ours, *theirs], what, check)


def collect(points: Iterable[EntryPoint], what: str, check: Callable[[str, object], T]) -> Registry[T]:
    """The registry of these entry points; a later one of the same name is named as broken."""
    found: dict[str, T] = {}
    broken: dict[str, str] = {}
    for point in points:
        if point.name in found:
            broken[f"{point.name} ({point.value})"] = f"{point.name!r} of {point.value} is registered already; rename it"
            continue
        try:
            found[point.name] = check(point.name, point.load())
        except Exception as error:
            broken[point.name] = f"{point.name!r} of {point.value} does not load: {type(error).__name__}: {error}"
    return Registry(found, broken, what)
