"""A recorded step computes what the step does. Without a CUDA device the recorder is a stand-in that calls it again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest
import torch

from automl.training import fused
from automl.training.step_graph import Gradients, StepGraph, may_record, recorded
from tests.training.test_fused import TOLERANCE, alone, compare, difference, folds_of, together

CPU = torch.device("cpu")


def stand_in(
    once: Callable[[], Gradients], generators: Sequence[torch.Generator]
) -> tuple[Gradients, Callable[[], None]]:
    """Calls `once` again at every replay, with the results where the first call left them."""
    made = once()

    def replay() -> None:
        again = once()
        made.outputs.copy_(again.outputs)
        for name, gradient in again.parameters.items():
            if gradient is not None:
                made.parameters[name].copy_(gradient)  # type: ignore[union-attr]

    return made, replay


def ever_quicker() -> Callable[[torch.device], float]:
    """A clock by which every interval is shorter than the one before."""
    times: Iterator[float] = (-float(tick**2) for tick in count())
    return lambda device: next(times)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[StepGraph | None]:
    """Stacks record on a CPU too, as soon as their steps are steady; what they recorded."""
    made: list[StepGraph | None] = []

    def record(*arguments: Any) -> StepGraph | None:
        made.append(recorded(*arguments, record=stand_in, clock=ever_quicker()))
        return made[-1]

    monkeypatch.setattr(fused, "recorded", record)
    monkeypatch.setattr(fused, "may_record", lambda device, steps: True)
    return made


@pytest.mark.parametrize(
    ("name", "config"),
    [("lenet", {"dropout": 0.3}), ("resnet", {"variant": "small", "depth": 1, "dropout": 0.3}), ("mlp", {})],
)
def test_folds_learn_by_a_replayed_step_what_they_learn_alone(
    name: str, config: dict[str, Any], graphs: list[StepGraph | None], make_recipe: Any, make_run: Any
) -> None:
    """Dropout, BatchNorm's warm-up, and the shorter last batch of an epoch, which is not recorded."""
    assert compare(make_run, make_recipe(name, lr=0.01, **config), epochs=8) <= TOLERANCE
    assert [type(graph) for graph in graphs] == [StepGraph]


def test_a_fold_that_leaves_is_recorded_anew(graphs: list[Any], make_recipe: Any, make_run: Any) -> None:
    recipe = make_recipe("mlp", lr=0.01)
    one, other = make_run(recipe), make_run(recipe)
    ours, theirs = folds_of(one), folds_of(other)
    for folds in (3, 2):
        together(one, fused.Stack(ours[:folds]), 4)
        alone(other, theirs[:folds], 4)
    assert [type(graph) for graph in graphs] == [StepGraph, StepGraph]
    assert difference(ours[:2], theirs[:2]) <= TOLERANCE


def gradients_of(x: torch.Tensor, y: torch.Tensor) -> Gradients:
    return Gradients(x * y, {"w": x + y, "frozen": None})


X, Y = torch.ones(4), torch.full((4,), 2.0)


def refusal(caplog: pytest.LogCaptureFixture, compute: Any, **more: Any) -> str:
    """Why a step was not recorded."""
    how = {"record": stand_in, "clock": ever_quicker()} | more
    with caplog.at_level(logging.INFO, "automl.executor"):
        assert recorded(compute, X, Y, [], [], **how) is None
    return caplog.messages[-1]


def test_a_step_that_replays_wrong_numbers_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    calls = count()
    assert "its gradients differ by 1.7e+00" in refusal(caplog, lambda x, y: gradients_of(x + next(calls), y))
    assert "its gradients differ by inf" in refusal(caplog, lambda x, y: gradients_of(x * float("nan"), y))


def test_a_recording_that_does_not_look_at_its_samples_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """As one that was made on the wrong device: nothing is in it, and what it returns was computed meanwhile."""

    def empty(once: Any, generators: Any) -> Any:
        return once(), lambda: None

    x = torch.arange(4.0)
    with caplog.at_level(logging.INFO, "automl.executor"):
        assert recorded(gradients_of, x, Y, [], [], empty, ever_quicker()) is None
    assert "its gradients differ" in caplog.messages[-1]


def test_a_step_that_cannot_be_recorded_is_computed_as_before(caplog: pytest.LogCaptureFixture) -> None:
    def fails(once: Any, generators: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    assert refusal(caplog, gradients_of, record=fails).endswith("not permitted when stream is capturing")


def test_a_step_that_is_no_quicker_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    ticks = count()
    assert "it takes 1e+03 ms" in refusal(caplog, gradients_of, clock=lambda device: float(next(ticks)))


@pytest.mark.parametrize(
    ("version", "device", "steps", "worth"),
    [
        ("2.13.0+cu130", "cuda", 100, True),
        ("3.0.0", "cuda:1", 100, True),
        ("2.15.0", "cuda", 99, False),
        ("2.12.1", "cuda", 100, False),
        ("2.15.0", "cpu", 100, False),
    ],
)
def test_it_is_recorded_where_many_steps_follow_and_a_failure_does_no_harm(
    version: str, device: str, steps: int, worth: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    assert may_record(torch.device(device), steps) == worth


def test_buffers_and_generators_are_as_they_were() -> None:
    buffer, generator = torch.zeros(3), torch.Generator().manual_seed(1)
    expected = torch.rand(3, generator=torch.Generator().manual_seed(1))

    def compute(x: torch.Tensor, y: torch.Tensor) -> Gradients:
        buffer.add_(1)
        return gradients_of(x * torch.rand(4, generator=generator), y)

    graph = recorded(compute, X, Y, [generator], [buffer], stand_in, ever_quicker())
    assert graph is not None
    assert buffer.tolist() == [0, 0, 0]
    assert torch.rand(3, generator=generator).equal(expected)


def test_only_steps_of_the_recorded_shape_are_replayed() -> None:
    graph = recorded(gradients_of, X, Y, [], [], stand_in, ever_quicker())
    assert graph is not None
    assert graph.fits(X * 3, Y)
    assert not graph.fits(X[:3], Y[:3])
    assert not graph.fits(X.double(), Y)
    first = graph(X * 3, Y)
    assert first.outputs.tolist() == [6.0] * 4
    graph(X, Y)
    assert first.outputs.tolist() == [6.0] * 4, "outputs are kept until the end of the epoch"


def test_nothing_is_recorded_on_a_cpu(make_recipe: Any, make_run: Any) -> None:
    run = make_run(make_recipe("mlp", lr=0.01))
    assert not fused.Stack(folds_of(run)).may_be_recorded(10_000)


def test_steps_within_the_warm_up_of_batch_norm_are_not_recorded(
    graphs: list[Any], make_recipe: Any, make_run: Any
) -> None:
    """Its momentum changes with each of them, and a graph would keep that of one."""
    run = make_run(make_recipe("resnet", variant="small", depth=1, lr=0.01))
    stack = fused.Stack(folds_of(run))
    assert [stack.may_be_recorded(step) for step in (0, 9, 10, 11)] == [False, False, True, True]
    fold = stack.folds[0]
    norm = next(module for module in fold.network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    momenta = []
    for step in range(12):
        fold.batch_norm_warm_up(step)
        momenta.append(norm.momentum)
    assert momenta[9:] == [0.1, 0.1, 0.1]
    assert momenta[8] > 0.1
