"""What does it gain to answer for an image and its mirror image, or for images shifted by a pixel?

    python benchmarks/tta.py /tmp/cifar6k --space images --epochs 20 --seeds 3

The first configs of the space that mirror images in training are trained on two folds of the data. Each network then
answers for the validation samples as they are, and for several views of them, so that every difference is paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import optuna
import torch
from machine import heading, spread, table
from torch import Tensor
from torch.nn import functional as F

from automl.run.prepare import prepare
from automl.scheduling.samplers import make_sampler
from automl.settings import make_settings
from automl.training.frozen import FrozenFeatures
from automl.training.recipe import Recipe
from automl.training.run import TrialRun

BATCH = 250


def shifted(x: Tensor, down: int, right: int) -> Tensor:
    """The images moved by so many pixels; what comes in at the border is reflected."""
    height, width = x.shape[-2:]
    return F.pad(x, (1, 1, 1, 1), mode="reflect")[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]


def mirrored(x: Tensor) -> list[Tensor]:
    """The image and its mirror image."""
    return [x, x.flip(-1)]


VIEWS: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "plain": lambda x: [x],
    "mirror": mirrored,
    "mirror and two shifts": lambda x: [
        view for each in (x, shifted(x, 1, 1), shifted(x, -1, -1)) for view in mirrored(each)
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--space", default="images")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=2, help="of five")
    args = parser.parse_args()
    context = prepare(make_settings(data=args.data, space=args.space, device="cpu"))
    study = optuna.create_study(sampler=make_sampler("random", 0, 0, 0, context.space, dict))
    configs = [context.space.suggest(study.ask()) for _ in context.space.first]
    resident, splits = context.resident(), context.splits
    pairs = [(splits.train(fold), splits.validation(fold)) for fold in range(args.folds)]
    note = f"{args.data}, {args.space}, {args.epochs} epochs, {args.folds} folds of 5"
    print(heading(seeds=range(args.seeds), note=note) + "\n")
    rows = []
    for number, config in enumerate(configs):
        if not config.get("train.horizontal_flip"):
            continue
        scores: dict[str, list[tuple[float, float]]] = {}
        for seed in range(args.seeds):
            recipe = Recipe.from_config(config, context.host, args.epochs)
            run = TrialRun(recipe, resident, pairs, seed=seed)
            for _ in run.advance(args.epochs, args.folds):
                pass
            for (network, norm), fold in zip(run.networks(), run.folds, strict=True):
                for name, found in answers(network.eval(), norm.inputs, run, fold.validation).items():
                    scores.setdefault(name, []).append(found)
        plain = np.array(scores["plain"])
        for name, found in scores.items():
            loss, accuracy = np.array(found).T
            gain = np.array(found) - plain
            rows.append(
                [
                    f"{number} {config['architecture']}",
                    name,
                    spread(list(loss)),
                    spread(list(accuracy)),
                    spread(list(gain[:, 0])),
                    spread(list(gain[:, 1])),
                ]
            )
        print(
            table(["config", "views", "log loss", "accuracy", "difference of log loss", "of accuracy"], rows),
            flush=True,
        )


@torch.inference_mode()
def answers(network, inputs, run: TrialRun, index: Tensor) -> dict[str, tuple[float, float]]:  # type: ignore[no-untyped-def]
    """(log loss, accuracy) on the samples `index`, by views and by what is averaged."""
    whole = run.resident.whole if isinstance(run.resident, FrozenFeatures) else run.resident
    outputs: dict[str, list[Tensor]] = {}
    for part in torch.split(index, BATCH):
        x, _ = whole.batch(part)
        for name, make in VIEWS.items():
            made = torch.stack([network(inputs(view)) for view in make(x)])
            outputs.setdefault(name, []).append(made.mean(0))
            if len(made) > 1:
                outputs.setdefault(f"{name}, probabilities", []).append(made.log_softmax(-1).exp().mean(0).log())
    y = whole.y[index]
    found = {}
    for name, parts in outputs.items():
        output = torch.cat(parts)
        found[name] = (F.cross_entropy(output, y).item(), (output.argmax(1) == y).float().mean().item())
    return found


if __name__ == "__main__":
    main()
