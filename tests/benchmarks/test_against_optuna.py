from __future__ import annotations

import math
import time

import against_optuna
import journal
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def test_scores_and_their_cost_are_read_from_a_journal(tmp_path) -> None:
    path = tmp_path / "journal.log"
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))))
    before = time.time()
    first, second = study.ask(), study.ask()
    first.set_user_attr("fold_epochs", 3)
    second.set_user_attr("fold_epochs", 10)
    study.tell(second, 0.5)
    first.set_user_attr("fold_epochs", 7)
    study.tell(first, state=optuna.trial.TrialState.PRUNED)
    third = study.ask()
    third.set_user_attr("fold_epochs", 1)
    study.tell(third, 0.25)
    points = journal.completed(path)
    assert [(point.score, point.fold_epochs) for point in points] == [(0.5, 13), (0.25, 18)]
    assert all(before <= point.time <= time.time() for point in points)
    assert len(journal.begun(path)) == 3


def row(way: str, cv: float, points: list[list[float]], seed: int = 0, accuracy: float = 0.5) -> dict:
    return {"way": way, "seed": seed, "cv": cv, "points": points, "begun": 9, "fold_epochs": 90, "peak": 2**30,
            "test_accuracy": accuracy}  # fmt: skip


def test_the_time_until_a_score_is_that_of_the_first_trial_as_good() -> None:
    points = [[10, 0.9, 20], [30, 0.4, 60], [50, 0.3, 90]]
    assert against_optuna.until(row("automl", 0.3, points), 0.5) == (30, 60)
    assert against_optuna.until(row("automl", 0.3, points), 0.2) == (math.inf, math.inf)


def test_a_single_split_knows_no_cv_score_before_its_winner_is_scored_on_all_folds() -> None:
    points = [[10, 0.2, 20], [30, 0.1, 60], [50, 0.3, 90]]
    assert against_optuna.until(row("single", 0.35, points), 0.4) == (30, 60)
    assert against_optuna.until(row("single", 0.45, points), 0.4) == (math.inf, math.inf)


def test_the_table_compares_seed_by_seed_and_says_never_where_a_score_was_not_reached() -> None:
    rows = [
        row("recipe", 0.5, [[100, 0.5, 400]], 0, 0.60),
        row("recipe", 0.4, [[200, 0.4, 400]], 1, 0.62),
        row("automl", 0.3, [[20, 0.5, 40], [50, 0.3, 80]], 0, 0.66),
        row("automl", 0.3, [[40, 0.3, 50]], 1, 0.66),
        row("single", 0.6, [[10, 0.2, 30]], 0, 0.55),
    ]
    text = against_optuna.summarise(rows)
    assert "| automl | 2 | 2 of 9 | 90 | 0.3000 ± 0.000 | 0.6600 ± 0.000 | 30 | 45 | 1024 |" in text
    assert "| single | 1 | 1 of 9 | 90 | 0.6000 | 0.5500 | never | never | 1024 |" in text
    assert "automl minus recipe, paired: +0.0500 ± 0.0100" in text
    assert "automl minus single, paired: +0.1100." in text
    assert "automl was 5.0 times faster (5.0, 5.0)" in text
