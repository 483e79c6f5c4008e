"""`automl show` and `automl replay` on a run that came to its end."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import automl.api
from automl.cli import app
from automl.errors import RunError
from automl.racing.objective import Objective
from automl.run.curve_files import load_curves


def call(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == code
    return result.output


def contents(folder):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def copy(finished_run, tmp_path):
    """A copy of the run that may be changed."""
    return shutil.copytree(finished_run.path, tmp_path / "run")


class TestShow:
    def test_it_gives_the_config_the_curves_and_a_diagnosis(self, finished_run):
        text = call("show", finished_run.path, finished_run.best["number"])
        assert str(finished_run.best["architecture"]) in text
        assert "train.lr" in text
        assert "· train   • validation   ◆ best" in text
        assert max(len(line) for line in text.splitlines()[:-1]) <= 80  # the diagnosis is wrapped by the terminal
        assert text.splitlines()[-1].partition(":")[0] in (
            "underfitting", "overfitting", "healthy", "diverged", "stuck"
        )  # fmt: skip

    def test_without_a_number_it_is_the_trial_of_the_model(self, finished_run):
        assert call("show", finished_run.path) == call("show", finished_run.path, finished_run.summary["winner"])

    def test_json_is_the_row_with_curves_and_diagnosis(self, finished_run):
        row = finished_run.best
        shown = json.loads(call("show", finished_run.path, row["number"], "--json"))
        assert shown.items() >= json.loads(json.dumps(row)).items()
        assert min(shown["curves"]["validation_loss"]) == pytest.approx(row["score"])
        assert len(shown["curves"]["train_loss"]) == row["epochs"]
        assert shown["diagnosis"]
        assert shown["diagnosis_text"]

    def test_a_trial_without_curves_is_shown_without_a_plot(self, copy):
        (copy / "artifacts" / "trial-00000-curves.npz").unlink()
        (copy / "checkpoints" / "trial-00000.safetensors").unlink(missing_ok=True)
        text = call("show", copy, 0)
        assert "◆" not in text
        assert "untrained: no epoch was finished" in text

    def test_an_unknown_trial_says_which_there_are(self, finished_run):
        with pytest.raises(RunError, match=r"has no trial 99; it has: 0 to 5"):
            CliRunner().invoke(app, ["show", str(finished_run.path), "99"], catch_exceptions=False)


class TestReplay:
    def test_every_trial_complete_or_pruned_gives_the_recorded_curves_to_the_bit(self, finished_run):
        states = set()
        for row in finished_run.leaderboard():
            found = automl.api.replay(finished_run.path, row["number"])
            assert found.bit_equal
            assert found.difference == 0
            assert not found.changed
            states.add(row["state"])
        assert states == {"COMPLETE", "PRUNED"}

    def test_it_says_so_and_changes_nothing_in_the_run(self, finished_run):
        before = contents(finished_run.path)
        text = call("replay", finished_run.path, finished_run.best["number"])
        assert "bit-equal" in text
        assert "recorded on cpu, serial: precision float32" in text
        assert contents(finished_run.path) == before

    def test_other_curves_are_exit_1_and_json_says_by_how_much(self, copy, finished_run):
        number = finished_run.best["number"]
        file = finished_run.folder.curves(number)
        values = load_curves(finished_run.folder, number, Objective()).values
        values[0, 0, 0] += 0.25
        np.savez_compressed(copy / "artifacts" / file.name, curves=values)
        found = json.loads(call("replay", copy, number, "--json", code=1))
        assert found["difference"] == pytest.approx(0.25 / max(1, values[0, 0, 0]))
        assert (found["bit_equal"], found["equal"], found["trial"]) == (False, False, number)
        assert "not equal: the largest difference is" in call("replay", copy, number, code=1)

    def test_other_versions_are_named(self, copy):
        record = yaml.safe_load((copy / "run.yaml").read_text())
        record["versions"]["torch"] = "1.0"
        (copy / "run.yaml").write_text(yaml.safe_dump(record, sort_keys=False))
        assert "now:      torch 1.0 -> " in call("replay", copy, 0)

    def test_changed_data_are_refused_as_by_resume(self, copy):
        record = yaml.safe_load((copy / "run.yaml").read_text())
        record["data"]["fingerprint"] = "another"
        (copy / "run.yaml").write_text(yaml.safe_dump(record, sort_keys=False))
        with pytest.raises(RunError, match="have changed since this run was begun"):
            automl.api.replay(copy, 0)

    def test_a_trial_without_curves_cannot_be_replayed(self, copy):
        (copy / "artifacts" / "trial-00000-curves.npz").unlink()
        (copy / "checkpoints" / "trial-00000.safetensors").unlink(missing_ok=True)
        with pytest.raises(RunError, match="trial 0 has no curves"):
            automl.api.replay(copy, 0)
