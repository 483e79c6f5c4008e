"""Training with augmentation: repeatable, for both tasks, and for images alone."""

from dataclasses import replace

import numpy as np
import pytest

from automl.data.augmentation.augment import BatchAugmentation
from automl.data.sources.arrays import from_arrays


@pytest.fixture
def augmented(make_recipe, host):
    """`augmented("lenet", "strong", mixup=0.5)`: a recipe with a policy and parts of it."""

    def make(architecture, policy, **parts):
        declared = host.augmentation(policy)
        return replace(make_recipe(architecture), augmentation=declared, augmentation_parts=parts)

    return make


def losses(run, epochs=2):
    return [(r.train_loss, r.validation_loss) for results in run.advance(epochs, 1) for r in results]


@pytest.mark.parametrize("policy", ["light", "medium", "strong"])
def test_an_augmented_fold_trains_the_same_way_again_and_unlike_one_without(augmented, make_run, policy):
    first, again, plain = (losses(make_run(augmented("lenet", name))) for name in (policy, policy, "none"))
    assert first == again
    assert np.isfinite(first).all()
    assert first[0] != plain[0]


def test_images_and_targets_of_a_regression_are_mixed(augmented, make_run, images):
    targets = (images.x.mean((1, 2, 3)) * 3 - 50).astype(np.float32)
    dataset = from_arrays(images.x[:, 0], targets, name="brightness")
    run = make_run(augmented("lenet", "none", mixup=0.5), dataset)
    assert np.isfinite(losses(run)).all()


def test_label_smoothing_and_class_weights_take_mixed_targets(augmented, make_run):
    recipe = augmented("lenet", "strong", mixup=0.5)
    techniques = replace(recipe.techniques, label_smoothing=0.1, class_weights="balanced")
    assert np.isfinite(losses(make_run(replace(recipe, techniques=techniques)))).all()


def test_tables_are_not_augmented(augmented, make_run, numbers):
    run = make_run(augmented("mlp", "strong", noise=0.5), numbers)
    losses(run, epochs=1)
    assert run.folds[0].augmentation == BatchAugmentation()
