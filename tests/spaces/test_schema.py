from __future__ import annotations

import pytest
from catalogue import CATALOGUE, merged

from automl.errors import SpaceError
from automl.spaces.parameters import Parameter
from automl.spaces.schema import json_schema
from automl.spaces.training import KNOWN
from automl.spaces.yaml_file import parse

jsonschema = pytest.importorskip("jsonschema")

GOOD = [
    "{}",
    "description: for tests",
    "training:",
    "training: {}",
    "architectures: lenet",
    "architectures: [lenet, resnet]",
    "architectures: {lenet: , resnet: {}, linear: }",
    "architectures: {resnet: {depth: 9, kernel_size: [3, 7], norm: [null, group], groups: 4}}",
    "architectures: {resnet: {depth: {int: [1, 64], log: true}, kernel_size: {int: [3, 7], step: 2}}}",
    "architectures: {resnet: {groups: {choice: [2, 4], when: {norm: [group, batch], depth: 3}}}}",
    "architectures: {lenet: {dropout: {float: [0, 0.5], step: 0.1}, width: {choice: [1]}}}",
    "architectures: {lenet: {dropout: {int: [0, 1]}}}",
    "training: {optimizer: sgd, schedule: [step], lr: 0.1, weight_decay: 0, batch_size: [16, 512]}",
    "training: {optimizer: {sgd: {momentum: 0.9, nesterov: true}, adam: }, lr: {float: [1e-4, 1], log: true}}",
    "training: {augmentation: [none, blur], rotation: {float: [0, 30]}, horizontal_flip: 0, mixup: [0.2, 1]}",
    "training: {augmentation: {light: , blur: {sigma: 1}}}",
    "training: {lr: {choice: [1, 0.5]}, batch_size: {int: [16, 256], log: true}}",
]

BAD = [
    "architecture: lenet",
    "architectures: lennet",
    "architectures: [lennet]",
    "architectures: []",
    "architectures: {}",
    "architectures:",
    "architectures: {lenet: {widht: 3}}",
    "architectures: {lenet: {width: 1.5}}",
    "architectures: {lenet: {width: {int: [1, 2], lgo: true}}}",
    "architectures: {lenet: {width: {itn: [1, 2]}}}",
    "architectures: {lenet: {width: {float: [1, 2]}}}",
    "architectures: {resnet: {norm: grup}}",
    "architectures: {resnet: {groups: {int: [1, 2], when: {nrom: group}}}}",
    "architectures: {resnet: {depth: {int: [1, 2], when: {norm: group}}}}",
    "architectures: {resnet: {depth: true}}",
    "training: {optimizer: sdg}",
    "training: {optimizer: {sgd: {momentm: 1}}}",
    "training: {learning_rate: 1}",
    "training: {lr: fast}",
    "training: {lr: -1}",
    "training: {batch_size: 0}",
    "training: {augmentation: ligth}",
    "training: {crop_area: {float: [0, 1]}}",
    "training: {rotation: 181}",
    "training: {lr: {float: [1]}}",
    "training: {lr: {float: [1, 2], when: {optimizer: sgd}}}",
    "description: 3",
]


@pytest.fixture(scope="module")
def validator():
    schema = json_schema(CATALOGUE)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("text", GOOD)
def test_what_merge_accepts_the_schema_accepts(validator, text):
    merged(text)
    assert [error.message for error in validator.iter_errors(parse(text, "space.yaml").value)] == []


@pytest.mark.parametrize("text", BAD)
def test_mistakes_are_refused_by_the_schema_and_by_merge(validator, text):
    assert not validator.is_valid(parse(text, "space.yaml").value)
    with pytest.raises(SpaceError):
        merged(text)


def test_every_domain_of_a_plugin_may_be_written_out_in_full(validator):
    space = merged().to_json()
    training = {"optimizer": space["optimizers"], "schedule": space["schedules"], **space["training"]}
    training["augmentation"] = space["augmentations"]
    full = {"architectures": space["architectures"], "training": training}
    assert [error.message for error in validator.iter_errors(full)] == []


def test_every_parameter_is_described_by_its_own_domain():
    properties = json_schema(CATALOGUE)["properties"]
    mapping = properties["architectures"]["anyOf"][2]["properties"]
    for name, parameters in CATALOGUE.architectures.items():
        for parameter, domain in parameters.items():
            assert isinstance(domain, Parameter)
            assert str(domain) in mapping[name]["properties"][parameter]["description"]
    assert properties["training"]["properties"].keys() == {"optimizer", "schedule", "augmentation", *KNOWN}
