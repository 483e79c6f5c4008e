"""For how many epochs should a winner be refitted that the deadline stopped after 13 of 60?

    python benchmarks/stand_in.py --config 3 --seeds 3

One of the configs that the space `images` begins with is trained on the training part of digits and tested: for 13
epochs of a 60-epoch schedule, as the trial was, and for 13, 20, 26 and 39 epochs on schedules of their own length.
Prints the test scores over the seeds.
"""

from __future__ import annotations

import argparse

import numpy as np
import optuna
from machine import heading, spread, table

from automl.run.prepare import prepare
from automl.scheduling.samplers import make_sampler
from automl.settings import make_settings
from automl.training.recipe import Recipe
from automl.training.run import TrialRun

STOPPED, HORIZON = 13, 60
LENGTHS = ((STOPPED, HORIZON), (STOPPED, STOPPED), (20, 20), (2 * STOPPED, 2 * STOPPED), (3 * STOPPED, 3 * STOPPED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=int, default=3, help="which of the space's first configs, from 0")
    parser.add_argument("--schedule", default="cosine", help="another one in its place")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    context = prepare(make_settings(data="digits", space="images", device="cpu"))
    study = optuna.create_study(sampler=make_sampler("random", 0, 0, 0, context.space, dict))
    *_, config = (context.space.suggest(study.ask()) for _ in range(args.config + 1))
    config["train.schedule"] = args.schedule
    resident, splits = context.resident(), context.splits
    rows = []
    for epochs, horizon in LENGTHS:
        found = []
        for seed in range(args.seeds):
            recipe = Recipe.from_config(config, context.host, horizon)
            run = TrialRun(recipe, resident, [(splits.training_part, splits.test)], seed=seed)
            *_, (last,) = run.advance(epochs, 1)
            found.append((last.validation_loss, last.validation_metric))
        loss, accuracy = np.array(found).T
        rows.append([f"{epochs} of {horizon}", spread(list(loss)), spread(list(accuracy))])
    print(heading(seeds=range(args.seeds)) + "\n")
    named = f"{config['architecture']}, {args.schedule}: epochs"
    print(table([named, "test log loss", "test accuracy"], rows))


if __name__ == "__main__":
    main()
