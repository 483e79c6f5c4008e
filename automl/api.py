"""What the command line calls and a notebook imports: `search`, `resume`, `load_model`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import torch

from automl.data.splits import load_splits, save_splits
from automl.errors import MachineFailed, RunError
from automl.racing.objective import Objective
from automl.racing.race import Race
from automl.results.dashboard import annotate_study, annotate_trials, serve
from automl.results.final import Winner, choose_winner, finish
from automl.results.leaderboard import summarise
from automl.results.model import Model, load_model
from automl.results.replay import Replay, replay_trial
from automl.results.report import write_report
from automl.settings import Settings, make_settings
from automl.study.budget import Budget
from automl.study.folder import RunFolder, fresh_folder
from automl.study.prepare import Prepared, check_unchanged, make_record, prepare
from automl.study.samplers import make_sampler
from automl.study.search import Search
from automl.study.storage import PASSWORD_VARIABLE, create_study, load_study, open_storage, redact, storage_errors
from automl.study.watcher import Watcher, Watchers

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["Run", "load_model", "open_run", "replay", "resume", "search", "serve_dashboard"]

MakeWatcher = Callable[[Prepared, Budget, list["FrozenTrial"]], Watcher]
"""Makes who watches a search, from its ingredients, its budget and the trials of earlier sessions."""


@dataclass(frozen=True)
class Run:
    """A run on disk. `summary` is what `automl leaderboard --json` prints; `record` is its `run.yaml`."""

    folder: RunFolder
    summary: Mapping[str, Any]
    record: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The complete trial with the best score, as a row of the leaderboard; None while there is none."""
        number = self.summary["best"]
        return next((row for row in self.summary["trials"] if row["number"] == number), None)

    @property
    def test(self) -> Mapping[str, float]:
        """The final model's scores on the test set, by metric."""
        return self.summary["test"]  # type: ignore[no-any-return]

    def leaderboard(self) -> list[dict[str, Any]]:
        """The trials, best first."""
        return list(self.summary["trials"])

    def trial(self, number: int) -> Mapping[str, Any]:
        """A trial as a row of the leaderboard. Raises `RunError` when there is none of this number."""
        rows = {row["number"]: row for row in self.summary["trials"]}
        if number not in rows:
            known = f"0 to {len(rows) - 1}" if rows else "none"
            raise RunError(f"{self.path} has no trial {number}; it has: {known}")
        return rows[number]  # type: ignore[no-any-return]

    @property
    def model(self) -> Model:
        """The final model. Raises `RunError` when the search has not come so far."""
        return load_model(self.folder.model)


def search(
    data: str = "digits",
    *,
    out: str | Path | None = None,
    watch: MakeWatcher | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    **settings: Any,
) -> Run:
    """Searches a network for `data` and fits the final model.

    Args:
        data: a folder of images, an .npz, a .csv (with `target=`), `digits`, `torchvision:NAME` or a plugin's data set.
        out: the run's folder; default `runs/NAME-N` in the current folder.
        watch: makes who is told about the progress; default nobody.
        interrupted: asked before each batch; True stops the search, which can be resumed.
        settings: the fields of `automl.settings.Settings`, e.g. `trials=50, folds=5, epochs=20, timeout="10m"`.

    Raises:
        BadInput: settings, plugins, search space or data are wrong; nothing was started or written.
        NoTrialSucceeded: no trial succeeded.
        MachineFailed: disk or storage failed; `resume` goes on.
    """
    prepared = prepare(make_settings(data=data, **settings))
    chosen = prepared.settings
    folder = RunFolder(out if out is not None else fresh_folder(prepared.dataset.name))
    storage_url = chosen.storage or os.environ.get(PASSWORD_VARIABLE)
    study_name = chosen.study or folder.path.name
    # A grid that is too large, a missing package or a storage that does not answer must not leave a folder behind.
    make_sampler(chosen.sampler, chosen.seed, 0, 0, prepared.space, dict)
    if storage_url:
        storage = open_storage(storage_url, folder.journal)
        create_study(storage, study_name, prepared.objective, optuna.samplers.RandomSampler())
    with storage_errors():
        folder.create(make_record(prepared, study_name, redact(storage_url) if storage_url else None))
        save_splits(prepared.splits, folder.splits)
    with folder.lock():
        if not storage_url:
            with storage_errors():
                storage = open_storage(None, folder.journal)
                create_study(storage, study_name, prepared.objective, optuna.samplers.RandomSampler())
        return _continue(prepared, folder, storage, watch, interrupted)


