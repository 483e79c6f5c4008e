"""Frozen features: the part of a network that is not trained is computed once, and trials train what is behind it.

A network with `frozen` (see `automl.training.network`) is `head(features(x))`. Its features are computed for each
sample of the training part, as it is and mirrored where the trial mirrors, and shared by all trials, folds and workers.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.resident import Normalisation, PixelInputs, Resident
from automl.data.table_inputs import Scaling
from automl.errors import TrialFailed
from automl.training.device import autocast, evaluation_batch
from automl.training.folding import fold_batch_norm
from automl.training.layout import choose_layout
from automl.training.network import expected_normalisation, load_weights, seen_shape
from automl.training.recipe import Recipe, describe_source

HEAD = "head."
PROBED = 8  # samples by which the time for all features is judged
MOST_PROBED = 16  # by which that of the whole network is
AT_A_TIME = 8  # samples on a CPU: with 32, whose maps do not fit into its cache, it takes half as long again


class FrozenPart(NamedTuple):
    """The frozen part of a network: what tells it from others, and the shape of its features, without the batch."""

    name: str
    shape: tuple[int, ...]


def mirroring(recipe: Recipe) -> float:
    """How likely a training sample is mirrored: of an augmentation nothing else reaches a frozen part."""
    return recipe.build_augmentation().policy.horizontal_flip


def frozen_name(network: nn.Module, recipe: Recipe, input_shape: tuple[int, ...]) -> str | None:
    """What tells the network's frozen part from others; None where it has none.

    Raises `TrialFailed` for one that lacks what belongs to it.
    """
    frozen = getattr(network, "frozen", None)
    if frozen is None:
        return None
    lacking = [name for name in ("features", "head") if not hasattr(network, name)]
    if lacking:
        raise TrialFailed(
            f"{describe_source(recipe.architecture)}: the network has `frozen` but no `{lacking[0]}`; with `frozen`, "
            "network(x) is network.head(network.features(x))"
        )
    return f"{recipe.architecture.name} {frozen} {tuple(input_shape)}"


def head_of(network: nn.Module) -> nn.Module:
    """What is behind the frozen part, with the network's `lr_ratios` for it."""
    head = network.head
    assert isinstance(head, nn.Module)
    ratios: dict[str, float] = getattr(network, "lr_ratios", {})
    if own := {name.removeprefix(HEAD): ratio for name, ratio in ratios.items() if name.startswith(HEAD)}:
        head.lr_ratios = own  # type: ignore[assignment]
    return head


