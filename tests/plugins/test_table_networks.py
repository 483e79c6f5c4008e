"""The networks for tables, and how they take in columns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from automl_plugins.number_embeddings import Columns, Numbers, PiecewiseLinear

from automl import Float, InputColumn, Int
from automl.data.resident import Resident
from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits
from automl.testing import check_architecture
from automl.training.run import TrialRun
from automl.training.serial import predict

NETWORKS = ["tabm", "tabular_mlp", "tabular_resnet", "ft_transformer"]
COLUMNS = (InputColumn("age", "number"), InputColumn("town", "category", 50), InputColumn("sex", "category", 3))
SMALL = {"dropout": 0.0, "numbers": "piecewise", "bins": 8, "embedding": 4}


def build(host, name, **config):
    return host.architecture(name).build((len(COLUMNS),), 2, columns=COLUMNS, **config)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_works_in_the_corners_of_its_space(host, name):
    whole = host.architecture(name)
    quick = {
        "dropout": Float(0.3, 0.3),
        "depth": Int(1, 2),
        "width": Int(16, 24),
        "members": Int(2, 3),
        "size": Int(32, 32),
    }
    domains = {**whole.parameters, **{key: domain for key, domain in quick.items() if key in whole.parameters}}
    checks = check_architecture(dataclasses.replace(whole, parameters=domains), (6,), 3, random_configs=0)
    assert {check.outcome for check in checks} == {"ok"}


@pytest.mark.parametrize("columns", [COLUMNS[:1], COLUMNS[1:]], ids=["numbers alone", "categories alone"])
@pytest.mark.parametrize("name", NETWORKS)
def test_columns_of_one_kind_alone_will_do(host, name, columns):
    config = {key: domain.corners()[0] for key, domain in host.architecture(name).parameters.items()}
    network = host.architecture(name).build((len(columns),), 2, columns=columns, **config)
    assert network(torch.ones(5, len(columns))).shape[::2][-1] in (2, 5)


def test_hats_are_piecewise_linear_and_add_up_to_one():
    encode = PiecewiseLinear(1, 4)
    encode.fit(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    at = lambda value: encode(torch.tensor([[value]]))[0, 0].tolist()  # noqa: E731
    assert at(1.0) == [0, 1, 0, 0]
    assert at(2.0) == [0, 0.5, 0.5, 0]
    assert at(6.0) == [0, 0, 0.25, 0.75]
    assert at(-5.0) == [1, 0, 0, 0]
    assert at(99.0)[:3] == [0, 0, 0]


def test_hats_hold_what_the_papers_encoding_holds():
    """The paper's equation 1: for the bin from b to b' it is (x - b) / (b' - b), cut to [0, 1]."""
    x = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    encode = PiecewiseLinear(1, 6)
    encode.fit(x)
    edges = encode.edges[0]
    papers = ((x - edges[:-1]) / (edges[1:] - edges[:-1])).clamp(0, 1)
    above = encode(x)[:, 0].flip(1).cumsum(1).flip(1)[:, 1:]  # the share of all hats from the second on, and so forth
    assert torch.allclose(above, papers, atol=1e-5)


def test_a_column_of_few_values_has_a_bin_for_each():
    encode = PiecewiseLinear(2, 6)
    encode.fit(torch.tensor([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]))
    assert torch.equal(encode(torch.tensor([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]))[:, 0, :3], torch.eye(3))
    assert encode(torch.tensor([[0.5, 5.0]])).isfinite().all()


def test_a_number_far_outside_of_the_training_part_changes_no_more_than_its_end():
    numbers = Numbers(1, "piecewise", bins=4, embedding=3, frequency=0.1)
    numbers.encode.fit(torch.linspace(-2, 2, 50)[:, None])
    near, far = numbers(torch.tensor([[3.0], [1000.0]]))
    assert (near - far).abs().max() < 1.0  # of a slope of at most 1 it is 3 - 3 / sqrt(2)


def test_categories_of_few_values_are_one_hot_and_of_many_embedded():
    columns = Columns(COLUMNS, "plain")
    made = columns(torch.tensor([[0.7, 49.0, 2.0]]))[0]
    assert made[0].item() == pytest.approx(0.7)
    assert made[1:4].tolist() == [0, 0, 1]
    assert torch.equal(made[4:], columns.embeddings[0].weight[49])


def test_tabms_members_differ_from_the_start_and_share_their_matrices(host):
    network = build(host, "tabm", members=4, depth=2, width=16, **SMALL).eval()
    output = network(torch.tensor([[0.5, 7.0, 1.0]]))
    assert output.shape == (1, 4, 2)
    assert output[0].std(0).min() > 0
    assert network.body[3].weight.shape == (16, 16)


def test_tabm_learns_and_answers_as_one_network(host, make_recipe):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    data = from_arrays(x, np.sin(3 * x[:, 0]) + 0.1 * rng.normal(size=400), task="regression")
    splits = make_splits(data, folds=2, test_fraction=0.2, seed=0)
    recipe = make_recipe(
        host.architecture("tabm"),
        members=4,
        depth=1,
        width=32,
        lr=1e-2,
        optimizer="adam",
        epochs=30,
        batch_size=32,
        **SMALL,
    )
    samples = [(splits.train(0), splits.validation(0))]
    run = TrialRun(recipe, Resident(data, torch.device("cpu")), samples, seed=0)
    *_, (last,) = run.advance(30, 1)
    assert last.validation_loss < 0.5 * data.y.std()
    fold = run.folds[0]
    assert predict(fold, run.resident, fold.validation, torch.float32).shape == (len(splits.validation(0)), 1)


def test_bins_are_taken_from_the_training_part_alone(host, make_recipe):
    x = np.concatenate([np.linspace(0, 1, 90), np.full(30, 1000.0)])[:, None]
    data = from_arrays(x, np.arange(120.0), task="regression")
    recipe = make_recipe(host.architecture("tabm"), members=2, depth=1, width=8, epochs=1, **SMALL)
    run = TrialRun(recipe, Resident(data, torch.device("cpu")), [(np.arange(90), np.arange(90, 120))], seed=0)
    next(run.advance(1, 1))
    assert run.folds[0].network.columns.numbers.encode.edges.max() < 2  # in deviations of the first 90
