"""`first`: the configs that a search tries before it draws any."""

from __future__ import annotations

import importlib.util

import optuna
import pytest

from automl.errors import SpaceError
from automl.hooks.host import load_plugins
from automl.racing.race import Race
from automl.scheduling.samplers import make_sampler, standings_of
from automl.spaces.merge import merge
from automl.spaces.parameters import Choice
from automl.spaces.space import Space
from automl.spaces.yaml_file import parse

needs_cmaes = pytest.mark.skipif(importlib.util.find_spec("cmaes") is None, reason="the package cmaes is not installed")
SAMPLERS = ["tpe", "gp", "random", pytest.param("cmaes", marks=needs_cmaes)]

TEXT = """\
architectures: [lenet, mlp]
training: {batch_size: 64}
first:
  - {architecture: mlp, mlp.depth: 2, train.lr: 1e-3, train.optimizer: adam, train.batch_size: 64}
  - {architecture: lenet, lenet.width: 2, train.lr: 2e-3}
"""


@pytest.fixture(scope="module")
def catalogue():
    return load_plugins().catalogue()


def read(text, catalogue, **more):
    return merge(parse(text, "mine.yaml"), catalogue, **more)


def drawn(space, count, name="tpe"):
    """The configs of the first trials of a search."""
    race = Race((), finalists=3)
    study = optuna.create_study(sampler=make_sampler(name, 0, 0, 0, space, standings_of(race)))
    return [space.suggest(study.ask()) for _ in range(count)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_first_trials_have_these_values_and_the_rest_is_drawn(catalogue, name):
    one, two, three = drawn(read(TEXT, catalogue), 3, name)
    assert (one["architecture"], one["mlp.depth"], one["train.lr"], one["train.optimizer"]) == ("mlp", 2, 1e-3, "adam")
    assert (two["architecture"], two["lenet.width"], two["train.lr"]) == ("lenet", 2, 2e-3)
    assert (three["architecture"], three["train.lr"]) not in (("mlp", 1e-3), ("lenet", 2e-3))


@pytest.mark.parametrize("name", SAMPLERS)
def test_they_are_the_first_ones_also_where_each_trial_is_complete_before_the_next(catalogue, name):
    space = read(TEXT, catalogue)
    study = optuna.create_study(sampler=make_sampler(name, 0, 0, 0, space, dict))
    rates = []
    for _ in range(2):
        trial = study.ask()
        rates.append(space.suggest(trial)["train.lr"])
        study.tell(trial, 1.0)
    assert rates == [1e-3, 2e-3]


def test_a_grid_is_visited_whole_after_them():
    space = Space(
        {"net": {"a": Choice(1, 2, 3)}}, {}, {"sgd": {}}, {"constant": {}}, {"none": {}},
        first=({"architecture": "net", "net.a": 2},),
    )  # fmt: skip
    study = optuna.create_study(sampler=make_sampler("grid", 0, 0, 0, space, dict))
    drawn = []
    for _ in range(4):
        trial = study.ask()
        drawn.append(space.suggest(trial)["net.a"])
        study.tell(trial, 1.0)
    assert drawn[0] == 2
    assert sorted(drawn[1:]) == [1, 2, 3]


def test_what_was_pinned_or_left_out_since_counts_no_more(catalogue):
    pinned = read(TEXT, catalogue, overrides=("train.lr=0.01", "mlp.depth=[1, 3]"))
    assert [config["train.lr"] for config in drawn(pinned, 2)] == [0.01, 0.01]
    assert drawn(pinned, 1)[0]["mlp.depth"] in (1, 3)
    alone = read(TEXT, catalogue, architectures=("lenet",))
    assert [config["architecture"] for config in alone.first] == ["lenet"]
    assert drawn(alone, 1)[0]["train.lr"] == 2e-3


def test_they_survive_the_runs_record_and_are_no_part_of_the_fingerprint(catalogue):
    space = read(TEXT, catalogue)
    assert Space.from_json(space.to_json()) == space
    assert space.first[0]["train.lr"] == 1e-3
    without = read(TEXT.partition("first:")[0], catalogue)
    assert without.fingerprint() == space.fingerprint()
    assert "first" not in without.to_json()


@pytest.mark.parametrize(
    ("config", "place", "problem"),
    [
        ("{architecture: mlp, mlp.dpeth: 2}", "first.0.mlp.dpeth", "did you mean 'mlp.depth'"),
        ("{architecture: mlp, train.lr: 7}", "first.0.train.lr", "7 is not in its domain"),
        ("{architecture: mlp, train.batch_size: 32}", "first.0.train.batch_size", "32 is not in its domain: 64"),
        ("{architecture: resnet}", "first.0.architecture", "resnet is not in its domain"),
        ("{architecture: mlp, resnet.depth: 2}", "first.0.resnet.depth", "is not in this search space"),
        ("{train.lr: 0.01}", "first.0", "`architecture` among them"),
        ("mlp", "first.0", "must be a mapping of full names"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(catalogue, config, place, problem):
    text = f"{TEXT.partition('first:')[0]}first:\n  - {config}\n"
    with pytest.raises(SpaceError, match=r"mine\.yaml:4") as error:
        read(text, catalogue)
    assert place in str(error.value)
    assert problem in str(error.value)


def test_first_must_be_a_list(catalogue):
    with pytest.raises(SpaceError, match="must be a list of configs"):
        read("first: {architecture: mlp}", catalogue)