class FrozenFeatures(Resident):
    """The data as the frozen part of a network sees them: a `Resident` for the head alone.

    Args:
        whole: the images.
        part: of the network.
        samples: the numbers of those that are needed.
        mirrored: how likely a sample of a training batch is mirrored.
    """

    def __init__(self, whole: Resident, part: FrozenPart, samples: NDArray[np.int64], mirrored: float):
        self.whole = whole
        self.part = part
        self.device, self.y = whole.device, whole.y
        self.image = False
        self.task, self.num_outputs = whole.task, whole.num_outputs
        self.input_shape, self.columns = part.shape, ()
        self.mirrored = mirrored
        self.files = whole.feature_files
        self._samples = np.unique(samples)
        self._views: list[Tensor] = []
        self._place = torch.full((len(whole),), -1, dtype=torch.int64)
        self._place[torch.from_numpy(self._samples)] = torch.arange(len(self._samples))
        self._place = self._place.to(self.device)

    def load(self, build: Callable[[], nn.Module], precision: torch.dtype, tick: Callable[[], None]) -> None:
        """Brings the features, which are computed where nobody has; `build` makes the network for that.

        `tick` is called before each batch, and while others compute. Raises what the network raises, and
        `MachineFailed`.
        """
        if self._views:
            return
        network = functools.cache(lambda: self._ready(build()))
        for name, mirror in self._views_named(precision):

            def compute(rows: NDArray[np.int64], mirror: bool = mirror) -> NDArray[np.float32]:
                found = self._computed(network(), rows, mirror, precision)
                return np.asarray(found.cpu().numpy(), dtype=np.float32)

            features = self.files.get(name, self._samples, self.part.shape, compute, tick)
            self._views.append(torch.from_numpy(features).to(self.device))

    def seconds_missing(self, build: Callable[[], nn.Module], precision: torch.dtype) -> float:
        """About how long `load` would compute, measured on a few samples; 0 where all features are there."""
        missing = sum(
            self.files.missing(name, self._samples, self.part.shape) for name, _ in self._views_named(precision)
        )
        return 0.0 if self._views or not missing else missing * self.seconds_of_features(build, precision)

    def seconds_of_features(self, build: Callable[[], nn.Module], precision: torch.dtype) -> float:
        """About how long the features of one sample take, measured once on a few."""
        if self.part.name not in self.files.speeds:
            network, rows = self._ready(build()), self._samples[:PROBED]
            seconds = seconds_of(lambda: self._computed(network, rows, False, precision))
            self.files.speeds[self.part.name] = seconds / len(rows)
        return self.files.speeds[self.part.name]

    def seconds_of_whole(self, build: Callable[[], nn.Module]) -> float:
        """About how long the whole network takes for one sample as a saved model does, measured once on a few."""
        name = f"{self.part.name}, whole"
        if name not in self.files.speeds:
            network = build()
            load_weights(network)
            network.to(self.device).eval()
            size = evaluation_batch(seen_shape(network, self.whole.input_shape), self.device)
            x, _ = self.whole.batch(torch.from_numpy(self._samples[: min(size, MOST_PROBED)]).to(self.device))
            with torch.inference_mode():
                self.files.speeds[name] = seconds_of(lambda: network(x.float())) / len(x)
        return self.files.speeds[name]

    def seconds_of_head(self, build: Callable[[], nn.Module], batch_size: int, precision: torch.dtype) -> float:
        """About how long the head takes for one sample, forward, measured on a batch that is empty."""
        network = build()
        load_weights(network)
        head = head_of(network).to(self.device).eval()
        empty = torch.zeros(batch_size, *self.part.shape, device=self.device)
        with torch.inference_mode(), autocast(self.device, precision):
            return seconds_of(lambda: head(empty)) / batch_size

    def _views_named(self, precision: torch.dtype) -> list[tuple[str, bool]]:
        """The name of each view that is needed, and whether it is mirrored."""
        plain = f"{self.part.name} {precision}"
        return [(plain, False), (f"{plain} mirrored", True)][: 1 + (self.mirrored > 0)]

    def _ready(self, network: nn.Module) -> nn.Module:
        """The network with its weights, in the form in which it is fastest."""
        load_weights(network)
        if not hasattr(network, "pixel_mean"):
            raise TrialFailed("a network with `frozen` needs pixel_mean and pixel_std, the same for all folds")
        layout = choose_layout(network, self.device)
        network.to(self.device, memory_format=layout).eval()  # type: ignore[call-overload]
        probed = self._samples[:PROBED]
        return fold_batch_norm(network, lambda each: self._computed(each, probed, False, torch.float32))

    @torch.inference_mode()
    def _computed(self, network: nn.Module, rows: NDArray[np.int64], mirror: bool, precision: torch.dtype) -> Tensor:
        parts, size = [], AT_A_TIME if self.device.type == "cpu" else len(rows)
        for index in torch.split(torch.from_numpy(rows).to(self.device), size):
            x, _ = self.whole.batch(index)
            unit = torch.ones(1, x.shape[1], 1, 1, device=self.device)
            normalise = expected_normalisation(network, Normalisation(PixelInputs(unit, unit))).inputs
            with autocast(self.device, precision):
                features: Tensor = network.features(normalise(x.flip(-1) if mirror else x))  # type: ignore[operator]
            parts.append(features.float())
        return torch.cat(parts)

    def normalisation(
        self, index: NDArray[np.int64], scaling: Scaling = "standard", log_target: bool = False
    ) -> Normalisation:
        """That of the answers; features are taken as they are."""
        own = self.whole.normalisation(index, scaling, log_target)
        one = torch.ones((1,) * (1 + len(self.input_shape)), device=self.device)
        return Normalisation(PixelInputs(torch.zeros_like(one), one), own.target)

    def batch(self, index: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features of the samples `index` [b] as they are, float32 [b, ...], and y."""
        return self._views[0].index_select(0, self._place[index]), self.y.index_select(0, index)

    def views(self, index: Tensor, rows: Tensor | None = None, *, mirrored: bool) -> list[Tensor]:
        """The features of the samples, and those of their mirror images where these count as well."""
        return [view.index_select(0, self._place[index]) for view in self._views[: 1 + mirrored]]

    def training_batch(self, index: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `batch`, of which a random part is mirrored. Draws from torch's generator of the device."""
        x, y = self.batch(index)
        if self.mirrored:
            other = self._views[1].index_select(0, self._place[index])
            chosen = torch.rand(len(index), device=self.device) < self.mirrored
            x = torch.where(chosen.view(-1, *[1] * (x.ndim - 1)), other, x)
        return x, y

    def __len__(self) -> int:
        return len(self.y)


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes, the second time: the first one is slower."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