def resume(
    run: str | Path,
    *,
    watch: MakeWatcher | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Run:
    """Goes on with a run that was interrupted, or with a larger budget (`trials=`, `timeout=`).

    Other settings may be changed only where they do not change what is searched: `device`, `threads`, `storage` (with
    its password). Raises `RunError` when the data or the search space have changed, and what `search` raises.
    """
    folder = RunFolder(run)
    record = folder.read_record()
    prepared = prepare(settings_of(record, changes))
    check_unchanged(prepared, record)
    with folder.lock():
        if not folder.splits.exists():  # killed before they were written: the seed makes the same ones
            with storage_errors():
                save_splits(prepared.splits, folder.splits)
        prepared = Prepared(**{**prepared.__dict__, "splits": load_splits(folder.splits)})
        record = {**folder.read_record(), "settings": {**record["settings"], "trials": prepared.settings.trials}}
        folder.write_record(record)
        storage_url = storage_url_of(record, prepared.settings.storage)
        storage = open_storage(storage_url, folder.journal)
        if not storage_url and "seconds" not in record and not optuna.get_all_study_names(storage):
            # Killed between the folder and the study.
            create_study(storage, record["study"], prepared.objective, optuna.samplers.RandomSampler())
        return _continue(prepared, folder, storage, watch, interrupted)


CHANGEABLE = {"trials", "timeout", "device", "threads", "storage"}


def settings_of(record: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """The settings of a run with what may be changed when it is resumed. A timeout counts anew and is not inherited.

    Raises `RunError` for a change that would change the search.
    """
    old = {k: v for k, v in record["settings"].items() if k not in ("timeout", "storage")}
    for name, value in changes.items():
        if value is not None and name not in CHANGEABLE and old.get(name) != value:
            raise RunError(f"{name} was {old.get(name)!r} when this run was begun; it cannot become {value!r} now")
    return make_settings(**{**old, **{k: v for k, v in changes.items() if v is not None}})


def storage_url_of(record: Mapping[str, Any], given: str | None = None) -> str | None:
    """The storage's URL: as given now, from the environment, or from the record, which never holds a password."""
    url = given or os.environ.get(PASSWORD_VARIABLE) or record["settings"].get("storage")
    if url and "***" in url:
        raise RunError(
            f"the run's storage is {url}, and passwords are not kept: give it with --storage or in ${PASSWORD_VARIABLE}"
        )
    return str(url) if url else None


def open_run(run: str | Path) -> Run:
    """A run as it is, without going on with it. Raises `RunError` when there is none."""
    folder = RunFolder(run)
    record = folder.read_record()
    storage = open_storage(storage_url_of(record), folder.journal)
    study = load_study(storage, record["study"], optuna.samplers.RandomSampler())
    return Run(folder, summarise(folder, study, record), record)


def replay(run: str | Path, trial: int, *, device: str | None = None) -> Replay:
    """Trains a trial again from its seeds and compares its curves with the recorded ones; the run stays as it is.

    `device`: another one than the run's. Raises `RunError` for an unknown trial, one without curves, and as `resume`
    does when the data or the search space have changed; `BadInput` when a plugin that it needs is gone.
    """
    found = open_run(run)
    row = found.trial(trial)
    prepared = prepare(settings_of(found.record, {"device": device}))
    check_unchanged(prepared, found.record)
    precision = getattr(torch, found.record["precision"])
    prepared = replace(prepared, splits=load_splits(found.folder.splits), precision=precision)
    if prepared.settings.threads:
        torch.set_num_threads(prepared.settings.threads)
    return replay_trial(prepared, found.folder, row, found.record)


def serve_dashboard(
    run: str | Path, *, port: int | None = None, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serves the Optuna dashboard of a run on 127.0.0.1 until Ctrl-C; the run may be going on.

    `port` None is the first free one from 8080; `ready` is called with the address once it answers. Raises `RunError`
    when there is no run and `SettingsError` when the port is in use.
    """
    folder = RunFolder(run)
    record = folder.read_record()
    storage = open_storage(storage_url_of(record), folder.journal)
    serve(load_study(storage, record["study"], optuna.samplers.RandomSampler()), record, folder, port, ready)


def _continue(
    prepared: Prepared,
    folder: RunFolder,
    storage: optuna.storages.BaseStorage,
    watch: MakeWatcher | None,
    interrupted: Callable[[], bool],
) -> Run:
    """Races on, fits the final model, writes the report; with a new run and with an old one."""
    settings = prepared.settings
    record = folder.read_record()
    started = time.monotonic()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    study = load_study(storage, record["study"], optuna.samplers.RandomSampler())
    annotate_study(study, record, folder)
    earlier = study.get_trials(deepcopy=False)
    race = Race(prepared.ladder, finalists=settings.finalists)
    study.sampler = make_sampler(
        settings.sampler, settings.seed, 0, len(earlier), prepared.space, lambda: _standings(race, prepared.objective)
    )
    budget = Budget(settings.trials, settings.timeout, interrupted)
    watcher = watch(prepared, budget, earlier) if watch else Watcher()
    facts = {"folder": str(folder.path), "study": record["study"], "data": prepared.dataset.name,
             "settings": record["settings"]}  # fmt: skip
    prepared.host.notify("automl_search_started", run=facts)
    watcher = Watchers(watcher, _Events(prepared, facts))
    work = Search(prepared, study, folder, budget, watcher, race)

    def close() -> Run:
        record["seconds"] = record.get("seconds", 0.0) + time.monotonic() - started
        with storage_errors():
            folder.write_record(record)
            run = Run(folder, summarise(folder, study, record), record)
            write_report(run.summary, record, folder)
        annotate_study(study, record, folder)
        annotate_trials(study, record, folder, complete_only=True)
        prepared.host.notify("automl_search_finished", run=facts)
        return run

    try:
        work.run()
        winner = choose_winner(study, folder, prepared.objective)
        if not _is_fitted(record, winner):  # the test set is touched once
            watcher.fitting(winner.trial.number, winner.epochs)
            record["final"] = finish(prepared, winner, work.resident, budget, folder)
    except MachineFailed:
        raise  # a report could not be written either
    except BaseException:
        close()
        raise
    return close()


def _is_fitted(record: Mapping[str, Any], winner: Winner) -> bool:
    """Whether the final model of an earlier session is this winner's."""
    final = record.get("final")
    return final is not None and final["trial"] == winner.trial.number and not final["cut_short"]


def _standings(race: Race, objective: Objective) -> dict[int, tuple[int, float]]:
    """What the sampler is shown of the trials that wait: epochs and score of the rung that each has reached."""
    return {
        trial: (
            race.ladder[race.standings[trial].rung].epochs,
            objective.value(race.standings[trial].scores[race.standings[trial].rung]),
        )
        for trial in race.waiting
    }


class _Events(Watcher):
    """Passes the end of each trial on to the event plugins."""

    def __init__(self, prepared: Prepared, facts: Mapping[str, Any]):
        self.prepared = prepared
        self.facts = facts

    def ended(self, trial: FrozenTrial, race: Race) -> None:
        from automl.results.leaderboard import make_row

        row = make_row(trial, self.prepared.objective, self.prepared.space)
        self.prepared.host.notify("automl_trial_finished", run=self.facts, trial=row)
