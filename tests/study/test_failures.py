"""Trials that fail one after the other."""

import pytest

from automl.errors import NoTrialSucceeded
from automl.study.failures import Failures


def test_the_fifth_in_a_row_for_one_cause_ends_the_search_whatever_its_numbers():
    failures = Failures()
    for trial in range(4):
        failures.add(f"line 7: no file {trial}")
    with pytest.raises(NoTrialSucceeded, match="5 trials in a row failed for the same cause: line 8: no file 99"):
        failures.add("line 8: no file 99")


def test_another_cause_or_a_trial_that_goes_well_begins_the_count_again():
    failures = Failures()
    for reason in ["a"] * 4 + ["b"] + ["a"] * 4:
        failures.add(reason)
    failures.clear()
    for _ in range(4):
        failures.add("a")
    with pytest.raises(NoTrialSucceeded):
        failures.add("a")
