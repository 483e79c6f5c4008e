"""The scores at a rung: always in the order that sorting all of them anew would give."""

import random

from hypothesis import given
from hypothesis import strategies as st

from automl.racing.board import Board


def sorted_anew(known: dict[int, tuple[str, float]]) -> list[int]:
    families: dict[str, list[tuple[float, int]]] = {}
    for trial, (family, score) in known.items():
        families.setdefault(family, []).append((score, trial))
    ranked = [
        (rank / (len(members) + 1), score, trial)
        for members in families.values()
        for rank, (score, trial) in enumerate(sorted(members), 1)
    ]
    return [trial for *_, trial in sorted(ranked)]


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 60))
def test_whatever_is_entered_and_taken_away_the_order_is_that_of_sorting_anew(seed, families, steps):
    rng, board, known = random.Random(seed), Board(), {}
    for _ in range(steps):
        trial = rng.randrange(15)
        if rng.random() < 0.2:
            board.drop(trial)
            known.pop(trial, None)
        else:
            known[trial] = str(rng.randrange(families)), float(rng.randrange(6))  # many are equal
            board.put(trial, *known[trial])
        assert list(board.ranked()) == sorted_anew(known)
        assert len(board) == len(known)
    for family in {family for family, _ in known.values()}:
        others = sorted(score for other, (of, score) in known.items() if of == family and other != 0)
        assert board.others(0, family) == others
