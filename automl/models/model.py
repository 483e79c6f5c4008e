"""The final model: a folder with `model.safetensors` (weights) and `model.json` (all else), and no pickle.

The preprocessing travels inside: a model takes raw samples, as they were in the data.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from automl.data.atomic import write_together
from automl.data.conversion import Columns, Numbers, Pixels
from automl.data.images.decode import decode_images
from automl.data.sources.given import is_frame
from automl.data.tables.csv_files import table_of
from automl.errors import AutomlError, BadInput, DataError, RunError
from automl.models.building import build_module, find_architecture, loading
from automl.models.description import ModelDescription, read_description, written
from automl.models.model_files import DESCRIPTION, WEIGHTS, model_folder
from automl.models.modules import Ensemble, Standardised, outputs_of
from automl.models.weights import (
    check_layout,
    check_preprocessing,
    check_values,
    count_members,
)
from automl.open_file import read_file
from automl.training.outputs import probabilities as shares

LARGEST_DESCRIPTION = 64 << 20  # bytes; a name of a class or column takes tens of them


@dataclass
class Model:
    """A trained model. `module` is the `nn.Module` (preprocessing included), `description` what `model.json` says."""

    module: Standardised | Ensemble
    description: ModelDescription

    @property
    def classes(self) -> list[str]:
        """The class names in the order of `predict_proba`'s columns; empty for labels and a regression."""
        return list(self.description.classes)

    @property
    def targets(self) -> list[str]:
        """The labels, or what a regression predicts, in the order of the outputs; empty where the data had no names."""
        return list(self.description.targets)

    @property
    def conversion(self) -> Pixels | Numbers | Columns:
        """What leads from raw data to the samples that the network takes, as it was in the search."""
        return self.description.conversion

    def predict(self, x: Any) -> NDArray[Any]:
        """Class names [n], labels [n, labels] as 0 and 1, or predicted numbers [n] ([n, outputs] for several), for raw
        data as the search was given.

        x: an array, tensor or nested list [n, ...], or [...] for one sample; a pandas DataFrame where the search had
        named columns, which are found by their names. For a model of images also the path of a file, an image of PIL,
        or a list of these: they are brought to the network's size as in the search. What is not as it was there is
        refused with `DataError`; what can be read all the same, as a category that is new, is a `UserWarning`.
        """
        return self.answers(self.samples(x))

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Probabilities of the classes [n, classes], or of each label [n, labels], for raw data, as `predict`.

        Raises `BadInput` for a regression model.
        """
        return self.probabilities(self.samples(x))

    def samples(self, x: Any) -> NDArray[Any]:
        """Raw data as the samples [n, ...] that the network takes, see `predict`."""
        images = _as_images(x) if isinstance(self.conversion, Pixels) else []
        if images:
            channels, height, width = self.description.input_shape
            return decode_images(images, channels, (height, width))
        if is_frame(x):
            if not isinstance(self.conversion, Columns):
                what = "the column of paths" if isinstance(self.conversion, Pixels) else "frame"
                raise DataError(
                    f"the model was trained on an array without names of columns; give one: {what}.to_numpy()"
                )
            samples, notes = self.conversion.matrix(table_of(x))
        elif isinstance(self.conversion, Columns):
            names = [column.name for column in self.conversion.columns if column.kind != "left out"]
            raise DataError(
                f"the model finds its columns by name: give a DataFrame with {', '.join(map(repr, names[:20]))}"
                + (", ..." if len(names) > 20 else "")
            )
        else:
            samples, notes = self.conversion.samples("the samples", _as_array(x), tuple(self.description.input_shape))
        for note in notes:
            warnings.warn(note, stacklevel=3)
        return samples

    def answers(self, samples: NDArray[Any], names: Sequence[str] = ()) -> NDArray[Any]:
        """What `predict` says of samples that are converted; an error calls them by their `names`."""
        output = self.finite_outputs(samples, names)
        if self.classes:
            labels: NDArray[Any] = np.array(self.classes)[output.argmax(1)]
            return labels
        if self.description.task == "multilabel":
            return (output > 0).astype(np.int64)
        return output[:, 0] if output.shape[1] == 1 else output

    def probabilities(self, samples: NDArray[Any], names: Sequence[str] = ()) -> NDArray[Any]:
        """What `predict_proba` says of samples that are converted."""
        if self.description.task == "regression":
            raise BadInput("this is a regression model: it has no class probabilities; use predict()")
        probabilities: NDArray[Any] = shares(
            torch.from_numpy(self.finite_outputs(samples, names)), self.description.task
        ).numpy()
        return probabilities

    def finite_outputs(self, samples: NDArray[Any], names: Sequence[str] = ()) -> NDArray[Any]:
        """As `outputs`. Raises `DataError` for a sample, called by its name, of which the network makes no number."""
        outputs = self.outputs(samples)
        if len(bad := np.flatnonzero(~np.isfinite(outputs).all(axis=1))):
            which = names[bad[0]] if names else f"sample {bad[0]}"
            others = f" (and of {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise DataError(
                f"{which}{others}: the network's output is no finite number, so there is no prediction; are its values "
                "far beyond those of the training?"
            )
        return outputs

    def outputs(self, samples: NDArray[Any]) -> NDArray[Any]:
        """What the network itself says of samples that are converted, [n, outputs]: logits, or predicted numbers."""
        return outputs_of(self.module, samples)


def _as_images(x: Any) -> list[Any]:
    """The paths and images of PIL that `x` holds, or is one of; none where it is anything else."""
    from PIL.Image import Image

    found = [x] if isinstance(x, str | Path | Image) else x
    if isinstance(found, np.ndarray) and found.dtype.kind in "UO":
        found = found.ravel().tolist()
    listed = isinstance(found, list | tuple) and all(isinstance(each, str | Path | Image) for each in found)
    return list(found) if listed else []


def _as_array(x: Any) -> NDArray[Any]:
    """Numbers in numpy's own byte order, whatever held them. Raises `DataError`."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"the model takes samples as an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"the model takes samples as an array of numbers, not {array.dtype} {array.shape}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def save_model(model: Model, folder: Path) -> Path:
    """Writes the model into `folder`, whole or not at all; returns the folder.

    The description carries the SHA-256 of the weights, so that a model that was replaced by half is noticed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # contiguous() in the default layout: channels-last is a matter of training.
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.module.state_dict().items()}
    weights = safetensors.torch.save(tensors)
    about = written(model.description, hashlib.sha256(weights).hexdigest())
    text = json.dumps(about, indent=2, ensure_ascii=False)
    # On a full disk the model that was there before stays whole.
    write_together(
        {
            folder / WEIGHTS: lambda file: file.write(weights),
            folder / DESCRIPTION: lambda file: file.write(text.encode()),
        }
    )
    return folder


def describe_model(folder: Path) -> ModelDescription:
    """What `model.json` says. Raises `RunError` when there is no model, or its files do not belong together."""
    return _read(folder)[0]


def load_model(path: str | Path, *, plugins: Sequence[str | Path] = ()) -> Model:
    """The model in a folder that a search left (`RUN/model`, or the run's folder itself), on the CPU.

    `plugins` are files with the architecture's plugin, where it is not installed. That which the search was given is
    found by itself, as long as it is as it was and nobody else can have written it (`automl.hooks.recorded`).

    Raises:
        RunError: there is no model, or its files are damaged or do not belong together.
        PluginError, BadInput: the architecture's plugin is missing.
    """
    folder = model_folder(path)
    description, weights = _read(folder)
    try:
        prefixes = count_members(weights, description.members)
        for prefix in prefixes:
            check_preprocessing(weights, prefix, description)
        architecture = find_architecture(description, plugins, folder)
        with loading(folder):
            module = build_module(description, weights, architecture, prefixes)
        check_layout(weights, module.state_dict())
        module.load_state_dict(weights)
        check_values(module)
    except AutomlError:
        raise
    except Exception as error:  # of a config that is none of the architecture's, its plugin raises almost anything
        raise RunError(f"{folder}: the weights do not fit the architecture ({error})") from error
    return Model(module.eval(), description)


def _read(folder: Path) -> tuple[ModelDescription, dict[str, Tensor]]:
    """The description and the weights, checked against each other."""
    try:
        about = json.loads(read_file(folder / DESCRIPTION, owned=True, limit=LARGEST_DESCRIPTION))
        weights = read_file(folder / WEIGHTS, owned=True)
    except FileNotFoundError as error:
        raise RunError(f"{folder}: no model is here ({Path(error.filename).name} is missing)") from None
    except (OSError, ValueError, RecursionError) as error:
        path = getattr(error, "filename", None) or folder / DESCRIPTION
        raise RunError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    try:
        description, digest = read_description(about)
    except ValueError as error:
        raise RunError(f"{folder / DESCRIPTION}: {error}") from None
    if hashlib.sha256(weights).hexdigest() != digest:
        raise RunError(f"{folder / WEIGHTS}: the weights are not those that {DESCRIPTION} describes (SHA-256 differs)")
    try:
        return description, safetensors.torch.load(weights)
    except safetensors.SafetensorError as error:
        raise RunError(f"{folder / WEIGHTS}: damaged ({error})") from error
