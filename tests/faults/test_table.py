"""docs/faults.md is about the faults and the tests that there are."""

from __future__ import annotations

import pytest
import table

PENDING: set[str] = set()  # ids whose tests are on their way


def test_every_fault_has_a_test():
    without = {row_id for row_id, names in table.find_tests().items() if not names}
    assert without <= PENDING


def test_the_page_lists_all_faults_and_the_tests_that_there_are():
    page = table.PAGE.read_text()
    now = table.page(table.results_in(page), "")
    assert [line for line in table.without_results(page) if line] == [
        line for line in table.without_results(now) if line
    ], "docs/faults.md is behind: run `python tests/faults/table.py --names`, or `make faults`"


def test_no_row_is_shown_as_failed():
    assert "**" not in " ".join(table.results_in(table.PAGE.read_text()).values())


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_bad_npz_names_the_array", ["bad_npz"]),
        ("test_nan_loss_inf_score_fail", ["nan_loss", "inf_score"]),
        ("test_budget", ["budget"]),
        ("test_budgets_are_kept", []),
        ("test_a_budget_is_kept", []),
    ],
)
def test_a_test_belongs_to_the_ids_that_its_name_begins_with(name, ids):
    known = {"bad_npz", "bad_csv", "nan_loss", "inf_score", "budget"}
    assert table.ids_of(name, known) == ids


def test_results_come_back_from_the_page():
    page = table.page({"budget": "2 passed, 1 skipped: no CUDA device", "signals": "**1 failed**"}, "Run somewhere.")
    found = table.results_in(page)
    assert found["budget"] == "2 passed, 1 skipped: no CUDA device"
    assert found["signals"] == "**1 failed**"
    assert "one_class" not in found
