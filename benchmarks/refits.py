"""How much of a test score is the luck of one fit? A run's winner, fitted anew with other seeds, and as an ensemble.

    python benchmarks/refits.py RUN --seeds 4

The final model of a search is one draw: initial weights, the order of samples, dropout and augmentation. Here the
winner's config is fitted `--seeds` times more on the whole training part, as the final model is, and each time tested,
which a search never does. Prints the run's own test, each refit, their mean and standard deviation, and the test of
the networks of the winner's folds averaged, which `--final ensemble` would have made.
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
from automl.conclude.selection import as_finalist
from automl.models.test_predictions import predict_test, test_scores
from automl.preparing import as_searched
from automl.results.run import Run
from automl.scheduling.deadline import Budget
from automl.study.storage.opening import load_study, open_storage

METRICS = ("accuracy", "log_loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a classification that has ended")
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    run = automl.open_run(args.run)
    winner = int(run.summary["winner"])
    found = list(refitted(run, winner, args.seeds))
    own = run.record.final.test
    rows = [["the run's own", *(f"{own[name]:.4f}" for name in METRICS)]]
    rows += [[f"refit {n}", *(f"{scores[name]:.4f}" for name in METRICS)] for n, scores in enumerate(found, 1)]
    rows += [["refits, mean", *(spread([scores[name] for scores in found]) for name in METRICS)]]
    (ensemble,) = refitted(run, winner, 1, "ensemble")
    rows += [["ensemble", *(f"{ensemble[name]:.4f}" for name in METRICS)]]
    print(heading(seeds=[run.record.settings.seed]) + "\n")
    print(table([f"trial {winner} of `{run.record.settings.data}`", "test accuracy", "test log loss"], rows))


def refitted(run: Run, trial: int, count: int, kind: str = "refit") -> Iterator[dict[str, float]]:
    """The test scores of `count` models of a trial's config, fitted as the final model is, each from other seeds; an
    ensemble is of the folds' own networks, whatever the seed.
    """
    prepared = as_searched(run, None, None)
    finalist = as_finalist(open_study(run), run.folder, prepared.objective, trial)
    for number in range(count):
        seed = prepared.settings.seed if kind == "ensemble" else 1000 * (number + 1)
        other = replace(prepared, settings=prepared.settings.model_copy(update={"seed": seed}))
        model = FinalFit(other, prepared.resident(), Budget.of(trials=0), run.folder, kind).fit_one(finalist).model
        yield test_scores(predict_test(model, prepared.dataset, prepared.splits.test))


def open_study(run: Run) -> optuna.Study:
    """The run's study."""
    return load_study(open_storage(None, run.folder.journal), run.record.study, optuna.samplers.RandomSampler())


if __name__ == "__main__":
    main()
