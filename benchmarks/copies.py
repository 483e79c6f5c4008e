"""Whether equal rows of a table are told apart rightly: copies, which leak, and rows that few values make equal.

    python benchmarks/copies.py [--seeds 20]

Each situation is drawn from a source of which new rows can be had, so that the truth is known: the accuracy on 10,000
new ones of a decision tree, which learns by heart whatever it can. Beside it the cross-validated accuracy of the same
tree on the folds of `make_splits`, and on folds to which each row is dealt by itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import heading
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits

Rows = tuple[NDArray[Any], NDArray[Any]]
Draw = Callable[[np.random.Generator, int], Rows]
FOLDS = 5


def coins(rng: np.random.Generator, count: int) -> Rows:
    """Numbers, and labels that have nothing to do with them."""
    return rng.normal(size=(count, 3)), rng.integers(0, 2, count)


def line(rng: np.random.Generator, count: int) -> Rows:
    """Numbers with a line between the classes, which a tenth of the labels ignore."""
    x = rng.normal(size=(count, 4))
    return x, (x[:, 0] + x[:, 1] > 0) ^ (rng.random(count) < 0.1)


def rounded(rng: np.random.Generator, count: int) -> Rows:
    """The same with one decimal."""
    x, y = line(rng, count)
    return x.round(1), y


def categories(rng: np.random.Generator, count: int) -> Rows:
    """Three categories of five values, labels with noise."""
    x = rng.integers(0, 5, (count, 3))
    return x, (x.sum(axis=1) > 6) ^ (rng.random(count) < 0.2)


def rule(rng: np.random.Generator, count: int) -> Rows:
    """The same, labels without noise."""
    x = rng.integers(0, 5, (count, 3))
    return x, (x[:, 0] * x[:, 1] + x[:, 2]) % 3 == 0


def rare(rng: np.random.Generator, count: int) -> Rows:
    """Twenty columns that are nearly always 0, labels with noise."""
    x = rng.random((count, 20)) < 0.03
    return x.astype(float), (x[:, :7].sum(axis=1) > 0) ^ (rng.random(count) < 0.2)


def places(rng: np.random.Generator, count: int) -> Rows:
    """Columns that hang together: a town in a state in a country, sex, age in six bands; labels with noise."""
    town = rng.integers(0, 50, count)
    sex, age = rng.integers(0, 2, count), rng.integers(0, 6, count)
    return np.stack([town, town % 20, town % 3, sex, age], 1), (town % 5 + age > 4) ^ (rng.random(count) < 0.2)


def copied(draw: Draw, rows: int, times: int, share: float = 1.0) -> Callable[[np.random.Generator], Rows]:
    """A table of so many rows, of which a share is there `times` times."""

    def make(rng: np.random.Generator) -> Rows:
        x, y = draw(rng, rows)
        more = np.tile(np.arange(int(rows * share)), times - 1)
        order = rng.permutation(np.concatenate([np.arange(rows), more]))
        return x[order], y[order]

    return make


SITUATIONS: dict[str, tuple[Draw, int, int, float]] = {
    "coins, 100 rows six times each": (coins, 100, 6, 1.0),
    "numbers, 200 rows four times each": (line, 200, 4, 1.0),
    "numbers, 1 row in 10 ten times": (line, 400, 10, 0.1),
    "numbers with one decimal, 1 row in 2 twice": (rounded, 400, 2, 0.5),
    "numbers with one decimal, no copies": (rounded, 1_000, 1, 1.0),
    "three categories, 5,000 rows": (categories, 5_000, 1, 1.0),
    "three categories, 300 rows": (categories, 300, 1, 1.0),
    "three categories and a rule, 300 rows": (rule, 300, 1, 1.0),
    "twenty rare ones, 2,000 rows": (rare, 2_000, 1, 1.0),
    "columns that hang together, 3,000 rows": (places, 3_000, 1, 1.0),
}


def accuracy(rows: Rows, folds: NDArray[Any]) -> float:
    """Of the tree, cross-validated over the folds, whose numbers are given by row (-1: left out)."""
    x, y = rows
    scores = []
    for number in range(FOLDS):
        train, validation = (folds != number) & (folds >= 0), folds == number
        scores.append(
            DecisionTreeClassifier(random_state=0).fit(x[train], y[train]).score(x[validation], y[validation])
        )
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    print(heading(threads=1, seeds=range(seeds), note=f"means over the seeds, {FOLDS} folds"), end="\n\n")
    print("| situation | copies told | equal rows told | folds of automl | rows dealt singly | new rows |")
    print("|---|---|---|---|---|---|")
    for name, (draw, count, times, share) in SITUATIONS.items():
        found = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            x, y = rows = copied(draw, count, times, share)(rng)
            dataset = from_arrays(x, y.astype(int))
            equal = len(x) - len(np.unique(x, axis=0))
            ours = make_splits(dataset, folds=FOLDS, test_fraction=0, seed=seed).fold
            singly = np.empty(len(x), dtype=int)
            for number, (_, part) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)):
                singly[part] = number
            tree = DecisionTreeClassifier(random_state=0).fit(x, y)
            truth = tree.score(*draw(rng, 10_000))
            found.append((dataset.copies, equal - dataset.copies, accuracy(rows, ours), accuracy(rows, singly), truth))
        copies, repeats, *scores = np.mean(found, axis=0)
        print(f"| {name} | {copies:,.0f} | {repeats:,.0f} | {' | '.join(f'{score:.3f}' for score in scores)} |")


if __name__ == "__main__":
    main()
