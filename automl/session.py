"""One session of a search, new or resumed: race on, conclude, write the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna
import torch

from automl.conclude.conclude import conclude
from automl.conclude.inspection import inspect_table
from automl.conclude.photos import inspect_photos
from automl.errors import MachineFailed, NoTrialSucceeded
from automl.racing.race import Race
from automl.results.dashboard import annotate_study, annotate_trials
from automl.results.leaderboard import summarise
from automl.results.report import write_report
from automl.results.run import Run
from automl.run.context import SearchContext
from automl.run.curve_files import trial_curves
from automl.run.folder import RunFolder
from automl.scheduling.callbacks import Event, MakeCallback, TrialEnded, call_all, ignore
from automl.scheduling.deadline import Budget
from automl.scheduling.samplers import make_sampler, standings_of
from automl.scheduling.worker_loop import WorkerLoop
from automl.study.sent_curves import collect_curves, received_curves
from automl.study.storage.internals import storage_of
from automl.study.storage.opening import is_server, load_study, storage_errors
from automl.study.trial_record import read_trials
from automl.training.boosting import boost
from automl.workers.launcher import Launcher
from automl.workers.local import LocalLauncher
from automl.workers.monitor import Monitor
from automl.workers.remote import publish
from automl.workers.shared_leases import SharedLeases
from automl.workers.supervisor import Workers


@contextmanager
def hire(context: SearchContext, storage_url: str | None) -> Iterator[Launcher]:
    """Who starts the workers of this search; nothing is started or written yet. Raises `SettingsError`."""
    if context.settings.launcher == "local":
        yield LocalLauncher(context, storage_url)
        return
    from automl.workers.ray_launcher import ray_launcher

    with ray_launcher(context, storage_url) as launcher:
        yield launcher


def go_on(
    context: SearchContext,
    folder: RunFolder,
    storage: optuna.storages.BaseStorage,
    storage_url: str | None,
    launcher: Launcher,
    watch: MakeCallback | None,
    interrupted: Callable[[], bool],
    started: float,
    report: bool = True,
) -> Run:
    """Races on, fits the final model, writes the report; with a new run and with an old one.

    `storage_url` is where the workers of `launcher` find the storage; None for the run's journal. `started` is when the
    command began, on the monotonic clock: what came before this counts too. Without `report`, nothing is drawn.
    """
    session = _Session(context, folder, storage, storage_url, watch, interrupted, started)
    try:
        session.conclude(session.search(launcher))
    except MachineFailed:
        raise  # a report could not be written either
    except BaseException:
        session.close(report)
        raise
    return session.close(report)


class _Session:
    """One session of a search; the arguments are those of `go_on`."""

    def __init__(
        self,
        context: SearchContext,
        folder: RunFolder,
        storage: optuna.storages.BaseStorage,
        storage_url: str | None,
        watch: MakeCallback | None,
        interrupted: Callable[[], bool],
        started: float,
    ):
        self.context, self.folder, self.storage_url = context, folder, storage_url
        self.record = folder.read_record()
        self.started = started
        settings = context.settings
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.study = load_study(storage, self.record.study, optuna.samplers.RandomSampler())
        annotate_study(self.study, self.record, folder)
        self.earlier = earlier = read_trials(self.study, context.objective)
        self.race = Race(context.ladder, finalists=settings.finalists)
        shown = standings_of(self.race)
        self.study.sampler = make_sampler(settings.sampler, settings.seed, 0, len(earlier), context.space, shown)
        self.budget = Budget.of(settings.trials, settings.timeout, interrupted, started=started)
        self.facts = {
            "folder": str(folder.path), "study": self.record.study, "data": context.dataset.name,
            "settings": self.record.settings.model_dump(mode="json"),
            "objective": self.record.objective_name, "metric": self.record.metric,
        }  # fmt: skip
        callback = watch(context, self.budget, earlier) if watch else ignore
        context.host.notify("automl_search_started", run=self.facts)
        self.callback = call_all(callback, self._tell_plugins)

    def search(self, launcher: Launcher) -> WorkerLoop:
        """Races until the budget is used up, in this process or in those of `launcher`.

        Raises as `WorkerLoop.run` does.
        """
        settings, over = self.context.settings, self.budget.deadline.left <= 0
        if over and not any(trial.score is not None for trial in self.earlier):
            raise NoTrialSucceeded(
                f"--timeout {settings.timeout:g}s: over before the first trial, for what comes before it took "
                f"{self.budget.elapsed:.0f} s; give it more time: `automl resume {self.folder.path} --timeout ...`"
            )
        self._state_baseline()
        fleet: Workers | None = None
        # What hangs can be killed in a process of its own only; with a server, workers of other machines may join.
        apart = launcher.count > 1 or settings.trial_timeout is not None or is_server(self.storage_url)
        if apart and not over:
            claims = SharedLeases(storage_of(self.study), self.study.study_name, "observer")
            monitor = Monitor(self.study, self.context.objective, claims, self.callback)
            fleet = Workers(self.context, launcher, self.study, self.folder, self.budget, monitor)
            if is_server(self.storage_url):
                publish(self.study, self.context, self.record, self.budget)
            fleet.run()
        leases = fleet.leases if fleet else None
        work = WorkerLoop(self.context, self.study, self.folder, self.budget, self.race, self.callback, leases)
        if fleet is None:
            work.run()
        work.outcomes.prune_waiting()
        return work

    def _state_baseline(self) -> None:
        """Scores what a network must beat on the same folds, once in a run."""
        context = self.context
        if self.record.baseline is not None:
            return
        found = boost(
            context.dataset, context.splits, context.objective.name,
            seed=context.settings.seed, timeout=context.settings.timeout,
        )  # fmt: skip
        self.record = self.record.but(baseline=found)
        with storage_errors():
            self.folder.write_record(self.record)

    def conclude(self, work: WorkerLoop) -> None:
        """Chooses the winner, fits the final model, tests it, and inspects the data.

        Raises as `automl.conclude.conclude.conclude` does.
        """
        self._collect()
        final, networks, model = conclude(self.context, work, self.budget, self.callback, self.record.final)
        self.record = self.record.but(final=final)
        with storage_errors():
            self.folder.write_record(self.record)  # the test set was touched: whatever happens now, that is known
        inspect_table(self.context, work, self.budget, final.trial, networks)
        inspect_photos(self.context, work, self.budget, final.trial, model)

    def close(self, report: bool) -> Run:
        """Writes down what the run has come to, however the session ended."""
        study, folder = self.study, self.folder
        seconds = (self.record.seconds or 0.0) + time.monotonic() - self.started
        self.record = record = self.record.but(seconds=seconds)
        self._collect()
        with storage_errors():
            folder.write_record(record)
            run = Run(folder, summarise(folder, study, record), record)
            if report:
                write_report(run.summary, record, folder)
        annotate_study(study, record, folder)
        if report:
            annotate_trials(study, record, folder, complete_only=True, stop=self._is_late)  # `serve` draws the rest
        self.context.host.notify("automl_search_finished", run=self.facts, summary=run.summary)
        return run

    def _is_late(self) -> bool:
        return self.budget.timeout is not None and self.budget.elapsed > self.budget.timeout

    def _collect(self) -> None:
        """Brings the curves that workers of other machines have put into the storage."""
        with storage_errors():
            collect_curves(self.study.get_trials(deepcopy=False), self.folder, self.context.objective)

    def _tell_plugins(self, event: Event) -> None:
        """Passes the end of each trial on to the event plugins, with its curves."""
        if not isinstance(event, TrialEnded) or not self.context.host.listens(["automl_trial_finished"]):
            return
        trial, objective = event.trial, self.context.objective
        with storage_errors():
            curves = trial_curves(self.folder, trial.number, objective)
            if curves is None:
                curves = received_curves(self.study.get_trials(deepcopy=False)[trial.number], objective)
        by_name = {} if curves is None else curves.by_name
        self.context.host.notify("automl_trial_finished", run=self.facts, trial=trial.to_row(), curves=by_name)
