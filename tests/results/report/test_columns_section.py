"""The sections on the columns of a table and on out-of-fold predictions."""

import re

import numpy as np
import pytest
from made_runs import Page, full_run, one_line, written

from automl.data.drift import Drift
from automl.data.table_columns import ColumnSummary
from automl.models.inspection import (
    Bin,
    Calibration,
    Dependence,
    Importance,
    Inspection,
    Residuals,
    save_inspection,
)
from automl.results.report.columns import bars_of, column_importances, columns, with_error
from automl.results.report.context import Context
from automl.results.report.out_of_fold import out_of_fold

EVIL = '<script>alert("1")</script> $x$ \u65e5\u672c'


def importance(name, mean, half):
    return Importance(name=name, mean=mean, ends=(mean - half, mean + half), by_fold=(mean, mean))


def inspection(**more):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    facts = {
        "trial": 0, "metric": "rmse", "score": 12.3456, "folds": 3, "epochs": 7, "rows": 1200, "repeats": 5,
        "columns": 3, "screened": 3,
        "importances": [importance("size", 10.0, 2.0), importance("colour", 4.0, 1.0), importance(EVIL, 0.01, 0.5)],
        "dependences": [
            Dependence(
                name="size", kind="number", values=(1, 10, 1000), outputs=("price",), means=[[[1, 2, 3], [2, 3, 4]]],
            ),
            Dependence(name="sold", kind="date", values=(1.6e9, 1.7e9), outputs=("price",), means=[[[1, 2], [2, 3]]]),
            Dependence(
                name=EVIL, kind="category", values=(0, 1), names=("missing", EVIL), outputs=("price",),
                means=[[[1, 2], [2, 3]]],
            ),
        ],
        "residuals": Residuals(target="price", truth=truth.tolist(), predicted=(truth + 0.1).tolist()),
        "summarised": 1000,
        "summaries": [
            ColumnSummary(name="size", kind="number", distinct=900, quantiles=(0.00012, 1, 2.5, 12345, 4e12)),
            ColumnSummary(name="sold", kind="date", missing=0.001, distinct=30, quantiles=(1.6e9,) * 5),
            ColumnSummary(name=EVIL, kind="category", missing=0.25, distinct=9, frequent=((EVIL, 0.5), ("b", 0.125))),
            ColumnSummary(name="id", kind="left out", reason="an identifier"),
        ],
        "drift": [
            Drift(name=EVIL, measure="total variation", statistic=0.25, p=1e-9),
            Drift(name="size", measure="Kolmogorov-Smirnov", statistic=0.02, p=0.7),
        ],
    }  # fmt: skip
    return Inspection.model_validate({**facts, **more})


def run_with(path, known, task="regression"):
    summary, record, folder = full_run(path, classes=() if task == "regression" else ("no", "yes"))
    record = record.but(data=record.data.model_copy(update={"task": task, "kind": "table"}))
    if known is not None:
        save_inspection(folder, known)
    return summary, record, folder


def test_importances_say_by_what_networks_on_what_rows_and_which_are_beyond_chance(tmp_path):
    html = one_line(column_importances(Context(*run_with(tmp_path, inspection()))))
    text = Page(html).text
    assert "By how much the rmse gets worse" in text
    assert "trial 0's 3 folds after 7 epochs (rmse 12.35 on average)" in text
    assert "1,200 in all, shuffled 5 times" in text
    assert "size 10.0 ± 2.0 colour 4.0 ± 1.0" in text
    assert html.count("fill sure") == 2
    assert html.count('class="whisker"') == 3
    assert html.count("<svg") == 3


def test_of_a_single_fold_it_is_said_what_the_interval_does_not_tell(tmp_path):
    alone = [Importance(name="size", mean=1.0, ends=None, by_fold=(1.0,))]
    text = Page(column_importances(Context(*run_with(tmp_path, inspection(folds=1, importances=alone))))).text
    assert "a single network" in text
    assert "says nothing of other networks" in text
    assert "±" not in text.partition("together.")[2]


def test_of_a_wide_table_it_is_said_which_columns_are_shown(tmp_path):
    wide = Context(*run_with(tmp_path / "a", inspection(columns=784, screened=784)))
    assert "These are the 3 of 784 columns that mattered most when each was shuffled once" in one_line(
        column_importances(wide)
    )
    cut = Context(*run_with(tmp_path / "b", inspection(columns=784, screened=90)))
    assert "when the first 90 were shuffled once" in one_line(column_importances(cut))


@pytest.mark.parametrize(
    "words", ["the deadline left no time for it", "the networks of the folds of trial 0 are <gone>"]
)
def test_what_is_left_out_says_why(words, tmp_path):
    known = Inspection(trial=0, left_out=words, summaries=inspection().summaries)
    context = Context(*run_with(tmp_path, known))
    text = Page(column_importances(context)).text
    assert f"{words}." in " ".join(text.split())
    assert out_of_fold(context) is None
    assert "identifier" in columns(context)


