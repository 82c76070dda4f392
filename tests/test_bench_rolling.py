"""When a take can be entered: not before what was made is ahead of what has passed, nor where a later piece would be missed."""

from __future__ import annotations

import pytest

from segue.bench.rolling import first_sound


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0.9, 3.5), (1.8, 7.0)], 0.9),
        ([(0.9, 0.8), (1.1, 1.6), (1.3, 2.4)], 1.1),  # the first has passed when it is there
        ([(3.0, 3.5), (6.0, 7.0), (9.0, 10.5)], 9.0),  # entered sooner it would run dry
        ([(4.0, 3.5)], None),
    ],
)
def test_the_first_sound(pieces: list[tuple[float, float]], expected: float | None) -> None:
    assert first_sound(pieces) == expected
