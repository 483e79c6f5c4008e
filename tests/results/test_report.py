import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from automl.errors import MachineFailed
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.results.pictures import draw_curves, draw_race, loss_limits, scores_by_rung
from automl.results.report import duration, search_command, write_report
from automl.settings import Settings
from automl.study.folder import RunFolder

FOLDS, EPOCHS = 3, 6
EVIL = '<script>alert("1")</script><img src=x>'
VOID = {"meta", "img", "br", "use", "path"}


def curves_to(epochs, folds, level=1.0, seed=0):
    rng = np.random.default_rng(seed)
    curves = Curves(FOLDS, EPOCHS)
    steps = np.arange(epochs)
    for fold in range(folds):
        train = 2.3 * np.exp(-0.7 * level * steps) + 0.01
        validation = 2.3 * np.exp(-0.5 * level * steps) + 0.03 * steps + rng.uniform(0.01, 0.05)
        curves.values[fold, :epochs] = np.stack([train, train, validation, 1 - validation / 3], axis=1)
    return curves


def row(number, state, curves, reason="", architecture="resnet", **more):
    return {
        "number": number,
        "state": state,
        "reason": reason,
        "detail": "",
        "architecture": architecture,
        "config": {"architecture": architecture, "train.lr": 0.0123456},
        "score": curves.score() if curves else None,
        "score_std": 0.0123 if state == "COMPLETE" else None,
        "metrics": {"accuracy": 0.9} if curves else {},
        "epochs": curves.epochs() if curves else 0,
        "best_epoch": curves.best_epoch() if curves else None,
        "folds": curves.folds if curves else 0,
        "fold_epochs": curves.fold_epochs if curves else 0,
        "parameters": 12345 if curves else None,
        "seconds": 3.0,
        **more,
    }


def make_run(path, trials, final=None, notes=(), classes=("0", "1")):
    """A run of hand-made trials (state, reason, architecture, curves): its summary, record and folder."""
    folder = RunFolder(path)
    folder.artifacts.mkdir(parents=True)
    rows, pruned = [], {}
    for number, (state, reason, architecture, curves) in enumerate(trials):
        if curves is not None:
            np.savez_compressed(folder.curves(number), curves=curves.values)
        rows.append(row(number, state, curves, reason, architecture))
        if state == "PRUNED":
            pruned[reason] = pruned.get(reason, 0) + 1
    spent = sum(r["fold_epochs"] for r in rows)
    summary = {
        "run": str(path),
        "objective": "log_loss",
        "direction": "minimize",
        "best": min(((r["score"], r["number"]) for r in rows if r["state"] == "COMPLETE"), default=(0, None))[1],
        "model": (final or {}).get("model"),
        "test": (final or {}).get("test", {}),
        "trials": rows,
        "totals": {
            "trials": len(rows),
            "complete": sum(r["state"] == "COMPLETE" for r in rows),
            "waiting": 0,
            "failed": sum(r["state"] == "FAIL" for r in rows),
            "pruned": pruned,
            "fold_epochs": spent,
            "fold_epochs_without_race": FOLDS * EPOCHS * len(rows),
            "seconds": 75.0,
        },
    }
    settings = Settings(
        folds=FOLDS, epochs=EPOCHS, trials=max(1, len(rows)), architectures=("resnet", "mlp"), skip_bad=True
    )
    record = {
        "settings": settings.model_dump(mode="json"),
        "study": "s",
        "objective": "log_loss",
        "metric": "accuracy",
        "data": {
            "name": "digits",
            "kind": "image",
            "task": "classification",
            "samples": 1797,
            "test_samples": 360,
            "input_shape": [1, 8, 8],
            "classes": list(classes),
            "notes": list(notes),
            "fingerprint": "ab" * 32,
        },
        "ladder": ["1x1", "2x1", "4x2", "6x3"],
        "device": "cpu",
        "precision": "float32",
        "versions": {"automl": "0.1.0", "torch": "2.15"},
        "space_fingerprint": "cd" * 32,
        "space": {},
    } | ({"final": final} if final else {})
    return summary, record, folder


def full_run(path, **more):
    trials = [
        ("COMPLETE", "", "resnet", curves_to(6, 3, 1.2)),
        ("COMPLETE", "early-stopped", "mlp", curves_to(6, 3, 0.9, 1)),
        ("PRUNED", "overfitting", "mlp", curves_to(4, 2, 0.8, 2)),
        ("PRUNED", "outpaced", "mlp", curves_to(2, 1, 0.7, 3)),
        *(("PRUNED", "outpaced", "mlp", curves_to(1, 1, 0.1, seed)) for seed in range(20)),
        ("PRUNED", "infeasible", "vgg", None),
        ("FAIL", "plugin 'x' (x.py:3): ValueError: boom", "x", None),
    ]
    final = {"model": f"{path}/model", "trial": 0, "architecture": "resnet", "epochs": 5, "cut_short": False,
             "stand_in": False, "test": {"log_loss": 0.0911, "accuracy": 0.9722}}  # fmt: skip
    return make_run(path, trials, final, **more)


class Page(HTMLParser):
    """The page's text, its tags, the addresses in it; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "data", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data.strip())

    @property
    def text(self):
        return " ".join(filter(None, self.words))


def written(run):
    path = write_report(*run)
    assert path == run[2].report
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A full run's folder, summary and page."""
    path = tmp_path_factory.mktemp("run")
    run = full_run(path)
    return path, run[0], written(run)