def test_a_run_that_keeps_nothing_or_what_belongs_to_an_earlier_model_says_so(tmp_path):
    for path, known in (("none", None), ("earlier", inspection(trial=5))):
        context = Context(*run_with(tmp_path / path, known))
        assert "the run keeps none" in column_importances(context)
        assert columns(context) is None
    assert column_importances(Context(*full_run(tmp_path / "images"))) is None


def test_every_name_is_escaped_and_the_page_holds_together(tmp_path):
    page = written(run_with(tmp_path, inspection()))
    assert "<script" not in page
    assert EVIL in Page(page).text
    for title in ("Column importances", "Out-of-fold predictions", "Columns"):
        assert f"<h2>{title}</h2>" in page


def test_bars_stand_on_one_axis_and_far_intervals_are_cut_off():
    rows = bars_of([importance("a", 10.0, 200.0), importance("b", -1.0, 0.5), importance("c", 0.0, 0.0)])
    for _, _, left, width, low, high, _ in rows:
        assert -1e-9 <= left <= left + width <= 100 + 1e-9
        assert -1e-9 <= low <= high <= 100 + 1e-9
    (_, _, zero, length, *_), (_, _, left, below, *_), _ = rows
    assert length == pytest.approx(10 * below)
    assert left + below == pytest.approx(zero)
    assert bars_of([importance("a", 0.0, 0.0)])[0][2:6] == (0.0, 0.0, 0.0, 0.0)
    assert bars_of([importance("a", -2.0, 1.0)])[0][2] >= 0


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (130.64, 135.4, "131 ± 135"),
        (0.0123456, 0.00087, "0.01235 ± 0.00087"),
        (5.0, 0.0, "5 ± 0"),
        (1e9, 2e7, "1e+09 ± 2e+07"),
    ],
)
def test_a_value_is_written_to_the_second_digit_of_its_error(value, error, text):
    assert with_error(value, error) == text


def test_small_importances_have_no_more_digits_than_tell_them_from_the_largest():
    rows = bars_of([importance("a", 0.285, 0.064), importance("b", 0.00001, 0.00047)])
    assert [text for _, text, *_ in rows] == ["0.285 ± 0.064", "0.0000 ± 0.0005"]


def test_columns_are_listed_with_what_they_hold(tmp_path):
    rows = re.findall("<tr><td.*?</tr>", one_line(columns(Context(*run_with(tmp_path, inspection())))))
    cells = [re.findall("<td[^>]*>(.*?)</td>", row) for row in rows]
    assert cells[0] == ["size", "number", "0 %", "900", "0.00012, 1, 2.5, 12,345, 4e+12"]
    assert cells[1][2:] == ["&lt; 1 %", "30", ", ".join(["2020-09-13"] * 5)]
    assert cells[2][2:4] == ["25 %", "9"]
    assert cells[2][4].endswith("50 %, b 12 %, …")
    assert cells[3] == ["id", "left out", "", "", "an identifier"]


def test_many_columns_are_folded_away(tmp_path):
    many = [ColumnSummary(name=f"x{i}", kind="number", distinct=2) for i in range(13)]
    html = columns(Context(*run_with(tmp_path / "many", inspection(summaries=many, columns=50))))
    assert "<details><summary>13 columns" in html
    assert "The first 13 of 50 columns" in html
    assert "<details><summary>4 columns" not in columns(Context(*run_with(tmp_path / "few", inspection())))


def test_drift_names_the_columns_beyond_chance(tmp_path):
    text = Page(columns(Context(*run_with(tmp_path / "a", inspection())))).text
    assert "1 column of 2 differs" in " ".join(text.split())
    assert "0.250 < 0.000001 total variation" in text
    still = [Drift(name="size", measure="Kolmogorov-Smirnov", statistic=0.02, p=0.7)]
    text = Page(columns(Context(*run_with(tmp_path / "b", inspection(drift=still))))).text
    assert "No column differs" in text
    assert "There are no test rows" in columns(Context(*run_with(tmp_path / "c", inspection(drift=[]))))


def test_a_classification_shows_its_calibration(tmp_path):
    bins = [Bin(count=10, predicted=p, observed=p, low=max(0, p - 0.2), high=min(1, p + 0.2)) for p in (0.1, 0.5, 0.9)]
    known = inspection(residuals=None, calibration=Calibration(of=EVIL, bins=bins, error=0.0123))
    html = out_of_fold(Context(*run_with(tmp_path, known, "classification")))
    assert "1.2 percentage points" in Page(html).text
    assert html.count("<svg") == 1
    assert "<script" not in html


def test_numbers_at_the_end_of_what_floats_hold_are_drawn(tmp_path):
    ends = [
        Dependence(name="a", kind=kind, values=(-1e39, 1e39), outputs=("y",), means=[[[-1e39, 1e39]]])
        for kind in ("number", "date")
    ]
    far = Residuals(target="y", truth=[-1e39, 1e39], predicted=[1e39, -1e39])
    page = written(
        run_with(tmp_path, inspection(dependences=ends, residuals=far, importances=[importance("a", 1e39, 0)]))
    )
    assert "Partial dependence" in page
