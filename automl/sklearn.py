"""Searches as scikit-learn estimators, `SearchClassifier` and `SearchRegressor`: for a Pipeline, `cross_val_score`, ...

`fit` is a whole search with its race and cross-validation; what it leaves is the final model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from automl.api import search
from automl.data.conversion import Columns
from automl.data.keys import normal_key
from automl.data.sources.given import answer_names, is_frame
from automl.errors import BadInput
from automl.models.model import Model, load_model, save_model
from automl.models.model_files import DESCRIPTION, WEIGHTS
from automl.results.run import Run

Space = str | Path | Mapping[str, Any] | None

MISSING: dict[str, Any] = {"ensure_all_finite": "allow-nan"}  # in a table; images with any are refused later


class _Search(BaseEstimator):  # type: ignore[misc]
    """What both estimators share. The arguments are settings of `automl.search` and mean the same there.

    Args:
        space: a search space: a name, a file, or a mapping. None: the built-in one for tables, or for images.
        trials: how many configs to try; None: 50, or with a `timeout` what there is time for.
        timeout: a hard deadline, in seconds or as `"10m"`.
        folds: K of the cross-validation inside the search.
        epochs: epochs of a full training; None: what suits the data.
        metric: what is optimised; None: log loss, or the root of the mean squared error.
        test_fraction: the share of `X` that the search keeps apart to test its model.
        seed: of everything random.
        threads: CPU threads of torch; None: as it is.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        out: the run's folder, new or empty; None: a temporary one, which goes when the estimator does.

    Attributes:
        run_: the run: `leaderboard()`, `best`, `test`, `report()`.
        model_: the final model.
        n_features_in_: the number of columns of `X`; `feature_names_in_` their names, where they have any.
    """

    task: ClassVar[str]

    def __init__(
        self,
        space: Space = None,
        *,
        trials: int | None = None,
        timeout: float | str | None = None,
        folds: int = 5,
        epochs: int | None = None,
        metric: str | None = None,
        test_fraction: float = 0.2,
        seed: int = 0,
        threads: int | None = None,
        device: str = "auto",
        out: str | Path | None = None,
    ):
        self.space = space
        self.trials = trials
        self.timeout = timeout
        self.folds = folds
        self.epochs = epochs
        self.metric = metric
        self.test_fraction = test_fraction
        self.seed = seed
        self.threads = threads
        self.device = device
        self.out = out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_frame(self, X: Any, answers: Any) -> None:
        """Names and number of the columns, as scikit-learn keeps them; what is in them, the search finds out."""
        validate_data(self, X, skip_check_array=True)
        check_consistent_length(X, answers)
        assert_all_finite(answers, input_name="y")
        self._names = list(X.columns)

    def _search_frame(self, X: Any, answers: Any, names: Sequence[str] = ("target",), **more: Any) -> Self:
        """`answers`: [n], or with a name for each column [n, targets]."""
        taken = {str(name).strip() for name in X.columns}
        free: list[str] = []
        for name in names:
            while name in taken:
                name += "_"
            free.append(name)
        columns = [answers] if len(free) == 1 else list(answers.T)
        return self._search(X.assign(**dict(zip(free, columns, strict=True))), target=free, **more)

    def _search(self, data: Any, **more: Any) -> Self:
        settings = self.get_params(deep=False) | {"task": self.task} | more
        out = settings.pop("out")
        self._folder = tempfile.TemporaryDirectory(prefix="automl-") if out is None else None
        try:
            folder = out or Path(self._folder.name, "run")  # type: ignore[union-attr]
            self.run_: Run = search(data, out=folder, report=out is not None, **settings)
        except BadInput as error:  # for scikit-learn, whatever is wrong with arguments or data is a ValueError
            raise ValueError(str(error)) from error
        self.model_: Model = self.run_.model
        return self

    def _samples(self, X: ArrayLike) -> NDArray[Any]:
        """`X` as the network takes it. A DataFrame is read by its dtypes, as in `fit`; anything else is an array."""
        check_is_fitted(self)
        named = isinstance(self.model_.conversion, Columns)
        if is_frame(X) and named:
            validate_data(self, X, reset=False, skip_check_array=True)
            return self._convert(X)
        samples = validate_data(self, X, reset=False, allow_nd=True, ensure_min_samples=1, **MISSING)
        if not named:
            return self._convert(samples)
        import pandas as pd  # an array, for columns that have names: scikit-learn has warned of it

        return self._convert(pd.DataFrame(samples, columns=self._names))

    def _convert(self, samples: Any) -> NDArray[Any]:
        try:
            return self.model_.samples(samples)
        except BadInput as error:
            raise ValueError(str(error)) from error

    def __getstate__(self) -> dict[str, Any]:
        """Without the temporary folder, and with the model as the bytes of its two files."""
        state: dict[str, Any] = super().__getstate__() | {"_folder": None}
        if "model_" in state:
            with tempfile.TemporaryDirectory() as name:
                folder = save_model(state.pop("model_"), Path(name))
                state["_files"] = {file: (folder / file).read_bytes() for file in (WEIGHTS, DESCRIPTION)}
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """The model is loaded as from its folder, checks included. The run's own folder may be gone by now."""
        files = state.get("_files")
        super().__setstate__({name: value for name, value in state.items() if name != "_files"})
        if files is not None:
            with tempfile.TemporaryDirectory() as name:
                for file, content in files.items():
                    Path(name, file).write_bytes(content)
                self.model_ = load_model(name)


