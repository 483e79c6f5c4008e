import json
from pathlib import Path

import pytest
import torch
from torch import nn

from automl import Choice, Float, Infeasible, Int, architecture
from automl.hooks.configs import corner_configs, random_config_list
from automl.hooks.host import load_plugins
from automl.testing import architectures as testing
from automl.testing import check_architecture, examine


@architecture(width=Int(2, 8), norm=Choice("none", "group"), groups=Int(1, 2, when={"norm": "group"}))
def sound(input_shape, num_outputs, *, width, norm, groups=1):
    """A network with nothing wrong."""
    layers = [nn.Conv2d(input_shape[0], 2 * width, 3)]
    if norm == "group":
        layers.append(nn.GroupNorm(groups, 2 * width))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, num_outputs))


class Fault(nn.Module):
    """A linear network with one thing wrong."""

    def __init__(self, fault, features, num_outputs):
        super().__init__()
        self.fault = fault
        self.linear = nn.Linear(features, num_outputs + (fault == "shape"))
        if fault == "unused":
            self.forgotten = nn.Linear(2, 2)
        if fault == "hidden":
            self.scale = torch.ones(num_outputs)
        if fault == "drawn":
            self.flip = float(torch.randn((), device="cpu"))

    def forward(self, x):
        x = self.linear(x.flatten(1))
        if self.fault == "nan":
            x = x * float("nan")
        elif self.fault == "frozen":
            x = x.detach()
        elif self.fault == "tuple":
            return x, x
        elif self.fault == "dropout":
            x = nn.functional.dropout(x, 0.5, training=True)
        elif self.fault == "hidden":
            x = x * self.scale
        elif self.fault == "drawn":
            x = x * self.flip
        elif self.fault == "steep":
            x = (x * 0).sqrt()
        return x


def faulty(fault):
    @architecture(kind=Choice("fine", fault))
    def net(input_shape, num_outputs, *, kind):
        """A network that is wrong at one corner."""
        if kind == "raises":
            raise ValueError("no such kind")
        if kind == "number":
            return 3
        return Fault(kind, torch.Size(input_shape).numel(), num_outputs)

    return net


FAULTS = {
    "shape": "the network's output has shape [2, 11]; it must be [2, 10]",
    "tuple": "the network returned tuple; it must return one tensor",
    "number": "build() returned int; it must return a torch.nn.Module",
    "raises": "ValueError: no such kind at test_testing.py:",
    "unused": "parameters without a gradient (is the layer used in forward?): forgotten.weight, forgotten.bias",
    "nan": "the loss of the first step is nan",
    "steep": "parameters with a non-finite gradient: linear.weight, linear.bias",
    "frozen": "the loss does not depend on any parameter",
    "dropout": "two passes in eval mode differ",
    "drawn": "loaded into a new network of the same config, give other outputs",
    "hidden": "the network does not move with .to(device), register its tensors as buffers",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_shown_with_the_config_that_has_it(fault):
    checks = {c.config.get("kind"): c for c in examine(faulty(fault), random_configs=0)}
    assert checks["fine"].outcome == "ok"
    assert checks[fault].outcome == "failed"
    assert FAULTS[fault] in checks[fault].problem
    with pytest.raises(AssertionError) as caught:
        check_architecture(faulty(fault), random_configs=0)
    assert json.dumps({"kind": fault}) + ": " in str(caught.value)


def test_a_sound_architecture_passes_with_its_corners_and_random_configs():
    checks = check_architecture(sound, (1, 9, 9), 3, random_configs=5)
    configs = [dict(c.config) for c in checks]
    assert {"width": 2, "norm": "none"} in configs
    assert {"width": 8, "norm": "group", "groups": 2} in configs
    assert {"width": 2, "norm": "group", "groups": 2} in configs
    assert {c.outcome for c in checks} == {"ok"}
    assert all(c.trained and c.seconds > 0 for c in checks)
    assert checks[0].parameters == sum(p.numel() for p in sound.build((1, 9, 9), 3, **checks[0].config).parameters())


def test_examining_twice_tries_the_same_configs_and_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    once, twice = (examine(sound, (1, 9, 9), 3, seed=7) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert [c.config for c in once] == [c.config for c in twice]


def test_a_regression_is_examined_with_one_output():
    assert {c.outcome for c in check_architecture(sound, (1, 9, 9), 1, random_configs=0)} == {"ok"}


@architecture(width=Int(1, 3))
def picky(input_shape, num_outputs, *, width):
    """Cannot do width 3, nor flat inputs."""
    if width == 3 or len(input_shape) == 1:
        raise Infeasible("too wide for this input")
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))


