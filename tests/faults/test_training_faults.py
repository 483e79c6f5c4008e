"""Faults of training: what a trial that goes wrong becomes, and that the search goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from optuna.samplers import RandomSampler
from watching import board

from automl.models.model import load_model
from automl.study.storage.opening import load_study, open_storage

PLUGIN = Path(__file__).with_name("plugins_that_misbehave.py")


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """66 images 8x8 of 3 classes that can be told apart."""
    rng = np.random.default_rng(0)
    y = np.arange(66) % 3
    x = rng.integers(0, 160, (66, 8, 8))
    for label in range(3):
        x[y == label, label : label + 3] += 60
    np.savez(tmp_path / "bars.npz", x=x.astype(np.uint8), y=y)
    return tmp_path / "bars.npz"


@pytest.fixture
def search(automl, bars, tmp_path):
    """Searches one misbehaving architecture; returns the exit code, stderr, and the leaderboard where there is one."""

    def go(name: str, *more: object, trials: int = 6):
        run = tmp_path / "run"
        answer = automl(
            "search", bars, "--plugin", PLUGIN, "--set", f"architecture={name}", "--set", "train.batch_size=16",
            "--trials", trials, "--folds", 2, "--epochs", 2, "--sampler", "random", "--threads", 1,
            "--out", run, "--quiet",
            *more,
        )  # fmt: skip
        board = automl("leaderboard", run, "--json")
        return answer, json.loads(board.out) if board.code == 0 else None

    return go


@pytest.mark.parametrize("name", ["returns_nan", "returns_infinity"])
def test_nan_loss_inf_score_prune_the_trial_as_diverged_with_fold_and_epoch_and_are_never_best(search, name):
    answer, board = search(name, trials=7)
    assert answer.code == 1
    assert answer.err.count("non-finite at fold 1, epoch 1") == 1
    assert board["best"] is None
    assert {(t["state"], t["reason"]) for t in board["trials"]} == {("PRUNED", "diverged")}
    assert board["totals"]["pruned"] == {"diverged": 7}
    assert all(t["detail"].startswith("non-finite at fold 1, epoch 1") for t in board["trials"])


@pytest.mark.parametrize("more", [[], ["--workers", 2]], ids=["alone", "two-workers"])
def test_late_divergence_prunes_those_configs_and_the_search_ends_with_a_model(search, tmp_path, more):
    answer, board = search("mostly_diverges", "--ladder", "2x2", "--repeats", 1, "--seed", 3, *more, trials=14)
    assert answer.code == 0, answer.err
    wild = [t for t in board["trials"] if t["reason"] == "diverged"]
    tame = [t for t in board["trials"] if t not in wild]
    assert all(t["config"]["mostly_diverges.level"] > 1 for t in wild)
    assert all(t["state"] == "COMPLETE" and t["config"]["mostly_diverges.level"] == 1 for t in tame)
    numbers = sorted(t["number"] for t in wild)
    assert any(numbers[i + 4] - numbers[i] == 4 for i in range(len(numbers) - 4)), "five in a row"
    assert {t["state"] for t in wild} == {"PRUNED"}
    assert all(t["detail"].startswith("non-finite at fold 1, epoch 2") for t in wild)
    assert (board["totals"]["failed"], board["totals"]["pruned"]) == (0, {"diverged": len(wild)})
    assert board["trials"][-len(wild) :] == wild  # whatever their score was before that
    assert board["model"] is not None
    assert f"{len(wild)} pruned (diverged)" in (tmp_path / "run" / "report.html").read_text()
    study = load_study(open_storage(None, tmp_path / "run" / "journal.log"), "run", RandomSampler())
    shunned = {t.number for t in study.trials if any(value > 0 for value in t.constraints.values())}
    assert shunned == set(numbers)


def test_late_divergence_of_the_final_fit_leaves_the_networks_of_the_winners_folds_as_the_model(search, bars, tmp_path):
    answer, board = search("diverges_when_refitted", "--ladder", "2x2", "--repeats", 1, trials=2)
    assert answer.code == 0, answer.err
    assert board["totals"]["complete"] == 2
    model = load_model(tmp_path / "run" / "model")
    assert (model.description.final, model.description.members, model.description.epochs) == ("ensemble", 2, 2)
    assert np.isfinite(model.predict_proba(np.load(bars)["x"])).all()
    assert "The final fit failed (non-finite at fold 1, epoch 2" in (tmp_path / "run" / "report.html").read_text()


def test_all_fail_ends_after_five_in_a_row_with_the_cause_shown_once_and_no_best(search):
    answer, board = search("raises_in_forward", trials=50)
    assert answer.code == 1
    assert answer.err.count("this network is not finished") == 1
    assert "Traceback" not in answer.err
    assert board["totals"]["failed"] == 5
    assert board["best"] is None
    assert board["model"] is None


def test_all_fail_ends_so_with_several_workers_too(search, tmp_path):
    answer, board = search("raises_in_forward", "--workers", "2", trials=50)
    assert answer.code == 1
    assert answer.err.count("this network is not finished") == 1
    assert "Traceback" not in answer.err
    assert board["best"] is None
    assert not (tmp_path / "run" / "shared").exists()


def test_out_of_memory_is_infeasible_and_the_next_trials_run(search):
    answer, board = search("sometimes_out_of_memory")
    assert answer.code == 0
    assert 0 < board["totals"]["pruned"]["infeasible"] < 6
    for trial in board["trials"]:
        greedy = trial["config"]["sometimes_out_of_memory.greedy"]
        assert (trial["reason"] == "infeasible") == greedy
        if greedy:
            assert "out of memory" in trial["detail"]


def test_small_input_a_kernel_wider_than_the_image_is_infeasible_before_training(search):
    answer, board = search("wide_kernel")
    assert answer.code == 0
    wide = [t for t in board["trials"] if t["config"]["wide_kernel.kernel_size"] == 99]
    assert wide
    assert all((t["state"], t["reason"], t["fold_epochs"]) == ("PRUNED", "infeasible", 0) for t in wide)
    assert "(1, 8, 8)" in wide[0]["detail"]


def test_huge_model_is_infeasible_before_a_byte_is_allocated(search):
    answer, board = search("huge", "--max-params", 10_000_000)
    assert answer.code == 0
    large = [t for t in board["trials"] if t["config"]["huge.width"] == 10**7]
    assert large
    assert all((t["reason"], t["fold_epochs"]) == ("infeasible", 0) for t in large)
    assert "--max-params 10,000,000" in large[0]["detail"]


def test_batch_of_one_does_not_crash_batch_norm(search):
    # 66 samples less the test set leave 53; two folds train on 26 or 27: batches of 25 leave one or two.
    answer, board = search("normalised", "--set", "train.batch_size=[25, 26]")
    assert answer.code == 0
    assert board["totals"]["failed"] == 0


def test_plugin_raises_in_forward_fails_with_plugin_file_and_line(search):
    answer, board = search("raises_in_forward", trials=2)
    assert answer.code == 1
    line = 1 + PLUGIN.read_text().split("\n").index('        raise ValueError("this network is not finished")')
    for trial in board["trials"]:
        assert trial["state"] == "FAIL"
        assert f"plugins_that_misbehave.py:{line})" in trial["reason"]
        assert "ValueError: this network is not finished" in trial["reason"]


def test_plugin_raises_in_build_and_the_search_goes_on(search):
    answer, board = search("sometimes_raises_in_build", trials=8)
    assert answer.code == 0
    for trial in board["trials"]:
        assert (trial["state"] == "FAIL") == trial["config"]["sometimes_raises_in_build.broken"]
    assert 0 < board["totals"]["failed"] < 8


def test_plugin_raises_in_an_augmentation_and_not_the_architecture_is_blamed_but_its_plugin(automl, bars, tmp_path):
    plugin = tmp_path / "rainy.py"
    plugin.write_text(
        "from automl import augmentation, hookimpl\n\n"
        "@augmentation()\n"
        "def rain():\n"
        '    """Raises."""\n'
        "    def wet(images):\n"
        '        raise ValueError("no umbrella")\n'
        "    return wet\n\n"
        "@hookimpl\n"
        "def automl_augmentations():\n"
        "    return [rain]\n"
    )
    run = tmp_path / "run"
    chosen = ["--plugin", plugin, "--space", "smoke", "--architecture", "mlp", "--set", "train.augmentation=rain"]
    answer = automl("search", bars, *chosen, "--trials", 1, "--folds", 2, "--epochs", 1, "--out", run, "--quiet")
    assert answer.code == 1
    reason = board(automl, run)["trials"][0]["reason"]
    assert reason == "plugin 'rainy' (rainy.py:7): ValueError: no umbrella"


def test_evil_checkpoint_a_pickle_in_a_checkpoints_place_runs_no_code(automl, bars, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    run = tmp_path / "run"
    arguments = ["--space", "smoke", "--folds", 2, "--epochs", 2, "--threads", 1, "--quiet"]
    assert automl("search", bars, "--trials", 2, "--out", run, *arguments).code == 0
    for name in ("model/model.safetensors", "splits.npz", "checkpoints/trial-00000.safetensors"):
        (run / name).write_bytes(pickle.dumps(Evil()))
    answer = automl("resume", run, "--trials", 4, "--quiet")
    assert answer.code == 2
    assert "splits.npz" in answer.err
    assert not (tmp_path / "owned").exists()
