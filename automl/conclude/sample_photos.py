"""Some photos of the training part as a network is given them: decoded, augmented, and brought to its size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.augmentation.augment import BatchAugmentation
from automl.data.augmentation.policy import BOUNDS, Policy
from automl.data.dataset import Dataset
from automl.data.resident import PixelInputs, Resident
from automl.models.modules import Ensemble, Standardised, first_member
from automl.training.frozen import mirroring
from automl.training.recipe import Recipe
from automl.training.seeds import forked, seed_torch

CLASSES = 10  # the commonest
OF_A_CLASS, OF_A_CLASS_OF_MANY, FEW = 3, 2, 5  # photos; of more than `FEW` classes fewer of each
OF_A_REGRESSION = 9


class GivenPhotos(NamedTuple):
    """What a network is given of some photos, uint8 [k, c, h, w], and by what they were changed."""

    pixels: NDArray[np.uint8]
    changes: tuple[str, ...]


def show_photos(
    module: Standardised | Ensemble,
    recipe: Recipe,
    resident: Resident,
    samples: NDArray[np.int64],
    *,
    frozen: bool,
    seed: int,
) -> GivenPhotos:
    """The `samples` [k] as the model's network was given them in a batch of its training with the `recipe`.

    frozen: the network has a frozen part, whose features are those of whole photos, or of mirrored ones.
    """
    member = first_member(module)
    assert isinstance(member.inputs, PixelInputs)
    augmentation = recipe.build_augmentation()
    if frozen:
        augmentation = BatchAugmentation(Policy(horizontal_flip=mirroring(recipe)))
    index = torch.from_numpy(samples).to(resident.device)
    with forked(resident.device), torch.no_grad():
        seed_torch(seed, resident.device)
        x, y = resident.batch(index)
        classes = resident.num_outputs if resident.task == "classification" else None
        augmented, _ = augmentation(x, y, classes)
        given = first_input(member.network.eval(), member.inputs, augmented)
    pixels = given.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return GivenPhotos(pixels, changes_of(augmentation))


class _Given(Exception):
    """Ends a pass at its first layer."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.x = x


def first_input(network: nn.Module, inputs: PixelInputs, images: Tensor) -> Tensor:
    """What the first layer of the network is given of raw `images` [b, c, h, w], in units of 0..255.

    A network may resize what it is given, or make one channel three: its first layer has it after that. The images as
    they are where no layer is given any, or something else than images of one or three channels.
    """

    def stop(_: nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], Tensor):
            raise _Given(given[0])

    hooks = [layer.register_forward_pre_hook(stop) for layer in network.modules() if not list(layer.children())]
    try:
        network(inputs(images))
    except _Given as found:
        if found.x.ndim == 4 and len(found.x) == len(images) and found.x.shape[1] in (1, 3):
            return found.x.float() * inputs.std + inputs.mean
    finally:
        for hook in hooks:
            hook.remove()
    return images.float()


def changes_of(augmentation: BatchAugmentation) -> tuple[str, ...]:
    """The parts of the augmentation that are on, by their names; a plugin's own function by `augmentation`'s."""
    plain = Policy()
    own = ("a function of its own",) if augmentation.function is not None else ()
    names = [f.name for f in fields(Policy) if f.name in BOUNDS and f.name != "crop_ratio"]
    on = [name.replace("_", " ") for name in names if getattr(augmentation.policy, name) != getattr(plain, name)]
    return (*own, *on)


def choose_samples(dataset: Dataset, training: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A few of the `training` samples, drawn with the seed: of each of the commonest classes, in order, or any."""
    rng = np.random.default_rng(seed)
    if not dataset.classes:
        return _draw(rng, training, OF_A_REGRESSION)
    labels = dataset.y[training]
    counts = np.bincount(labels, minlength=len(dataset.classes))
    chosen: Iterable[int] = np.sort(np.argsort(-counts, kind="stable")[:CLASSES]).tolist()
    most = OF_A_CLASS if len(dataset.classes) <= FEW else OF_A_CLASS_OF_MANY
    return np.concatenate([_draw(rng, training[labels == label], most) for label in chosen])


def _draw(rng: np.random.Generator, samples: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.sort(rng.choice(samples, min(count, len(samples)), replace=False))
