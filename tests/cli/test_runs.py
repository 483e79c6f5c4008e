"""`automl leaderboard` on a run that came to its end."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
from typer.testing import CliRunner

from automl.cli import app
from automl.cli.runs import print_answer
from automl.errors import SettingsError


def call(*arguments: object, columns: int = 80) -> str:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_leaderboard_lists_the_trials_best_first_and_cuts_no_number(finished_run):
    text = call("leaderboard", finished_run.path)
    best = finished_run.leaderboard()[0]
    assert f"{best['score']:.4g}" in text
    assert "…" not in text
    assert [line.split()[0] for line in text.splitlines()[1:3]] == [
        str(row["number"]) for row in finished_run.leaderboard()[:2]
    ]


def test_the_leaderboard_says_what_the_race_saved_and_where_the_model_is(finished_run):
    text = call("leaderboard", finished_run.path)
    totals = finished_run.summary["totals"]
    assert f"{totals['fold_epochs']} fold-epochs" in text
    assert f"({totals['fold_epochs_without_race']})" in text
    assert str(finished_run.path / "model") in text.replace("\n", "")


def test_the_leaderboard_as_json_is_the_summary_of_the_run(finished_run):
    assert json.loads(call("leaderboard", finished_run.path, "--json")) == json.loads(json.dumps(finished_run.summary))


def test_top_limits_the_leaderboard_and_says_so(finished_run):
    text = call("leaderboard", finished_run.path, "--top", "1")
    assert f"and {len(finished_run.leaderboard()) - 1} more" in text


def test_by_sorts_and_shows_what_it_sorts_by(finished_run):
    text = call("leaderboard", finished_run.path, "--by", "train.lr")
    rows = sorted(finished_run.leaderboard(), key=lambda row: row["config"]["train.lr"])
    assert "train.lr" in text.splitlines()[0]
    assert [line.split()[0] for line in text.splitlines()[1:7]] == [str(row["number"]) for row in rows]


def test_filters_leave_the_trials_of_an_architecture_and_a_state(finished_run):
    found = [row for row in finished_run.leaderboard() if row["architecture"] == "mlp" and row["state"] == "COMPLETE"]
    text = call("leaderboard", finished_run.path, "--architecture", "mlp", "--state", "complete", "--csv")
    assert [row["number"] for row in csv.DictReader(io.StringIO(text))] == [str(row["number"]) for row in found]
    assert "best of" not in call("leaderboard", finished_run.path, "--state", "pruned")


def test_csv_has_all_rows_whatever_the_top(finished_run):
    rows = list(csv.DictReader(io.StringIO(call("leaderboard", finished_run.path, "--csv", "--top", "1"))))
    assert [float(row["score"]) for row in rows] == [row["score"] for row in finished_run.leaderboard()]
    assert [float(row["train.lr"]) for row in rows] == [r["config"]["train.lr"] for r in finished_run.leaderboard()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "acuracy"], "did you mean 'accuracy'"),
        (["--architecture", "lenett"], "did you mean 'lenet'"),
        (["--state", "done"], "must be complete, pruned, failed, waiting"),
        (["--json", "--by", "score"], "--json prints the whole run"),
    ],
)
def test_a_wrong_option_is_bad_input(options, message, finished_run):
    with pytest.raises(SettingsError, match=message):
        CliRunner().invoke(app, ["leaderboard", str(finished_run.path), *options], catch_exceptions=False)


def test_a_narrow_terminal_keeps_trial_score_and_architecture_whole_and_names_what_it_leaves_out(finished_run):
    row = finished_run.leaderboard()[0]
    header, first, *_ = call("leaderboard", finished_run.path, "--top", 1, columns=40).splitlines()
    assert header.split()[:3] == ["trial", "log_loss", "architecture"]
    assert first.split()[:3] == [str(row["number"]), f"{row['score']:.4g}", row["architecture"]]
    assert len(header) <= 40
    assert "no room for ±, accuracy, rung" in call("leaderboard", finished_run.path, columns=40)
    assert "no room" not in call("leaderboard", finished_run.path, columns=100)


def test_a_better_number_below_the_best_is_explained(finished_run, capsys):
    winner = next(row for row in finished_run.leaderboard() if row["number"] == finished_run.summary["winner"])
    early = {**winner, "number": 97, "state": "PRUNED", "reason": "outpaced", "folds": 1, "epochs": 1}
    trials = [winner, {**early, "score": winner["score"] / 2}, {**early, "number": 98, "score": winner["score"] / 4}]
    print_answer(dataclasses.replace(finished_run, summary={**finished_run.summary, "trials": trials}))
    said = (
        f"trial 98 ({winner['score'] / 4:.4g} on 1 fold, 1 epoch) and 1 more have a better number, on less: it cannot"
    )
    assert said in capsys.readouterr().out
    stopped = {**early, "state": "COMPLETE", "reason": "early-stopped", "score": winner["score"] / 2}
    print_answer(dataclasses.replace(finished_run, summary={**finished_run.summary, "trials": [winner, stopped]}))
    assert "better number" not in capsys.readouterr().out  # how the winner was chosen among these is said already
