import io
from dataclasses import dataclass

from optuna.trial import TrialState
from rich.console import Console

from automl.cli.progress import LONGEST, LiveProgress, PlainProgress, clock
from automl.cli.tally import Tally
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.ladder import Rung, make_ladder
from automl.racing.objective import Objective
from automl.racing.race import Standing, State
from automl.scheduling.callbacks import (
    EpochEnded,
    FinalFitStarted,
    FinalistTrained,
    TrialEnded,
    TrialRested,
    TrialStarted,
)
from automl.scheduling.deadline import Budget
from automl.study.trial_record import TrialRecord, rest_attributes

FOLDS, EPOCHS = 5, 20
LADDER = make_ladder(EPOCHS, FOLDS)
CONFIG = {"architecture": "resnet", "resnet.depth": 3}


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self):
        return self.now


def curves_of(losses, folds=1):
    curves = Curves(FOLDS, EPOCHS)
    for epoch, loss in enumerate(losses, 1):
        curves.add(FoldEpoch(fold, epoch, loss, 0.5, loss, 1 - loss) for fold in range(folds))
    return curves


def ended(number, state=TrialState.COMPLETE, value=None, **facts):
    attributes = {"reason": "", "score": value, **facts}
    return TrialEnded(TrialRecord.decode(number, state, Objective(), {}, attributes))


def rested(number, losses, rung=0, config=CONFIG):
    curves, standing = curves_of(losses), Standing({rung: losses[-1]}, state=State.WAITING)
    attributes = rest_attributes(curves, Rung(len(losses), 1), {}, standing)
    return TrialRested(TrialRecord.decode(number, TrialState.RUNNING, Objective(), config, attributes))


def climb_first_rung(callback, number, loss):
    callback(TrialStarted(number, 0, CONFIG))
    callback(EpochEnded(number, 0, curves_of([loss])))
    callback(rested(number, [loss]))


def plain(trials=4, clock=None):
    return PlainProgress(Budget.of(trials, clock=clock or Clock()), LADDER, Objective(), stream=io.StringIO())


def live(trials=4, timeout=None, clock=None, width=100):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    return LiveProgress(Budget.of(trials, timeout, clock=clock or Clock()), LADDER, Objective(), console=console)


def shown(progress):
    with progress.console.capture() as capture:
        progress.console.print(progress.render())
    return capture.get()


def test_a_tally_counts_states_reasons_and_the_cost_saved():
    tally = Tally(FOLDS * EPOCHS, Objective())
    for number, loss in enumerate((0.5, 0.4, 0.3, 0.2)):
        climb_first_rung(tally, number, loss)
    tally(ended(0, TrialState.PRUNED, reason="overfitting", fold_epochs=7))
    tally(ended(1, TrialState.FAIL, reason="boom", fold_epochs=1))
    tally(ended(2, TrialState.PRUNED, reason="infeasible"))
    assert list(tally.counts.items()) == [("waiting", 1), ("infeasible", 1), ("overfitting", 1), ("failed", 1)]
    # the infeasible and the failed trial would have broken off without the race as well: nothing was saved with them
    assert tally.spent == 7 + 1 + 1 + 1
    assert tally.saved == 2 * FOLDS * EPOCHS - (7 + 1)


def test_a_trial_that_goes_on_replaces_its_cost_and_does_not_count_twice():
    tally = Tally(FOLDS * EPOCHS, Objective())
    climb_first_rung(tally, 0, 0.5)
    tally(TrialStarted(0, 1, CONFIG))
    tally(EpochEnded(0, 1, curves_of([0.5, 0.4])))
    assert (tally.spent, tally.reached, tally.counts) == (2, 1, {})
    assert tally.now == "trial 0, resnet: epoch 2, 1 fold"


def test_the_leader_is_the_furthest_until_a_trial_is_complete_and_never_a_pruned_one():
    tally = Tally(FOLDS * EPOCHS, Objective())
    assert tally.leader is None
    climb_first_rung(tally, 0, 0.1)
    climb_first_rung(tally, 1, 0.3)
    tally(rested(1, [0.3, 0.25], rung=1))
    assert tally.leader[0] == 1
    tally(ended(2, TrialState.PRUNED, reason="overfitting", score=0.01))
    assert tally.leader[0] == 1
    tally(ended(3, value=0.6, accuracy=0.8))
    number, row = tally.leader
    assert (number, row.score, row.metric) == (3, 0.6, 0.8)