class SearchClassifier(ClassifierMixin, _Search):  # type: ignore[misc]
    """A search for a network that classifies: `X` [n, features], or images as `automl.search` takes them; `y` [n], or 0
    and 1 [n, labels] for a multi-label classification.

    `classes_` are the classes in the order of `predict_proba`'s columns; of labels their numbers, as those of
    scikit-learn's `MLPClassifier`.
    """

    __doc__ = f"{__doc__}\n{_Search.__doc__}"
    task = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Searches, fits the winner, tests it once. Raises ValueError for data or settings that cannot be used."""
        self._labels = type_of_target(y) == "multilabel-indicator"
        if self._labels:
            return self._fit_labels(X, y)
        if is_frame(X):
            answers = column_or_1d(y, warn=True)
            self._check_frame(X, answers)
        else:
            samples, answers = validate_data(self, X, y, allow_nd=True, ensure_min_samples=2, **MISSING)
        check_classification_targets(answers)
        self.classes_, labels = np.unique(answers, return_inverse=True)
        names = [str(name) for name in self.classes_]
        if not is_frame(X):
            self._order = np.arange(len(names))
            return self._search({"x": samples, "y": labels, "classes": names})
        from pandas import Categorical

        self._search_frame(X, Categorical.from_codes(labels, names))
        self._order = np.array([self.model_.classes.index(normal_key(name)) for name in names])
        return self

    def _fit_labels(self, X: ArrayLike, y: ArrayLike) -> Self:
        if is_frame(X):
            answers = check_array(y, input_name="y", dtype=int)
            self._check_frame(X, answers)
            self._search_frame(X, answers, answer_names(y, answers.shape[1]), task="multilabel")
        else:
            samples, answers = validate_data(
                self, X, y, allow_nd=True, ensure_min_samples=2, multi_output=True, **MISSING
            )
            answers = answers.toarray() if hasattr(answers, "toarray") else answers
            self._search({"x": samples, "y": answers.astype(int)}, task="multilabel")
        self.classes_ = np.arange(answers.shape[1])
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """[n, classes]: the probability of each class; or [n, labels], of each label."""
        samples = self._samples(X)
        if self._labels:
            own: NDArray[np.float64] = self.model_.probabilities(samples).astype(float)
            return own
        probabilities = self.model_.probabilities(samples).astype(float)[:, self._order]
        shares: NDArray[np.float64] = probabilities / probabilities.sum(axis=1, keepdims=True)  # to the last bits
        return shares

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """[n]: the likeliest class; or [n, labels], as 0 and 1."""
        if getattr(self, "_labels", False):
            found: NDArray[Any] = self.model_.answers(self._samples(X))
            return found
        likeliest = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[likeliest]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class SearchRegressor(RegressorMixin, _Search):  # type: ignore[misc]
    """A search for a network that predicts numbers: `X` as for `SearchClassifier`, `y` [n] or [n, outputs].

    Of several outputs the columns of `predict` are in the order of `y`, and the search weighs them alike, whatever
    their units (`automl.training.metrics.measure`).
    """

    __doc__ = f"{__doc__}\n{_Search.__doc__}"
    task = "regression"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Searches, fits the winner, tests it once. Raises ValueError for data or settings that cannot be used."""
        if is_frame(X):
            self._flat = np.ndim(y) == 1
            answers = check_array(y, ensure_2d=False, dtype=float, input_name="y")
            self._check_frame(X, answers)
            names = answer_names(y, answers[0].size)
            return self._search_frame(X, answers.ravel() if len(names) == 1 else answers, names)
        samples, answers = validate_data(
            self, X, y, allow_nd=True, ensure_min_samples=2, multi_output=True, y_numeric=True, **MISSING
        )
        self._flat = answers.ndim == 1
        return self._search({"x": samples, "y": answers.astype(float)})

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """[n], or [n, outputs] where `y` was so."""
        samples = self._samples(X)
        predicted = self.model_.answers(samples).astype(float)
        return predicted if self._flat or predicted.ndim == 2 else predicted[:, None]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
