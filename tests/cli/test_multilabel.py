"""A search for several labels of a table, and every command on what it leaves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn import metrics
from typer.testing import CliRunner

import automl
from automl.cli import app
from automl.errors import BadInput, RunError

LINEAR = {
    "architectures": {"linear": {"dropout": 0.0}},
    "training": {
        "optimizer": "adam",
        "lr": {"float": [0.05, 0.1]},
        "batch_size": 16,
        "label_smoothing": {"choice": [0.0, 0.05]},
        "target_transform": {"choice": ["none", "log"]},
    },
}
TINY = ["--trials", 1, "--folds", 2, "--epochs", 4, "--repeats", 1, "--threads", 1, "--workers", 1]
LABELS = ["sick", "smokes", "fit"]


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.normal(size=(2, 150))
    noise = rng.normal(0, 0.7, size=(3, 150))
    return pd.DataFrame({
        "size": size,
        "town": ["york", "bath", "ely"] * 50,
        "age": age,
        "sick": np.where(age + noise[0] > 0.8, "yes", "no"),
        "smokes": np.where(size - age + noise[1] > 0, 1, 0),
        "fit": size + noise[2] > 0.5,
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("labels")
    frame[:100].to_csv(made / "people.csv", index=False)
    frame[100:].to_csv(made / "more.csv", index=False)
    (made / "space.yaml").write_text(yaml.safe_dump(LINEAR))
    return made


@pytest.fixture(scope="module")
def said(folder) -> str:
    data = "--target", "sick,smokes,fit", "--test-fraction", 0.3
    return call("search", folder / "people.csv", *data, "--space", folder / "space.yaml", *TINY, "-o", folder / "run")


@pytest.fixture
def run(said, folder) -> Path:
    return folder / "run"


def truth(frame: pd.DataFrame) -> np.ndarray:
    return np.column_stack([frame["sick"] == "yes", frame["smokes"], frame["fit"]]).astype(int)


def test_the_search_says_its_labels_and_tests_them_together_and_each(said):
    assert "; labels sick " in said
    assert "targets: 'sick', 'smokes', 'fit', each yes or no\n" in said
    assert "log_loss, accuracy, macro_f1 and auroc are means over the labels; by label:\n          sick, of " in said
    assert "(by the share of each label, on the same folds)" in said
    assert "gradient boosting on the same folds: log_loss" in said


def test_the_leaderboard_has_the_scores_of_all_labels_and_of_each(run):
    found = json.loads(call("leaderboard", run, "--json"))
    assert (found["data"]["task"], found["objective"]) == ("multilabel", "log_loss")
    assert [target["name"] for target in found["data"]["targets"]] == LABELS
    rows = found["test_details"]["targets"]
    assert [row["target"] for row in rows] == LABELS
    for name in ("log_loss", "accuracy", "auroc"):
        assert found["test"][name] == pytest.approx(np.mean([row["metrics"][name] for row in rows]))
    low, high = rows[0]["intervals"]["log_loss"]
    assert low < rows[0]["metrics"]["log_loss"] < high
    assert found["test"]["log_loss"] < found["guessing"]["test"]["log_loss"] < 0.7
    assert found["guessing"]["by"] == "the share of each label"
    assert found["baseline"]["metric"] == "log_loss"
    assert found["test_details"]["confusion"] is None


def test_predict_has_an_answer_in_the_words_of_the_data_and_a_probability_for_each_label(run, folder, frame):
    rows = list(csv.DictReader(io.StringIO(call("predict", run, folder / "more.csv"))))
    assert list(rows[0]) == ["row", *(f"label_{name}" for name in LABELS), *(f"p_{name}" for name in LABELS)]
    model = automl.load_model(run)
    answers, shares = model.predict(frame[100:]), model.predict_proba(frame[100:])
    assert (answers.shape, answers.dtype, shares.shape) == ((50, 3), np.int64, (50, 3))
    np.testing.assert_array_equal(answers, shares > 0.5)
    np.testing.assert_allclose([[float(row[f"p_{name}"]) for name in LABELS] for row in rows], shares, rtol=1e-7)
    words = [["no", "yes"], ["0", "1"], ["False", "True"]]
    for row, held in zip(rows, answers, strict=True):
        assert [row[f"label_{name}"] for name in LABELS] == [word[each] for word, each in zip(words, held, strict=True)]


def test_evaluate_gives_what_scikit_learn_says_of_the_probabilities(run, folder, frame):
    found = json.loads(call("evaluate", run, folder / "more.csv", "--json"))
    y, p = truth(frame[100:]), automl.load_model(run).predict_proba(frame[100:]).astype(float)
    by_label = [metrics.log_loss(y[:, c], p[:, c]) for c in range(3)]
    assert found["task"] == "multilabel"
    assert found["metrics"]["log_loss"] == pytest.approx(np.mean(by_label), rel=1e-5)
    assert found["metrics"]["accuracy"] == pytest.approx(1 - metrics.hamming_loss(y, p > 0.5))
    assert found["metrics"]["subset_accuracy"] == pytest.approx(metrics.accuracy_score(y, p > 0.5))
    assert found["metrics"]["macro_f1"] == pytest.approx(metrics.f1_score(y, p > 0.5, average="macro"))
    assert found["metrics"]["auroc"] == pytest.approx(metrics.roc_auc_score(y, p))
    assert [row["metrics"]["log_loss"] for row in found["targets"]] == pytest.approx(by_label, rel=1e-5)
    assert [row["support"] for row in found["targets"]] == y.sum(axis=0).tolist()
    assert "smokes, of " in call("evaluate", run, folder / "more.csv")


def test_evaluate_takes_other_names_and_words_and_refuses_what_is_no_label(run, folder, frame, tmp_path):
    usual = json.loads(call("evaluate", run, folder / "more.csv", "--json"))["metrics"]
    other = frame[100:].rename(columns={"sick": "ill"}).replace({"ill": {"yes": "TRUE", "no": "FALSE"}})
    other.to_csv(tmp_path / "other.csv", index=False)
    names = "--target", "ill,smokes,fit"
    assert json.loads(call("evaluate", run, tmp_path / "other.csv", *names, "--json"))["metrics"] == usual
    other.assign(smokes=2).to_csv(tmp_path / "wrong.csv", index=False)
    with pytest.raises(BadInput, match=r"column 'smokes', row 1 \(line 2\): '2' is not a truth value"):
        call("evaluate", run, tmp_path / "wrong.csv", *names)
    with pytest.raises(BadInput, match=r"predicts 3 targets \(sick, smokes, fit\), and the answers are 1 column"):
        call("evaluate", run, folder / "more.csv", "--target", "sick")


@pytest.mark.parametrize("format", ["onnx", "torch-export", "state-dict"])
def test_an_export_gives_the_models_probabilities_and_says_its_labels(run, frame, tmp_path, format):
    if format == "onnx":
        pytest.importorskip("onnx")
    answer = call("export", run, "--format", format, "-o", tmp_path / "m")
    assert "it gives logits of labels, a sigmoid makes probabilities of them: sick, smokes, fit" in answer
    model = automl.load_model(run)
    x = model.samples(frame[100:]).astype(np.float64)
    if format == "onnx":
        import onnx
        import onnxruntime

        facts = {each.key: each.value for each in onnx.load(tmp_path / "m").metadata_props}
        assert (facts["task"], json.loads(facts["targets"]), json.loads(facts["classes"])) == ("multilabel", LABELS, [])
        logits = torch.from_numpy(onnxruntime.InferenceSession((tmp_path / "m").read_bytes()).run(None, {"x": x})[0])
    elif format == "torch-export":
        logits = torch.export.load(tmp_path / "m").module()(torch.from_numpy(x))
    else:
        return
    np.testing.assert_allclose(logits.sigmoid().detach().numpy(), model.probabilities(x), atol=1e-4)


def test_the_report_has_each_label_and_no_confusion_matrix(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "multi-label classification of tables" in page
    assert "The final model is right in all 3 labels for " in page
    assert "commoner answer" in page
    assert "the mean over the labels" in page
    assert "Calibration of sick" in page
    assert "Confusion matrix" not in page
    looked = json.loads((run / "artifacts" / "inspection.json").read_text())
    assert {tuple(each["outputs"]) for each in looked["dependences"]} == {tuple(LABELS)}
    assert all(np.min(each["means"]) > 0 and np.max(each["means"]) < 1 for each in looked["dependences"])


def test_the_run_goes_on_and_its_trials_are_replayed_and_fitted(run, tmp_path, frame):
    assert json.loads(call("replay", run, 0, "--json"))["bit_equal"]
    call("fit", run, "--final", "ensemble", "-o", tmp_path / "other")
    model = automl.load_model(tmp_path / "other")
    members = [torch.from_numpy(model.samples(frame[100:])).double()]
    expected = torch.stack([member(members[0]).sigmoid() for member in model.module.members]).mean(0)
    np.testing.assert_allclose(model.predict_proba(frame[100:]), expected.detach(), atol=1e-6)
    summary = json.loads(call("resume", run, "--trials", 2, "--json"))
    assert summary["totals"]["trials"] == 2
    assert "diagnosis" in json.loads(call("show", run, 0, "--json"))


def test_a_description_that_does_not_fit_its_task_is_refused(run, tmp_path):
    about = json.loads((run / "model" / "model.json").read_text())
    assert (about["task"], about["classes"], about["targets"], about["num_outputs"]) == ("multilabel", [], LABELS, 3)
    for change, words in (
        ({"task": "ranking"}, "task: Input should be 'classification', 'regression' or 'multilabel'"),
        ({"task": "classification"}, "a classification model has 0 classes"),
        ({"classes": LABELS}, "a multilabel model has 3 classes"),
        ({"targets": LABELS[:2]}, "2 targets do not belong to 3 outputs"),
    ):
        (tmp_path / "model.json").write_text(json.dumps(about | change))
        (tmp_path / "model.safetensors").write_bytes((run / "model" / "model.safetensors").read_bytes())
        with pytest.raises(RunError, match=words):
            automl.load_model(tmp_path)


def test_a_frame_with_a_list_of_labels_is_searched_in_python_by_the_metric_that_is_asked_for(frame, tmp_path):
    made = automl.search(frame, LINEAR, target=LABELS, groups="town", metric="auroc", trials=1, folds=2, epochs=2,
                         test_fraction=0.3, threads=1, out=tmp_path / "run", report=False)  # fmt: skip
    assert made.model.targets == LABELS
    assert made.summary["objective"] == "auroc"
    assert 0.5 < made.test["auroc"] <= 1
    assert automl.resume(tmp_path / "run", trials=2).summary["totals"]["trials"] == 2
    with pytest.raises(BadInput, match="--metric rmse: a multi-label classification has log_loss, accuracy, subset_"):
        automl.search(frame, LINEAR, target=LABELS, metric="rmse", out=tmp_path / "other")


def test_labels_of_arrays_and_of_photos_have_no_words_of_their_own(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 90, (40, 8, 8), dtype=np.uint8)
    y = rng.integers(0, 2, (40, 2))
    x[y[:, 0] == 1, :3] += 120
    np.savez(tmp_path / "t.npz", x=x, y=y, classes=["top", "left"])
    training = {"optimizer": "adam", "lr": 0.05, "batch_size": 8, "mixup": 0.2, "class_weights": "balanced"}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(LINEAR | {"training": training}))
    run = tmp_path / "run"
    call("search", tmp_path / "t.npz", "--space", tmp_path / "space.yaml", *TINY, "-o", run)
    found = json.loads(call("evaluate", run, tmp_path / "t.npz", "--json"))
    assert [row["target"] for row in found["targets"]] == ["top", "left"]
    assert found["targets"][0]["metrics"]["accuracy"] > 0.8
    lines = call("predict", run, tmp_path / "t.npz").splitlines()
    assert lines[0] == "row,label_top,label_left,p_top,p_left"
    assert {line.split(",")[1] for line in lines[1:]} == {"0", "1"}
    assert "Example mistakes" in (run / "report.html").read_text(encoding="utf-8")
    np.savez(tmp_path / "wrong.npz", x=x, y=y + 1)
    with pytest.raises(BadInput, match="labels are 0 and 1"):
        call("evaluate", run, tmp_path / "wrong.npz")


def test_labels_beside_a_number_are_refused_before_anything_is_written(folder, tmp_path):
    words = r"targets 'sick', 'smokes' are yes or no .*--target sick,smokes and --target age$"
    with pytest.raises(BadInput, match=words):
        call("search", folder / "people.csv", "--target", "sick,smokes,age", *TINY, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()
