"""What gradient boosting scores on the same folds of a table: what anybody would try first, and a network must beat.

scikit-learn's HistGradientBoosting with its defaults, as somebody uses it who tunes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.dataset import Dataset
from automl.data.splits import Splits
from automl.training.guessing import log_odds_of_share
from automl.training.metrics import measure, varied_labels

NAME = "gradient boosting"
# After which no further fold is begun: so many seconds, or such a share of the timeout; a tenth of a short one at most.
SECONDS, SHARE, MOST_SHARE = 10.0, 0.02, 0.1
MOST_CELLS = 4_000_000  # of a fold's training part that one tree an iteration is fitted to: about 10 s on one slow core
LEAST_ROWS = 100
MOST_COLUMNS = 5_000  # a histogram of 255 bins of each, for every node of a tree: some seconds, however few the rows
MOST_CLASSES = 30  # it grows a tree for each class in each of its iterations
MOST_CODES = 255  # of a category, as it takes them; one with more is read as numbers


@dataclass(frozen=True)
class Boosting:
    """The scores of gradient boosting on the first folds, by the metric that is optimised.

    `rows`: training rows that each fold was fitted to, where there were too many for all of them; else None.
    """

    metric: str
    scores: tuple[float, ...]
    seconds: float
    rows: int | None = None
    by: str = NAME

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.scores))


def boost(
    dataset: Dataset,
    splits: Splits,
    metric: str,
    *,
    seed: int,
    timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Boosting | None:
    """Scores gradient boosting on as many folds as `SECONDS` or `SHARE` of the `timeout` (seconds) suffice for, at
    least one; on so many of their rows that the first takes no longer, about.

    None for images, and for what it would take too long for: more than `MOST_CLASSES` classes or targets, or
    `MOST_COLUMNS` columns.
    """
    fit = _FIT.get(dataset.task)
    if dataset.kind != "table" or fit is None:
        return None
    if max(len(dataset.classes), len(dataset.several)) > MOST_CLASSES or dataset.x.shape[1] > MOST_COLUMNS:
        return None
    import sklearn.ensemble  # noqa: F401, its import alone takes seconds while the workers start

    quick = SECONDS if timeout is None else min(SECONDS, MOST_SHARE * timeout)
    started, allowed = clock(), max(quick, SHARE * (timeout or 0.0))
    trees = max(1, len(dataset.classes) if len(dataset.classes) > 2 else len(dataset.several))
    most = max(LEAST_ROWS, int(MOST_CELLS * quick / SECONDS) // (dataset.x.shape[1] * trees))
    scores: list[float] = []
    fitted = 0
    for fold in range(splits.folds):
        spent = clock() - started
        if fold and spent + spent / fold > allowed:
            break
        train, validation = splits.train(fold), splits.validation(fold)
        if len(train) > most:
            train = np.random.default_rng((seed, fold)).choice(train, most, replace=False)
            fitted = most
        outputs = fit(dataset, train, validation, seed)
        scores.append(measure(metric, np.asarray(dataset.y[validation]), outputs, dataset.deviations))
    return Boosting(metric, tuple(scores), clock() - started, fitted or None)


Rows = NDArray[np.int64]


def _options(dataset: Dataset, seed: int) -> dict[str, Any]:
    categories = [
        feature.kind == "category" and feature.cardinality <= MOST_CODES for feature in getattr(dataset, "features", ())
    ]
    return {"categorical_features": categories or None, "random_state": seed}


def _classify(dataset: Dataset, train: Rows, validation: Rows, seed: int) -> NDArray[np.float64]:
    """Logarithms of probabilities [n, classes]; a class that the training rows lack has the least that there is."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    y = np.asarray(dataset.y[train])
    made = np.full((len(validation), len(dataset.classes)), np.finfo(np.float64).tiny)
    present = np.unique(y)
    if len(present) == 1:
        made[:, present] = 1.0
    else:
        model = HistGradientBoostingClassifier(**_options(dataset, seed)).fit(dataset.x[train], y)
        made[:, model.classes_] = model.predict_proba(dataset.x[validation])
    return np.asarray(np.log(np.maximum(made, np.finfo(np.float64).tiny)))


def _regress(dataset: Dataset, train: Rows, validation: Rows, seed: int) -> NDArray[np.float64]:
    """Predictions [n, outputs], of a model for each output."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    targets = np.asarray(dataset.y[train], dtype=np.float64)
    models = (
        HistGradientBoostingRegressor(**_options(dataset, seed)).fit(dataset.x[train], target) for target in targets.T
    )
    return np.column_stack([model.predict(dataset.x[validation]) for model in models])


def _label(dataset: Dataset, train: Rows, validation: Rows, seed: int) -> NDArray[np.float64]:
    """Logits [n, labels], of a model for each label; one that never varies in the training rows has its share."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    y = np.asarray(dataset.y[train])
    made = np.tile(log_odds_of_share(y.mean(axis=0), len(y)), (len(validation), 1))
    for place in varied_labels(y):
        model = HistGradientBoostingClassifier(**_options(dataset, seed)).fit(dataset.x[train], y[:, place])
        made[:, place] = model.decision_function(dataset.x[validation])
    return made


_FIT: dict[str, Callable[[Dataset, Rows, Rows, int], NDArray[np.float64]]] = {
    "classification": _classify,
    "regression": _regress,
    "multilabel": _label,
}
