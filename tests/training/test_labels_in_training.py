"""Losses, metrics, guessing and gradient boosting of labels are those of scikit-learn, label by label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.class_weight import compute_sample_weight

from automl.data.augmentation.augment import mix_up
from automl.data.resident import Normalisation, PixelInputs
from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits
from automl.models.modules import Ensemble, Standardised
from automl.racing.objective import METRICS, Objective
from automl.training.boosting import boost
from automl.training.guessing import guess, guess_scores
from automl.training.losses import criterion_for, loss_for, merge_members, training_loss
from automl.training.metrics import measure
from automl.training.techniques import Techniques

RNG = np.random.default_rng(0)
Y = (RNG.random((200, 3)) < [0.5, 0.3, 0.1]).astype(np.int64)
LOGITS = RNG.normal(0, 1.5, (200, 3)) + Y
P = expit(LOGITS)
ONE = Normalisation(PixelInputs(torch.zeros(1), torch.ones(1)))

EXPECTED = {
    "log_loss": np.mean([metrics.log_loss(Y[:, c], P[:, c]) for c in range(3)]),
    "accuracy": 1 - metrics.hamming_loss(Y, P > 0.5),
    "subset_accuracy": metrics.accuracy_score(Y, P > 0.5),
    "macro_f1": metrics.f1_score(Y, P > 0.5, average="macro"),
    "auroc": metrics.roc_auc_score(Y, P, average="macro"),
}


@pytest.mark.parametrize("name", METRICS["multilabel"])
def test_metrics_of_labels_are_scikit_learns(name):
    assert measure(name, Y, LOGITS) == pytest.approx(EXPECTED[name], abs=1e-9)


def test_labels_without_both_answers_are_left_out_of_auroc_and_break_no_other_metric():
    y = Y.copy()
    y[:, 2] = 0
    assert measure("auroc", y, LOGITS) == pytest.approx(metrics.roc_auc_score(y[:, :2], P[:, :2]))
    assert np.isnan(measure("auroc", y * 0, LOGITS))
    assert all(np.isfinite(measure(name, y * 0, LOGITS)) for name in METRICS["multilabel"][:4])
    sure = np.where(y == 1, 1e4, -1e4)
    assert measure("log_loss", y, sure) == 0
    assert measure("log_loss", 1 - y, sure) == 1e4  # a sure mistake keeps its size


def test_what_is_minimised_is_the_mean_log_loss_of_the_labels():
    loss = loss_for("multilabel")
    output, y = torch.tensor(LOGITS), loss.normalise_targets(torch.tensor(Y), ONE)
    assert float(loss(output, y)) == pytest.approx(EXPECTED["log_loss"])
    assert loss.score(output, torch.tensor(Y), ONE, "auroc") == pytest.approx((EXPECTED["log_loss"], EXPECTED["auroc"]))
    assert np.isnan(loss.score(output * float("nan"), torch.tensor(Y), ONE, "accuracy")).all()
    assert criterion_for(loss, Techniques(), torch.tensor(Y), 3) is loss


def test_label_smoothing_moves_each_label_towards_one_half():
    smooth = criterion_for(loss_for("multilabel"), Techniques(label_smoothing=0.2), torch.tensor(Y), 3)
    soft = Y * 0.8 + 0.1
    expected = -(soft * np.log(P) + (1 - soft) * np.log(1 - P)).mean()
    assert float(smooth(torch.tensor(LOGITS), torch.tensor(Y))) == pytest.approx(expected)


def test_balanced_class_weights_are_scikit_learns_for_each_label():
    balanced = criterion_for(loss_for("multilabel"), Techniques(class_weights="balanced"), torch.tensor(Y), 3)
    weights = np.column_stack([compute_sample_weight("balanced", label) for label in Y.T])
    expected = np.average(np.where(Y == 1, -np.log(P), -np.log(1 - P)), weights=weights)
    assert float(balanced(torch.tensor(LOGITS), torch.tensor(Y))) == pytest.approx(expected, rel=1e-6)


def test_mixed_samples_have_mixtures_of_their_labels():
    y = loss_for("multilabel").normalise_targets(torch.tensor(Y[:4]), ONE)
    share = torch.tensor([0.5, 0.6, 0.7, 1.0])
    _, mixed = mix_up(torch.zeros(4, 1, 2, 2), y, share, None)
    torch.testing.assert_close(mixed, share[:, None] * y + (1 - share[:, None]) * y.roll(1, 0))


class Members(torch.nn.Module):
    ensemble_size = 3


def test_members_and_folds_answer_with_their_mean_probabilities():
    logits = torch.randn(10, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    y = torch.tensor(Y[:10, :2])
    minimised, output = training_loss(loss_for("multilabel"), Members(), logits, y)
    alone = [measure("log_loss", y.numpy(), member.numpy()) for member in logits.unbind(1)]
    assert float(minimised) == pytest.approx(np.mean(alone))
    merged = merge_members(Members(), output, "multilabel")
    torch.testing.assert_close(merged.sigmoid(), logits.sigmoid().mean(1))
    networks = [torch.nn.Linear(4, 2) for _ in range(3)]
    same = PixelInputs(torch.zeros(4), torch.ones(4))
    members = [Standardised(network, same, task="multilabel") for network in networks]
    x = torch.randn(5, 4)
    expected = torch.stack([network(x).sigmoid() for network in networks]).mean(0)
    torch.testing.assert_close(Ensemble(members)(x).sigmoid(), expected)


def made(y=Y):
    x = np.column_stack([LOGITS[:, 0], RNG.normal(size=len(y)), LOGITS[:, 2]])
    return from_arrays(x, y, task="multilabel")


def test_guessing_says_the_share_of_each_label_and_is_never_certain():
    dataset = made()
    splits = make_splits(dataset, folds=3, seed=0)
    expected = []
    for fold in range(3):
        shares = Y[splits.train(fold)].mean(0)
        expected.append(np.mean([metrics.log_loss(v, np.full(len(v), p), labels=[0, 1])
                                 for v, p in zip(Y[splits.validation(fold)].T, shares, strict=True)]))  # fmt: skip
    assert guess_scores(dataset, splits, "log_loss") == pytest.approx(expected)
    never = np.flatnonzero(Y[:, 2] == 0)
    np.testing.assert_allclose(guess(dataset, never, 2)[:, 2], logit(0.5 / len(never)))


def test_gradient_boosting_is_scored_as_scikit_learn_would_for_each_label_on_the_same_folds():
    dataset = made()
    splits = make_splits(dataset, folds=2, seed=0)
    train, validation = splits.train(0), splits.validation(0)
    losses = []
    for label in Y.T:
        model = HistGradientBoostingClassifier(random_state=0).fit(dataset.x[train], label[train])
        losses.append(metrics.log_loss(label[validation], model.predict_proba(dataset.x[validation])))
    assert boost(dataset, splits, "log_loss", seed=0).scores[0] == pytest.approx(np.mean(losses))


def test_a_label_that_never_varies_in_a_folds_training_part_breaks_nothing(make_recipe, make_run):
    y = Y.copy()
    y[:, 2] = np.arange(200) < 100  # the first half has it, and is the training part
    dataset = from_arrays(np.column_stack([LOGITS[:, 0], LOGITS[:, 1]]), y, task="multilabel")
    halves = np.arange(100), np.arange(100, 200)
    for techniques in (Techniques(), Techniques(class_weights="balanced", label_smoothing=0.1)):
        recipe = make_recipe("mlp")
        object.__setattr__(recipe, "techniques", techniques)
        run = make_run(recipe, dataset, samples=[halves], objective=Objective.of("multilabel", "auroc"))
        (shown,) = list(run.advance(2, 1))[-1]
        assert np.isfinite([shown.train_loss, shown.validation_loss, shown.validation_metric]).all()

    class Halves:
        folds = 1
        train, validation = staticmethod(lambda fold: halves[0]), staticmethod(lambda fold: halves[1])

    assert np.isfinite(boost(dataset, Halves, "log_loss", seed=0).scores).all()


def test_a_folds_validation_scores_are_scikit_learns(make_recipe, make_run):
    from automl.training.serial import predict

    run = make_run(make_recipe("mlp"), made())
    (shown,) = next(run.advance(1, 1))
    fold = run.folds[0]
    p = predict(fold, run.resident, fold.validation, torch.float32).double().sigmoid().numpy()
    y = Y[run.samples[0][1]]
    expected = np.mean([metrics.log_loss(y[:, c], p[:, c], labels=[0, 1]) for c in range(3)])
    assert shown.validation_loss == pytest.approx(expected, rel=1e-6)
    assert shown.validation_metric == pytest.approx(1 - metrics.hamming_loss(y, p > 0.5))