def test_an_infeasible_config_is_recorded_and_is_no_failure():
    by_width = {c.config["width"]: c for c in check_architecture(picky, (1, 4, 4), 2)}
    assert (by_width[3].outcome, by_width[3].problem) == ("infeasible", "too wide for this input")
    assert by_width[1].outcome == "ok"


def test_an_architecture_without_a_feasible_config_does_not_pass():
    with pytest.raises(AssertionError, match=r"no config is feasible for input \[4\], e.g. too wide for this input"):
        check_architecture(picky, (4,), 2)


@architecture(width=Choice(4, 6000))
def vast(input_shape, num_outputs, *, width):
    """36 million parameters at one corner."""
    size = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.Linear(width, width), nn.Linear(width, num_outputs))


def test_a_huge_network_is_built_without_memory_and_not_trained():
    by_width = {c.config["width"]: c for c in check_architecture(vast, (4,), 2)}
    assert by_width[6000].parameters > 36_000_000
    assert (by_width[6000].trained, by_width[4].trained) == (False, True)
    assert (by_width[6000].untrained, by_width[4].untrained) == ("36 million parameters", "")


def test_the_work_is_bounded_and_what_is_too_dear_says_why_it_was_not_trained(monkeypatch):
    monkeypatch.setattr(testing, "MOST_WORK", 16 * 3.6e4)
    by_width = {c.config["width"]: c for c in check_architecture(sound, (1, 9, 9), 3, random_configs=20)}
    # A convolution of 3x3 in 7x7 places and a dense layer, two samples: 2 * 2 * (9 * 49 * 16 + 16 * 3) for width 8
    assert by_width[8].operations == 2 * 2 * (9 * 49 * 16 + 16 * 3)
    assert {w: c.trained for w, c in by_width.items() if w in (2, 8)} == {2: True, 8: True}
    monkeypatch.setattr(testing, "MOST_WORK", 16 * 2e4)
    by_width = {c.config["width"]: c for c in check_architecture(sound, (1, 9, 9), 3, random_configs=20)}
    assert (by_width[2].trained, by_width[8].trained) == (True, False)
    assert by_width[8].untrained == "0.0 billion operations"
    monkeypatch.setattr(testing, "MOST_WORK", 0)
    trained = [c for c in check_architecture(sound, (1, 9, 9), 3, random_configs=20) if c.trained]
    assert [c.config["width"] for c in trained] == [2]  # one at least, the cheapest


def test_tied_weights_can_be_saved():
    checks = examine(tied, (5,), 5)
    assert [c.problem for c in checks if c.problem] == []


@architecture()
def tied(input_shape, num_outputs):
    """Two layers that share one weight."""
    first, second = nn.Linear(5, 5), nn.Linear(5, 5)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second)


def test_corners_fulfil_nested_conditions():
    space = {
        "norm": Choice("batch", "group"),
        "mode": Choice("a", "b", when={"norm": "group"}),
        "rate": Float(0.1, 0.5, when={"mode": ("b", "c")}),
    }
    configs = corner_configs(space)
    assert {"norm": "group", "mode": "b", "rate": 0.1} in configs
    assert {"norm": "group", "mode": "b", "rate": 0.5} in configs
    assert {"norm": "batch"} in configs
    assert all(("rate" in c) == (c.get("mode") == "b") for c in configs)


def test_the_number_of_corners_is_bounded():
    space = {f"p{i}": Int(0, 9) for i in range(100)}
    configs = corner_configs(space)
    assert len(configs) == 64
    assert configs[:2] == [dict.fromkeys(space, 0), dict.fromkeys(space, 9)]


def test_random_configs_lie_in_their_domains_and_repeat_with_their_seed():
    space = {
        "i": Int(1, 9, step=4),
        "l": Int(1, 512, log=True),
        "f": Float(1e-5, 1e-1, log=True),
        "g": Float(0.0, 1.0, step=0.25),
        "c": Choice("a", None, when={"i": (1, 5)}),
    }
    configs = random_config_list(space, 200, seed=1)
    assert all(space[name].contains(value) for c in configs for name, value in c.items())
    assert {c["i"] for c in configs} == {1, 5, 9}
    assert all(("c" in c) == (c["i"] != 9) for c in configs)
    assert sum(c["f"] < 1e-3 for c in configs) > 60  # half of the logarithmic range
    assert configs == random_config_list(space, 200, seed=1) != random_config_list(space, 200, seed=2)


@pytest.mark.parametrize("name", ["linear", "mlp", "lenet", "resnet"])
def test_the_built_in_architectures_pass_at_their_corners(name):
    host = load_plugins()
    checks = check_architecture(host.architecture(name), (1, 28, 28), 10, random_configs=0)
    assert {c.outcome for c in checks} == {"ok"}
    assert Path(host.architecture(name).source).stem == name
