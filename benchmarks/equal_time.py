"""Two networks for small images at about equal time: the space's first configs of `resnet` and of `airbench`.

    python benchmarks/equal_time.py cifar10-6k --epochs 24 12 --folds 1
    python benchmarks/equal_time.py digits --epochs 12 12

Prints what each scores on the validation samples of the first folds, and the seconds of the CPU that its training took.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import optuna
from machine import heading, table

from automl.run.prepare import prepare
from automl.scheduling.samplers import make_sampler
from automl.settings import make_settings
from automl.training.recipe import Recipe
from automl.training.run import TrialRun

NETWORKS = ("resnet", "airbench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, nargs=2, default=(20, 20), help="of the ResNet, of airbench")
    parser.add_argument("--folds", type=int, default=2, help="of five")
    parser.add_argument("--mirrored", action="store_true", help="the configs that mirror images")
    args = parser.parse_args()
    prepared = prepare(make_settings(data=args.data, space="images", device="cpu"))
    study = optuna.create_study(sampler=make_sampler("random", 0, 0, 0, prepared.space, dict))
    configs = [prepared.space.suggest(study.ask()) for _ in prepared.space.first]
    resident, splits = prepared.resident(), prepared.splits
    rows = []
    for name, epochs in zip(NETWORKS, args.epochs, strict=True):
        config = next(
            config
            for config in configs
            if config["architecture"] == name and (config["train.horizontal_flip"] > 0) == args.mirrored
        )
        scores, began = [], time.process_time()
        for fold in range(args.folds):
            recipe = Recipe.from_config(config, prepared.host, epochs)
            run = TrialRun(recipe, resident, [(splits.train(fold), splits.validation(fold))], seed=fold)
            *_, (last,) = run.advance(epochs, 1)
            scores.append((last.validation_loss, last.validation_metric))
        losses, accuracies = np.array(scores).T
        seconds = (time.process_time() - began) / args.folds
        rows.append(
            [
                name,
                str(epochs),
                f"{seconds:.0f}",
                *(", ".join(f"{v:.4f}" for v in each) for each in (losses, accuracies)),
            ]
        )
    print(
        heading(note=f"{args.data}, {args.folds} of 5 folds, {'mirrored' if args.mirrored else 'not mirrored'}") + "\n"
    )
    print(table(["network", "epochs", "CPU seconds a fold", "log loss", "accuracy"], rows))


if __name__ == "__main__":
    main()
