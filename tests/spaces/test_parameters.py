from __future__ import annotations

import pytest

from automl.errors import SpaceError
from automl.spaces.parameters import Choice, Float, Int, Parameter


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: Int(3, 1), "low 3 is above high 1"),
        (lambda: Int(1, 2.5), "high must be a whole number, not 2.5"),
        (lambda: Int(True, 2), "low must be a whole number, not True"),
        (lambda: Int(0, 5, log=True), "log needs low >= 1, not 0"),
        (lambda: Int(1, 5, log=True, step=2), "step must be at least 1"),
        (lambda: Int(1, 5, step=0), "step must be at least 1"),
        (lambda: Int(0, 2**60), "within -2**53..2**53"),
        (lambda: Float(1.0, 0.5), "low 1 is above high 0.5"),
        (lambda: Float(0.0, float("inf")), "high must be a finite number"),
        (lambda: Float(-1.7e308, 1.7e308), "too far from"),
        (lambda: Float(0.0, 1.0, log=True), "log needs low > 0"),
        (lambda: Float(0.1, 1.0, log=True, step=0.1), "cannot go with log"),
        (lambda: Float(0.0, 1e300, step=1e-3), "step 0.001 is too small"),
        (lambda: Float("a", 1.0), "low must be a finite number, not 'a'"),
        (lambda: Choice(), "at least one value"),
        (lambda: Choice("a", "a"), "'a' is listed twice"),
        (lambda: Choice(1, True), "listed twice"),
        (lambda: Choice(1, 1.0), "listed twice"),
        (lambda: Choice([1]), "not a number, string, boolean or null"),
        (lambda: Choice(float("nan")), "not a finite number"),
        (lambda: Int(1, 2, when={}), "when= must map"),
        (lambda: Int(1, 2, when={"norm": []}), "'norm' needs a value"),
        (lambda: Int(1, 2, when={"norm": [["group"]]}), "'norm' needs a value"),
    ],
)
def test_an_impossible_domain_is_refused_with_the_law_it_breaks(make, law):
    with pytest.raises(SpaceError) as error:
        make()
    assert law in str(error.value)


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (Int(1, 5), [1, 3, 5], [0, 6, 2.0, True, "3", None]),
        (Int(4, 9, step=2), [4, 6, 8], [5, 9]),
        (Float(0.0, 0.6), [0.0, 0.3, 0.6, 0], [-0.1, 0.7, float("nan"), "0.3", True]),
        (Float(0.1, 0.95, step=0.1), [0.1, 0.3, 0.7, 0.9], [0.15, 0.95, 1.0]),
        (Choice("a", 3, None, True), ["a", 3, None, True], ["b", 1, False, 4]),
    ],
)
def test_a_domain_contains_its_values_and_nothing_else(parameter, inside, outside):
    assert all(parameter.contains(value) for value in inside)
    assert not any(parameter.contains(value) for value in outside)
    assert all(parameter.contains(corner) for corner in parameter.corners())


@pytest.mark.parametrize(
    ("parameter", "pins", "foreign"),
    [
        (Int(1, 5), [9, -1], [1.5, True, "3", None]),
        (Float(0.0, 1.0), [9, 2.5], [True, "3", None, float("inf")]),
        (Choice(32, 64), [48], [32.5, "32", True, None]),
        (Choice(0.1, 1), [7, 2.5], ["a", True]),
        (Choice("a", "b"), ["a"], ["c", 1, True, None]),
        (Choice(True), [False], [1, 0, "true"]),
        (Choice(None, "x"), [None], [0, False]),
    ],
)
def test_a_parameter_may_be_pinned_outside_its_domain_but_not_to_another_kind(parameter, pins, foreign):
    assert all(parameter.accepts(value) for value in pins)
    assert not any(parameter.accepts(value) for value in foreign)


def test_a_condition_holds_only_for_its_own_values_of_active_siblings():
    parameter = Int(1, 4, when={"norm": ("group", "layer"), "depth": 1})
    assert parameter.active({"norm": "layer", "depth": 1})
    assert not parameter.active({"norm": "batch", "depth": 1})
    assert not parameter.active({"norm": "group", "depth": True})
    assert not parameter.active({"depth": 1})


def test_under_changes_the_condition_and_nothing_else():
    parameter = Float(0.1, 0.9, step=0.1, when={"a": 1})
    assert parameter.under({"b": 2}) == Float(0.1, 0.9, step=0.1, when={"b": 2})
    assert parameter.under(None).when is None
    assert parameter.when == {"a": (1,)}


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Int(1, 5), "1..5"),
        (Int(1, 64, log=True), "1..64 log"),
        (Int(4, 9, step=2, when={"norm": "group"}), "4..8 step 2 when norm=group"),
        (Float(1e-5, 0.1, log=True), "1e-05..0.1 log"),
        (Choice("a", None, True), "a|null|true"),
    ],
)
def test_a_domain_reads_well(parameter: Parameter, text):
    assert str(parameter) == text


def test_a_grid_ends_at_its_last_point_and_stays_the_same_when_read_again():
    assert Float(0.1, 0.95, step=0.1).high == 0.9
    assert Float(0.0, 0.3, step=0.1).high == 0.3
    odd = Float(1.6298149634006336, 64.9, step=1.0)
    assert Float(odd.low, odd.high, step=1.0) == odd
    assert odd.contains(odd.high)
    assert Int(1, 6, step=2).high == 5
