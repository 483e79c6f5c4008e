"""`automl search` on tables beside gradient boosting, on the same files.

    python benchmarks/tables.py FOLDER [--tables computers,star] [--timeout 3m] [--seeds 0,1,2] [--keep RUNS]

FOLDER holds NAME_train.csv and NAME_test.csv. The search is run as a user would, `automl search NAME_train.csv --target
T --timeout 3m`, and its model measured with `automl evaluate` on NAME_test.csv. Beside it HistGradientBoosting and,
where they are installed, CatBoost and AutoGluon (in the same time), all with their defaults and fitted to the whole
training file: the search keeps a fifth of it for its own test.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import heading, table

from automl.settings import parse_duration

TARGETS = {"diamonds": "price", "computers": "price", "star": "tmathssk", "flchain": "death", "slid": "wages"}
CLASSIFICATIONS = {"flchain"}


class Files:
    """The train and test file of a table; `metric` is RMSE, or the log loss of a classification."""

    def __init__(self, folder: Path, name: str):
        self.name, self.target = name, TARGETS[name]
        self.train, self.test = folder / f"{name}_train.csv", folder / f"{name}_test.csv"
        self.classification = name in CLASSIFICATIONS
        self.metric = "log_loss" if self.classification else "rmse"

    def frames(self) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
        """Features and answers of both; texts are categories, with the values of both files."""
        both = [pd.read_csv(path) for path in (self.train, self.test)]
        answers = [frame.pop(self.target) for frame in both]
        features = pd.concat(both)
        for name in features.select_dtypes(exclude="number"):
            features[name] = features[name].astype("category")
        split = len(both[0])
        return features.iloc[:split], answers[0], features.iloc[split:], answers[1]

    def score(self, truth: pd.Series, predicted: np.ndarray) -> float:
        """`metric` of predictions, or of probabilities [n, classes]."""
        from sklearn.metrics import log_loss, root_mean_squared_error

        return float((log_loss if self.classification else root_mean_squared_error)(truth, predicted))


def searched(files: Files, timeout: str, seed: int, runs: Path) -> float:
    """The test score of what `automl search` finds."""
    run = runs / f"{files.name}-{seed}"
    automl = [sys.executable, "-m", "automl"]
    search = ["search", files.train, "--target", files.target, "--timeout", timeout, "--seed", seed, "--out", run]
    subprocess.run([*automl, *map(str, search), "--json"], check=True, capture_output=True)
    evaluate = [*automl, "evaluate", str(run), str(files.test), "--target", files.target, "--json"]
    found = json.loads(subprocess.run(evaluate, check=True, capture_output=True, text=True).stdout)
    return float(found["metrics"][files.metric])


def boosted(files: Files, timeout: str, seed: int) -> float:
    """The test score of scikit-learn's HistGradientBoosting."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x, y, x_test, y_test = files.frames()
    kind = HistGradientBoostingClassifier if files.classification else HistGradientBoostingRegressor
    model = kind(categorical_features="from_dtype", random_state=seed).fit(x, y)
    return files.score(y_test, model.predict_proba(x_test) if files.classification else model.predict(x_test))


def catboosted(files: Files, timeout: str, seed: int) -> float:
    """The test score of CatBoost."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    x, y, x_test, y_test = files.frames()
    texts = list(x.select_dtypes("category"))
    for name in texts:
        x[name], x_test[name] = (part[name].astype(str) for part in (x, x_test))
    kind = CatBoostClassifier if files.classification else CatBoostRegressor
    model = kind(random_seed=seed, verbose=False, allow_writing_files=False).fit(x, y, cat_features=texts)
    return files.score(y_test, model.predict_proba(x_test) if files.classification else model.predict(x_test))


def stacked(files: Files, timeout: str, seed: int) -> float:
    """The test score of AutoGluon in the same time."""
    from autogluon.tabular import TabularPredictor

    train, test = pd.read_csv(files.train), pd.read_csv(files.test)
    metric = "log_loss" if files.classification else "root_mean_squared_error"
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(files.target, eval_metric=metric, path=folder, verbosity=0)
        predictor.fit(train, time_limit=parse_duration(timeout))
        predicted = (predictor.predict_proba if files.classification else predictor.predict)(test).to_numpy()
    return files.score(test[files.target], predicted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", default=",".join(TARGETS))
    parser.add_argument("--timeout", default="3m")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--keep", type=Path, help="where the runs shall stay")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    others = {"HistGradientBoosting": boosted}
    others |= {"CatBoost": catboosted} if importlib.util.find_spec("catboost") else {}
    others |= {"AutoGluon": stacked} if importlib.util.find_spec("autogluon") else {}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.tables.split(","):
            files = Files(args.folder, name)
            ours = [searched(files, args.timeout, seed, args.keep or Path(temporary)) for seed in seeds]
            row = [name, files.metric, f"{np.mean(ours):.4g}" + (f" ± {np.std(ours):.2g}" if len(seeds) > 1 else "")]
            for other in others.values():
                started = time.monotonic()
                theirs = other(files, args.timeout, seeds[0])
                row += [f"{theirs:.4g} ({time.monotonic() - started:.0f} s)", f"{np.mean(ours) / theirs:.3f}"]
            print(" | ".join(row), file=sys.stderr, flush=True)
            rows.append(row)
    print(heading(seeds=seeds, note=f"--timeout {args.timeout}"), end="\n\n")
    print(table(["table", "metric", "automl", *(each for other in others for each in (other, "automl / it"))], rows))


if __name__ == "__main__":
    main()
