"""The inspection of photos: samples as the network sees them, suspect labels, neighbours of mistakes, near copies.

It is made when the search is over, in the seconds that are kept for it, for the report, which only reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from automl.conclude.fitting import restore_trial
from automl.conclude.inspection import inspection_deadline
from automl.conclude.penultimate import NoLinearLayer, Penultimate, cosine, nearest
from automl.conclude.sample_photos import choose_samples, show_photos
from automl.conclude.selection import as_finalist
from automl.conclude.suspects import find_suspects, predict_out_of_fold
from automl.data.images.near_copies import SMALLEST, Pair, find_pairs, looks_of
from automl.data.table_columns import LONGEST, shown
from automl.errors import MachineFailed, OutOfTime, Stop
from automl.models.inspection import Inspection, load_inspection, save_inspection
from automl.models.mistakes import load_mistakes
from automl.models.model import Model, load_model
from automl.models.photos import (
    MOST,
    NearCopies,
    NearCopy,
    Neighbour,
    Neighbours,
    Photo,
    PhotoInspection,
    Seen,
    Suspect,
    Suspects,
    save_pictures,
)
from automl.run.context import SearchContext
from automl.scheduling.deadline import Budget, Deadline
from automl.scheduling.worker_loop import WorkerLoop
from automl.study.storage.opening import storage_errors
from automl.training.frozen import FrozenFeatures
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed

log = logging.getLogger("automl.inspection")

ASKED = 20_000  # training samples whose out-of-fold predictions are made
COMPARED = 4_000  # training samples among which neighbours are looked for
HASHED = 20_000  # photos of each side that are looked at for near copies
NEAREST = 3
SHOWN = 24  # suspects and pairs with a picture
ALIKE = 0.8  # cosine of the features of two photos that are to be copies; a strong compression costs 0.1
FOR_SUSPECTS, FOR_COPIES = 0.4, 0.4
"""Shares of the time left: for out-of-fold predictions, then for hashes; features have the rest."""

Found = TypeVar("Found")


def inspect_photos(context: SearchContext, work: WorkerLoop, budget: Budget, trial: int, model: Model | None) -> None:
    """Writes down the inspection of photos for the model of this trial, unless an earlier session has done so.

    `model` is that model; None: it is read. It takes `INSPECTION` seconds, and not longer than the budget. What goes
    wrong is said there, and stops nothing. Raises `Interrupted` and `MachineFailed`.
    """
    known = load_inspection(work.folder)
    if context.dataset.kind != "image" or (known is not None and known.trial == trial and known.photos is not None):
        return
    deadline = inspection_deadline(budget)
    left_out: dict[str, str] = {}

    def part(name: str, find: Callable[[], Found]) -> Found | None:
        """What one part of the inspection finds; where it fails or has no time, `left_out` says so."""
        try:
            deadline.check()
            return find()
        except OutOfTime:
            left_out[name] = "the deadline left no time for it"
        except (Stop, MachineFailed):
            raise
        except _LeftOut as reason:
            left_out[name] = shown(str(reason))
        except Exception as error:  # a plugin's code, no memory, an output that is no number
            log.warning("the photos of trial %d: %s left out: %s: %s", trial, name, type(error).__name__, error)
            left_out[name] = shown(f"it could not be found out ({type(error).__name__}: {error})")
        return None

    inspector = _Inspector(context, work, trial, model, deadline)
    seen = part("seen", inspector.seen)
    suspects = part("suspects", inspector.suspects)
    near_copies = part("near_copies", inspector.near_copies)
    neighbours = part("neighbours", inspector.neighbours)
    found = PhotoInspection(
        seen=seen, suspects=suspects, neighbours=neighbours, near_copies=near_copies, left_out=left_out
    )
    with storage_errors():
        save_pictures(work.folder, context.dataset, _pictured(found), inspector.given)
        save_inspection(work.folder, Inspection(trial=trial, photos=found))


class _LeftOut(Exception):
    """Why something is left out."""


class _Inspector:
    """Finds out the parts of a `PhotoInspection`; each of its methods raises `_LeftOut`, `OutOfTime` or anything."""

    def __init__(self, context: SearchContext, work: WorkerLoop, trial: int, model: Model | None, deadline: Deadline):
        self.context, self.work, self.trial = context, work, trial
        self.deadline = deadline
        self.dataset, self.splits = context.dataset, context.splits
        self.seed = derive_seed(context.settings.seed, "inspection")
        self.given: NDArray[np.uint8] | None = None
        self._model = model
        self._restored: TrialRun | None = None
        self._penultimate: Penultimate | None = None

    def seen(self) -> Seen:
        """A few training photos as they enter the network in training, augmented."""
        finalist = as_finalist(self.work.study, self.work.folder, self.context.objective, self.trial)
        run = self.context.trial_run(finalist.trial.config, self.trial, self.work.resident, fused=False)
        samples = choose_samples(self.dataset, self.splits.training_part, self.seed)
        frozen = isinstance(run.resident, FrozenFeatures)
        given = show_photos(self.model.module, run.recipe, self.work.resident, samples, frozen=frozen, seed=self.seed)
        self.given = given.pixels
        shape = given.pixels.shape[1:]
        photos = tuple(self.photo(sample) for sample in samples.tolist())
        return Seen(photos=photos, shape=shape, changes=given.changes, frozen=frozen)

    def suspects(self) -> Suspects:
        """Training photos whose label the network of their own fold contradicts, see `find_suspects`."""
        if not self.dataset.classes:
            raise _LeftOut("only where each photo has one class")
        run = self.restored
        epochs = [fold.epochs for fold in run.folds]
        soon = self.deadline.minus((1 - FOR_SUSPECTS) * self.deadline.left)
        rows, probabilities = predict_out_of_fold(run, soon, ASKED, self.seed)
        found = find_suspects(probabilities, self.dataset.y[rows])
        photos = []
        for place, predicted in found[:MOST]:
            photo, shares = self.photo(int(rows[place])), probabilities[place]
            own, against = float(shares[self.dataset.y[rows[place]]]), float(shares[predicted])
            named = shown(str(self.dataset.classes[predicted]))
            photos.append(Suspect(**photo.model_dump(), predicted=named, probability=min(1.0, against), own=own))
        return Suspects(
            photos=tuple(photos),
            found=len(found),
            asked=len(rows),
            total=len(self.splits.training_part),
            folds=len(run.folds),
            epochs=(min(epochs), max(epochs)),
            agree=float((probabilities.argmax(axis=1) == self.dataset.y[rows]).mean()),
        )

    def neighbours(self) -> Neighbours:
        """The training photos that are nearest to each mistake by the network's features."""
        mistakes = load_mistakes(self.work.folder)
        if mistakes is None or not len(mistakes.index):
            raise _LeftOut("the final model makes no mistakes on the test set")
        training = self.splits.training_part
        drawn = np.random.default_rng(self.seed).permutation(training)[:COMPARED]
        try:
            mine = self.penultimate.of(mistakes.index, self.deadline)
            others = self.penultimate.of(drawn, self.deadline, known=True)
        except NoLinearLayer:
            raise _LeftOut("the network has no linear layer, before which features could be looked at") from None
        if not len(mine) or len(others) < NEAREST:
            raise OutOfTime
        places, cosines = nearest(mine, others, NEAREST)
        of = {
            sample: tuple(
                Neighbour(**self.photo(int(drawn[place])).model_dump(), similarity=float(alike))
                for place, alike in zip(*row, strict=True)
            )
            for sample, row in zip(mistakes.index.tolist(), zip(places, cosines, strict=True), strict=False)
        }
        return Neighbours(of=of, compared=len(others), total=len(training))

    def near_copies(self) -> NearCopies:
        """Photos of the test set that look the same as one of the training part."""
        sides = self.splits.test, self.splits.training_part
        if not len(sides[0]):
            raise _LeftOut("there is no test set")
        if min(self.dataset.input_shape[1:]) < SMALLEST:
            raise _LeftOut(f"pictures of fewer than {SMALLEST} pixels look alike without being copies")
        rng = np.random.default_rng(self.seed)
        test, training = (np.sort(rng.permutation(side)[:HASHED]) for side in sides)
        soon = self.deadline.minus((1 - FOR_COPIES) * self.deadline.left)
        half = soon.minus(soon.left / 2)
        looks = looks_of(self._batches(test, half)), looks_of(self._batches(training, soon))
        counts = [len(each.hashes) for each in looks]
        if not all(counts):
            raise OutOfTime
        pairs = find_pairs(*looks)
        kept = self._alike([(int(test[pair.first]), int(training[pair.second]), pair) for pair in pairs])
        return NearCopies(
            pairs=tuple(kept[:MOST]),
            found=len(kept),
            test=counts[0],
            training=counts[1],
            all_test=len(sides[0]),
            all_training=len(sides[1]),
        )

    def _alike(self, pairs: list[tuple[int, int, Pair]]) -> list[NearCopy]:
        """Those pairs whose features are alike too, as far as there is time to look at them."""
        first, second = (np.array([pair[side] for pair in pairs[:MOST]], dtype=np.int64) for side in (0, 1))
        cosines: list[float | None] = [None] * len(pairs)
        if pairs:
            try:
                ends = self.penultimate.of(np.stack([first, second], axis=1).ravel(), self.deadline)
                whole = len(ends) // 2
                cosines[:whole] = cosine(ends[0 : 2 * whole : 2], ends[1 : 2 * whole : 2]).tolist()
            except (Stop, MachineFailed):
                raise
            except Exception as error:  # as of any network; the pixels alone say it too
                log.warning("near copies are judged without the network: %s: %s", type(error).__name__, error)
        return [
            NearCopy(test=self.photo(a), training=self.photo(b), bits=pair.bits, similarity=alike)
            for (a, b, pair), alike in zip(pairs, cosines, strict=True)
            if alike is None or alike >= ALIKE
        ]

    def _batches(self, samples: NDArray[np.int64], until: Deadline) -> Iterator[Tensor]:
        """The pixels of the samples, as far as there is time."""
        resident = self.work.resident
        for part in torch.split(torch.from_numpy(samples).to(resident.device), 64):
            until.check_interrupted()
            if until.left <= 0:
                return
            yield resident.batch(part)[0]

    @property
    def model(self) -> Model:
        """The final model."""
        if self._model is None:
            self._model = load_model(self.work.folder.model, plugins=self.context.settings.plugins)
            self._model.module.to(self.work.resident.device)
        return self._model

    @property
    def restored(self) -> TrialRun:
        """The networks of the winner's folds, as its checkpoint has them."""
        if self._restored is None:
            folder, resident = self.work.folder, self.work.resident
            finalist = as_finalist(self.work.study, folder, self.context.objective, self.trial)
            self._restored = restore_trial(self.context, finalist, resident, folder, self.deadline.check)
        if self._restored is None:
            raise _LeftOut(f"the networks of the folds of trial {self.trial} are not on this machine any more")
        return self._restored

    @property
    def penultimate(self) -> Penultimate:
        """Features by the final model."""
        if self._penultimate is None:
            frozen = None if self._restored is None else self._restored.resident
            self._penultimate = Penultimate(self.model.module, self.work.resident, frozen)
        return self._penultimate

    def photo(self, sample: int) -> Photo:
        """A sample by its name and its label; of a long name the end."""
        name, dataset = self.dataset.name_of(sample), self.dataset
        label = str(dataset.classes[dataset.y[sample]]) if dataset.classes else numbers_of(dataset.y[sample])
        short = name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]
        return Photo(sample=sample, name=short, label=shown(label))


def numbers_of(values: NDArray[Any]) -> str:
    """The answers of a sample of a regression [outputs], the first four."""
    return ", ".join(f"{value:.4g}" for value in values[:4])


def _pictured(found: PhotoInspection) -> list[int]:
    """The samples of which the report shows a picture."""
    samples = [photo.sample for photo in found.suspects.photos[:SHOWN]] if found.suspects else []
    if found.neighbours:
        samples += [neighbour.sample for near in found.neighbours.of.values() for neighbour in near]
    if found.near_copies:
        samples += [photo.sample for pair in found.near_copies.pairs[:SHOWN] for photo in (pair.test, pair.training)]
    return samples
