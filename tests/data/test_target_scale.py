from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.data.target_scale import TargetScale


@pytest.mark.parametrize("log", [False, True])
def test_targets_are_learnt_with_mean_0_and_deviation_1_and_predicted_in_their_units(log: bool) -> None:
    y = torch.from_numpy(np.random.default_rng(0).lognormal(3, 1, (500, 2)))
    scale = TargetScale.of(y, log)
    learnt = scale.learnt(y)
    np.testing.assert_allclose(learnt.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(learnt.std(0, correction=0), 1, rtol=1e-5)
    np.testing.assert_allclose(scale.predicted(learnt), y, rtol=1e-5)


def test_a_prediction_on_the_log_scale_is_finite_whatever_a_network_says() -> None:
    scale = TargetScale.of(torch.tensor([[1e-3], [1e6]]), log=True)
    assert torch.isfinite(scale.predicted(torch.tensor([[1e9], [-1e9]]))).all()
