from __future__ import annotations

import json
import random
import subprocess
import sys

import optuna
import pytest
from catalogue import merged
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.spaces.domains import Domain
from automl.spaces.parameters import Choice, Float, Int, Parameter
from automl.spaces.space import Space, draw

WORDS = st.text("abcxyz_", min_size=1, max_size=4)
NUMBERS = st.floats(-1e6, 1e6)
SCALARS = st.none() | st.booleans() | st.integers(-100, 100) | NUMBERS | WORDS
WHENS = st.none() | st.just({"first": ["a", "b"]}) | st.just({"first": "a"})


@st.composite
def domains(draw_from: st.DrawFn) -> Domain:
    kind = draw_from(st.sampled_from(["pin", "int", "float", "choice"]))
    if kind == "pin":
        return draw_from(SCALARS)
    when = draw_from(WHENS)
    if kind == "choice":
        return Choice(*draw_from(st.lists(SCALARS, min_size=1, max_size=4, unique_by=lambda v: v)), when=when)
    log = draw_from(st.booleans())
    if kind == "int":
        low, high = sorted(draw_from(st.tuples(st.integers(1, 999), st.integers(1, 999))))
        return Int(low, high, log=log, step=1 if log else draw_from(st.integers(1, 9)), when=when)
    low, high = sorted(draw_from(st.tuples(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3))))
    return Float(low, high, log=log, step=None if log else draw_from(st.none() | st.floats(0.01, 5)), when=when)


GROUPS = st.dictionaries(WORDS, domains(), max_size=4).map(
    lambda group: {"first": Choice("a", "b", "c"), **{f"p_{name}": domain for name, domain in group.items()}}
)
NAMED = st.dictionaries(WORDS, GROUPS, min_size=1, max_size=3)
SPACES = st.builds(
    Space,
    architectures=NAMED,
    training=GROUPS,
    optimizers=NAMED.map(lambda groups: {f"o_{name}": group for name, group in groups.items()}),
    schedules=NAMED.map(lambda groups: {f"s_{name}": group for name, group in groups.items()}),
    augmentations=NAMED.map(lambda groups: {f"a_{name}": group for name, group in groups.items()}),
)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(SPACES, st.booleans())
def test_a_space_comes_back_equal_from_json(space, sort_keys):
    again = Space.from_json(json.loads(json.dumps(space.to_json(), sort_keys=sort_keys)))
    assert again == space
    assert again.fingerprint() == space.fingerprint()
    assert space.difference(again) == []


@settings(deadline=None, max_examples=40, derandomize=True)
@given(SPACES, st.integers(0, 2**32))
def test_a_random_config_has_exactly_the_active_parameters_each_inside_its_domain(space, seed):
    assert_config(space, space.sample(random.Random(seed)))


def assert_config(space: Space, config: dict) -> None:
    """The config agrees with an independent reading of the space."""
    domains = space.parameters()
    groups = (
        "",
        config["architecture"],
        "train",
        f"train.{config['train.optimizer']}",
        f"train.{config['train.schedule']}",
        f"train.{config['train.augmentation']}",
    )
    for name, domain in domains.items():
        group, _, _ = name.rpartition(".")
        active = group in groups
        for sibling, wanted in (getattr(domain, "when", None) or {}).items():
            active = active and config.get(f"{group}.{sibling}") in wanted
        assert (name in config) == active, name
        if active and isinstance(domain, Parameter):
            assert domain.contains(config[name]), (name, domain, config[name])
        elif active:
            assert config[name] == domain
    assert config.keys() <= domains.keys()


@pytest.mark.filterwarnings("error::UserWarning", "ignore::optuna.exceptions.ExperimentalWarning")
def test_tpe_draws_valid_configs_and_optuna_knows_their_parameters():
    space = merged("training: {weight_decay: 0, lr: [0.1, 0.01]}", "resnet.kernel_size=3", "resnet.groups=4")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=5, seed=0)
    study = optuna.create_study(sampler=sampler)
    seen = set()
    for _ in range(40):
        trial = study.ask()
        config = space.suggest(trial)
        assert_config(space, config)
        pinned = config.keys() - trial.params.keys()
        assert trial.params.items() <= config.items()
        assert all(not isinstance(d := space.parameters()[name], Parameter) or len(d.corners()) == 1 for name in pinned)
        seen.add(config["architecture"])
        study.tell(trial, float(config.get("resnet.depth", 9)))
    assert seen == {"lenet", "resnet", "linear"}
    assert study.best_trial.params["resnet.depth"] == 1


