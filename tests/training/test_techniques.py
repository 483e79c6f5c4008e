"""Each technique against a closed form or torch's own way of doing it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from automl import architecture
from automl.spaces.training import TECHNIQUES
from automl.training.losses import criterion_for, loss_for
from automl.training.techniques import FirstSteps, MovingAverage, Techniques, balanced_weights, treat_gradients


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))


def gradients(network: nn.Module, penalty: float = 0.0) -> list[torch.Tensor]:
    """The gradients of the loss plus `penalty` times the sum of absolute weights, by autograd."""
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    loss = F.cross_entropy(network(x), torch.tensor([0, 1, 0, 1]))
    loss = loss + penalty * sum(p.abs().sum() for p in network.parameters() if p.ndim > 1)
    network.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in network.parameters()]


def test_every_technique_of_the_search_space_is_one_of_the_trainers_and_is_off_by_default():
    assert {field.name for field in fields(Techniques)} <= TECHNIQUES.keys()
    assert Techniques.from_config({"train.lr": 0.1}) == Techniques()
    assert Techniques.from_config({"train.l1": 0.1, "train.ema": 0.9}) == Techniques(l1=0.1, ema=0.9)


class TestGradients:
    def test_l1_is_the_gradient_of_the_sum_of_absolute_weights_without_biases_and_norms(self):
        network = small_network()
        expected = gradients(network, penalty=0.03)
        gradients(network)
        treat_gradients(network, Techniques(l1=0.03))
        for parameter, wanted in zip(network.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, wanted)

    def test_clipping_by_norm_keeps_the_direction_and_bounds_the_norm_over_all_parameters(self):
        network = small_network()
        before = gradients(network)
        norm = torch.cat([g.flatten() for g in before]).norm()
        treat_gradients(network, Techniques(clip_norm=float(norm) / 4))
        for parameter, gradient in zip(network.parameters(), before, strict=True):
            torch.testing.assert_close(parameter.grad, gradient / 4, rtol=1e-4, atol=1e-7)

    def test_clipping_by_value_bounds_each_number(self):
        network = small_network()
        before = gradients(network)
        treat_gradients(network, Techniques(clip_value=0.01))
        for parameter, gradient in zip(network.parameters(), before, strict=True):
            torch.testing.assert_close(parameter.grad, gradient.clamp(-0.01, 0.01))

    def test_without_techniques_nothing_is_changed(self):
        network = small_network()
        before = gradients(network)
        treat_gradients(network, Techniques())
        assert all(torch.equal(p.grad, g) for p, g in zip(network.parameters(), before, strict=True))


class TestWarmUp:
    def test_the_rate_rises_linearly_and_is_given_back_after_each_step(self):
        optimizer = torch.optim.SGD(
            [{"params": [nn.Parameter(torch.zeros(1))]}, {"params": [nn.Parameter(torch.zeros(1))], "lr": 0.1}], lr=1.0
        )
        seen, first_steps = [], FirstSteps([False, True], warm_up=4, head=0)
        for step in range(6):
            with first_steps.applied(optimizer, step):
                seen.append([group["lr"] for group in optimizer.param_groups])
            assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1]
        with pytest.raises(RuntimeError), first_steps.applied(optimizer, 0):
            raise RuntimeError
        assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1]
        np.testing.assert_allclose([first for first, _ in seen], [0.25, 0.5, 0.75, 1, 1, 1])
        np.testing.assert_allclose([second for _, second in seen], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1])

    @pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau", "one_cycle"])
    def test_it_goes_with_a_schedule_and_changes_the_first_steps_only(self, schedule, make_recipe, make_run):
        plain = make_recipe(schedule=schedule, epochs=4)
        warm = replace(plain, techniques=Techniques(warmup=0.25))
        rates = []
        for recipe in (plain, warm):
            run = make_run(recipe)
            list(run.advance(2, 1))
            rates.append(run.folds[0].optimizer.param_groups[0]["lr"])
        assert rates[0] == rates[1]
        weights = [
            next(iter(run.folds[0].network.parameters()))
            for run in (make_run(plain), make_run(warm))
            if list(run.advance(1, 1))
        ]
        assert not torch.equal(*weights)


class TestHeadFirst:
    @pytest.mark.parametrize(("head_rate", "alone"), [(1.0, True), (0.1, False)])
    def test_until_then_only_what_has_the_highest_learning_rate_is_trained(
        self, head_rate, alone, make_recipe, make_run
    ):
        @architecture()
        def pretrained(input_shape, num_outputs):
            """A layer with a tenth of the rate, and a head."""
            network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Linear(4, num_outputs))
            network.lr_ratios = {"1.": 0.1, "2.": head_rate}
            return network

        recipe = replace(make_recipe(pretrained, epochs=4), techniques=Techniques(unfreeze_at=0.5, warmup=0.25))
        run = make_run(recipe)
        moved = []
        for _ in range(3):
            before = {name: p.clone() for name, p in run.folds[0].network.named_parameters()} if run.folds else {}
            list(run.advance(len(moved) + 1, 1))
            after = dict(run.folds[0].network.named_parameters())
            moved.append({name for name in before if not torch.equal(before[name], after[name])})
        assert moved[1] == ({"2.weight", "2.bias"} if alone else set(after))
        assert moved[2] == set(after)


class TestAveraging:
    def test_it_is_the_exponential_moving_average_of_weights_and_buffers(self):
        network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        average = MovingAverage(network, 0.5)
        expected = None
        for n in range(6):
            with torch.no_grad():
                network[0].weight.fill_(n)
                network[1].running_mean.fill_(10 * n)
                network[1].num_batches_tracked.fill_(n)
            average.update(network, average.weight(n))
            decay = min(0.5, (1 + n) / (10 + n))
            expected = n if expected is None else decay * expected + (1 - decay) * n
        torch.testing.assert_close(average.module[0].weight, torch.full((2, 2), float(expected)))
        torch.testing.assert_close(average.module[1].running_mean, torch.full((2,), 10 * float(expected)))
        assert average.module[1].num_batches_tracked == 5

    def test_the_average_is_validated_saved_and_restored(self, make_recipe, make_run, tmp_path):
        recipe = replace(make_recipe("lenet"), techniques=Techniques(ema=0.9))
        straight, saved, restored = make_run(recipe), make_run(recipe), make_run(recipe)
        from automl.racing.curves import Curves

        curves = Curves(3, 6)
        for results in saved.advance(2, 1):
            curves.add(results)
        saved.save(tmp_path / "checkpoint", curves)
        curves = restored.restore(tmp_path / "checkpoint")
        for results in restored.advance(4, 1):
            curves.add(results)
        expected = Curves(3, 6)
        for results in straight.advance(4, 1):
            expected.add(results)
        np.testing.assert_array_equal(curves.values, expected.values)
        fold = restored.folds[0]
        assert fold.deployed is not fold.network
        for (name, mine), theirs in zip(
            fold.deployed.state_dict().items(), straight.folds[0].deployed.state_dict().values(), strict=True
        ):
            assert torch.equal(mine, theirs), name
        assert any(
            not torch.equal(a, b) for a, b in zip(fold.deployed.parameters(), fold.network.parameters(), strict=True)
        )


class TestTargets:
    LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])

    def test_balanced_weights_are_scikit_learns(self):
        expected = compute_class_weight("balanced", classes=np.arange(3), y=self.LABELS.numpy())
        np.testing.assert_allclose(balanced_weights(self.LABELS, 3), expected, rtol=1e-6)

    def test_a_class_without_samples_has_no_weight_and_no_division_by_zero(self):
        assert balanced_weights(torch.tensor([0, 0, 2]), 4).tolist() == [0.375, 0, 0.75, 0]

    def test_smoothing_and_weights_are_in_what_is_minimised(self):
        output = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
        criterion = criterion_for(
            loss_for("classification"), Techniques(label_smoothing=0.1, class_weights="balanced"), self.LABELS, 3
        )
        targets = F.one_hot(self.LABELS, 3) * 0.9 + 0.1 / 3
        weights = balanced_weights(self.LABELS, 3)
        by_hand = -(targets * weights * output.log_softmax(1)).sum() / weights[self.LABELS].sum()
        torch.testing.assert_close(criterion(output, self.LABELS), by_hand)

    def test_but_not_in_what_is_scored(self, make_recipe, make_run):
        plain = make_recipe("lenet", lr=1e-12)
        results = []
        for techniques in (Techniques(), Techniques(label_smoothing=0.2, class_weights="balanced")):
            (result,) = next(make_run(replace(plain, techniques=techniques)).advance(1, 1))
            results.append(result)
        assert results[0].train_loss == pytest.approx(results[1].train_loss, rel=1e-5)
        assert results[0].validation_loss == pytest.approx(results[1].validation_loss, rel=1e-5)

    def test_a_regression_has_its_own_loss(self):
        loss = loss_for("regression")
        assert criterion_for(loss, Techniques(), torch.zeros(3), 1) is loss
