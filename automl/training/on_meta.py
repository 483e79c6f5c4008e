"""A network on torch's `meta` device: whether its shapes fit and how large it is, found without a byte of memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from automl.data.tables.features import InputColumn
from automl.errors import Infeasible, TrialFailed
from automl.training.frozen import FrozenPart, frozen_name
from automl.training.lazy import has_lazy_layers
from automl.training.losses import expected_output, split_auxiliary
from automl.training.recipe import Recipe, describe_source
from automl.training.seeds import forked


class Checked(NamedTuple):
    """How many parameters a network has, and its frozen part, if it has one."""

    parameters: int
    frozen: FrozenPart | None = None


def check_on_meta(
    recipe: Recipe,
    input_shape: tuple[int, ...],
    num_outputs: int,
    max_params: int | None,
    columns: Sequence[InputColumn] = (),
    known: dict[str, tuple[int, ...]] | None = None,
) -> Checked:
    """Builds the network without memory, passes two samples through it, and counts its parameters.

    `columns` are those of a table. One that cannot be built there is built on the CPU for it. `known` are the shapes of
    features by the name of the frozen part that makes them: such a part is not passed again, and new ones are entered.

    Raises:
        Infeasible: the shapes do not fit, or there are more than `max_params` parameters.
        TrialFailed: the output is not [batch, num_outputs].
    """
    about = recipe, input_shape, num_outputs, max_params, columns, {} if known is None else known
    try:
        with torch.device("meta"), torch.no_grad(), Shapes():
            return _build_and_pass(*about)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if not is_about_meta(error):
            raise
    with torch.no_grad(), forked(torch.device("cpu")):
        return _build_and_pass(*about)


def is_about_meta(error: Exception) -> bool:
    """Whether `error` says nothing of the network: an operation has no meta kernel, or a value was looked at."""
    return isinstance(error, NotImplementedError) or "meta" in str(error).lower()


def _build_and_pass(
    recipe: Recipe,
    input_shape: tuple[int, ...],
    num_outputs: int,
    max_params: int | None,
    columns: Sequence[InputColumn],
    known: dict[str, tuple[int, ...]],
) -> Checked:
    network = recipe.build_network(input_shape, num_outputs, columns)
    lazy = has_lazy_layers(network)
    parameters = 0 if lazy else _count(network, max_params)
    name = frozen_name(network, recipe, input_shape)
    try:
        output = _pass(network, input_shape, name, known)
    except (RuntimeError, NotImplementedError) as error:
        if is_about_meta(error) and not lazy:
            return Checked(parameters)  # the first real batch will tell
        if is_about_meta(error):
            raise
        # On meta nothing is computed, so any other RuntimeError from torch can only be about shapes.
        raise Infeasible(
            f"the network does not fit the input {input_shape}: {str(error).partition(chr(10))[0]}"
        ) from error
    if lazy:
        parameters = _count(network, max_params)
    output, auxiliary = split_auxiliary(network, output)
    expected = expected_output(network, 2, num_outputs)
    for each in (output, *auxiliary):
        shape = tuple(getattr(each, "shape", ()))
        if shape != expected:
            raise TrialFailed(
                f"{describe_source(recipe.architecture)}: the network maps [2, {', '.join(map(str, input_shape))}] to "
                f"{list(shape)}; it must return {list(expected)}"
            )
    return Checked(parameters, FrozenPart(name, known[name]) if name is not None else None)


def _pass(network: nn.Module, input_shape: tuple[int, ...], name: str | None, known: dict[str, tuple[int, ...]]) -> Any:
    """What the network makes of two empty samples; `name` is that of its frozen part."""
    if name is None:
        return network(torch.zeros(2, *input_shape))
    if name not in known:
        known[name] = tuple(network.features(torch.zeros(2, *input_shape)).shape[1:])  # type: ignore[operator]
    return network.head(torch.zeros(2, *known[name]))  # type: ignore[operator]


def _count(network: nn.Module, max_params: int | None) -> int:
    parameters = sum(p.numel() for p in network.parameters())
    if max_params is not None and parameters > max_params:
        raise Infeasible(f"{parameters:,} parameters are more than --max-params {max_params:,}")
    return parameters


@contextmanager
def at_most(layers: int, error: Exception) -> Iterator[None]:
    """Raises `error` where more layers and parameters than these are put together: a depth of 10^9 has no end."""
    count = itertools.count(1)

    def one_more(*_: object) -> None:
        if next(count) > layers:
            raise error

    hooks = register_module_module_registration_hook, register_module_parameter_registration_hook
    handles = [register(one_more) for register in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Shapes(TorchFunctionMode):
    """Answers the usual operations on meta by their shapes alone; for all others, and all doubt, torch is asked.

    Torch decomposes many of them in Python on meta: 20 ms for each check of a small ResNet, and the first imports its
    compiler. Weights are not initialised: on meta that fills nothing.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Takes over what it knows; everything else goes its way."""
        if getattr(func, "__name__", "") in _RANDOM and args:
            return args[0]
        answer = None
        if func in _KNOWN:
            with suppress(TypeError, IndexError):  # called in a way that is not the usual one
                answer = _KNOWN[func](*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if answer is None else answer


_RANDOM = {"normal_", "uniform_", "trunc_normal_", "exponential_", "bernoulli_", "random_"}


def _elementwise(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return torch.empty_like(x)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *_: Any,
    **__: Any,
) -> Tensor:
    channels = {len(each) for each in (running_mean, running_var, weight, bias) if each is not None}
    if channels - {x.shape[1]}:
        raise RuntimeError(f"batch norm of {max(channels)} channels has an input of {x.shape[1]}")
    return torch.empty_like(x)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if x.shape[-1] != weight.shape[1]:
        raise RuntimeError(f"a linear layer of {weight.shape[1]} inputs has an input of {x.shape[-1]}")
    return x.new_empty(*x.shape[:-1], weight.shape[0])


def _adaptive_pool(x: Tensor, output_size: Any) -> Tensor | None:
    return x.new_empty(*x.shape[:2], output_size, output_size) if x.ndim == 4 and isinstance(output_size, int) else None


def _add(x: Any, y: Any, **_: Any) -> Tensor | None:
    alike = isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape == y.shape
    return torch.empty_like(x) if alike else None


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first, *others = tensors
    rests = {each.shape[:dim] + each.shape[dim + 1 :] for each in tensors} if dim >= 0 else set()
    if len(rests) != 1 or any(each.ndim != first.ndim for each in others):
        return None
    return first.new_empty(*first.shape[:dim], sum(each.shape[dim] for each in tensors), *first.shape[dim + 1 :])


_ELEMENTWISE = [F.relu, torch.relu, F.tanh, torch.tanh, F.gelu, F.silu, F.leaky_relu, F.elu]
_ELEMENTWISE += [F.dropout, F.dropout1d, F.dropout2d, F.dropout3d]
_KNOWN: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    F.batch_norm: _batch_norm,
    F.linear: _linear,
    F.adaptive_avg_pool2d: _adaptive_pool,
    torch.add: _add,
    Tensor.add: _add,
    Tensor.__add__: _add,
    torch.cat: _cat,
}
