"""What a plugin declares with `@architecture`, `@optimizer`, `@schedule`, `@augmentation` and `@dataset`.

The function's name is the declaration's name, its docstring's first line the summary, its keyword-only arguments the
search space. The decorators check the two against each other when the plugin is loaded. No torch is imported here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from automl.errors import BadInput, PluginError, did_you_mean
from automl.hooks.process_state import keeps_defaults
from automl.spaces.parameters import Float, Parameter

COLUMNS = "columns"
"""The keyword-only argument by which an architecture asks for the columns of a table."""


@dataclass(frozen=True)
class Declaration:
    """A named builder with its search space.

    `build` is the plugin's function; `parameters` its search space by keyword argument; `plugin` is filled in by the
    host with the plugin's name; `source` and `line` say where the function stands.
    """

    name: str
    build: Callable[..., Any]
    parameters: Mapping[str, Parameter]
    summary: str
    source: str
    line: int
    plugin: str = field(default="", compare=False)

    kind = "declaration"
    samples = frozenset[str]()
    """What of the training itself the declaration may give a domain of its own, e.g. the learning rate."""

    positional: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the plugin's function, so that a decorated function can still be called in a test."""
        return self.build(*args, **kwargs)


class Architecture(Declaration):
    """`build(input_shape, num_outputs, **config) -> torch.nn.Module`.

    `input_shape` is (channels, height, width) or (features,), without the batch; the module maps
    [batch, *input_shape] float32 to [batch, num_outputs] logits or predictions. A builder with a keyword-only argument
    `columns` is for tables; it is given one `automl.InputColumn` for each of the features, and categories as codes.
    """

    kind = "architecture"

    @property
    def takes_columns(self) -> bool:
        """Whether the builder asks for the columns of a table."""
        return COLUMNS in inspect.signature(self.build).parameters


class Optimizer(Declaration):
    """`build(params, lr, **config) -> torch.optim.Optimizer`.

    `params` is a list of parameter groups; each has its own `weight_decay` (0 for biases and norm parameters). A domain
    `lr` takes the place of the search space's `train.lr` for trials with this optimizer.
    """

    kind = "optimizer"
    samples = frozenset({"lr"})


class Schedule(Declaration):
    """`build(optimizer, epochs, steps_per_epoch, **config) -> torch.optim.lr_scheduler.LRScheduler`.

    It is stepped after every batch, except `ReduceLROnPlateau`, which is stepped after every epoch with the fold's
    validation loss. A domain `lr` takes the place of the optimizer's for trials with this schedule.
    """

    kind = "schedule"
    samples = frozenset({"lr"})


class Augmentation(Declaration):
    """`build(**config) -> automl.Policy`, or a function from raw images to images of the same shape.

    The function gets a training batch [batch, channels, height, width], uint8 from 0 to 255, on its device. It may
    return floats of the same range.
    """

    kind = "augmentation"


class DatasetSource(Declaration):
    """`build(**parameters)` returns what `automl.search` takes from Python, or `(x, y, class_names)`.

    Such as numpy arrays `(x, y)`; a mapping with the arrays of an .npz (`x`, `y`, and where wanted `classes`, `groups`,
    `x_test` and `y_test`); a torch data set; a DataFrame. Its keyword-only arguments, each with a default, are set on
    the command line: `NAME:size=100,noise=0.5`.
    """

    kind = "dataset"

    def make(self, parameters: str) -> Any:
        """The data of the function with `parameters`, a text such as "size=100,noise=0.5". Raises `BadInput`."""
        arguments = inspect.signature(self.build).parameters
        defaults = {name: argument.default for name, argument in arguments.items()}
        given: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in parameters.split(","))):
            key, equals, text = (each.strip() for each in part.partition("="))
            place = f"{self.name}:{part}"
            if not equals or not text:
                raise BadInput(f"{place}: must be {self.name}:PARAMETER=VALUE, e.g. {self._example(defaults)}")
            if key not in defaults:
                raise BadInput(
                    f"{place}: {self.name} takes {', '.join(defaults) or 'none'}{did_you_mean(key, defaults)}"
                )
            given[key] = _typed(place, text, defaults[key])
        return self.build(**given)

    def _example(self, defaults: Mapping[str, Any]) -> str:
        first = next(iter(defaults), None)
        return self.name if first is None else f"{self.name}:{first}={defaults[first]}"


def _typed(place: str, text: str, default: Any) -> Any:
    """`text` as a value of the kind that `default` has. Raises `BadInput`."""
    kind = type(default)
    words = {"true": True, "false": False}
    try:
        if kind is bool:
            return words[text.lower()]
        return kind(text) if kind in (int, float) else text
    except (KeyError, ValueError):
        law = "true or false" if kind is bool else f"{'an int' if kind is int else 'a float'} such as {default}"
        raise BadInput(f"{place}: must be {law}") from None


def _declare(
    cls: type[Declaration], positional: tuple[str, ...], space: dict[str, Parameter]
) -> Callable[[Callable[..., Any]], Any]:
    def decorate(build: Callable[..., Any]) -> Declaration:
        """The declaration in the place of `build`. Raises `PluginError` when they do not belong together."""
        source, line = _place(build)
        if not inspect.isfunction(build) and not inspect.isclass(build):
            made = ", ".join([*positional, *(["*", *space] if space else [])])
            raise PluginError(
                getattr(build, "__name__", type(build).__name__), source, line,
                f"@{cls.kind} decorates a function or a class, and this is a {type(build).__name__}, which has no name "
                f"or docstring of its own: write `def my_{cls.kind}({made}):` with a docstring, and call it there",
            )  # fmt: skip
        name = build.__name__
        # Not inspect.getdoc, which takes that of the base class.
        summary = inspect.cleandoc(build.__doc__ or "").partition("\n")[0]
        own = {key: parameter for key, parameter in space.items() if key not in cls.samples}
        given = COLUMNS if cls is Architecture else ""
        problems = [_check_signature(cls.kind, build, positional, own), *_check_space(build, own, given)]
        problems += [f"'{key}' must be Float(...), not {space[key]!r}" for key in set(space) - set(own)
                     if not isinstance(space[key], Float)]  # fmt: skip
        if not summary:
            problems.append(f"{cls.kind} '{name}' needs a docstring; its first line is the summary in `automl plugins`")
        if wrong := list(filter(None, problems)):
            raise PluginError(name, source, line, "; ".join(wrong))
        return cls(name, keeps_defaults(build), dict(space), summary, source, line, positional=positional)

    return decorate


