"""The score is not too good: held on a recorded table and on curves whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scoring

from automl.racing.curves import VALIDATION_LOSS, VALIDATION_METRIC

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("measure", [VALIDATION_LOSS, VALIDATION_METRIC])
def test_the_score_is_what_folds_that_took_no_part_say_within_one_per_cent(measure):
    with np.load(BENCHMARKS / "tables" / "noisy.npz") as file:
        values = file["curves"][..., measure].astype(np.float64)
    errors = values if measure == VALIDATION_LOSS else 1 - values
    plain, ours = (figures[0] for _, figures in scoring.figures_of(errors, folds=3))
    assert abs(ours) < 0.01 < 0.015 < -plain


@pytest.mark.parametrize("make", [scoring.annealed, scoring.flat, scoring.overfitting])
def test_the_score_of_curves_whose_truth_is_known_is_the_truth_within_one_per_cent(make):
    (_, ours), (_, lost) = scoring.made_figures(make, folds=5)
    assert abs(ours) < 0.01
    assert lost < 0.01
