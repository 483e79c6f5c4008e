"""`automl leaderboard` on a run that came to its end."""

from __future__ import annotations

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from automl.cli import app
from automl.errors import SettingsError


def call(*arguments: object) -> str:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(a) for a in arguments], catch_exceptions=False)
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
