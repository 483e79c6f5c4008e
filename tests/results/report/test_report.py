import re

import pytest
from made_runs import Page, curves_to, full_run, keep_test, make_run, written

from automl.errors import MachineFailed
from automl.results.report import duration, search_command, write_report
from automl.settings import Settings

EVIL = '<script>alert("1")</script><img src=x>'


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
    counts = "2 complete, 1 failed, 1 pruned (overfitting), 21 pruned (outpaced), 1 pruned (infeasible)"
    assert f"26 trials: {counts}." in rest
    assert "1 plugin 'x' (x.py:3): ValueError: boom" in rest


def test_the_leaderboard_shows_twenty_trials(full):
    _, _, page = full
    leaderboard = page[page.index("<h2>Leaderboard") : page.index("<h2>What failed")]
    assert leaderboard.count("<tr>") == 1 + 20


def test_the_page_loads_nothing_and_runs_nothing(full):
    path, _, text = full
    page = Page(text)
    assert not re.search(r"https?:|//|@import|url\((?!#)", text.replace(str(path), ""))
    assert page.tags.count("svg") == 1 + 2 + 1 + 5  # the race, the finalists, one overfitted, by parameter
    assert not {"script", "link", "img", "iframe", "object"} & {*page.tags}
    assert all(link.startswith("#") for link in page.links)
    assert "default-src 'none'" in text
    names = re.findall(r' id="([^"]*)"', text)
    assert len(names) == len({*names})


def test_every_name_from_outside_is_escaped(tmp_path):
    summary, record, folder = full_run(tmp_path, notes=[EVIL], classes=[EVIL, "1"])
    record = record.but(
        data=record.data.model_copy(update={"name": EVIL}),
        settings=record.settings.model_copy(update={"data": EVIL, "plugins": (EVIL,)}),
        versions={**record.versions, "torch": EVIL},
    )
    summary["run"] = summary["model"] = EVIL
    for trial in summary["trials"]:
        trial["architecture"] = trial["config"][EVIL] = EVIL
    summary["trials"][-1]["reason"] = EVIL
    summary["totals"]["pruned"] = {EVIL: 1}
    keep_test(folder, 2, names=[EVIL])
    text = written((summary, record, folder))
    page = Page(text)
    assert "script" not in page.tags
    assert all(link.startswith("data:image/png;base64,") for link in page.links if not link.startswith("#"))
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
    final = {"model": "m", "trial": 0, "epochs": 2, "cut_short": True, "stand_in": True, "test": {},
             "words": "the deadline cut the final fit short at epoch 2 of 4"}  # fmt: skip
    run = make_run(tmp_path, [("PRUNED", "outpaced", "mlp", curves_to(4, 2))], final)
    text = Page(written(run)).text
    assert "config of trial 0, which was stopped after 4 of 6 epochs on 2 of 3 folds" in text
    assert "The deadline cut the final fit short at epoch 2 of 4." in text


def test_a_full_disk_is_the_machines_failure(tmp_path):
    summary, record, folder = make_run(tmp_path, [])
    folder.report = tmp_path / "gone" / "report.html"
    with pytest.raises(MachineFailed, match=r"report\.html"):
        write_report(summary, record, folder)


def test_the_command_that_begins_it_anew_names_what_was_chosen():
    settings = Settings(data="my data.csv", target="y", architectures=("mlp", "lenet"), skip_bad=True, timeout="10m")
    assert search_command(settings) == (
        "automl search 'my data.csv' --target y --skip-bad --architecture mlp --architecture lenet --trials 1000 "
        "--timeout 600.0 --folds 5 --epochs 20 --seed 0"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (59.4, "59 s"), (59.8, "60 s"), (725, "12 min 5 s"), (3720, "1 h 2 min")]
)
def test_a_duration_is_rounded_to_what_matters(seconds, text):
    assert duration(seconds) == text
