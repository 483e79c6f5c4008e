from __future__ import annotations

import importlib
import time

import overhead
import pytest


@pytest.mark.parametrize("place", [place for places in overhead.PARTS.values() for place in places])
def test_every_function_that_is_timed_exists(place: str) -> None:
    module, _, path = place.partition(":")
    owner = importlib.import_module(module)
    for name in path.split("."):
        owner = getattr(owner, name)
    assert callable(owner)


def test_a_part_is_timed_without_the_parts_that_it_calls() -> None:
    clock = overhead.Clock()
    inner = clock.timed("inner", lambda: time.sleep(0.05))
    outer = clock.timed("outer", lambda: (time.sleep(0.02), inner(), inner()))
    outer()
    assert clock.calls == {"inner": 2, "outer": 1}
    assert 0.1 <= clock.seconds["inner"] < 0.2
    assert 0.02 <= clock.seconds["outer"] < 0.1
