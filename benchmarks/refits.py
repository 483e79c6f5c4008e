"""How much of a test score is the luck of one fit, and what does its length do? A trial of a run, fitted anew.

    python benchmarks/refits.py RUN --seeds 4
    python benchmarks/refits.py RUN --trial 5 --lengths 4/45 4/4 8/8

The final model of a search is one draw: initial weights, the order of samples, dropout and augmentation. Here the
config of the winner, or of `--trial`, is fitted `--seeds` times more on the whole training part, as the final model is
or for so many epochs of schedules of such a length, and each time tested, which a search never does. Prints the run's
own test, the means and standard deviations of the others, and the test of the networks of the trial's folds averaged,
which `--final ensemble` would have made.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
from machine import heading, spread, table

import automl
from automl.conclude.final_model import FinalFit
from automl.conclude.fitting import Fit, refit
from automl.conclude.selection import as_finalist
from automl.models.test_predictions import predict_test, test_scores
from automl.results.run import Run
from automl.scheduling.deadline import Budget
from automl.search_context import context_of
from automl.study.storage.opening import load_study, open_storage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a run that has ended")
    parser.add_argument("--trial", type=int, help="another one than the winner")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--lengths", nargs="*", default=[], help="EPOCHS/SCHEDULE, e.g. 4/45")
    args = parser.parse_args()
    run = automl.open_run(args.run)
    trial = int(run.summary["winner"]) if args.trial is None else args.trial
    metrics = list(run.record.final.test)
    rows = [["the run's own", *(f"{run.record.final.test[name]:.4f}" for name in metrics)]]
    fits = [None, *(Fit(*map(int, length.split("/"))) for length in args.lengths)]
    for fit in fits:
        found, epochs = zip(*refitted(run, trial, args.seeds, fit), strict=True)
        laid_out = "" if fit is None else f" of a schedule of {fit.horizon}"
        name = f"refits, {', '.join(map(str, sorted(set(epochs))))} epochs{laid_out}"
        rows += [[name, *(spread([scores[metric] for scores in found]) for metric in metrics)]]
        print(rows[-1], flush=True)
    ensemble = averaged(run, trial)
    rows += [["ensemble", *(f"{ensemble[name]:.4f}" for name in metrics)]]
    print(heading(seeds=[run.record.settings.seed], note=f"{args.seeds} refits") + "\n")
    print(table([f"trial {trial} of `{Path(run.record.settings.data).name}`, test", *metrics], rows))


def refitted(run: Run, trial: int, count: int, fit: Fit | None) -> Iterator[tuple[dict[str, float], int]]:
    """The test scores and epochs of `count` models of a trial, from other seeds; `fit` None: as the final one."""
    context = context_of(run, None, None)
    finalist = as_finalist(open_study(run), run.folder, context.objective, trial)
    resident, budget = context.resident(), Budget.of(trials=0)
    for number in range(count):
        other = replace(context, settings=context.settings.model_copy(update={"seed": 1000 * (number + 1)}))
        chosen = fit or FinalFit(other, resident, budget, run.folder, "refit").schedule(finalist)
        model = refit(other, finalist, resident, budget, chosen)
        yield test_scores(predict_test(model, context.dataset, context.splits.test)), model.description.epochs


def averaged(run: Run, trial: int) -> dict[str, float]:
    """The test scores of the networks of the trial's folds, averaged."""
    context = context_of(run, None, None)
    finalist = as_finalist(open_study(run), run.folder, context.objective, trial)
    fit = FinalFit(context, context.resident(), Budget.of(trials=0), run.folder, "ensemble")
    return test_scores(predict_test(fit.fit_one(finalist).model, context.dataset, context.splits.test))


def open_study(run: Run) -> optuna.Study:
    """The run's study."""
    return load_study(open_storage(None, run.folder.journal), run.record.study, optuna.samplers.RandomSampler())


if __name__ == "__main__":
    main()
