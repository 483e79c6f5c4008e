"""A search for several targets of a table, and every command on what it leaves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn import metrics
from typer.testing import CliRunner

import automl
from automl.cli import app
from automl.errors import BadInput, DataError

LINEAR = {
    "architectures": {"linear": {"dropout": 0.0}},
    "training": {"optimizer": "adam", "lr": {"float": [0.05, 0.1]}, "batch_size": 16},
}
TINY = ["--trials", 1, "--folds", 2, "--epochs", 4, "--repeats", 1, "--threads", 1, "--workers", 1]


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.normal(size=(2, 90))
    price = 200_000 + 40_000 * size - 9_000 * age + 1_000 * rng.normal(size=90)
    rate = 0.4 + 0.1 * age + 0.01 * rng.normal(size=90)
    return pd.DataFrame({"size": size, "town": ["york", "bath", "ely"] * 30, "age": age, "price": price, "rate": rate})


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("several")
    frame[:60].to_csv(made / "houses.csv", index=False)
    frame[60:].to_csv(made / "more.csv", index=False)
    (made / "space.yaml").write_text(yaml.safe_dump(LINEAR))
    return made


@pytest.fixture(scope="module")
def said(folder) -> str:
    data = "--target", "price,rate", "--groups", "town", "--test-fraction", 0.3
    return call("search", folder / "houses.csv", *data, "--space", folder / "space.yaml", *TINY, "-o", folder / "run")


@pytest.fixture
def run(said, folder) -> Path:
    return folder / "run"


def test_the_search_says_what_it_predicts_and_tests_each_target_in_its_own_units(said):
    assert "targets: 'price' (numbers from " in said
    assert "scores: rmse and mae are means over the targets, each in standard deviations of its own (price " in said
    assert "          price, in its own units: rmse " in said
    assert "          rate, in its own units: rmse 0." in said


def test_the_columns_matter_for_all_targets_together(run):
    looked = json.loads((run / "artifacts" / "inspection.json").read_text())
    assert looked["score"] < 2  # in deviations, as the search's score, not in the units of prices
    assert {each["name"] for each in looked["importances"]} == {"size", "age"}
    assert all(each["mean"] > 0.1 for each in looked["importances"])


def test_no_target_drowns_another_in_the_scores_of_networks_guessing_and_gradient_boosting(run):
    found = json.loads(call("leaderboard", run, "--json"))
    deviations = np.array([target["deviation"] for target in found["data"]["targets"]])
    own = np.array([row["metrics"]["rmse"] for row in found["test_details"]["targets"]])
    assert found["data"]["target"] is None
    assert [row["target"] for row in found["test_details"]["targets"]] == ["price", "rate"]
    assert own[0] > 1000 > 1 > own[1]
    assert found["test"]["rmse"] == pytest.approx((own / deviations).mean())
    assert found["guessing"]["cross_validated"]["rmse"] == pytest.approx(1, abs=0.3)
    assert 0 < found["baseline"]["mean"] < 1.2
    assert found["trials"][0]["score"] < 1.2


def test_predict_has_a_named_column_for_each_target(run, folder, frame):
    rows = list(csv.DictReader(io.StringIO(call("predict", run, folder / "more.csv"))))
    predicted = automl.load_model(run).predict(frame[60:][["age", "town", "size"]])
    assert list(rows[0]) == ["row", "prediction_price", "prediction_rate"]
    assert predicted.shape == (30, 2)
    np.testing.assert_allclose([[float(v) for v in list(row.values())[1:]] for row in rows], predicted, rtol=1e-12)


def test_evaluate_measures_all_targets_together_and_each_in_its_own_units(run, folder, frame):
    found = json.loads(call("evaluate", run, folder / "more.csv", "--json"))
    model, y = automl.load_model(run), frame[60:][["price", "rate"]].to_numpy()
    predicted, deviations = model.predict(frame[60:]), np.array(model.description.deviations)
    assert deviations == pytest.approx(frame[:60][["price", "rate"]].to_numpy().std(0))
    assert found["metrics"]["rmse"] == pytest.approx(
        metrics.root_mean_squared_error(y / deviations, predicted / deviations)
    )
    assert found["metrics"]["r2"] == pytest.approx(metrics.r2_score(y, predicted))
    for place, row in enumerate(found["targets"]):
        assert row["target"] == ("price", "rate")[place]
        assert row["metrics"]["mae"] == pytest.approx(metrics.mean_absolute_error(y[:, place], predicted[:, place]))
    assert "rate, in its own units: rmse 0." in call("evaluate", run, folder / "more.csv")


def test_evaluate_takes_targets_that_are_called_otherwise_in_the_order_of_the_search(run, folder, frame):
    frame[60:].rename(columns={"price": "cost", "rate": "r"}).to_csv(folder / "named.csv", index=False)
    usual = json.loads(call("evaluate", run, folder / "more.csv", "--json"))["metrics"]
    for names in (["--target", "cost,r"], ["--target", "cost", "--target", "r"]):
        assert json.loads(call("evaluate", run, folder / "named.csv", *names, "--json"))["metrics"] == usual


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda frame: frame.drop(columns="rate"), (), "no column 'rate'; name the 2 columns with the answers"),
        (lambda frame: frame.astype({"rate": str}).replace({"rate": {frame["rate"].astype(str).iloc[4]: "high"}}), (),
         r"column 'rate', row 5 \(line 6\): 'high' is not a finite number"),
        (lambda frame: frame.assign(price=frame["price"].where(frame.index != 62)), (),
         r"column 'price', row 3 \(line 4\): the value is missing"),
        (lambda frame: frame, ("--target", "price"),
         r"predicts 2 targets \(price, rate\), and the answers are 1 column"),
    ],
)  # fmt: skip
def test_evaluate_names_the_target_that_is_missing_or_no_number_with_its_row(
    run, frame, tmp_path, change, options, words
):
    change(frame[60:]).to_csv(tmp_path / "wrong.csv", index=False)
    with pytest.raises(DataError, match=words):
        call("evaluate", run, tmp_path / "wrong.csv", *options)


def test_an_export_names_what_it_predicts(run, tmp_path):
    onnx = pytest.importorskip("onnx")
    answer = call("export", run, "--format", "onnx", "-o", tmp_path / "m.onnx")
    assert "it gives predictions in the targets' units: price, rate" in answer
    facts = {each.key: each.value for each in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(facts["targets"]) == ["price", "rate"]


def test_the_report_has_each_target_by_its_name(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Each target in its own units" in page
    assert "in standard deviations, the mean over 2 targets" in page
    assert "rate: prediction by truth" in page


def test_the_run_goes_on_and_its_trials_are_replayed_and_fitted(run, tmp_path):
    assert json.loads(call("replay", run, 0, "--json"))["bit_equal"]
    call("fit", run, "--final", "ensemble", "-o", tmp_path / "other")
    assert automl.load_model(tmp_path / "other").targets == ["price", "rate"]
    summary = json.loads(call("resume", run, "--trials", 2, "--json"))
    assert summary["totals"]["trials"] == 2
    assert "diagnosis" in json.loads(call("show", run, 0, "--json"))


def test_a_frame_is_searched_in_python_in_the_order_of_time(frame, tmp_path):
    dated = frame.assign(day=pd.date_range("2024-01-01", periods=len(frame)))
    made = automl.search(dated, LINEAR, target=["rate", "price"], time="day", trials=1, folds=2, epochs=2, threads=1,
                         out=tmp_path / "run", report=False)  # fmt: skip
    assert made.record.settings.target == ("rate", "price")
    assert made.model.targets == ["rate", "price"]
    assert automl.resume(tmp_path / "run", trials=2).summary["totals"]["trials"] == 2


def test_a_search_for_yes_or_no_beside_a_number_says_how_to_do_it(frame, tmp_path):
    frame.assign(sold=np.arange(90) % 2).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(BadInput, match="searches of their own, --target sold and --target price"):
        call("search", tmp_path / "t.csv", "--target", "price", "--target", "sold", *TINY, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
