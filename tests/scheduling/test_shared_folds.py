"""The folds of one trial, shared out among workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.errors import Interrupted
from automl.racing.race import Race
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.run_record import DataFacts, RunRecord
from automl.scheduling.callbacks import EpochEnded
from automl.scheduling.deadline import Budget
from automl.scheduling.leases import FoldClaim, Key, Kind, fold_key, trial_key
from automl.scheduling.scheduler import Job
from automl.scheduling.shared_folds import fold_to_help_with
from automl.scheduling.worker_loop import WorkerLoop
from automl.settings import Settings, make_settings
from automl.study.storage.opening import open_storage
from automl.training.checkpoint import load_tree, save_tree
from automl.training.run import TrialRun
from automl.workers.shared_leases import SharedLeases

TOP = 2  # of the ladder 1x1 2x2 3x4


class Crew:
    """Workers that search one study, all in this process; `worker(name)` is one of them."""

    def __init__(self, folder: Path, images: Any):
        settings = make_settings(
            device="cpu", precision="fp32", space="smoke", folds=4, epochs=3, ladder="1x1,2x2,3x4", seed=3,
        )  # fmt: skip
        self.context = prepare(settings, images)
        self.folder = RunFolder(folder)
        self.folder.create(RunRecord(settings=Settings(), space={}, data=DataFacts()))
        storage = open_storage(None, self.folder.journal)
        self.study = optuna.create_study(storage=storage, study_name="s", sampler=optuna.samplers.RandomSampler(3))
        self.interrupted = False

    def worker(self, name: str, home: str = "") -> WorkerLoop:
        leases = SharedLeases(self.study._storage, "s", name, home=home)
        leases.enter()
        budget = Budget.of(1, None, lambda: self.interrupted)
        race = Race(self.context.ladder)
        return WorkerLoop(self.context, self.study, self.folder, budget, race, leases=leases)

    def begin(self, worker: WorkerLoop) -> None:
        """The worker asks for a trial and takes it to the first rung; it is to go straight on to the top."""
        job = worker.scheduler.next()
        assert job == Job(0, 0)
        worker._climb(job)
        worker.race.fast_tracked.add(0)

    @property
    def curves(self) -> Any:
        found = load_curves(self.folder, 0, self.context.objective)
        assert found is not None
        return found.values

    @property
    def trial(self) -> Any:
        return self.study.get_trials()[0]


@pytest.fixture
def crew(tmp_path: Path, images: Any) -> Crew:
    return Crew(tmp_path / "run", images)


@pytest.fixture
def alone(tmp_path: Path, images: Any) -> Crew:
    """The same search by one worker that nobody helps, at its end."""
    crew = Crew(tmp_path / "alone", images)
    worker = crew.worker("only")
    crew.begin(worker)
    worker._climb(worker.scheduler.next())
    assert crew.trial.state == TrialState.COMPLETE
    return crew


def take(worker: WorkerLoop) -> Job:
    """The worker has the trial, and is about to climb to the top."""
    job = worker.scheduler.next()
    assert job == Job(0, TOP)
    return job


def offer(worker: WorkerLoop) -> None:
    worker.leases.claim(Key(Kind.SHARED, 0))


def sees(worker: WorkerLoop) -> WorkerLoop:
    """A worker that has read what the others do, and knows which trial goes straight to the top."""
    worker.race.fast_tracked.add(0)
    worker.scheduler._read()
    return worker


def same(ours: Crew, theirs: Crew) -> bool:
    """Whether two searches show the same trial, to the bit."""
    scores = ours.trial.value == theirs.trial.value
    return scores and np.array_equal(ours.curves, theirs.curves, equal_nan=True)


def weights(crew: Crew) -> list[Any]:
    run = crew.context.trial_run(crew.context.space.suggest(crew.trial), 0, crew.context.resident(), fused=False)
    run.restore(crew.folder.checkpoint(0))
    return [value for fold in run.folds for value in fold.network.state_dict().values()]


def test_a_trial_whose_folds_were_shared_out_is_the_trial_that_one_worker_trains(
    crew: Crew, alone: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, helper = crew.worker("owner"), crew.worker("helper")
    crew.begin(owner)
    job = take(owner)
    offer(owner)
    for fold in (3, 2):  # the other two are left to who has the trial
        helped = sees(helper).scheduler.next()
        assert helped == Job(0, TOP, fold=fold)
        helper._climb(helped)
    trained, advance_fold = [], TrialRun.advance_fold

    def noted(run: TrialRun, fold: int, epochs: int) -> Any:
        trained.append(fold)
        return advance_fold(run, fold, epochs)

    monkeypatch.setattr(TrialRun, "advance_fold", noted)
    owner._climb(job)
    assert trained == [0, 1]
    assert helper.leases.held[fold_key(0, 3)].rung == FoldClaim.RELEASED
    assert crew.trial.state == TrialState.COMPLETE
    assert same(crew, alone)
    assert all(a.equal(b) for a, b in zip(weights(crew), weights(alone), strict=True))
    assert crew.trial.user_attrs["fold_epochs"] == alone.trial.user_attrs["fold_epochs"] == 12
    assert not list(crew.folder.checkpoints.glob("*fold*"))


def test_who_has_the_trial_trains_all_folds_that_nobody_takes(crew: Crew, alone: Crew) -> None:
    owner = crew.worker("owner")
    crew.begin(owner)
    crew.worker("busy")
    owner.scheduler._read()
    owner._climb(take(owner))
    assert same(crew, alone)


@pytest.mark.parametrize("how", ["died", "gave it back", "left a fold that does not fit"])
def test_a_fold_that_a_helper_does_not_bring_is_trained_by_who_has_the_trial(
    how: str, crew: Crew, alone: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    owner, helper = crew.worker("owner"), crew.worker("helper")
    crew.begin(owner)
    job = take(owner)
    offer(owner)
    assert sees(helper).scheduler.next() == Job(0, TOP, fold=3)
    if how == "died":
        owner.leases.mark_dead("helper")  # type: ignore[attr-defined]
    elif how == "gave it back":
        helper.leases.claim(fold_key(0, 3), FoldClaim.RELEASED)
    else:
        helper._climb(Job(0, TOP, fold=3))
        path = crew.folder.part(0, 3)
        tree = load_tree(path)
        tree["state"]["network"].popitem()
        save_tree(tree, path)
    crew.worker("third")  # so that there is still somebody to share with
    owner._climb(job)
    assert same(crew, alone)
    assert ("fold 4 of trial 0 is trained again" in caplog.text) == (how == "left a fold that does not fit")


def test_who_takes_the_trial_over_does_not_wait_for_folds_of_a_worker_that_was_frozen(crew: Crew, alone: Crew) -> None:
    """It has thawed and found that the trial is no longer its own: it will not train them."""
    frozen, heir = crew.worker("frozen"), crew.worker("heir")
    crew.begin(frozen)
    take(frozen)
    offer(frozen)
    for fold in range(4):
        frozen.leases.claim(fold_key(0, fold), FoldClaim.OWN)
    heir.race.fast_tracked.add(0)
    heir.scheduler._read()
    heir.leases.claim(trial_key(0), TOP)
    heir._climb(Job(0, TOP))
    assert same(crew, alone)


def test_every_checkpoint_on_the_way_holds_the_curves_of_its_folds(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, helper = crew.worker("owner"), crew.worker("helper")
    crew.begin(owner)
    job = take(owner)
    offer(owner)
    helper._climb(sees(helper).scheduler.next())
    monkeypatch.setattr("automl.scheduling.worker_loop.SAVE_EVERY", -1.0)
    saved, save = [], owner._save

    def noted(run: TrialRun, number: int, curves: Any) -> None:
        saved.append((run.fold_epochs, curves.fold_epochs))
        save(run, number, curves)

    monkeypatch.setattr(owner, "_save", noted)
    owner._climb(job)
    assert len(saved) > 8
    assert all(state == curves for state, curves in saved)


def test_a_helper_that_cannot_train_the_fold_gives_it_back(
    crew: Crew, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, helper = crew.worker("owner"), crew.worker("helper")
    crew.begin(owner)
    take(owner)
    offer(owner)
    job = sees(helper).scheduler.next()

    def fails(*arguments: Any) -> None:
        raise RuntimeError("no memory here")

    monkeypatch.setattr(TrialRun, "advance_fold", fails)
    helper._climb(job)
    assert helper.leases.held[fold_key(0, 3)].rung == FoldClaim.RELEASED
    assert "no memory here" in caplog.text
    assert crew.trial.state == TrialState.RUNNING


def test_a_helper_stops_when_the_trial_is_over(crew: Crew) -> None:
    owner, helper = crew.worker("owner"), crew.worker("helper")
    crew.begin(owner)
    take(owner)
    offer(owner)
    job = sees(helper).scheduler.next()
    crew.study.tell(0, state=TrialState.FAIL)
    helper._climb(job)
    assert not crew.folder.part(0, 3).exists()


def test_who_waits_for_a_fold_can_be_stopped(crew: Crew) -> None:
    owner, helper = crew.worker("owner"), crew.worker("helper")
    crew.begin(owner)
    job = take(owner)
    offer(owner)
    assert sees(helper).scheduler.next() == Job(0, TOP, fold=3)
    seen = []

    def count(event: Any) -> None:
        seen.extend([event] if isinstance(event, EpochEnded) else [])
        crew.interrupted = len(seen) == 8  # fold 1 by two epochs, folds 2 and 3 by three: now it waits for fold 4

    owner.callback = count
    with pytest.raises(Interrupted):
        owner._climb(job)


class TestWhomToHelp:
    @pytest.fixture
    def begun(self, crew: Crew) -> tuple[WorkerLoop, WorkerLoop]:
        owner, helper = crew.worker("owner"), crew.worker("helper")
        crew.begin(owner)
        take(owner)
        return owner, helper

    def choice(self, helper: WorkerLoop) -> tuple[int, int] | None:
        return fold_to_help_with(sees(helper).race, helper.leases)

    def test_folds_are_taken_from_the_last_on_but_those_that_a_rung_has_begun(self, begun: Any) -> None:
        owner, helper = begun
        offer(owner)
        for fold in (3, 2, 1):
            assert self.choice(helper) == (0, fold)
            assert helper.scheduler._claim(Job(0, TOP, fold=fold))
        assert self.choice(helper) is None

    def test_two_helpers_never_have_the_same_fold(self, begun: Any, crew: Crew) -> None:
        owner, helper = begun
        offer(owner)
        assert self.choice(helper) == self.choice(other := crew.worker("other")) == (0, 3)
        assert [each.scheduler._claim(Job(0, TOP, fold=3)) for each in (helper, other)] == [True, False]
        assert self.choice(other) == (0, 2)

    def test_nobody_helps_a_trial_that_is_not_shared(self, begun: Any) -> None:
        assert self.choice(begun[1]) is None

    def test_nobody_helps_a_trial_that_has_to_earn_its_rungs(self, begun: Any) -> None:
        owner, helper = begun
        offer(owner)
        helper.scheduler._read()
        assert fold_to_help_with(helper.race, helper.leases) is None

    def test_nobody_helps_at_another_home(self, begun: Any, crew: Crew) -> None:
        owner, _ = begun
        offer(owner)
        assert self.choice(crew.worker("elsewhere", home="elsewhere")) is None

    def test_nobody_helps_a_worker_that_is_dead(self, begun: Any) -> None:
        owner, helper = begun
        offer(owner)
        helper.leases.mark_dead("owner")
        assert self.choice(helper) is None

    def test_nobody_helps_who_has_taken_the_trial_over_and_does_not_share_it(self, begun: Any, crew: Crew) -> None:
        owner, helper = begun
        offer(owner)
        heir = crew.worker("heir")
        heir.leases.sync()
        heir.leases.claim(trial_key(0), TOP)
        assert self.choice(helper) is None


@pytest.mark.parametrize(("others", "fused", "straight"), [(0, False, True), (1, True, True), (1, False, False)])
def test_folds_are_shared_only_where_others_wait_and_folds_are_not_stacked(
    others: int, fused: bool, straight: bool, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = crew.worker("owner")
    crew.begin(owner)
    for _ in range(others):
        crew.worker("other")
    owner.scheduler._read()
    if not straight:
        owner.race.fast_tracked.clear()
    monkeypatch.setattr(type(crew.context), "fused", fused)
    run: Any = object()
    assert owner._shared(0, TOP, run) is run