def test_a_primed_tally_knows_the_trials_of_earlier_sessions():
    waiting = rested(1, [0.9, 0.7], rung=1)
    tally = Tally(FOLDS * EPOCHS, Objective())
    events = (ended(0, value=0.5, fold_epochs=100), waiting, ended(2, TrialState.RUNNING))
    tally.prime([event.trial for event in events])
    assert tally.counts == {"complete": 1, "waiting": 1}
    assert (tally.spent, tally.primed) == (102, 2)
    assert (tally.rows[1].rung, tally.rows[1].score) == (1, 0.7)


def test_plain_progress_prints_a_line_per_rung_and_end_and_none_per_epoch():
    progress = plain()
    climb_first_rung(progress, 0, 0.25)
    progress(ended(0, value=0.125, accuracy=0.9, epochs=20, folds=5))
    progress(ended(1, TrialState.PRUNED, reason="overfitting", score=0.5))
    progress(ended(2, TrialState.FAIL, reason="non-finite at fold 1, epoch 2 (loss)"))
    for fold in range(3):
        progress(FinalistTrained(0, 2, [fold]))
    progress(FinalFitStarted(0, 14))
    assert progress.stream.getvalue().splitlines() == [
        "trial 0 (resnet): rung 1 of 6 (1x1), log_loss 0.25, accuracy 0.75",
        "trial 0 (resnet): complete, log_loss 0.125, accuracy 0.9, 20x5",
        "trial 1: pruned, overfitting, log_loss 0.5",
        "trial 2: failed, non-finite at fold 1, epoch 2 (loss)",
        "trial 0 (resnet): scored again on fresh folds, repeat 2",
        "trial 0 (resnet): its config is fitted as the final model, 14 epochs",
    ]


def test_a_plain_line_is_bounded_and_holds_no_control_characters():
    progress = plain()
    progress(ended(0, TrialState.FAIL, reason="\x1b[2J\n" + "x" * 1000))
    (line,) = progress.stream.getvalue().splitlines()
    assert len(line) == LONGEST
    assert line.startswith("trial 0: failed,  [2J xxx")


def test_trials_that_are_told_when_the_race_is_over_are_one_line_before_the_answer():
    progress = plain()
    with progress:
        for number in range(50):
            reason = "deadline" if number == 7 else "outpaced"
            progress(ended(number, TrialState.PRUNED, reason=reason, score=0.5))
        progress(FinalFitStarted(3, 14))
        progress(ended(50, TrialState.PRUNED, reason="outpaced", score=0.5))
    assert progress.stream.getvalue().splitlines() == [
        "50 trials pruned at the end of the race: 1 deadline, 49 outpaced",
        "trial 3: its config is fitted as the final model, 14 epochs",
        "1 trial pruned at the end of the race: 1 outpaced",
    ]


def test_the_live_display_tells_the_best_the_counts_the_cost_and_the_time():
    time = Clock()
    progress = live(trials=4, clock=time)
    assert "0/4" in shown(progress)
    climb_first_rung(progress, 0, 0.25)
    time.now = 30
    text = shown(progress)
    assert "1/4" in text
    assert "0:30, about 1:30 left" in text
    assert "trial 0, resnet, log_loss 0.25, accuracy 0.75 (so far on rung 1)" in text
    assert "1 waiting" in text
    assert "1 fold-epochs spent, 99 saved against no race" in text


def test_a_deadline_bounds_the_time_left():
    time = Clock()
    progress = live(timeout=60, clock=time)
    time.now = 20
    assert "0:20, at most 0:37 left" in shown(progress)


def test_earlier_trials_do_not_count_for_the_rate():
    time = Clock()
    progress = live(trials=4, clock=time)
    progress.tally.prime([ended(0, value=0.5).trial])
    climb_first_rung(progress, 1, 0.25)
    time.now = 10
    assert "2/4" in shown(progress)
    assert "0:10, about 0:20 left" in shown(progress)


def test_the_live_display_is_a_context_manager_that_leaves_its_last_state():
    progress = live(width=40)
    with progress as entered:
        assert entered is progress
        climb_first_rung(progress, 0, 0.25)
    text = progress.console.file.getvalue()
    assert "1/4" in text
    assert all(len(line) <= 40 for line in shown(progress).splitlines())


def test_a_clock_has_hours_only_when_there_are_some():
    assert [clock(s) for s in (0, 59.9, 725, 3723, -1)] == ["0:00", "0:59", "12:05", "1:02:03", "0:00"]