def test_one_architecture_is_in_the_config_but_is_not_suggested():
    space = merged("architectures: [linear]\ntraining: {optimizer: adam, schedule: constant}")
    trial = optuna.create_study().ask()
    config = space.suggest(trial)
    assert config["architecture"] == "linear"
    assert config["train.optimizer"] == "adam"
    assert config["train.augmentation"] == "none"
    assert trial.params.keys() == {"train.lr", "train.weight_decay", "train.batch_size"}


def test_a_pinned_parameter_is_absent_while_its_condition_does_not_hold():
    space = merged("architectures: {resnet: {groups: 4}}")
    configs = [space.sample(random.Random(seed)) for seed in range(30)]
    assert {config.get("resnet.groups") for config in configs} == {None, 4}
    assert all(("resnet.groups" in c) == (c["resnet.norm"] == "group") for c in configs)


def test_the_order_of_plugins_and_names_changes_neither_the_choice_nor_the_fingerprint():
    one, two = merged("architectures: [resnet, lenet]"), merged("architectures: [lenet, resnet]")
    assert one.fingerprint() == two.fingerprint()
    assert one.parameters()["architecture"] == two.parameters()["architecture"] == Choice("lenet", "resnet")
    assert list(one.parameters()) == list(two.parameters())


def test_parameters_come_in_the_order_of_suggestion():
    space = merged("architectures: [resnet]\ntraining: {optimizer: sgd, schedule: step}", "resnet.norm=group")
    assert list(space.parameters()) == list(space.sample(random.Random(0)))


def test_a_difference_is_one_line_per_parameter():
    old = merged("architectures: [lenet, resnet]", "train.lr=0.1")
    new = merged("architectures: {resnet: {depth: {int: [1, 3]}, norm: [group, batch]}}", "train.lr=0.10000000001")
    assert old.difference(new) == [
        "architecture: lenet|resnet -> resnet",
        "lenet.width: 4..16 step 4 -> (absent)",
        "lenet.dropout: 0..0.6 -> (absent)",
        "resnet.depth: 1..5 -> 1..3",
        "resnet.norm: batch|group|null -> group|batch",
        "train.lr: 0.1 -> 0.10000000001",
    ]
    assert old.difference(old) == []
    assert new.difference(old)[2] == "resnet.norm: group|batch -> batch|group|null"


def test_a_difference_too_small_for_a_short_text_is_shown_in_full():
    old, new = merged(None, "train.lr={float: [0.1, 0.2]}"), merged(None, "train.lr={float: [0.10000000001, 0.2]}")
    assert old.difference(new) == ['train.lr: {"float": [0.1, 0.2]} -> {"float": [0.10000000001, 0.2]}']
    assert old.fingerprint() != new.fingerprint()


REST = {"training": {}, "optimizers": {"b": {}}, "schedules": {"c": {}}, "augmentations": {"d": {}}}


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        [],
        {},
        {"architectures": {}, "training": {}, "optimizers": {}, "schedules": {}, "augmentations": {}},
        {"architectures": {"a": 3}} | REST,
        {"architectures": {"a": {"x": {"int": 3}}}} | REST,
        {"architectures": {"a": {"x": {"int": [1, 2], "when": {"y": 1}}}}} | REST,
    ],
)
def test_a_damaged_stored_space_is_named(damaged):
    with pytest.raises(SpaceError) as error:
        Space.from_json(damaged, "run.yaml")
    assert str(error.value).startswith("run.yaml: is damaged: ")


@pytest.mark.parametrize(
    "domain", [Int(1, 1000, log=True), Int(3, 10, step=3), Float(1e-5, 1.0, log=True), Float(0.1, 0.9, step=0.1)]
)
def test_random_values_reach_the_whole_domain_and_never_leave_it(domain):
    rng = random.Random(0)
    drawn = [draw(domain, rng) for _ in range(500)]
    assert all(domain.contains(value) for value in drawn)
    if domain.log:
        middle = (domain.low * domain.high) ** 0.5
        assert 150 < sum(value < middle for value in drawn) < 350
    else:
        assert len(set(drawn)) == (3 if isinstance(domain, Int) else 9)


def test_search_spaces_are_read_without_torch_and_optuna():
    code = """if True:
        import sys, automl.spaces.library, automl.spaces.merge, automl.spaces.schema
        print([name for name in ("torch", "optuna") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
