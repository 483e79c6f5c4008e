"""The check on `meta` before anything is allocated: what fits, what does not, and how large it is."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from automl import Choice, Int, architecture
from automl.data.tables.features import InputColumn
from automl.errors import Infeasible, TrialFailed
from automl.hooks.configs import random_config_list
from automl.hooks.host import load_plugins
from automl.training.input_layer import build_network
from automl.training.on_meta import Shapes, check_on_meta

SHAPE = (1, 8, 8)
HOST = load_plugins()


@architecture(kernel_size=Int(1, 99))
def one_kernel(input_shape, num_outputs, *, kernel_size):
    """A single convolution without padding."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 4, kernel_size), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_outputs)
    )


@architecture()
def giant(input_shape, num_outputs):
    """10**12 parameters: 4 TB."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10**6), nn.Linear(10**6, 10**6), nn.Linear(10**6, num_outputs))


@architecture(what=Choice("too wide", "image", "tuple", "string"))
def wrong_output(input_shape, num_outputs, *, what):
    """Does not return [batch, outputs]."""
    if what == "string":
        return "no module"

    class Wrong(nn.Module):
        def forward(self, x):
            return {"too wide": x.flatten(1), "image": x, "tuple": (x, x)}[what]

    return Wrong()


class Peeking(nn.Module):
    """Looks at a value in `forward`, which `meta` does not have."""

    def __init__(self, num_outputs):
        super().__init__()
        self.linear = nn.Linear(64, num_outputs)

    def forward(self, x):
        x = x.flatten(1)
        return self.linear(x) if x.mean().item() > -1e9 else self.linear(-x)


@architecture()
def peeking(input_shape, num_outputs):
    """A network whose way depends on the values."""
    return Peeking(num_outputs)


def test_a_network_that_fits_is_counted_without_being_allocated(make_recipe):
    assert check_on_meta(make_recipe("linear"), SHAPE, 3, None).parameters == 64 * 3 + 3


def test_a_kernel_wider_than_the_image_is_infeasible(make_recipe):
    assert check_on_meta(make_recipe(one_kernel, kernel_size=8), SHAPE, 3, None).parameters > 0
    # Torch says so in other words since 2.13.
    with pytest.raises(Infeasible, match=r"does not fit the input \(1, 8, 8\): .*([Kk]ernel|Output) size"):
        check_on_meta(make_recipe(one_kernel, kernel_size=9), SHAPE, 3, None)


def test_what_a_plugin_itself_calls_infeasible_stays_infeasible(make_recipe):
    with pytest.raises(Infeasible, match="lenet needs images"):
        check_on_meta(make_recipe("lenet"), (64,), 3, None)


def test_the_largest_number_of_parameters_is_kept_to_the_last_one(make_recipe):
    assert check_on_meta(make_recipe("linear"), SHAPE, 3, 195).parameters == 195
    with pytest.raises(Infeasible, match="195 parameters are more than --max-params 194"):
        check_on_meta(make_recipe("linear"), SHAPE, 3, 194)


def test_a_million_million_parameters_are_infeasible_before_a_byte_is_allocated(make_recipe, make_run):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Infeasible, match=r"1,000,0\d\d,\d{3},\d{3} parameters are more than --max-params 1,000,000"):
        make_run(make_recipe(giant), max_params=1_000_000)
    # KiB: a four-thousandth of them. The first check of a process imports a tenth of it.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("too wide", r"to \[2, 64\]"),
        ("image", r"to \[2, 1, 8, 8\]"),
        ("tuple", r"to \[\]"),
        ("string", "str, not an nn"),
    ],
)
def test_a_wrong_output_fails_the_trial_and_names_the_plugins_file_and_line(what, said, make_recipe):
    line = wrong_output.line
    with pytest.raises(TrialFailed, match=said) as caught:
        check_on_meta(make_recipe(wrong_output, what=what), SHAPE, 3, None)
    assert f"'wrong_output' ({__file__}:{line})" in caught.value.reason


def test_a_network_that_looks_at_values_is_not_called_infeasible(make_recipe):
    assert check_on_meta(make_recipe(peeking), SHAPE, 3, None).parameters == 195


def outcome(build, shape, *modes):
    """The output's shape on meta, or that the network does not fit."""
    try:
        with torch.device("meta"), torch.no_grad():
            for mode in modes:
                mode.__enter__()
            try:
                output = build()(torch.empty(2, *shape))
            finally:
                for mode in modes:
                    mode.__exit__(None, None, None)
    except Infeasible:
        return "infeasible"
    except RuntimeError:
        return "does not fit"
    return [tuple(each.shape) for each in (output if isinstance(output, tuple) else (output,))]


@pytest.mark.parametrize("name", sorted(HOST.architectures))
def test_shapes_alone_say_of_every_architecture_what_torch_says(name):
    known = HOST.architectures[name]
    for shape in ((3, 32, 32), (1, 6, 6), (5,)):
        for config in random_config_list(known.parameters, 3, seed=0):
            columns = [InputColumn(f"c{place}", "number") for place in range(shape[0])] if len(shape) == 1 else []
            build = lambda: build_network(known, config, shape, 7, columns)  # noqa: B023, E731
            assert outcome(build, shape, Shapes()) == outcome(build, shape), config


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: F.linear(x, torch.empty(5, 8)),
        lambda x: F.linear(x, torch.empty(5, 9)),
        lambda x: F.linear(input=x, weight=torch.empty(5, 8)),
        lambda x: F.linear(x, torch.empty(8)),
        lambda x: F.relu(input=x),
        lambda x: torch.cat(tensors=[x, x], axis=1),
        lambda x: F.batch_norm(x.flatten(), torch.empty(4), torch.empty(4)),
        lambda x: nn.BatchNorm2d(4, affine=False)(x),
        lambda x: nn.BatchNorm2d(5, track_running_stats=False)(x),
        lambda x: nn.BatchNorm1d(4)(x.flatten(2)),
        lambda x: F.adaptive_avg_pool2d(x, 3),
        lambda x: F.adaptive_avg_pool2d(x, (None, 2)),
        lambda x: F.adaptive_avg_pool2d(x[0], 3),
        lambda x: x + x.clone(),
        lambda x: x + torch.empty(8),
        lambda x: x + torch.empty(7),
        lambda x: x + 1,
        lambda x: 1 + torch.add(x, 2, alpha=3),
        lambda x: torch.cat([x, x[:, :1]], 1),
        lambda x: torch.cat([x, x[:, :1]]),
        lambda x: torch.cat([x, x], -1),
        lambda x: torch.cat((x, x[0])),
        lambda x: F.dropout2d(F.gelu(x), 0.1, training=True),
        lambda x: F.relu(x, inplace=True),
    ],
)
def test_of_each_operation_shapes_alone_say_what_torch_says(operation):
    build = lambda: operation  # noqa: E731
    assert outcome(build, (4, 8, 8), Shapes()) == outcome(build, (4, 8, 8))


def test_a_check_imports_no_compiler():
    code = """import sys
from automl.hooks.host import load_plugins
from automl.training.on_meta import Shapes
from automl.hooks.configs import random_config_list
import torch
with torch.device("meta"), torch.no_grad(), Shapes():
    for name in ("lenet", "resnet"):
        known = load_plugins().architectures[name]
        for config in random_config_list(known.parameters, 4, seed=0):
            known.build((1, 32, 32), 10, **config)(torch.empty(2, 1, 32, 32))
print("torch._dynamo" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
