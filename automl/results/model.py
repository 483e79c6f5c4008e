"""The final model: a folder with `model.safetensors` (weights) and `model.json` (all else), and no pickle.

The preprocessing travels inside: a model takes raw samples, as they were in the data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from automl.data.atomic import write_together
from automl.data.dataset import Column
from automl.data.given import is_frame, table_of
from automl.data.tables import encode
from automl.errors import AutomlError, BadInput, DataError, RunError
from automl.hooks.host import load_plugins
from automl.results.description import FORMAT, check_description
from automl.results.model_files import DESCRIPTION, WEIGHTS, model_folder
from automl.results.modules import TENSORS, Ensemble, Standardised
from automl.results.shapes import shapes_of
from automl.training.lazy import materialise

BATCH = 512


@dataclass
class Model:
    """A trained model. `module` is the `nn.Module` (preprocessing included), `about` what `model.json` says."""

    module: Standardised | Ensemble
    about: Mapping[str, Any]

    @property
    def classes(self) -> list[str]:
        """The class names in the order of `predict_proba`'s columns; empty for a regression."""
        return list(self.about["classes"])

    def predict(self, x: ArrayLike | Tensor) -> NDArray[Any]:
        """Class names [n], or predicted numbers [n] ([n, outputs] for several), for raw samples as in the data.

        A model of a table takes a pandas DataFrame with its columns, too.
        """
        output = self._outputs(x)
        if self.classes:
            names: NDArray[Any] = np.array(self.classes)[output.argmax(1)]
            return names
        return output[:, 0] if output.shape[1] == 1 else output

    def predict_proba(self, x: ArrayLike | Tensor) -> NDArray[Any]:
        """Class probabilities [n, classes]. Raises `BadInput` for a regression model."""
        if not self.classes:
            raise BadInput("this is a regression model: it has no class probabilities; use predict()")
        probabilities: NDArray[Any] = torch.from_numpy(self._outputs(x)).softmax(1).numpy()
        return probabilities

    @torch.inference_mode()
    def _outputs(self, x: ArrayLike | Tensor) -> NDArray[Any]:
        if is_frame(x) and self.about["columns"] and self.about["columns"][0][0] != "x0":  # trained on named columns
            x = encode(table_of(x), [Column(name, category) for name, category in self.about["columns"]])
        samples = _as_samples(x, tuple(self.about["input_shape"]))
        device = self.module.mean.device
        self.module.eval()
        # One layout whatever the caller's array had: sums in another order differ in the last bits.
        parts = (part.clone(memory_format=torch.contiguous_format) for part in torch.split(samples, BATCH))
        return np.concatenate([self.module(part.to(device)).cpu().numpy() for part in parts])


def _as_samples(x: ArrayLike | Tensor, shape: tuple[int, ...]) -> Tensor:
    """Raw samples as [n, *shape]; images may come as [n, h, w] or [n, h, w, c]. Raises `DataError` for others."""
    try:
        samples = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    except (TypeError, ValueError) as error:
        raise DataError(f"the model takes samples as an array of numbers: {error}") from error
    if len(shape) == 3:
        channels, height, width = shape
        if samples.shape[1:] == (height, width) and channels == 1:
            samples = samples.unsqueeze(1)
        elif samples.shape[1:] == (height, width, channels) and samples.shape[1:] != shape:
            samples = samples.permute(0, 3, 1, 2)
    if tuple(samples.shape[1:]) != shape or not len(samples):
        raise DataError(
            f"the model takes samples of shape [n, {', '.join(map(str, shape))}], not {list(samples.shape)}"
        )
    return samples


