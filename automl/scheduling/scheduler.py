"""The scheduler: which job a worker takes next, agreed on with the other workers."""

from __future__ import annotations

import time
from typing import NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from automl.failpoints import passing
from automl.racing.objective import Objective
from automl.racing.race import Choice, Race, any_trial
from automl.scheduling.baseline import all_begun, choose_baseline
from automl.scheduling.changes import Changes
from automl.scheduling.deadline import Budget
from automl.scheduling.leases import BASELINE, Key, Kind, Leases, fold_key, slot_key, trial_key
from automl.scheduling.shared_folds import fold_to_help_with
from automl.scheduling.time_estimates import TimeEstimates
from automl.study.standings import recall_race, standing_mark, standing_of
from automl.study.storage.internals import storage_of
from automl.study.storage.opening import storage_errors
from automl.study.storage.trials import frozen_trial

RETRIES = 2  # of a climb whose worker died, in a row without getting further
IDLE, IDLE_ELSEWHERE = 0.1, 0.5  # seconds between two looks at what the others do, in a journal and a database
RENEW = 5.0  # seconds between two looks while a climb lasts
BEGINNING = 0.25  # of the timeout, at most, in which the space's own configs begin whatever time they would need


class Job(NamedTuple):
    """A climb: the trial, the rung, which attempt it is (from 1), and how many epochs the trial has reported.

    `fold`: only this one is to be trained, for the worker that has the trial.
    """

    trial: int
    rung: int
    attempt: int = 1
    reached: int = 0
    fold: int | None = None

    @property
    def poisonous(self) -> bool:
        """Whether every worker that took this climb has died of it, as often as is borne.

        A trial that gets further each time is not poisonous: its workers are killed by somebody, or their machines are
        taken away.
        """
        return self.attempt > 1 + RETRIES


