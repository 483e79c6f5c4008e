"""Configs of a search space beside each other, trained on the same folds from the same seeds.

    python benchmarks/paired.py cifar10-6k 0 2/epochs=12
    python benchmarks/paired.py cifar10-6k 0 0/train.optimizer=muon,train.lr=0.02,train.muon.momentum=0.95 --seeds 2
    python benchmarks/paired.py bees --space photos 2 2/train.unfreeze_at=0.3 --folds 5 --epochs 15

A config is the number of one of the space's `first`, and what shall be otherwise in it. Prints what each scores on the
validation samples, the seconds of the CPU that its training took, and the paired differences from the one named first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any, NamedTuple

import optuna
from machine import heading, table

from automl.run.context import SearchContext
from automl.run.prepare import prepare
from automl.scheduling.samplers import make_sampler
from automl.settings import make_settings
from automl.spaces.training import KNOWN
from automl.training.recipe import Recipe
from automl.training.run import TrialRun


class Score(NamedTuple):
    """Of one training: validation loss and metric."""

    loss: float
    metric: float


def trained(
    config: dict[str, Any], epochs: int, context: SearchContext, folds: int, seeds: int
) -> tuple[list[Score], float]:
    """The scores by seed and fold, and the seconds of the CPU that a training took on the average."""
    scores = []
    splits, resident = context.splits, context.resident()
    pairs = [(splits.train(fold), splits.validation(fold)) for fold in range(folds)]
    began = time.process_time()
    for seed in range(seeds):
        recipe = Recipe.from_config(config, context.host, epochs)
        run = TrialRun(recipe, resident, pairs, seed=seed, precision=context.precision)
        *_, last = run.advance(epochs, folds)
        scores += [Score(fold.validation_loss, fold.validation_metric) for fold in last]
    return scores, (time.process_time() - began) / len(scores)


def changed(pair: str, config: dict[str, Any], context: SearchContext) -> tuple[str, Any]:
    """A key of a config and its new value. Exits for a key that no config can have."""
    key, _, text = pair.partition("=")
    optimizers = (f"train.{o}.{p}" for o in context.host.optimizers for p in context.host.optimizer(o).parameters)
    if key not in {"epochs", *config, *(f"train.{name}" for name in KNOWN), *optimizers}:
        raise SystemExit(f"{pair}: no config has '{key}'")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text  # a name


def mean(values: list[float]) -> str:
    """With its standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {error:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("configs", nargs="+", help="NUMBER or NUMBER/key=value,key=value; `epochs` is a key too")
    parser.add_argument("--space", default="images")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=2, help="of five")
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    context = prepare(make_settings(data=args.data, space=args.space, device="cpu"))
    study = optuna.create_study(sampler=make_sampler("random", 0, 0, 0, context.space, dict))
    first = [context.space.suggest(study.ask()) for _ in context.space.first]
    print(heading(seeds=range(args.seeds), note=f"{args.data}, {args.space}, {args.folds} folds of 5") + "\n")
    rows, reference = [], None
    for name in args.configs:
        number, _, changes = name.partition("/")
        config = {**first[int(number)], **{"epochs": args.epochs}}
        config |= dict(changed(pair, config, context) for pair in changes.split(",") if pair)
        scores, seconds = trained(config, config.pop("epochs"), context, args.folds, args.seeds)
        reference = reference or scores
        row = [f"{number} {config['architecture']} {changes}", f"{seconds:.0f}"]
        for part in Score._fields:
            values, others = ([getattr(score, part) for score in each] for each in (scores, reference))
            row += [mean(values), mean([a - b for a, b in zip(values, others, strict=True)])]
        rows.append(row)
        print(" | ".join(row), flush=True)
    columns = ["config", "CPU seconds a fold", "loss", "difference", context.objective.metric, "difference"]
    print("\n" + table(columns, rows))


if __name__ == "__main__":
    main()
