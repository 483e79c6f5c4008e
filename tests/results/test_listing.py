"""The leaderboard sorted, filtered, and as CSV."""

from __future__ import annotations

import csv
import io

import pytest

from automl.errors import SettingsError
from automl.results.listing import keep, sort, to_csv

KNOWN = ["lenet", "mlp"]


def row(number, state="COMPLETE", score=None, accuracy=None, **config):
    return {
        "number": number,
        "state": state,
        "reason": "",
        "architecture": config.setdefault("architecture", "mlp"),
        "config": config,
        "score": score,
        "metrics": {} if accuracy is None else {"accuracy": accuracy},
    }


@pytest.fixture
def summary():
    rows = [
        row(3, score=0.1, accuracy=0.9, **{"train.lr": 0.1, "train.optimizer": "sgd"}),
        row(0, score=0.2, accuracy=0.95, **{"train.lr": 0.01, "train.optimizer": "adam"}),
        row(2, "PRUNED", score=0.3, accuracy=0.8, architecture="lenet", **{"lenet.width": 2, "train.lr": 0.05}),
        row(1, "FAIL"),
        row(4, "RUNNING", score=0.4),
    ]
    return {"objective": "log_loss", "trials": rows}


def numbers(rows):
    return [r["number"] for r in rows]


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("score", [3, 0, 2, 4, 1]),
        ("log_loss", [3, 0, 2, 4, 1]),
        ("accuracy", [0, 3, 2, 1, 4]),
        ("number", [0, 1, 2, 3, 4]),
        ("train.lr", [0, 2, 3, 1, 4]),
        ("train.optimizer", [0, 3, 2, 1, 4]),
        ("architecture", [2, 3, 0, 1, 4]),
    ],
)
def test_rows_are_sorted_best_or_smallest_first_and_those_without_a_value_last(by, order, summary):
    assert numbers(sort(summary["trials"], by, summary)) == order


def test_a_score_that_should_be_great_is_sorted_greatest_first(summary):
    summary["objective"] = "auroc"
    assert numbers(sort(summary["trials"], "score", summary)) == [4, 2, 0, 3, 1]


def test_an_unknown_name_to_sort_by_names_the_nearest(summary):
    with pytest.raises(SettingsError, match=r"--by train\.lrr: no trial has .*; did you mean 'train\.lr'\?"):
        sort(summary["trials"], "train.lrr", summary)
    with pytest.raises(SettingsError):
        sort(summary["trials"], "config", summary)


@pytest.mark.parametrize(
    ("architectures", "state", "left"),
    [
        ([], None, [3, 0, 2, 1, 4]),
        (["lenet"], None, [2]),
        (["lenet", "mlp"], None, [3, 0, 2, 1, 4]),
        ([], "complete", [3, 0]),
        ([], "failed", [1]),
        ([], "waiting", [4]),
        (["mlp"], "pruned", []),
    ],
)
def test_filters_keep_the_order(architectures, state, left, summary):
    assert numbers(keep(summary, KNOWN, architectures, state)) == left


def test_a_misspelt_filter_names_the_nearest(summary):
    with pytest.raises(SettingsError, match=r"--architecture lenett: .*; did you mean 'lenet'\?"):
        keep(summary, KNOWN, ["lenett"], None)
    with pytest.raises(SettingsError, match="must be complete, pruned, failed, waiting; did you mean 'pruned'"):
        keep(summary, KNOWN, [], "prund")


def test_csv_has_every_row_and_a_column_for_every_metric_and_parameter(summary):
    rows = list(csv.DictReader(io.StringIO(to_csv(summary["trials"]))))
    assert list(rows[0]) == [
        "number", "state", "reason", "architecture", "score", "accuracy", "lenet.width", "train.lr", "train.optimizer",
    ]  # fmt: skip
    assert [r["number"] for r in rows] == ["3", "0", "2", "1", "4"]
    assert (rows[2]["lenet.width"], rows[2]["train.optimizer"]) == ("2", "")
    assert rows[3]["score"] == rows[3]["accuracy"] == ""


def test_csv_quotes_what_needs_it_and_may_be_empty(summary):
    summary["trials"][0]["reason"] = 'a "b", c\nd'
    assert next(csv.DictReader(io.StringIO(to_csv(summary["trials"]))))["reason"] == 'a "b", c\nd'
    assert to_csv([]) == "\n"


def test_what_finalists_came_to_on_fresh_folds_sorts_and_prints_by_its_mean(summary):
    for row, mean in zip(summary["trials"], (0.3, 0.2, None, None, None), strict=True):
        row["rescored"] = mean and {"mean": mean, "std": 0.1, "folds": 10, "repeats": 2}
    assert numbers(sort(summary["trials"], "rescored", summary)) == [0, 3, 2, 1, 4]
    lines = list(csv.DictReader(io.StringIO(to_csv(summary["trials"]))))
    assert [line["rescored"] for line in lines] == ["0.3", "0.2", "", "", ""]