class Scheduler:
    """The choice of the next climb: one that was broken off, a promotion, a new trial, or carrying the best to the top.

    Args:
        study: with the trials of earlier sessions.
        race: they are entered here, and what other workers' trials come to.
        budget: how long, and how many trials in all.
        estimates: what the rest will take.
        leases: the agreement with other workers.
        first: so many trials have the configs that the search space begins with; see `baseline`.
        objective: what their scores are.
    """

    def __init__(
        self,
        study: optuna.Study,
        race: Race,
        budget: Budget,
        estimates: TimeEstimates,
        leases: Leases,
        first: int = 0,
        objective: Objective = Objective(),  # noqa: B008 (immutable)
    ):
        self.study = study
        self.objective = objective
        self._first = min(first, budget.trials)
        self.race = race
        self.budget = budget
        self.deadline = budget.deadline  # of the race: what follows it needs time too
        self.estimates = estimates
        self.leases = leases
        trials = study.get_trials(deepcopy=False)
        self.broken_off = recall_race(race, trials)
        estimates.recall(trials)
        self.asked = len(trials)
        # A server that many workers ask ten times a second would be busy with it.
        self.pause = IDLE if isinstance(storage_of(study), JournalStorage) else IDLE_ELSEWHERE
        self._changes = Changes(study, leases)
        self._seen: dict[int, tuple[TrialState, str]] = {}
        self._reported: dict[int, int] = {}  # epochs, of each trial that rests
        self._resting: set[int] = set()  # trials that reached their rung, by what their workers wrote down
        self._unchanged: tuple[object, float] = (None, 0.0)
        self._renewed = 0.0

    @property
    def alone(self) -> bool:
        """Whether no other process takes part."""
        return type(self.leases) is Leases

    def next(self) -> Job | None:
        """The next climb, which is this worker's from now on; None when the race is over.

        Waits while other workers climb, for what they find may let a trial climb on. Raises `Stop` when the budget is
        used up.
        """
        while True:
            self._read()
            if self.budget.timeout is not None:  # for thousands of trials the estimates take milliseconds
                self._set_deadline(self.budget.timeout)
                self._send_baseline()
            self.deadline.check()
            if self.alone:
                return self._choose()
            job = self._abandoned() or self._help() or self._choose()
            if job is None and not self._busy() and self.race.is_over(self._closing, self._fitting()):
                return None
            if job is None:
                time.sleep(self.pause)
            elif self._claim(job):
                return job
            # Who lost a claim looks at everything anew: the claims that it has read since then are not in the race yet.

    def renew_deadline(self) -> None:
        """While a climb lasts: what other workers have completed may need more time after the race than was known."""
        now = time.monotonic()
        if self.budget.timeout is not None and not self.alone and now - self._renewed > RENEW:
            self._renewed = now
            self._read()
            self._set_deadline(self.budget.timeout)

    def _set_deadline(self, timeout: float) -> None:
        self.deadline = self.budget.deadline.minus(self.estimates.finish(timeout))

    def forget(self, trial: int) -> None:
        """Where the trial stands is read anew: what this worker believed of it does not count."""
        self._seen.pop(trial, None)
        self._changes.forget(trial)

    def _choose(self) -> Job | None:
        if self.alone and self.broken_off:
            return Job(*self.broken_off.pop(0))
        if not self._closing:
            if (promoted := self.race.promote(self._reaches)) is not None:
                return Job(*promoted)
            if self.asked < self.budget.trials:
                return self._ask()
        carried = self.race.carry(self._reaches, self._fitting())
        return None if carried is None else Job(*carried)

    def _send_baseline(self) -> None:
        """Once the space's own configs have begun: one of them may go straight to the top.

        One worker decides for all, for each has measured other speeds.
        """
        sent = [trial for trial in range(self._first) if Key(Kind.FAST_TRACK, trial) in self.leases.held]
        if self._first and not sent and BASELINE not in self.leases.held and all_begun(self.race, self._first):
            about = self.race, self._first, self.estimates, self._left, self.leases.num_workers, self.objective
            chosen = choose_baseline(*about)
            with storage_errors():
                mine = self.leases.claim(BASELINE)
                if mine and chosen is not None and self.leases.claim(Key(Kind.FAST_TRACK, chosen)):
                    sent = [chosen]
            if self.alone:
                self._first = 0
        self.race.fast_track(sent)

    @property
    def _left(self) -> float:
        """Seconds that the race still has."""
        return self.deadline.left

    @property
    def _closing(self) -> bool:
        """Whether the time that is left is for carrying the best to the top.

        Not before the space's own configs have begun: which of them suits the data shows in their first epoch.
        """
        timeout, workers = self.budget.timeout, self.leases.num_workers
        if timeout is None or (self.asked < self._first and self.budget.elapsed < BEGINNING * timeout):
            return False
        return self._left < self.estimates.carrying(timeout, self._left, workers)

    def _fitting(self) -> Choice:
        """Whether a waiting trial can be carried to the top in time."""
        return any_trial if self.budget.timeout is None else set(self.estimates.in_time(self._left)).__contains__

    def _reaches(self, trial: int) -> bool:
        """Whether the trial is this worker's to go on with: its checkpoint is here, or nobody has it any more."""
        return self.leases.can_access(trial_key(trial))

    def _ask(self, again: int | None = None) -> Job | None:
        """A new trial for one of the places that the budget has; None when other workers have taken the last ones.

        `again`: the place of a worker that has died.
        """
        with storage_errors():
            if again is None:
                slot = self.leases.claim_slot(self.asked, self.budget.trials)
                self.asked = self.budget.trials if slot is None else slot + 1
            else:
                slot = again if self.leases.claim(slot_key(again)) else None
            if slot is None:
                return None
            passing("slot")
            trial = self.study.ask()
        passing("ask")
        return Job(trial.number, self.race.start(trial.number))

    def _help(self) -> Job | None:
        """A fold of a trial that another worker shares out."""
        found = fold_to_help_with(self.race, self.leases)
        return None if found is None else Job(found[0], self.race.top, fold=found[1])

    def _claim(self, job: Job) -> bool:
        with storage_errors():
            if job.fold is not None:
                return self.leases.claim(fold_key(job.trial, job.fold), job.rung)
            reached = job.reached or self._reported.get(job.trial, 0)
            return self.leases.claim(trial_key(job.trial), job.rung, reached)

    def _reports(self, trial: int) -> int:
        """How many epochs the trial has reported, also since it rested; folds that were shared out count as well."""
        folds = sum((key.kind, key.number) == (Kind.FOLD, trial) for key in self.leases.held)
        return len(frozen_trial(self.study, trial).intermediate_values) + folds

    def _abandoned(self) -> Job | None:
        """A climb whose worker is dead, to be taken over."""
        stuck, broken_off = self._stuck(), dict(self.broken_off)
        if stuck and self.asked > len(self._seen):  # a worker died between taking a place and asking for its trial
            return self._ask(again=len(self._seen))
        for number, standing in self.race.standings.items():
            if standing.climbing:
                key = trial_key(number)
                lease = self.leases.held.get(key)
                if not self.leases.can_access(key):
                    continue
                if lease is not None and self.leases.is_dead(lease.worker):
                    reached = self._reports(number)
                    return Job(number, lease.rung, self.leases.attempt(key, lease.rung, reached), reached)
                # Its worker died between asking for it and taking the lease, or searched alone in an earlier session.
                if lease is None and (stuck or number in broken_off):
                    return Job(number, broken_off.get(number, 0))
        return None

    def _busy(self) -> bool:
        """Whether other workers climb, or are about to: there may be more to do soon."""
        missing = self.asked > len(self._seen)
        return missing or any(standing.climbing for standing in self.race.standings.values())

    def _stuck(self) -> bool:
        """Whether nothing at all has changed in the study for the grace period, by this worker's clock."""
        now = len(self.leases.held), len(self._seen), self.asked
        if self._unchanged[0] != now:
            self._unchanged = now, time.monotonic()
        return time.monotonic() - self._unchanged[1] > self.leases.grace

    def _read(self) -> None:
        """Enters what other workers' trials have come to."""
        if self.alone:
            return
        with storage_errors():
            trials = self._changes.look()
        self.asked = max(self.asked, len(self._changes))
        while slot_key(self.asked) in self.leases.held:  # asked for, though the trial may not be there yet
            self.asked += 1
        for trial in trials:
            if self._seen.get(trial.number) != standing_mark(trial):
                self._seen[trial.number] = standing_mark(trial)
                self._reported[trial.number] = len(trial.intermediate_values)
                standing = standing_of(trial)
                self.race.enter(trial.number, standing)
                (self._resting.add if standing.waiting else self._resting.discard)(trial.number)
                self.estimates.recall([trial])
            self._mark_climbing(trial)

    def _mark_climbing(self, trial: FrozenTrial) -> None:
        """A trial is on its way unless it rests; also when somebody holds a lease of a rung that it has not reached."""
        standing = self.race.standings[trial.number]
        lease = self.leases.held.get(trial_key(trial.number))
        climbing = trial.state == TrialState.RUNNING and (
            trial.number not in self._resting or (lease is not None and lease.rung not in standing.scores)
        )
        self.race.set_climbing(trial.number, climbing)
