"""How often the 95 % intervals of the test's metrics hold the truth, by simulation.

    python benchmarks/coverage.py --sets 1000

A population of known truth, from which test sets of 40 and 360 samples are drawn. Classifications: classes whose
features are normal around corners of a simplex, and the logarithms of their true probabilities as logits, sharpened
where the model is too sure. Regressions: predictions that are off by errors of several distributions. The intervals are
the product's (`automl.models.intervals`). Of 1,000 sets 0.936 to 0.964 hold the truth by chance alone at a true 0.95.

Prints a table in Markdown: the share of the sets whose interval holds the truth; sets without an interval count as not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import machine
import numpy as np

from automl.models.intervals import interval
from automl.training.metrics import measure

Draw = Callable[[np.random.Generator, int], tuple[Any, Any]]
SIZES = 40, 360
TRUTH = 400_000  # samples by which the truth is found


def classified(shares: list[float], apart: float, sharper: float = 1.0) -> Draw:
    """Classes of these shares with means `apart`; logits are `sharper` times the right ones."""
    count = len(shares)
    means = apart * np.eye(count) / np.sqrt(2)

    def draw(rng: np.random.Generator, samples: int) -> tuple[Any, Any]:
        y = rng.choice(count, samples, p=shares)
        x = means[y] + rng.normal(size=(samples, count))
        return y, sharper * (x @ means.T + np.log(shares))

    return draw


def regressed(errors: Callable[[np.random.Generator, Any], Any], outputs: int = 1) -> Draw:
    """Normal targets, and `errors` that may depend on them."""

    def draw(rng: np.random.Generator, samples: int) -> tuple[Any, Any]:
        y = rng.normal(0, 3, (samples, outputs))
        return y, y + errors(rng, y)

    return draw


CLASSIFICATIONS = {
    "2 classes, 80 % right": classified([0.5, 0.5], 1.7),
    "2 classes, 80 % right, too sure": classified([0.5, 0.5], 1.7, 2.5),
    "85 : 15, 91 % right": classified([0.85, 0.15], 2.0),
    "3 classes, 70 : 20 : 10, too sure": classified([0.7, 0.2, 0.1], 2.2, 1.5),
    "10 classes, 71 % right": classified([0.1] * 10, 3.0),
    "2 classes, 97 % right": classified([0.5, 0.5], 3.8),
}
REGRESSIONS = {
    "normal errors": regressed(lambda rng, y: rng.normal(size=y.shape)),
    "larger errors for larger targets": regressed(lambda rng, y: rng.normal(size=y.shape) * (0.3 + np.abs(y) / 3)),
    "errors of Student's t, 5 degrees": regressed(lambda rng, y: rng.standard_t(5, y.shape)),
    "two outputs, errors 1 : 2": regressed(lambda rng, y: rng.normal(size=y.shape) * [1, 2], 2),
}
METRICS = {
    "log_loss": CLASSIFICATIONS, "accuracy": CLASSIFICATIONS, "balanced_accuracy": CLASSIFICATIONS,
    "macro_f1": CLASSIFICATIONS, "auroc": CLASSIFICATIONS,
    "rmse": REGRESSIONS, "mae": REGRESSIONS, "r2": REGRESSIONS,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000, help="test sets of each size")
    args = parser.parse_args()
    print(machine.heading(threads=1, seeds=[0], note=f"{args.sets} test sets of each size"), flush=True)
    for populations in (CLASSIFICATIONS, REGRESSIONS):
        names = [name for name, of in METRICS.items() if of is populations]
        columns = ["population", *(f"{name}, n={size}" for name in names for size in SIZES)]
        print(f"\n{machine.table(columns, [])}", flush=True)
        for title, draw in populations.items():
            print(f"| {' | '.join([title, *row(draw, names, args.sets)])} |", flush=True)


def row(draw: Draw, names: list[str], sets: int) -> list[str]:
    """The coverage of each metric's interval at each size."""
    rng = np.random.default_rng(0)
    y, outputs = draw(rng, TRUTH)
    truth = {name: measure(name, y, outputs) for name in names}
    held = {(name, size): 0 for name in names for size in SIZES}
    for size in SIZES:
        for _ in range(sets):
            y, outputs = draw(rng, size)
            for name in names:
                ends = interval(name, y, outputs)
                held[name, size] += ends is not None and ends[0] <= truth[name] <= ends[1]
    return [f"{count / sets:.3f}" for count in held.values()]


if __name__ == "__main__":
    main()
