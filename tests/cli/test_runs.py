"""`automl leaderboard` and `automl show` on a run that came to its end."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from automl.cli import app
from automl.errors import RunError


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


def test_show_gives_one_trial_with_its_config(finished_run):
    row = finished_run.leaderboard()[0]
    text = call("show", finished_run.path, row["number"])
    assert str(row["architecture"]) in text
    assert "train.lr" in text
    assert json.loads(call("show", finished_run.path, row["number"], "--json")) == json.loads(json.dumps(row))


def test_show_of_an_unknown_trial_says_which_there_are(finished_run):
    with pytest.raises(RunError, match=r"has no trial 99; it has: 0 to 5"):
        CliRunner().invoke(app, ["show", str(finished_run.path), "99"], catch_exceptions=False)
