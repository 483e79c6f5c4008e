"""Architectures that misbehave, each in its own way. The tests load this file with --plugin."""

import os

import torch
from torch import nn

from automl import Choice, Int, architecture, hookimpl


class Flat(nn.Module):
    """A linear model whose output is passed through `change`."""

    def __init__(self, input_shape, num_outputs, change):
        super().__init__()
        self.dense = nn.Linear(int(torch.Size(input_shape).numel()), num_outputs)
        self.change = change

    def forward(self, x):
        return self.change(self.dense(x.flatten(1)))


def _nan(output):
    return output * float("nan")


def _infinite(output):
    return output / 0.0


def _out_of_memory(output):
    if output.device.type != "meta":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    return output


def _raise(output):
    if output.device.type != "meta":
        raise ValueError("this network is not finished")
    return output


class ExplodesOnAFold(nn.Module):
    """A linear model, but for the evaluation of a batch that holds a bright image."""

    def __init__(self, input_shape, num_outputs):
        super().__init__()
        self.dense = nn.Linear(int(torch.Size(input_shape).numel()), num_outputs)

    def forward(self, x):
        output = self.dense(x.flatten(1))
        if self.training or x.device.type == "meta" or x.flatten(1).mean(1).max() < 2:
            return output
        return output.roll(1, dims=1) * 1e4


@architecture(seed=Int(0, 1000))
def explodes_on_a_fold(input_shape, num_outputs, *, seed):
    """Good on all folds but that with the bright image."""
    return ExplodesOnAFold(input_shape, num_outputs)


@architecture(seed=Int(0, 1000))
def returns_nan(input_shape, num_outputs, *, seed):
    """Logits that are not a number."""
    return Flat(input_shape, num_outputs, _nan)


@architecture(seed=Int(0, 1000))
def returns_infinity(input_shape, num_outputs, *, seed):
    """Logits that are infinite."""
    return Flat(input_shape, num_outputs, _infinite)


@architecture(seed=Int(0, 1000), greedy=Choice(True, False))
def sometimes_out_of_memory(input_shape, num_outputs, *, seed, greedy):
    """Half of the configs run out of memory."""
    return Flat(input_shape, num_outputs, _out_of_memory if greedy else nn.Identity())


@architecture(seed=Int(0, 1000))
def raises_in_forward(input_shape, num_outputs, *, seed):
    """An exception in the forward pass."""
    return Flat(input_shape, num_outputs, _raise)


@architecture(seed=Int(0, 1000), broken=Choice(True, False))
def sometimes_raises_in_build(input_shape, num_outputs, *, seed, broken):
    """An exception in half of the builds."""
    if broken:
        raise KeyError("depth")
    return Flat(input_shape, num_outputs, nn.Identity())


class Diverging(Flat):
    """Its output is no number once it has been trained for more than `limit` batches."""

    def __init__(self, input_shape, num_outputs, limit):
        super().__init__(input_shape, num_outputs, _nan)
        self.limit = limit
        self.register_buffer("batches", torch.zeros(()))  # so that it goes on from a checkpoint

    def forward(self, x):
        if x.device.type == "meta":
            return self.dense(x.flatten(1))
        self.batches += self.training
        return super().forward(x) if self.batches > self.limit else self.dense(x.flatten(1))


@architecture(level=Int(1, 5))
def mostly_diverges(input_shape, num_outputs, *, level):
    """Four in five of the configs diverge in their second epoch."""
    return Flat(input_shape, num_outputs, nn.Identity()) if level == 1 else Diverging(input_shape, num_outputs, 3)


@architecture(seed=Int(0, 1000))
def diverges_when_refitted(input_shape, num_outputs, *, seed):
    """It bears the four batches of a fold's two epochs, and not those of the whole training part."""
    return Diverging(input_shape, num_outputs, 4)


@architecture(kernel_size=Choice(3, 99))
def wide_kernel(input_shape, num_outputs, *, kernel_size):
    """A kernel that may be wider than the image."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 4, kernel_size), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_outputs)
    )


@architecture(width=Choice(8, 10**7))
def huge(input_shape, num_outputs, *, width):
    """A hundred million million parameters, or few."""
    inputs = int(torch.Size(input_shape).numel())
    dense = (nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, num_outputs))
    return nn.Sequential(nn.Flatten(), *dense)


@architecture(width=Choice(8, 16))
def normalised(input_shape, num_outputs, *, width):
    """BatchNorm, which cannot train on a batch of one."""
    inputs = int(torch.Size(input_shape).numel())
    dense = (nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.Linear(width, num_outputs))
    return nn.Sequential(nn.Flatten(), *dense)


@architecture(seed=Int(0, 1000))
def kills_its_process(input_shape, num_outputs, *, seed):
    """The process dies when the network is built for real."""
    if torch.empty(0).device.type != "meta":
        os._exit(9)
    return Flat(input_shape, num_outputs, nn.Identity())


@hookimpl
def automl_architectures():
    architectures = [returns_nan, returns_infinity, mostly_diverges, diverges_when_refitted]
    architectures += [sometimes_out_of_memory, raises_in_forward, explodes_on_a_fold]
    return [*architectures, sometimes_raises_in_build, wide_kernel, huge, normalised, kills_its_process]
