"""A replay: a recorded trial is trained again from its seeds and compared with its curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from automl.errors import RunError
from automl.racing.curves import VALIDATION_LOSS, Curves, FoldEpoch
from automl.racing.ladder import Ladder
from automl.run.context import SearchContext
from automl.run.curve_files import trial_curves
from automl.run.folder import RunFolder
from automl.run.record import versions
from automl.run.run_record import RunRecord
from automl.training.run import TrialRun

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Replay:
    """A trial's curves as recorded and as trained again. `then` and `now` say where: device, precision, executor,
    threads, versions."""

    trial: int
    recorded: Curves
    replayed: Curves
    then: Mapping[str, Any]
    now: Mapping[str, Any]

    @property
    def bit_equal(self) -> bool:
        """Whether every loss and metric is the same to the last bit."""
        return np.array_equal(self.recorded.values, self.replayed.values, equal_nan=True)

    @property
    def difference(self) -> float:
        """The largest difference between a recorded and a replayed value, relative where that one is above 1."""
        then, now = self.recorded.values, self.replayed.values
        trained = np.isfinite(then)
        return float((np.abs(now - then)[trained] / np.maximum(1, np.abs(then[trained]))).max())

    @property
    def equal(self) -> bool:
        """Whether no value differs by more than 1e-6."""
        return self.difference <= TOLERANCE

    @property
    def changed(self) -> list[str]:
        """What is not as it was when the trial was recorded: `torch 2.11 -> 2.15`."""
        return [
            f"{name} {self.then.get(name)} -> {now}" for name, now in self.now.items() if self.then.get(name) != now
        ]

    def to_json(self) -> dict[str, Any]:
        """What `automl replay --json` prints."""
        return {
            "trial": self.trial,
            "folds": self.recorded.folds,
            "fold_epochs": self.recorded.fold_epochs,
            "difference": self.difference,
            "bit_equal": self.bit_equal,
            "equal": self.equal,
            "recorded_with": dict(self.then),
            "replayed_with": dict(self.now),
        }


def replay_trial(context: SearchContext, folder: RunFolder, row: Mapping[str, Any], record: RunRecord) -> Replay:
    """Trains the trial of this `row` of the leaderboard again, for the epochs that each of its folds has on record.

    Writes nothing. Raises `RunError` when there is nothing to compare with, and what `TrialRun` raises.
    """
    number = int(row["number"])
    recorded = trial_curves(folder, number, context.objective)
    if recorded is None or not recorded.fold_epochs:
        why = f" ({row['reason']})" if row["reason"] else ""
        raise RunError(f"trial {number} has no curves{why}: no epoch of it is on record that a replay could repeat")
    # As the search trained it; a difference would show as one in the curves. Sums over other threads end in other bits.
    if row["threads"]:
        torch.set_num_threads(row["threads"])
    run = context.trial_run(row["config"], number, context.resident(), fused=row["executor"] == "fused")
    replayed = Curves.of(np.full_like(recorded.values, np.nan), context.objective)
    try:
        for results in _advance_as_recorded(run, recorded, context.ladder):
            replayed.add(results)
    finally:
        run.release()
    precision = str(context.precision).removeprefix("torch.")
    return Replay(
        number,
        recorded,
        replayed,
        then=_circumstances(record.device, record.precision, row["executor"], row["threads"], record.versions),
        now=_circumstances(str(context.device), precision, run.executor.name, torch.get_num_threads(), versions()),
    )


def _advance_as_recorded(run: TrialRun, recorded: Curves, ladder: Ladder) -> Iterator[list[FoldEpoch]]:
    """Trains fold f for as many epochs as it has on record, climbing the ladder as the search did.

    One after the other, folds could be trained in any order. Stacked ones are trained with those that they were trained
    with then. Folds are recorded longest first.
    """
    lengths = np.isfinite(recorded.values[:, :, VALIDATION_LOSS]).sum(axis=1)
    done = np.zeros_like(lengths)
    for epoch, folds in ((epoch, rung.folds) for rung in ladder for epoch in range(1, rung.epochs + 1)):
        behind = np.flatnonzero(done[:folds] < epoch)
        if (lengths[behind] < epoch).any():
            break  # here the climb was ended
        yield from run.advance(epoch, folds)
        done[behind] = epoch
    # A trial that was stopped early and is complete: its other folds were trained up to its best epoch.
    for folds in range(len(lengths), 0, -1):
        if lengths[folds - 1]:
            yield from run.advance(int(lengths[folds - 1]), folds)


def _circumstances(
    device: str, precision: str, executor: str, threads: int | None, numbers: Mapping[str, str]
) -> dict[str, Any]:
    return {"device": device, "precision": precision, "executor": executor, "threads": threads, **numbers}