def save_model(model: Model, folder: Path) -> Path:
    """Writes the model into `folder`, whole or not at all; returns the folder.

    The description carries the SHA-256 of the weights, so that a model that was replaced by half is noticed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # contiguous() in the default layout: channels-last is a matter of training.
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.module.state_dict().items()}
    weights = safetensors.torch.save(tensors)
    description = {**model.about, "format": FORMAT, "sha256": hashlib.sha256(weights).hexdigest()}
    text = json.dumps(description, indent=2, ensure_ascii=False)
    # On a full disk the model that was there before stays whole.
    write_together(
        {
            folder / WEIGHTS: lambda file: file.write(weights),
            folder / DESCRIPTION: lambda file: file.write(text.encode()),
        }
    )
    return folder


def read_about(folder: Path) -> Mapping[str, Any]:
    """What `model.json` says. Raises `RunError` when there is no model, or its files do not belong together."""
    return _read(folder)[0]


def load_model(path: str | Path, *, plugins: Sequence[str | Path] = ()) -> Model:
    """The model in a folder that a search left (`RUN/model`, or the run's folder itself), on the CPU.

    `plugins` are files with the architecture's plugin, where it is not installed; those that the search was given are
    found by themselves as long as they stay where they were.

    Raises:
        RunError: there is no model, or its files are damaged or do not belong together.
        PluginError, BadInput: the architecture's plugin is missing.
    """
    folder = model_folder(path)
    about, weights = _read(folder)
    try:
        _check_shapes(about, weights, plugins)
        module = _build(about, weights, plugins)
        module.load_state_dict(weights)
    except AutomlError:
        raise
    except Exception as error:  # of a config that is none of the architecture's, its plugin raises almost anything
        raise RunError(f"{folder}: the weights do not fit the architecture ({error})") from error
    return Model(module.eval(), about)


def _build(
    about: Mapping[str, Any], weights: Mapping[str, Tensor], plugins: Sequence[str | Path]
) -> Standardised | Ensemble:
    """The module that `about` describes, with random weights; `weights` give the shapes of the preprocessing."""
    members = []
    for prefix in [f"members.{number}." for number in range(about.get("members", 0))] or [""]:
        empty = {name: torch.zeros_like(weights[prefix + name]) for name in TENSORS}
        members.append(Standardised(build_network(about, plugins=plugins), **empty))
    return Ensemble(members, classification=bool(about["classes"])) if about.get("members") else members[0]


def _check_shapes(about: Mapping[str, Any], weights: Mapping[str, Tensor], plugins: Sequence[str | Path]) -> None:
    """Raises `ValueError` where the weights are not the network's, before a byte of it is allocated: a description may
    name any size.
    """
    try:
        expected = shapes_of(lambda: _build(about, weights, plugins))
    except AutomlError:
        raise
    except Exception:
        return  # not every plugin can build there; if it cannot at all, the real build will tell
    for name in {**expected, **weights}:
        if name not in weights or name not in expected or weights[name].shape != expected[name]:
            raise ValueError(f"'{name}' is missing, unknown or of another shape")


def build_network(about: Mapping[str, Any], *, plugins: Sequence[str | Path] = ()) -> nn.Module:
    """The network that `about` of a model describes, with random weights and without preprocessing.

    `about` needs `architecture`, `architecture_config`, `input_shape` and `num_outputs`; `plugins` are as in
    `load_model`. Raises `PluginError` or `BadInput` when the architecture's plugin is missing, and what `build` raises.
    """
    files = [*plugins, *(file for file in about.get("plugins", ()) if Path(file).is_file())]
    architecture = load_plugins(files=list(dict.fromkeys(map(str, files)))).architecture(about["architecture"])
    network: nn.Module = architecture.build(
        tuple(about["input_shape"]), about["num_outputs"], **about["architecture_config"]
    )
    materialise(network, tuple(about["input_shape"]))
    return network


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the weights, checked against each other."""
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{folder}: no model is here ({Path(error.filename).name} is missing)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{folder / DESCRIPTION}: cannot be read ({error})") from error
    try:
        check_description(about)
    except ValueError as error:
        raise RunError(f"{folder / DESCRIPTION}: {error}") from None
    if hashlib.sha256(weights).hexdigest() != about.get("sha256"):
        raise RunError(f"{folder / WEIGHTS}: the weights are not those that {DESCRIPTION} describes (SHA-256 differs)")
    try:
        return about, safetensors.torch.load(weights)
    except safetensors.SafetensorError as error:
        raise RunError(f"{folder / WEIGHTS}: damaged ({error})") from error
