"""One trial's training: advanceable by (epochs, folds), saved and restored to the bit.

`TrialRun` is the only thing that trains. The race knows it by three methods (`advance`, `save`, `restore`), so that a
table of recorded curves can stand in for it.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from automl.data.resident import Normalisation, Resident
from automl.errors import Infeasible, NonFinite, RunError
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.objective import Objective
from automl.training import serial
from automl.training.checkpoint import load_tree, save_tree
from automl.training.device import autocast
from automl.training.executor import Executor, Scores
from automl.training.fold import Fold, build_fold, build_network
from automl.training.fold_state import bring_back, state_of
from automl.training.frozen import FrozenFeatures, mirroring, seconds_of
from automl.training.losses import loss_for
from automl.training.memory import peak_memory, reset_peak_memory
from automl.training.network import expected_normalisation, load_weights
from automl.training.on_meta import check_on_meta
from automl.training.recipe import FoldSamples, Recipe
from automl.training.seeds import derive_seed

STEP = 3.0  # times as long as the forward pass takes a step of training
PROBED, SLOWER = 4, 4.0


class TrialRun:
    """The training of one config on all folds.

    Args:
        recipe: what to build and how to train it.
        resident: the data on its device.
        samples: for each fold the numbers of its training and validation samples.
        seed: of this trial; each fold derives its own.
        precision: dtype of matrix products.
        max_params: networks above are infeasible (None: no limit).
        fused: whether folds that advance together are trained as one CUDA graph, where that can be.
        tick: called before each batch; may raise to stop. What was not saved is lost then.
        objective: what is scored; its metric is measured beside the loss (None: the task's default).
        plateau_losses: what plateau schedules are told by epoch where a fold has no validation samples (the final fit).

    Raises:
        Infeasible: the network does not fit the data or the limits; found without allocating it.
    """

    def __init__(
        self,
        recipe: Recipe,
        resident: Resident,
        samples: Sequence[FoldSamples],
        *,
        seed: int,
        precision: torch.dtype = torch.float32,
        max_params: int | None = None,
        objective: Objective | None = None,
        fused: bool = False,
        tick: Callable[[], None] = lambda: None,
        plateau_losses: Sequence[float] = (),
    ):
        self.recipe = recipe
        self.resident = self.whole = resident
        self.samples = samples
        self.seed = seed
        self.precision = precision
        self.tick = tick
        self.plateau_losses = plateau_losses
        self.loss = loss_for(resident.task, resident.deviations)
        self.objective = objective or Objective.of(resident.task)
        self._fewest = min(len(train) for train, _ in samples)
        known = resident.feature_files.shapes
        # `resident` is what folds are trained on, `whole` the data as they are.
        self.parameters, frozen = check_on_meta(
            recipe, resident.input_shape, resident.num_outputs, max_params, resident.columns, known
        )
        if frozen is not None:
            needed = np.concatenate([np.concatenate(pair) for pair in samples])
            self.resident = FrozenFeatures(resident, frozen, needed, mirroring(recipe))
        self.folds: list[Fold] = []
        self.seconds = 0.0
        self.prediction_seconds = 0.0
        """About how long the whole network takes to predict an image; 0 until it is measured."""
        reset_peak_memory(resident.device)
        self.executor = Executor(self.resident, self.loss, self.objective.metric, precision, tick, fused)

    def advance(self, epochs: int, folds: int) -> Iterator[list[FoldEpoch]]:
        """Trains the first `folds` folds up to `epochs` epochs; yields after each epoch what the trained folds showed.

        Folds advance together, epoch by epoch; folds that join late catch up first. May be left at any yield.

        Raises:
            NonFinite: a loss is NaN or infinite.
            Infeasible: the device's memory does not suffice.
        """
        self._build_all(folds)
        with self._out_of_memory():
            for epoch in range(1, epochs + 1):
                behind = [fold for fold in self.folds[:folds] if fold.epochs < epoch]
                if behind:
                    yield self._train_epoch(behind)

    def advance_fold(self, number: int, epochs: int) -> Iterator[list[FoldEpoch]]:
        """As `advance`, of one fold alone."""
        self._build_all(number + 1)
        fold = self.folds[number]
        with self._out_of_memory():
            while fold.epochs < epochs:
                yield self._train_epoch([fold])

    def _build_all(self, folds: int) -> None:
        """Builds those of the first `folds` folds that are not there yet."""
        with self._out_of_memory():
            if isinstance(self.resident, FrozenFeatures):
                self.resident.load(self._build_whole, self.precision, self.tick)
            while len(self.folds) < folds:
                self.folds.append(self._build(len(self.folds)))

    @contextmanager
    def _out_of_memory(self) -> Iterator[None]:
        """Makes a device's or the machine's lack of memory `Infeasible`, and gives the folds' memory back."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            # On a CPU torch raises a plain RuntimeError.
            known = isinstance(error, torch.OutOfMemoryError | MemoryError)
            if not known and "DefaultCPUAllocator" not in str(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold the tensors that did fit
            self.release()
            raise Infeasible(f"out of memory: {str(error).partition(chr(10))[0]}") from error

    def _build(self, number: int) -> Fold:
        train, validation = self.samples[number]
        seed = derive_seed(self.seed, "fold", number)
        about = self.recipe, self.resident, self.loss
        return build_fold(*about, train, validation, number=number, seed=seed, fewest=self._fewest)

    def expected_seconds(self, workers: int = 1, limit: float = math.inf) -> float:
        """About how long one training takes, measured on one batch: all epochs of the first fold.

        A few samples, which take up to `SLOWER` times as long each, tell already where it is far beyond the `limit`.

        Of a network with a frozen part it is those of its head, or of the features that nobody has computed yet, which
        so many `workers` share out and others will use too: whichever takes longer.
        """
        if isinstance(self.resident, FrozenFeatures):
            features = self.resident.seconds_missing(self._build_whole, self.precision) / workers
            forward = self.resident.seconds_of_head(self._build_whole, self.recipe.batch_size, self.precision)
            return max(features, STEP * forward * self._fewest * self.recipe.epochs)
        self._build_all(1)
        expected = 0.0
        for count in (PROBED, self.recipe.batch_size):
            expected = STEP * self._seconds_forward(count) * self.folds[0].samples * self.recipe.epochs
            if expected > SLOWER * limit:
                break
        return expected

    def measure_prediction(self) -> None:
        """Finds out `prediction_seconds` on a few images, once folds are trained. Raises what the network raises."""
        if self.prediction_seconds or not self.whole.image:
            return
        if isinstance(self.resident, FrozenFeatures):
            seconds = self.resident.seconds_of_whole(self._build_whole)
        else:
            seconds = self._seconds_forward(PROBED)
        self.prediction_seconds = seconds * (1 + self.averages_mirrored)

    @torch.no_grad()
    def _seconds_forward(self, count: int) -> float:
        """How long a sample takes forward in a batch of so many."""
        fold = self.folds[0]
        network, index = fold.deployed.eval(), fold.train[:count]
        x, _ = self.resident.batch(index, fold.normalisation.rows)
        with autocast(self.resident.device, self.precision):
            return seconds_of(lambda: fold.forward(x, network)) / len(index)

    def _build_whole(self) -> nn.Module:
        return build_network(self.recipe, self.whole, self.seed)

    def networks(self) -> list[tuple[nn.Module, Normalisation]]:
        """The network of each fold that is deployed, whole, and the normalisation of its samples."""
        if not isinstance(self.resident, FrozenFeatures):
            return [(fold.deployed, fold.normalisation) for fold in self.folds]
        found = []
        for fold in self.folds:
            network = self._build_whole()
            load_weights(network)
            network.head = fold.deployed
            techniques = self.recipe.techniques
            log_target = techniques.target_transform == "log"
            own = self.whole.normalisation(self.samples[fold.number][0], techniques.scaling, log_target)
            found.append((network.to(self.resident.device), expected_normalisation(network, own)))
        return found

    @property
    def family(self) -> str:
        """Among which networks it is ranked on cheap rungs: those of its architecture with the same frozen part.

        A head on frozen features and a network that is trained whole learn at different speeds, at different costs.
        """
        return self.resident.part.name if isinstance(self.resident, FrozenFeatures) else self.recipe.architecture.name

    @property
    def averages_mirrored(self) -> bool:
        """Whether the answer for a sample is the mean of the outputs for an image and its mirror image."""
        return self.whole.image and self.recipe.averages_mirrored

    def _train_epoch(self, folds: list[Fold]) -> list[FoldEpoch]:
        """One epoch of folds that have the same number of epochs behind them, and what they showed."""
        started = time.perf_counter()
        trained = self.executor.train(folds)
        validated = self.executor.evaluate(folds) if len(folds[0].validation) else [None] * len(folds)
        self.seconds += time.perf_counter() - started
        return [self._shown(fold, train, valid) for fold, train, valid in zip(folds, trained, validated, strict=True)]

    def _shown(self, fold: Fold, trained: Scores, validated: Scores | None) -> FoldEpoch:
        """What a fold showed; tells its schedule, and refuses scores that are no numbers."""
        if validated is None:
            validated = trained
            if fold.epochs <= len(self.plateau_losses):
                validated = self.plateau_losses[fold.epochs - 1], trained[1]
        checked = [("train loss", trained[0]), ("validation loss", validated[0])]
        if self.objective.name == self.objective.metric:
            checked.append((f"validation {self.objective.metric}", validated[1]))
        for what, value in checked:
            if not math.isfinite(value):
                raise NonFinite(f"{what} {value}", fold.number + 1, fold.epochs)
        serial.step_plateau(fold, validated[0])
        return FoldEpoch(fold.number, fold.epochs, *trained, *validated)

    @property
    def fold_epochs(self) -> int:
        """How many epochs its folds have behind them, all together."""
        return sum(fold.epochs for fold in self.folds)

    @property
    def peak_memory(self) -> int:
        """Bytes, since this was made: of tensors on the CUDA device, else of the whole process."""
        return peak_memory(self.resident.device)

    def release(self) -> None:
        """Gives back the memory of all folds."""
        for fold in self.folds:  # an optimizer with a schedule refers to itself, and holds all this until collected
            fold.optimizer.zero_grad()
            fold.optimizer.state.clear()
            fold.optimizer.param_groups.clear()
        self.folds.clear()
        self.executor.release()

    def save(self, path: Path, curves: Curves) -> None:
        """Writes the state of all folds, and their curves, atomically.

        Randomness needs no state: it derives from (seed, fold, epoch, step).
        """
        self._write({"folds": [state_of(fold) for fold in self.folds], "curves": torch.from_numpy(curves.values)}, path)

    def _write(self, tree: dict[str, Any], path: Path) -> None:
        save_tree({**tree, "seconds": self.seconds, "seed": self.seed}, path)

    def restore(self, path: Path) -> Curves:
        """Brings back the state that `save` wrote; returns the curves.

        Raises `RunError` when the file is damaged or another trial's, and `Infeasible` as `advance` does.
        """
        with self._reading(path) as tree:
            self.folds = []
            self._build_all(len(tree["folds"]))
            for fold, state in zip(self.folds, tree["folds"], strict=True):
                bring_back(fold, state)
            self.seconds = tree["seconds"]
            return Curves.of(tree["curves"].numpy(), self.objective)

    def save_fold(self, number: int, path: Path, curves: Curves) -> None:
        """Writes the state of one fold, and its curves, for `join_fold` of the same trial in another process."""
        values = torch.from_numpy(curves.values[number])
        self._write({"fold": number, "state": state_of(self.folds[number]), "curves": values}, path)

    def join_fold(self, number: int, path: Path) -> list[FoldEpoch]:
        """Brings in a fold that `save_fold` wrote; returns what it showed, epoch by epoch. Raises as `restore`."""
        with self._reading(path) as tree:
            if tree["fold"] != number:
                raise RunError(f"{path}: this is fold {tree['fold']} of its trial")
            self._build_all(number)
            with self._out_of_memory():
                fold = self._build(number)  # a new one: where the state does not fit, it is half of one thing
            bring_back(fold, tree["state"])
            self.folds[number:] = [fold, *self.folds[number + 1 :]]
            self.seconds += tree["seconds"]
            shown = tree["curves"].numpy()[: fold.epochs]
            return [FoldEpoch(number, epoch, *map(float, values)) for epoch, values in enumerate(shown, 1)]

    @contextmanager
    def _reading(self, path: Path) -> Iterator[dict[str, Any]]:
        """What the file holds; what does not fit this trial is a `RunError`."""
        tree = load_tree(path)
        try:
            if tree["seed"] != self.seed:
                raise RunError(f"{path}: this checkpoint belongs to another trial")
            yield tree
        except (LookupError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            raise RunError(f"{path}: this checkpoint does not fit its trial ({error})") from error


def read_curves(path: Path, objective: Objective) -> Curves:
    """The curves in a checkpoint, without building its networks. Raises `RunError` for a damaged file."""
    try:
        return Curves.of(load_tree(path, only="curves")["curves"].numpy(), objective)
    except AttributeError as error:
        raise RunError(f"{path}: this checkpoint has no curves") from error
