"""The workers of a search, supervised: watched, replaced when one dies, and stopped together."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

import optuna
from optuna.trial import TrialState

from automl.errors import MachineFailed, NoTrialSucceeded, Stop
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.scheduling.deadline import Budget
from automl.scheduling.leases import BEATS_PER_GRACE, GRACE, SUPERVISOR, trial_key
from automl.study.standings import standing_of
from automl.study.storage.internals import storage_of
from automl.study.storage.opening import storage_errors
from automl.workers.hung_trials import HungTrials
from automl.workers.launcher import Launched, Launcher
from automl.workers.monitor import Monitor
from automl.workers.shared_leases import SharedLeases
from automl.workers.worker import fresh_name

log = logging.getLogger("automl.workers")

LOOK_EVERY = 0.2  # seconds
STOPPING = 10.0  # seconds until a worker that was asked to stop is killed
REPLACEMENTS = 5  # for each worker, in a row without a trial ended in between


class Workers:
    """All workers of a search; see `run`.

    Args:
        context: the checked ingredients.
        launcher: starts them.
        study: Optuna's study, which the workers open themselves.
        folder: the run's.
        budget: of the whole search.
        monitor: is asked to look at the study again and again.
        grace: seconds after which a worker that shows no life loses its climb.
    """

    def __init__(
        self,
        context: SearchContext,
        launcher: Launcher,
        study: optuna.Study,
        folder: RunFolder,
        budget: Budget,
        monitor: Monitor,
        grace: float = GRACE,
    ):
        self.launcher = launcher
        self.folder = folder
        self.budget = budget
        self.monitor = monitor
        self.leases = SharedLeases(storage_of(study), study.study_name, SUPERVISOR, grace)
        self.beaten = time.monotonic()
        self.started = 0
        self.crashes = 0
        self.told_before = 0
        self.killed: set[str] = set()  # workers that hung
        self.hung_trials = None
        if context.settings.trial_timeout is not None:
            self.hung_trials = HungTrials(context, study, folder, self.leases)
        self.over: float | None = None  # when the first worker found that the race is over
        self.running: list[Launched] = []

    def run(self) -> None:
        """Starts the workers and returns when the race is over.

        Raises:
            Interrupted: the user stopped it; the study can be resumed.
            NoTrialSucceeded: a worker saw trial after trial fail for the same cause.
            MachineFailed: disk or storage failed, or the workers die one after the other.
        """
        with storage_errors():
            self.leases.mark_all_dead()  # the run is locked, so those of earlier sessions are gone
            self.leases.close(False)
            self.leases.enter()
            self.launcher.open(self.folder, self.budget, self.leases.grace)
        try:
            self.running = [self._start(place) for place in range(self.launcher.count)]
            while self.running:
                self._look()
                self.running = [next for worker in self.running if (next := self._after(worker)) is not None]
                if self.running and self._others_hang():
                    names = ", ".join(f"worker {worker.number}" for worker in self.running)
                    log.warning("the race is over, and %s does not end: killed", names)
                    break
            self._wait_for_guests()
        except Stop:
            with suppress(MachineFailed, Stop), storage_errors():
                self.leases.close(True)  # who stops a search stops all of it
            raise
        finally:
            self._stop()
            self.launcher.close()
        with storage_errors():
            self.monitor.look()
            self.leases.leave()

    def _look(self) -> None:
        """Waits a moment, tells what is new, and moves the counter that says: somebody lives at the run's folder."""
        time.sleep(LOOK_EVERY)
        with storage_errors():
            self.monitor.look()
            self.monitor.look_at_features(self.folder.features)
            self.launcher.look(self.running)
            self._end_hung()
            if time.monotonic() - self.beaten > self.leases.grace / BEATS_PER_GRACE:
                self.leases.beat()
                self.beaten = time.monotonic()
        self.budget.deadline.check_interrupted()

    def _others_hang(self) -> bool:
        """Whether the race is over and who still runs shows no life any more.

        Workers know different speeds: one may find that no time is left for anything while another still trains what it
        has begun in time.
        """
        if self.over is None or time.monotonic() - self.over <= self.leases.grace:
            return False
        with storage_errors():
            self.leases.sync()
        return self.budget.deadline.left <= 0 or all(self.leases.is_dead(worker.name) for worker in self.running)

    def _wait_for_guests(self) -> None:
        """Until no worker of another machine climbs any more: by itself, or because the time is up."""
        with storage_errors():
            if self.budget.timeout is not None:
                self.leases.close(True)
            while self._guests_climb():
                self._look()
            self.leases.close(True)
            while self._guests_climb():  # one has begun a climb in this moment; it gives it back
                self._look()

    def _guests_climb(self) -> bool:
        self.leases.sync()
        guests = set(self.leases.remote_workers())
        return any(
            trial_key(trial.number) in self.leases.held
            and (lease := self.leases.held[trial_key(trial.number)]).worker in guests
            and lease.rung not in standing_of(trial).scores
            for trial in self.monitor.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        )

    def _start(self, place: int) -> Launched:
        number, self.started = self.started, self.started + 1
        return self.launcher.start(number, fresh_name(number), place)

    def _after(self, worker: Launched) -> Launched | None:
        """The worker while it runs; when it has ended, the one in its place, or None."""
        ending = worker.ending()
        if ending is None:
            return worker
        with storage_errors():
            self.leases.mark_dead(worker.name)
        if worker.name in self.killed:
            return self._start(worker.place)
        if not ending.how:
            self.over = self.over or time.monotonic()
            return None
        if ending.error == NoTrialSucceeded.__name__:
            if not self._begun():
                raise NoTrialSucceeded(ending.message)
            return self._start(worker.place)  # another worker's trial has been trained meanwhile: that counts
        if ending.error:
            raise MachineFailed(ending.message)
        log.warning("worker %d ended with %s; see %s", worker.number, ending.how, worker.log)
        if self.monitor.told > self.told_before:
            self.told_before, self.crashes = self.monitor.told, 0
        self.crashes += 1
        if self.crashes > REPLACEMENTS * self.launcher.count:
            raise MachineFailed(f"{self.crashes} workers in a row died, the last with {ending.how}: see {worker.log}")
        return self._start(worker.place)

    def _begun(self) -> bool:
        """Whether any trial has reached a rung, in whichever worker."""
        with storage_errors():
            trials = self.monitor.study.get_trials(deepcopy=False)
        return any(standing_of(trial).scores for trial in trials)

    def _end_hung(self) -> None:
        """Kills the workers whose trials take longer than a trial may."""
        if self.hung_trials is None:
            return
        self.leases.sync()
        for worker in self.running:
            trial = self.hung_trials.hangs_in(worker.name)
            if trial is not None and worker.name not in self.killed:
                worker.kill()
                self.killed.add(worker.name)
                self.hung_trials.fail(worker.name, trial)

    def _stop(self) -> None:
        """Asks all to stop, and kills those that do not."""
        for worker in self.running:
            worker.stop()
        deadline = time.monotonic() + STOPPING
        for worker in self.running:
            worker.wait(max(0.0, deadline - time.monotonic()))
        self.running = []
