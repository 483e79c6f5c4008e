"""Records a table of learning curves: configs drawn at random, each trained on all folds for all epochs.

    python benchmarks/record_curves.py digits --configs 150 --folds 5 --epochs 20 --out tables/digits.npz

The table can be replayed with benchmarks/replay.py. Layout of the .npz:

    curves   float64 [config, fold, epoch, 4]: train loss, train metric, validation loss, validation metric
    configs  [config] text: each config as JSON
    about    text: data, space, seed, versions as JSON

A config that cannot run, or whose loss is not finite, is skipped and another one drawn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch

from automl.data.dataset import Dataset
from automl.data.resident import Resident
from automl.data.sources.load import load
from automl.data.splits import make_splits
from automl.errors import Infeasible, TrialFailed
from automl.hooks.host import load_plugins
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.spaces.library import find_space
from automl.spaces.merge import merge
from automl.spaces.yaml_file import read
from automl.training.recipe import Recipe
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed


def train(dataset: Dataset, config: dict[str, Any], number: int, args: argparse.Namespace) -> np.ndarray | None:
    """The curves [fold, epoch, 4] of one config, or None when it cannot be trained."""
    torch.set_num_threads(1)
    splits = make_splits(dataset, folds=args.folds, seed=args.seed)
    samples = [(splits.train(fold), splits.validation(fold)) for fold in range(args.folds)]
    objective = Objective.of(dataset.task, args.metric)
    curves = Curves(args.folds, args.epochs, objective)
    try:
        recipe = Recipe.from_config(config, load_plugins(), args.epochs)
        resident = Resident(dataset, torch.device("cpu"))
        run = TrialRun(recipe, resident, samples, seed=derive_seed(args.seed, number), objective=objective)
        for results in run.advance(args.epochs, args.folds):
            curves.add(results)
    except (Infeasible, TrialFailed) as error:
        print(f"config {number} skipped: {error}", flush=True)
        return None
    return curves.values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--configs", type=int, default=150)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--samples", type=int, help="use a random subset of this size")
    parser.add_argument("--target", help="a csv's column to predict")
    parser.add_argument("--plugin", type=Path, action="append", default=[], help="a plugin file that knows the data")
    parser.add_argument("--metric", help="the metric beside the loss [accuracy or r2]")
    parser.add_argument("--space", default="images")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=joblib.cpu_count())
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    dataset = load(
        args.data,
        target=args.target,
        plugin_datasets={name: d.build for name, d in load_plugins(files=args.plugin).datasets.items()},
    )
    if args.samples:
        keep = np.random.default_rng(args.seed).permutation(len(dataset))[: args.samples]
        subset = {"x": dataset.x[keep], "y": dataset.y[keep], "test": None, "groups": None, "fingerprint": "subset"}
        dataset = dataclasses.replace(dataset, **subset)
    space = merge(read(find_space(args.space)), load_plugins().catalogue(), overrides=args.overrides)
    rng = random.Random(args.seed)
    drawn = [space.sample(rng) for _ in range(2 * args.configs)]
    results = joblib.Parallel(n_jobs=args.workers, return_as="generator", pre_dispatch=args.workers)(
        joblib.delayed(train)(dataset, config, number, args) for number, config in enumerate(drawn)
    )
    metric = Objective.of(dataset.task, args.metric).metric
    about = {"data": args.data, "samples": len(dataset), "space": args.space, "overrides": args.overrides,
             "metric": metric, "seed": args.seed, "torch": str(torch.__version__)}  # fmt: skip
    curves: list[np.ndarray] = []
    configs: list[str] = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for config, values in zip(drawn, results, strict=True):
        if values is not None:
            curves.append(values)
            configs.append(json.dumps(config))
            # Saved as it grows: recording takes long, and the first configs are a table too.
            np.savez(args.out, curves=np.stack(curves), configs=np.array(configs), about=np.array(json.dumps(about)))
            print(f"{len(curves)}/{args.configs} best {Curves.of(values).score():.4f} {configs[-1]}", flush=True)
        if len(curves) == args.configs:
            break
    # The remaining draws were only for configs that could not be trained.


if __name__ == "__main__":
    main()
