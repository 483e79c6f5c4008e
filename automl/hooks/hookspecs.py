"""The hooks: what a plugin can give to automl, and the events it can listen to.

A plugin is a Python file (or an entry point of the group `automl`) with functions of these names, marked `@hookimpl`.
A hook may be given fewer arguments than listed here, never others. Every docstring holds a complete plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from automl.hooks.declarations import Architecture, Augmentation, DatasetSource, Optimizer, Schedule

hookspec = pluggy.HookspecMarker("automl")
hookimpl = pluggy.HookimplMarker("automl")


@hookspec
def automl_architectures() -> list[Architecture]:  # type: ignore[empty-body]
    '''The architectures of this plugin: a list of functions decorated with `@architecture(...)`.

    The function gets the shape of one sample without the batch and the number of outputs, and returns a
    `torch.nn.Module` from [batch, *input_shape] to [batch, num_outputs]. Raise `automl.Infeasible` for a config that
    cannot work with this shape.

    ```python
    from automl import Choice, Float, Int, architecture, hookimpl
    from torch import nn


    @architecture(width=Int(8, 256, log=True), dropout=Float(0.0, 0.6), activation=Choice("relu", "gelu"))
    def two_layers(input_shape, num_outputs, *, width, dropout, activation):
        """Two fully connected layers on the flattened input."""
        size = 1
        for n in input_shape:
            size *= n
        act = nn.ReLU() if activation == "relu" else nn.GELU()
        hidden = [nn.Flatten(), nn.Linear(size, width), act, nn.Dropout(dropout)]
        return nn.Sequential(*hidden, nn.Linear(width, num_outputs))


    @hookimpl
    def automl_architectures():
        return [two_layers]
    ```
    '''


@hookspec
def automl_optimizers() -> list[Optimizer]:  # type: ignore[empty-body]
    '''The optimizers of this plugin: a list of functions decorated with `@optimizer(...)`.

    The function gets a list of parameter groups, each with its own `weight_decay`, and the learning rate, and returns
    a `torch.optim.Optimizer`. With a domain `lr=Float(...)` in the decorator, trials with this optimizer draw their
    learning rate from it, as `train.averaged.lr`, in place of the search space's `train.lr`.

    ```python
    from automl import Float, hookimpl, optimizer
    from torch import optim


    @optimizer(momentum=Float(0.8, 0.99))
    def averaged(params, lr, *, momentum):
        """Stochastic gradient descent along a moving average of the gradients."""
        return optim.SGD(params, lr=lr, momentum=momentum, dampening=momentum)


    @hookimpl
    def automl_optimizers():
        return [averaged]
    ```
    '''


@hookspec
def automl_schedules() -> list[Schedule]:  # type: ignore[empty-body]
    '''The learning-rate schedules of this plugin: a list of functions decorated with `@schedule(...)`.

    The function gets the optimizer, the number of epochs and of batches in an epoch. What it returns is stepped after
    every batch (`ReduceLROnPlateau`: after every epoch, with the validation loss).

    ```python
    from automl import Float, hookimpl, schedule
    from torch.optim.lr_scheduler import LambdaLR


    @schedule(power=Float(0.5, 2.0))
    def polynomial(optimizer, epochs, steps_per_epoch, *, power):
        """Falls to zero as (1 - progress) ** power."""
        steps = epochs * steps_per_epoch
        return LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps) ** power)


    @hookimpl
    def automl_schedules():
        return [polynomial]
    ```
    '''


@hookspec
def automl_augmentations() -> list[Augmentation]:  # type: ignore[empty-body]
    '''The augmentations of this plugin: a list of functions decorated with `@augmentation(...)`.

    The function returns an `automl.Policy`, or a function that gets the raw images of a training batch, uint8
    [batch, channels, height, width] on the device, and returns images of the same shape. Draw what is random with
    torch, for each sample: the seed of every step is set.

    ```python
    import torch
    from automl import Float, Policy, augmentation, hookimpl


    @augmentation(degrees=Float(5, 30))
    def wobble(*, degrees):
        """A bit of rotation and scale: for handwriting, which must not be mirrored."""
        return Policy(rotation=degrees, scale=0.1)


    @augmentation(share=Float(0.1, 0.5))
    def negative(*, share):
        """The negative of some of the images."""

        def change(images):
            chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < share
            return torch.where(chosen, 255 - images, images)

        return change


    @hookimpl
    def automl_augmentations():
        return [wobble, negative]
    ```
    '''


@hookspec
def automl_datasets() -> list[DatasetSource]:  # type: ignore[empty-body]
    '''The data sets of this plugin: a list of functions decorated with `@dataset`.

    The function returns what `automl.search` takes from Python: `(x, y)`, numpy arrays, images as uint8 [n, height,
    width] or [n, height, width, channels], tables as float [n, features]; a mapping with the arrays of an .npz (`x`,
    `y`, and where wanted `classes`, `groups`, `x_test` and `y_test`); a torch data set, or a DataFrame. It is called
    when DATA is its name. Its keyword-only arguments, each with a default, are set there too: `stripes:size=24`.

    ```python
    import numpy as np
    from automl import dataset, hookimpl


    @dataset
    def stripes(*, size=16, samples=200):
        """Horizontal against vertical stripes."""
        rng = np.random.default_rng(0)
        y = np.arange(samples) % 2
        x = np.zeros((samples, size, size), np.uint8)
        for image, vertical in zip(x, y):
            lines = image.T if vertical else image
            lines[rng.integers(2) :: 2] = rng.integers(100, 256)
        return {"x": x, "y": y, "classes": ["horizontal", "vertical"]}


    @hookimpl
    def automl_datasets():
        return [stripes]
    ```
    '''


@hookspec
def automl_log_to() -> Mapping[str, str]:  # type: ignore[empty-body]
    """The names by which `--log-to` asks for this listener, each with the package that it needs ("" for none).

    A plugin with this hook is told of events only in a search that asks for it by one of these names. A search that
    does so without the package stops before anything is started. A plugin without the hook hears every search.

    ```python
    from pathlib import Path

    from automl import hookimpl


    @hookimpl
    def automl_log_to():
        return {"scores": "json"}


    @hookimpl
    def automl_trial_finished(run, trial):
        with Path(run["folder"], "scores.txt").open("a") as file:
            print(trial["number"], trial["score"], file=file)
    ```
    """


@hookspec
def automl_search_started(run: Mapping[str, Any]) -> None:
    """A search has started, or was resumed; its folder exists, no trial has run yet.

    `run` is read-only: `folder` (path as a string), `study` and `data` (names), `settings` (a mapping), `objective` and
    `metric` (the names of the score and of what stands beside it). An exception in a listener is logged once, with its
    plugin, file and line, and the search goes on.

    ```python
    from pathlib import Path

    from automl import hookimpl


    @hookimpl
    def automl_search_started(run):
        Path(run["folder"], "started.txt").write_text(f"{run['study']} on {run['data']}")
    ```
    """


@hookspec
def automl_trial_finished(run: Mapping[str, Any], trial: Mapping[str, Any], curves: Mapping[str, Any]) -> None:
    """A trial has ended: complete, pruned or failed.

    `run` is as in `automl_search_started`; `trial` is read-only and has the keys of one row of `leaderboard --json`:
    `number`, `state`, `reason`, `architecture`, `config`, `score`, `epochs`, `folds`, and so on. `curves` holds
    `train_loss`, `train_metric`, `validation_loss` and `validation_metric`, each an array [fold, epoch] with NaN where
    nothing was trained; it is empty for a trial that was not trained.

    ```python
    import json
    from pathlib import Path

    from automl import hookimpl


    @hookimpl
    def automl_trial_finished(run, trial):
        with Path(run["folder"], "finished.jsonl").open("a") as file:
            print(json.dumps({"trial": trial["number"], "score": trial["score"]}), file=file)
    ```
    """


@hookspec
def automl_search_finished(run: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """A search has ended: it is done, no trial succeeded, or it was interrupted; the report is written.

    `run` is as in `automl_search_started`; `summary` is read-only and what `leaderboard --json` prints.

    ```python
    from pathlib import Path

    from automl import hookimpl


    @hookimpl
    def automl_search_finished(run):
        Path(run["folder"], "done.txt").write_text(f"{run['study']} is done")
    ```
    """
