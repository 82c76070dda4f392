"""What a message means: its arguments and options by name, checked against the table and converted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from segue.server.commands import Arg, CommandError, Kind, Spec, Value


def is_release(spec: Spec, args: Sequence[Value]) -> bool:
    """Whether the message is a button let go: a single 0 or false where no number is asked for."""
    if spec.kind not in (Kind.VERB, Kind.ACTION) or spec.echo or (spec.args and spec.args[0].type != "s"):
        return False
    return len(args) == 1 and isinstance(args[0], (bool, int, float)) and not args[0]


def bind(spec: Spec, args: Sequence[Value]) -> dict[str, Value]:
    """Argument and option values by name, checked and converted; names that were not sent are absent.

    Raises CommandError with a sentence that says what, got, allowed.
    """
    if spec.echo:
        return {}
    rest = list(args)
    bound: dict[str, Value] = {}
    names = {option.name: option for option in (*spec.options, *spec.args)}
    if rest and not spec.args and _is_press(spec, rest[0]):
        rest.pop(0)  # a button's value stands before the options
    for arg in spec.args:
        if rest and not (isinstance(rest[0], str) and rest[0] in names and len(rest) > 1):
            bound[arg.name] = convert(spec, arg, rest.pop(0))
    if len(rest) % 2:
        raise _bad(f"{spec.name}: options come as name and value, got {len(rest)} of them; {_allowed(names)}")
    for key, value in zip(rest[::2], rest[1::2], strict=True):
        if not isinstance(key, str) or key not in names:
            raise _bad(f"{spec.name}: no option {_shown(key)}; {_allowed(names)}")
        bound[key] = convert(spec, names[key], value)
    return _required(spec, bound)


def convert(spec: Spec, arg: Arg, value: Value) -> Value:
    """The value as arg.type, within its range; ints, floats, bools and numbers in text are taken where sensible."""
    if arg.type == "s":
        return _text(spec, arg, value)
    number = _number(spec, arg, value)
    if arg.type == "b":
        return bool(number)
    low, high = _limits(arg)
    if not low <= number <= high:
        unit = f" {arg.unit}" if arg.unit else ""
        raise _bad(f"{spec.name}: {arg.name} lies between {_plain(low)} and {_plain(high)}{unit}, got {_shown(value)}")
    if arg.type in "ih":
        if number != int(number):
            raise _bad(f"{spec.name}: {arg.name} is a whole number, got {_shown(value)}")
        return value if isinstance(value, int) and not isinstance(value, bool) else int(number)
    return number


# What OSC can carry: i is a 32-bit and h a 64-bit integer, f has 32 bits (IEEE 754).
_WIDEST = {"i": (-(2**31), 2**31 - 1), "h": (-(2**63), 2**63 - 1), "f": (-3.4028234663852886e38, 3.4028234663852886e38)}


def _limits(arg: Arg) -> tuple[float, float]:
    low, high = _WIDEST[arg.type]
    return (low if arg.low is None else arg.low, high if arg.high is None else arg.high)


def _number(spec: Spec, arg: Arg, value: Value) -> float:
    try:
        if isinstance(value, bytes) or value is None:
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _bad(f"{spec.name}: {arg.name} is a number, got {_shown(value)}") from None
    if not math.isfinite(number):
        raise _bad(f"{spec.name}: {arg.name} is a finite number, got {_shown(value)}")
    return number


def _text(spec: Spec, arg: Arg, value: Value) -> str:
    if not isinstance(value, str):
        raise _bad(f"{spec.name}: {arg.name} is text, got {_shown(value)}")
    if arg.choices and value not in arg.choices:
        raise _bad(f"{spec.name}: {arg.name} is one of {' '.join(arg.choices)}, got {_shown(value)}")
    return value


def _is_press(spec: Spec, value: Value) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        raise _bad(f"{spec.name}: a button sends 0 or a finite number, got {value}")
    return spec.kind in (Kind.VERB, Kind.ACTION) and (value is None or isinstance(value, (bool, int, float)))


def _required(spec: Spec, bound: dict[str, Value]) -> dict[str, Value]:
    for arg in (*spec.args, *spec.options):
        if arg.required and arg.name not in bound:
            raise _bad(f"{spec.name}: {arg.name} is missing ({arg.doc})")
    return bound


def _bad(sentence: str) -> CommandError:
    return CommandError("bad-argument", sentence)


def _allowed(names: Mapping[str, Arg]) -> str:
    return f"it takes {' '.join(names)}" if names else "it takes none"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < 1e16 else f"{number:g}"


def _shown(value: Value) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else f"a number of {value.bit_length()} bits"
    return text if len(text) <= 64 else text[:60] + "..."