def _check_signature(
    kind: str, build: Callable[..., Any], positional: tuple[str, ...], space: Mapping[str, Parameter]
) -> str:
    """What is wrong with the arguments of `build` themselves; "" when nothing is."""
    arguments = inspect.signature(build).parameters.values()
    given = [p for p in arguments if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    starred = [p for p in arguments if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(given) == len(positional) and not starred:
        return ""
    name, keywords = build.__name__, ["*", *space] if space else []
    wanted = f"{name}({', '.join([*positional, *keywords])})"
    return f"{kind} '{name}' must be defined as {wanted}, not {name}{inspect.signature(build)}"


def _place(build: Any) -> tuple[str, int]:
    """The file and line of a function, of a class, or of what a partial or a bound method was made from."""
    build = inspect.unwrap(getattr(build, "func", build)) if callable(build) else build
    with suppress(OSError, TypeError):  # of a class, Python finds the source only where there is a file
        if inspect.isclass(build):
            return inspect.getfile(build), inspect.findsource(build)[1] + 1
    code = getattr(build, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    caller = inspect.stack()[2]
    return caller.filename, caller.lineno


def _check_space(build: Callable[..., Any], space: Mapping[str, Parameter], given: str) -> list[str]:
    """Where the search space and the keyword-only arguments of `build` disagree; the one called `given` is no part of
    the space."""
    arguments = inspect.signature(build).parameters
    keywords = [p.name for p in arguments.values() if p.kind is p.KEYWORD_ONLY and p.name != given]
    required = {name for name in keywords if arguments[name].default is inspect.Parameter.empty}
    problems = []
    misspelt: set[str] = set()
    earlier: dict[str, Parameter] = {}
    for key, parameter in space.items():
        if not isinstance(parameter, Parameter):
            problems.append(f"'{key}' must be Int(...), Float(...), Choice(...) or Text(...), not {parameter!r}")
            continue
        if key not in keywords:
            missing = set(keywords) - set(space)
            takes, near = ", ".join(keywords) or "none", did_you_mean(key, missing)
            misspelt |= {name for name in missing if f"'{name}'" in near}
            problems.append(f"the search space declares '{key}' but build() takes {takes}{near}")
        problems += _check_condition(key, parameter, earlier)
        if parameter.when is not None and key in required:
            problems.append(f"'{key}' has a condition, so it is not always passed: build() needs a default for it")
        earlier[key] = parameter
    for key in keywords:
        if key in required and key not in space and key not in misspelt:
            near = did_you_mean(key, space)
            problems.append(f"build() takes '{key}' but the search space does not declare it{near}")
    return problems


def _check_condition(key: str, parameter: Parameter, earlier: Mapping[str, Parameter]) -> list[str]:
    """What is wrong with the `when` of a parameter, given those that stand before it."""
    problems = []
    for sibling, values in (parameter.when or {}).items():
        if sibling not in earlier:
            near = did_you_mean(sibling, earlier)
            problems.append(f"'{key}' depends on '{sibling}', which must be declared before it{near}")
            continue
        problems += [
            f"'{key}' depends on {sibling}={value!r}, but {sibling} is {earlier[sibling]}"
            for value in values
            if not earlier[sibling].contains(value)
        ]
    return problems


def architecture(**space: Parameter) -> Callable[[Callable[..., Any]], Architecture]:
    """Declares an architecture: `f(input_shape, num_outputs, *, parameters...) -> nn.Module`.

    Raises `PluginError` when the search space and the function's keyword-only arguments do not match.
    """
    return _declare(Architecture, ("input_shape", "num_outputs"), space)


def optimizer(**space: Parameter) -> Callable[[Callable[..., Any]], Optimizer]:
    """Declares an optimizer: `f(params, lr, *, parameters...) -> torch.optim.Optimizer`.

    `lr=Float(...)` gives it learning rates of its own. Raises `PluginError`.
    """
    return _declare(Optimizer, ("params", "lr"), space)


def schedule(**space: Parameter) -> Callable[[Callable[..., Any]], Schedule]:
    """Declares a learning-rate schedule: `f(optimizer, epochs, steps_per_epoch, *, parameters...) -> LRScheduler`.

    Raises `PluginError`.
    """
    return _declare(Schedule, ("optimizer", "epochs", "steps_per_epoch"), space)


def augmentation(**space: Parameter) -> Callable[[Callable[..., Any]], Augmentation]:
    """Declares an augmentation of images: `f(*, parameters...) -> automl.Policy` or a function from images to images.

    Raises `PluginError`.
    """
    return _declare(Augmentation, (), space)


def dataset(build: Callable[..., Any]) -> DatasetSource:
    """Declares a data set: `f(*, parameters...) -> (x, y)`, loaded when DATA is its name. Raises `PluginError`."""
    declared: DatasetSource = _declare(DatasetSource, (), {})(build)
    return declared
