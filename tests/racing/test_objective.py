"""What is optimised, and which way is better."""

from __future__ import annotations

import numpy as np
import pytest

from automl.errors import SettingsError
from automl.racing.curves import Curves
from automl.racing.objective import GREATER_IS_BETTER, METRICS, Objective


def test_the_loss_is_the_default_and_accuracy_or_r2_stands_beside_it():
    assert Objective.of("classification") == Objective.of("classification", "log_loss")
    assert (Objective.of("classification").name, Objective.of("classification").beside) == ("log_loss", "accuracy")
    assert (Objective.of("regression").name, Objective.of("regression").beside) == ("rmse", "r2")


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in METRICS.items() for name in names])
def test_every_metric_has_a_direction_and_comes_back_from_its_names(task, name):
    objective = Objective.of(task, name)
    assert Objective.named(objective.name, objective.beside) == objective
    assert objective.direction == ("maximize" if name in GREATER_IS_BETTER else "minimize")
    assert objective.value(objective.cost(0.3)) == 0.3
    assert {objective.column, objective.beside_column} == {2, 3}


def test_a_metric_of_the_other_task_or_a_misspelt_one_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match=r"--metric acuracy: a classification has .*did you mean 'accuracy'"):
        Objective.of("classification", "acuracy")
    with pytest.raises(SettingsError, match="--metric auroc: a regression has rmse, r2, mae"):
        Objective.of("regression", "auroc")


def test_curves_are_scored_by_it():
    accuracy = [0.3, 0.6, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    values = np.array([[[1, 0.1, 1 / epoch, value] for epoch, value in enumerate(accuracy, 1)]])
    by_loss, by_accuracy = Curves.of(values), Curves.of(values, Objective.of("classification", "accuracy"))
    assert (by_loss.best_epoch(), by_loss.score()) == (8, 1 / 8)
    assert (by_accuracy.best_epoch(), by_accuracy.score()) == (3, -0.7)
