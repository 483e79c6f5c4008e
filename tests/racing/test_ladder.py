"""The ladder: default rungs, and rungs by hand."""

import itertools

import pytest

from automl.errors import SettingsError
from automl.racing.ladder import Rung, make_ladder, parse_ladder


@pytest.mark.parametrize(
    ("epochs", "folds", "rungs"),
    [
        (20, 5, "1x1 2x1 4x1 9x2 20x2 20x5"),
        (9, 5, "1x1 2x1 3x1 5x2 9x2 9x5"),
        (4, 5, "1x1 2x1 3x2 4x5"),
        (2, 3, "1x2 2x3"),
        (1, 5, "1x5"),
        (100, 2, "1x1 3x1 10x1 32x2 100x2"),
    ],
)
def test_the_default_ladder_is_geometric_in_epochs_and_gives_all_folds_to_survivors_only(epochs, folds, rungs):
    assert " ".join(map(str, make_ladder(epochs, folds))) == rungs


@pytest.mark.parametrize("epochs", range(1, 60))
def test_every_ladder_climbs_to_the_full_budget(epochs):
    ladder = make_ladder(epochs, 5)
    assert ladder[-1] == Rung(epochs, 5)
    pairs = list(itertools.pairwise(ladder))
    assert all(a.epochs <= b.epochs and a.folds <= b.folds and a != b for a, b in pairs)
    assert all(a.epochs < b.epochs for a, b in pairs[:-1])  # folds alone are added on the last one only


def test_a_ladder_by_hand_is_read():
    assert parse_ladder("1x1, 3x1,9x2,27x5", 27, 5) == (Rung(1, 1), Rung(3, 1), Rung(9, 2), Rung(27, 5))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1x1,3", "'3' is not EPOCHSxFOLDS"),
        ("0x1,9x5", "'0x1' is not EPOCHSxFOLDS"),
        ("3x1,2x2,9x5", "rung 2x2 does not lie above 3x1"),
        ("1x1,9x4", "the last rung is 9x4 but --epochs and --folds say 9x5"),
        ("", "is not EPOCHSxFOLDS"),
    ],
)
def test_a_wrong_ladder_is_refused_with_the_rung_at_fault(text, problem):
    with pytest.raises(SettingsError, match=problem):
        parse_ladder(text, 9, 5)
