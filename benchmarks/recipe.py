"""The search that a good PyTorch user writes today: Optuna's TPE and MedianPruner, a DataLoader, a plain loop.

    python benchmarks/recipe.py DATA [--single] [--first] [--minutes 20] [--folds 5] [--epochs 20] [--seed 0]

Each trial trains fold after fold and reports the running mean after each of them; with `--single` it trains one split
and reports each epoch. With `--first` the configs that automl's search space begins with are queued: what its authors
know of good configs, and the plain recipe has to find. Search space, networks, folds and test set are automl's own for
the same seed, so that what differs from `automl search` is the search and the feeding of the data. Favours to this
side: images are decoded once and kept, networks run channels-last, and fitting and testing the final model take no time
off the search. Prints JSON: `trials` (seconds since the start, score, fold-epochs so far), `cv`, `test_accuracy`,
`test_log_loss`.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import optuna
import torch
import torch.nn.functional as F
from PIL import Image
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2 as transforms

from automl.run.prepare import prepare
from automl.settings import make_settings
from automl.training.recipe import Recipe

STARTED = time.monotonic()


class Pictures(Dataset):
    """Decoded images in memory with their classes; `augment` is what a training image goes through first."""

    def __init__(self, pictures, labels, index, statistics, augment=()):
        self.pictures, self.labels, self.index = pictures, labels, index
        steps = [transforms.ToImage(), transforms.ToDtype(torch.float32, scale=True), transforms.Normalize(*statistics)]
        self.transform = transforms.Compose([*augment, *steps])

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        return self.transform(self.pictures[self.index[i]]), self.labels[self.index[i]]


class Study:
    """The data, and how one config is trained on one part of them."""

    def __init__(self, args):
        self.args = args
        self.context = prepare(make_settings(data=args.data, space="images", folds=args.folds, epochs=args.epochs,
                                              seed=args.seed, device="cpu"))  # fmt: skip
        x = self.context.dataset.x
        self.pictures = [Image.fromarray(each.transpose(1, 2, 0).squeeze()) for each in x]
        self.labels = self.context.dataset.y
        self.fold_epochs = 0
        self.deadline = STARTED + 60 * args.minutes

    def train(self, config, train, validation, epochs, timed=True, told=None):
        """Yields after each epoch (validation loss, accuracy). Prunes the trial when the time is up.

        `told`: losses for a plateau schedule, by epoch, where `validation` is the test set, which must not steer.
        """
        torch.manual_seed(self.args.seed)
        context = self.context
        recipe = Recipe.from_config(config, context.host, self.args.epochs)
        policy = recipe.build_augmentation().policy
        side = context.dataset.input_shape[1:]
        shift = int(policy.shift * max(side) + 1e-9)
        augment = [transforms.RandomHorizontalFlip(policy.horizontal_flip)] if policy.horizontal_flip else []
        augment += [transforms.RandomCrop(side, padding=shift, padding_mode="edge")] if shift else []
        pixels = np.asarray(context.dataset.x[train])
        statistics = [(moment((0, 2, 3)) / 255).tolist() for moment in (pixels.mean, pixels.std)]
        data = Pictures(self.pictures, self.labels, train, statistics, augment)
        loader = DataLoader(data, recipe.batch_size, shuffle=True, drop_last=True)
        held_out = DataLoader(Pictures(self.pictures, self.labels, validation, statistics), 512)

        network = recipe.build_network(context.dataset.input_shape, context.dataset.num_outputs)
        network = network.to(memory_format=torch.channels_last)
        optimizer = recipe.build_optimizer(network)
        schedule = recipe.build_schedule(optimizer, len(loader))
        plateau = isinstance(schedule, ReduceLROnPlateau)
        for epoch in range(epochs):
            network.train()
            for images, targets in loader:
                if timed and time.monotonic() > self.deadline:
                    raise optuna.TrialPruned
                optimizer.zero_grad()
                loss = F.cross_entropy(network(images.contiguous(memory_format=torch.channels_last)), targets)
                loss.backward()
                optimizer.step()
                if not plateau:
                    schedule.step()
            network.eval()
            with torch.no_grad():
                output = torch.cat([network(images) for images, _ in held_out])
            targets = torch.from_numpy(self.labels[validation])
            lost = F.cross_entropy(output.double(), targets).item()
            if plateau:
                schedule.step(told[epoch] if told else lost)
            self.fold_epochs += timed
            yield lost, (output.argmax(1) == targets).double().mean().item()

    def cross_validate(self, config, trial=None):
        """(the lowest fold-mean validation loss, as automl scores, the first fold's curve until then).

        With a trial, reports the running mean after each fold.
        """
        splits, curves = self.context.splits, []
        for fold in range(self.args.folds):
            rows = self.train(config, splits.train(fold), splits.validation(fold), self.args.epochs, trial is not None)
            curves.append([loss for loss, _ in rows])
            mean = np.mean(curves, 0)
            if trial is not None:
                trial.report(mean.min(), fold)
                if fold + 1 < self.args.folds and trial.should_prune():
                    raise optuna.TrialPruned
        return float(mean.min()), curves[0][: mean.argmin() + 1]

    def one_split(self, config, trial):
        """(the lowest validation loss of the first fold, its curve until then); reports every epoch."""
        splits, losses = self.context.splits, []
        for loss, _ in self.train(config, splits.train(0), splits.validation(0), self.args.epochs):
            losses.append(loss)
            trial.report(min(losses), len(losses))
            if len(losses) < self.args.epochs and trial.should_prune():
                raise optuna.TrialPruned
        return float(min(losses)), losses[: np.argmin(losses) + 1]

    def objective(self, trial):
        """One trial of the search."""
        config = self.context.space.suggest(trial)
        score, curve = (self.one_split if self.args.single else self.cross_validate)(config, trial)
        trial.set_user_attr("config", config)
        trial.set_user_attr("curve", curve)
        trial.set_user_attr("point", [time.monotonic() - STARTED, score, self.fold_epochs])
        return score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work = Study(args)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=args.seed), pruner=optuna.pruners.MedianPruner()
    )
    for config in work.context.space.first if args.first else ():
        study.enqueue_trial(dict(config))
    study.optimize(work.objective, timeout=work.deadline - time.monotonic())

    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    report = {
        "trials": [t.user_attrs["point"] for t in done],
        "begun": len(study.trials),
        "fold_epochs": work.fold_epochs,
    }
    if done:
        best = study.best_trial
        config, curve = best.user_attrs["config"], best.user_attrs["curve"]
        report["cv"] = work.cross_validate(config)[0] if args.single else best.value
        splits = work.context.splits
        *_, last = work.train(config, splits.training_part, splits.test, len(curve), timed=False, told=curve)
        report["test_log_loss"], report["test_accuracy"] = last
        report["config"] = config
    print(json.dumps(report))


if __name__ == "__main__":
    main()
