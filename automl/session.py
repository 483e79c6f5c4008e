"""One session of a search, new or resumed: race on, conclude, write the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
import torch

from automl.errors import MachineFailed
from automl.racing.race import Race
from automl.results.dashboard import annotate_study, annotate_trials
from automl.results.final import conclude
from automl.results.leaderboard import make_row, summarise
from automl.results.report import write_report
from automl.run import Run
from automl.study.budget import Budget
from automl.study.folder import RunFolder
from automl.study.joining import publish
from automl.study.launching import Launcher
from automl.study.observer import Observer
from automl.study.prepare import Prepared
from automl.study.processes import LocalLauncher
from automl.study.records import collect_curves
from automl.study.samplers import make_sampler, standings_of
from automl.study.search import Search
from automl.study.shared_leases import SharedLeases
from automl.study.storage import is_server, load_study, storage_errors
from automl.study.watcher import Watcher, Watchers
from automl.study.workers import Workers

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MakeWatcher = Callable[[Prepared, Budget, list["FrozenTrial"]], Watcher]
"""Makes who watches a search, from its ingredients, its budget and the trials of earlier sessions."""


@contextmanager
def hire(prepared: Prepared, storage_url: str | None) -> Iterator[Launcher]:
    """Who starts the workers of this search; nothing is started or written yet. Raises `SettingsError`."""
    if prepared.settings.launcher == "local":
        yield LocalLauncher(prepared, storage_url)
        return
    from automl.study.ray_launcher import ray_launcher

    with ray_launcher(prepared, storage_url) as launcher:
        yield launcher


def go_on(
    prepared: Prepared,
    folder: RunFolder,
    storage: optuna.storages.BaseStorage,
    storage_url: str | None,
    launcher: Launcher,
    watch: MakeWatcher | None,
    interrupted: Callable[[], bool],
    report: bool = True,
) -> Run:
    """Races on, fits the final model, writes the report; with a new run and with an old one.

    `storage_url` is where the workers of `launcher` find the storage; None for the run's journal. Without `report`,
    nothing is drawn.
    """
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
        settings.sampler, settings.seed, 0, len(earlier), prepared.space, standings_of(race, prepared.objective)
    )
    budget = Budget(settings.trials, settings.timeout, interrupted)
    watcher = watch(prepared, budget, earlier) if watch else Watcher()
    facts = {"folder": str(folder.path), "study": record["study"], "data": prepared.dataset.name,
             "settings": record["settings"], "objective": record["objective"], "metric": record["metric"]}  # fmt: skip
    prepared.host.notify("automl_search_started", run=facts)
    watcher = Watchers(watcher, _Events(prepared, facts))

    def close() -> Run:
        record["seconds"] = record.get("seconds", 0.0) + time.monotonic() - started
        with storage_errors():
            collect_curves(study.get_trials(deepcopy=False), folder, prepared.objective)
            folder.write_record(record)
            run = Run(folder, summarise(folder, study, record), record)
            if report:
                write_report(run.summary, record, folder)
        annotate_study(study, record, folder)
        if report:
            annotate_trials(study, record, folder, complete_only=True)
        prepared.host.notify("automl_search_finished", run=facts, summary=run.summary)
        return run

    # What hangs can be killed in a process of its own only; with a server, workers of other machines may join.
    supervised = launcher.count > 1 or settings.trial_timeout is not None or is_server(storage_url)
    try:
        fleet: Workers | None = None
        if supervised:
            observed = Race(prepared.ladder, finalists=settings.finalists)
            leases = SharedLeases(study._storage, study.study_name, "observer")
            observer = Observer(prepared, study, observed, leases, watcher)
            fleet = Workers(prepared, launcher, study, folder, budget, observer)
            if is_server(storage_url):
                publish(study, prepared, record, budget)
            fleet.run()
        work = Search(prepared, study, folder, budget, watcher, race, fleet.leases if fleet else None)
        if fleet is None:
            work.run()
        work.prune_waiting()
        with storage_errors():
            collect_curves(study.get_trials(deepcopy=False), folder, prepared.objective)
        record["final"] = conclude(prepared, work, budget, watcher, record.get("final"))
    except MachineFailed:
        raise  # a report could not be written either
    except BaseException:
        close()
        raise
    return close()


class _Events(Watcher):
    """Passes the end of each trial on to the event plugins."""

    def __init__(self, prepared: Prepared, facts: Mapping[str, Any]):
        self.prepared = prepared
        self.facts = facts

    def ended(self, trial: FrozenTrial, race: Race) -> None:
        row = make_row(trial, self.prepared.objective, self.prepared.space)
        self.prepared.host.notify("automl_trial_finished", run=self.facts, trial=row)
