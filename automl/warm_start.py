"""`--first-from`: the best configs of earlier runs are tried before all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna

from automl.conclude.candidates import find_candidates
from automl.errors import AutomlError, SettingsError
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.spaces.first import fit_first
from automl.spaces.space import Config
from automl.study.storage.looking import look_at_storage
from automl.study.storage.opening import load_study

MOST = 3  # configs of each run: as many as a search has finalists


def begin_with_best(context: SearchContext, runs: Sequence[str]) -> SearchContext:
    """The ingredients of a search whose space begins with the best configs of the `runs`, then with its own.

    Of a config is taken what this space can draw; the rest is drawn. Raises `SettingsError` for a run that cannot be
    read, has no trial with a score, or none whose architecture and optimizer are in this space.
    """
    if not runs:
        return context
    space, notes = context.space, []
    found: list[Config] = []
    for run in runs:
        fitting = fit_first(_best_configs(run), space.parameters())[:MOST]
        if not fitting:
            raise SettingsError(
                f"--first-from {run}: none of its best configs has an architecture and an optimizer of this search "
                f"space ({', '.join(space.architectures)})"
            )
        found += fitting
        notes.append(f"Tried first: {len(fitting)} config{'s' * (len(fitting) > 1)} of {run}.")
    first: list[Config] = []
    for config in (*found, *space.first):
        if config not in first:
            first.append(config)
    dataset = replace(context.dataset, notes=(*context.dataset.notes, *notes))
    return replace(context, space=replace(space, first=tuple(first)), dataset=dataset)


def _best_configs(run: str) -> list[dict[str, Any]]:
    """The configs of the trials that might have won the run, best first. The run is only looked at."""
    folder = RunFolder(run)
    try:
        record = folder.read_record()
        storage = look_at_storage(record, folder.journal)
        study = load_study(storage, record.study, optuna.samplers.RandomSampler())
        candidates = find_candidates(study, folder, record.objective)
    except AutomlError as error:
        raise SettingsError(f"--first-from {run}: {error}") from error
    if not candidates:
        raise SettingsError(f"--first-from {run}: no trial of this run has a score yet")
    return [dict(trial.config) for trial, _ in candidates]