def test_the_answer_comes_first(full):
    path, summary, page = full
    text = Page(page).text
    head, _, rest = text.partition("Leaderboard")
    spent = summary["totals"]["fold_epochs"]
    for expected in (
        "digits: resnet (trial 0)",
        f"{summary['trials'][0]['score']:.4g} ± 0.012",
        "0.9722",
        f"{26 * 18 / spent:.1f}x less than the 468 without the race",
        "1 min 15 s",
        "train.lr 0.01235",
        f"{path}/model",
    ):
        assert expected in head
    assert "26 trials: 2 complete, 1 failed, 1 pruned, overfitting, 21 pruned, outpaced, 1 pruned, infeasible." in rest
    assert "1 plugin 'x' (x.py:3): ValueError: boom" in rest


def test_the_leaderboard_shows_twenty_trials(full):
    _, _, page = full
    leaderboard = page[page.index("<h2>Leaderboard") : page.index("<h2>What failed")]
    assert leaderboard.count("<tr>") == 1 + 20


def test_the_page_loads_nothing_and_runs_nothing(full):
    path, _, text = full
    page = Page(text)
    assert not re.search(r"https?:|//|@import|url\((?!#)", text.replace(str(path), ""))
    assert page.tags.count("svg") == 1 + 4
    assert not {"script", "link", "img", "iframe", "object"} & {*page.tags}
    assert all(link.startswith("#") for link in page.links)
    assert "default-src 'none'" in text
    names = re.findall(r' id="([^"]*)"', text)
    assert len(names) == len({*names})


def test_every_name_from_outside_is_escaped(tmp_path):
    summary, record, folder = full_run(tmp_path, notes=[EVIL], classes=[EVIL, "1"])
    record["data"]["name"] = record["settings"]["data"] = record["versions"]["torch"] = EVIL
    record["settings"]["plugins"] = [EVIL]
    summary["run"] = summary["model"] = EVIL
    for trial in summary["trials"]:
        trial["architecture"] = trial["config"][EVIL] = EVIL
    summary["trials"][-1]["reason"] = EVIL
    summary["totals"]["pruned"] = {EVIL: 1}
    text = written((summary, record, folder))
    page = Page(text)
    assert not {"script", "img"} & {*page.tags}
    assert page.text.count(EVIL) >= 10


def test_a_run_without_a_complete_trial_or_a_model_has_a_report_too(tmp_path):
    failed = ("FAIL", "non-finite at fold 1, epoch 1 (loss)", "resnet", None)
    text = Page(written(make_run(tmp_path, [failed] * 5))).text
    assert "digits: no network yet" in text
    assert "No trial is complete" in text
    assert "No final model was fitted." in text
    assert "5 non-finite at fold 1, epoch 1 (loss)" in text
    assert "Learning curves" not in text


def test_a_run_without_any_trial_has_a_report_too(tmp_path):
    assert "0 trials: none ended." in Page(written(make_run(tmp_path, []))).text


def test_a_stand_in_and_a_cut_short_fit_are_told(tmp_path):
    final = {"model": "m", "trial": 0, "epochs": 2, "cut_short": True, "stand_in": True, "test": {}}
    run = make_run(tmp_path, [("PRUNED", "outpaced", "mlp", curves_to(4, 2))], final)
    text = Page(written(run)).text
    assert "config of trial 0, which was stopped after 4 of 6 epochs on 2 of 3 folds" in text
    assert "cut the final fit short after 2 epochs" in text


def test_a_full_disk_is_the_machines_failure(tmp_path):
    summary, record, _ = make_run(tmp_path, [])
    folder = SimpleNamespace(report=tmp_path / "gone" / "report.html", curves=RunFolder(tmp_path).curves)
    with pytest.raises(MachineFailed, match=r"report\.html"):
        write_report(summary, record, folder)


def test_the_command_that_begins_it_anew_names_what_was_chosen():
    settings = Settings(data="my data.csv", target="y", architectures=("mlp", "lenet"), skip_bad=True, timeout="10m")
    assert search_command(settings.model_dump(mode="json")) == (
        "automl search 'my data.csv' --target y --skip-bad --architecture mlp --architecture lenet --trials 50 "
        "--timeout 600.0 --seed 0 --folds 5 --epochs 20"
    )


def test_a_picture_is_well_formed_and_has_the_colours_of_the_page():
    curves = curves_to(6, 3)
    for svg in (
        draw_curves(curves, "trial 0 & <b> $x$ --", loss_limits([curves])),
        draw_race([("winner", [1.0, 0.5]), ("outpaced", [2.0])], ["1x1", "6x3"], Objective()),
        draw_curves(Curves(FOLDS, EPOCHS), "empty"),
    ):
        ET.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))
        assert "var(--muted)" in svg
        assert not re.search(r"#0[1-6]0[1-6]0[1-6]", svg)


def test_a_loss_of_zero_or_below_is_drawn_on_a_linear_axis():
    curves = curves_to(6, 3)
    curves.values[0, 2] = 0.0
    low, high = loss_limits([curves])
    assert low < 0 < high
    assert draw_curves(curves, "zero", (low, high)).startswith("<svg ")


def test_a_trial_scores_at_the_rungs_it_has_reached_and_no_further():
    rungs = [(1, 1), (2, 1), (4, 2), (6, 3)]
    curves = curves_to(4, 2)
    assert scores_by_rung(curves, rungs) == [curves.score(1, 1), curves.score(1, 2), curves.score(2, 4)]
    assert scores_by_rung(Curves(FOLDS, EPOCHS), rungs) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (59.4, "59 s"), (59.8, "60 s"), (725, "12 min 5 s"), (3720, "1 h 2 min")]
)
def test_a_duration_is_rounded_to_what_matters(seconds, text):
    assert duration(seconds) == text
