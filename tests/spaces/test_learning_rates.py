"""An optimizer or a schedule with learning rates of its own: `@optimizer(lr=Float(...))`."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from catalogue import CATALOGUE

from automl.errors import SpaceError
from automl.spaces.merge import merge
from automl.spaces.parameters import Float
from automl.spaces.space import learning_rate
from automl.spaces.yaml_file import parse

LION = replace(CATALOGUE, optimizers={**CATALOGUE.optimizers, "lion": {"lr": Float(1e-5, 1e-4, log=True)}})
BOTH = replace(LION, schedules={**CATALOGUE.schedules, "cycle": {"lr": Float(1.0, 2.0)}})


def samples(text, catalogue, *overrides):
    space = merge(parse(text, "space.yaml"), catalogue, overrides=overrides)
    return space, [space.sample(random.Random(seed)) for seed in range(60)]


def test_trials_with_the_optimizer_have_its_learning_rates_and_the_others_those_of_the_space():
    _, configs = samples("training: {optimizer: [sgd, lion], lr: {float: [0.1, 0.2]}}", LION)
    own = [config for config in configs if config["train.optimizer"] == "lion"]
    others = [config for config in configs if config["train.optimizer"] == "sgd"]
    assert own
    assert all("train.lr" not in config and 1e-5 <= learning_rate(config) <= 1e-4 for config in own)
    assert others
    assert all("train.lion.lr" not in config and 0.1 <= learning_rate(config) <= 0.2 for config in others)


def test_of_an_optimizer_and_a_schedule_that_both_have_one_the_optimizers_is_drawn():
    _, configs = samples("training: {optimizer: [sgd, lion], schedule: [constant, cycle]}", BOTH)
    for config in configs:
        names = {name for name in ("train.lr", "train.lion.lr", "train.cycle.lr") if name in config}
        lion, cycle = config["train.optimizer"] == "lion", config["train.schedule"] == "cycle"
        assert names == {"train.lion.lr" if lion else "train.cycle.lr" if cycle else "train.lr"}


def test_setting_a_learning_rate_that_no_trial_would_have_is_refused():
    with pytest.raises(SpaceError, match=r"learning rates of its own: set train\.lion\.lr"):
        samples("training: {optimizer: lion}", LION, "train.lr=0.1")
    _, configs = samples("training: {optimizer: lion}", LION, "train.lion.lr=5e-5")
    assert {learning_rate(config) for config in configs} == {5e-5}


def test_a_first_config_that_was_made_for_another_optimizer_is_left_out():
    text = "architectures: [linear]\nfirst:\n  - {architecture: linear, train.optimizer: sgd, train.lr: 0.1}"
    assert samples(text, LION)[0].first
    assert not samples(text, LION, "train.optimizer=lion")[0].first
