"""`Text`: any text, pinned by whoever names it, and never varied by itself."""

from __future__ import annotations

import dataclasses
import json
import random

import jsonschema
import optuna
import pytest
from catalogue import CATALOGUE

from automl import Choice, Text
from automl.errors import SpaceError
from automl.hooks.configs import corner_configs, random_config_list
from automl.scheduling.samplers import make_grid
from automl.spaces.domains import fit_domain, read_domain
from automl.spaces.merge import merge
from automl.spaces.schema import json_schema
from automl.spaces.space import Space
from automl.spaces.yaml_file import parse

READER = {"file": Text("DEFAULT"), "scale": Choice(1, 2, when={"file": ("DEFAULT", "x")})}
WITH_TEXT = dataclasses.replace(CATALOGUE, architectures={**CATALOGUE.architectures, "reader": READER})


def merged(text="", **more):
    return merge(parse(text, "space.yaml") if text else None, WITH_TEXT, **more)


def test_a_text_takes_any_text_and_nothing_else():
    text = Text("DEFAULT", when={"norm": "group"})
    assert text.corners() == ["DEFAULT"]
    assert text.contains("a b/c.pth")
    assert not text.accepts(3)
    assert read_domain(json.loads(json.dumps(text.to_json()))) == text
    assert str(Text("DEFAULT")) == "any text, else DEFAULT"
    with pytest.raises(SpaceError, match="the default must be a text, not 3"):
        Text(3)


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("weights.pth", "weights.pth"),
        (["a", "b"], Choice("a", "b")),
        ({"text": "other"}, Text("other")),
    ],
)
def test_yaml_pins_a_text_chooses_among_texts_or_names_another_default(written, domain):
    assert fit_domain(written, Text("DEFAULT")) == domain


@pytest.mark.parametrize("written", [3, True, None, [1, 2], {"int": [1, 2]}])
def test_yaml_cannot_make_a_number_of_a_text(written):
    with pytest.raises(SpaceError, match=r"must be a text \(the domain to replace is any text, else DEFAULT\)"):
        fit_domain(written, Text("DEFAULT"))


def test_an_architecture_with_a_text_is_searched_only_where_it_is_named():
    assert "reader" not in merged().architectures
    assert "reader" not in merged("training: {lr: 0.1}").architectures
    assert list(merged(architectures=["reader"]).architectures) == ["reader"]
    assert list(merged(overrides=["architecture=reader"]).architectures) == ["reader"]
    assert list(merged("architectures: [lenet, reader]").architectures) == ["lenet", "reader"]


def test_a_text_is_in_the_config_but_never_suggested():
    space = merged("architectures: {reader: {scale: 2}}", overrides=['reader.file="x"'])
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    config = merged("architectures: reader").suggest(trial)
    assert config["reader.file"] == "DEFAULT"
    assert "reader.file" not in trial.params
    assert space.sample(random.Random(0))["reader.file"] == "x"
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space
    assert "reader.file" not in make_grid(merged("{architectures: reader, training: {lr: 0.1}}"))


def test_checks_try_a_text_at_its_default():
    configs = [*corner_configs(READER), *random_config_list(READER, 3, seed=0)]
    assert {config["file"] for config in configs} == {"DEFAULT"}


@pytest.mark.parametrize(("value", "valid"), [("w.pth", True), ({"text": "w"}, True), (["a", "b"], True), (3, False)])
def test_the_schema_knows_texts(value, valid):
    validator = jsonschema.Draft202012Validator(json_schema(WITH_TEXT))
    assert validator.is_valid({"architectures": {"reader": {"file": value}}}) is valid
