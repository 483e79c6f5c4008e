"""The search spaces that come with automl: each merges with the built-in plugins and keeps what it says it is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from automl import Infeasible
from automl.hooks.configs import Config, corner_configs
from automl.hooks.host import PluginHost
from automl.spaces.library import list_spaces
from automl.spaces.merge import merge
from automl.spaces.parameters import Choice, Parameter
from automl.spaces.space import Space
from automl.spaces.training import KNOWN
from automl.spaces.yaml_file import read
from automl.training.losses import split_auxiliary

SPACES = {name: path for name, _, path in list_spaces()}
CLASSICS = ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet", "densenet"]
TOO_SMALL = {"alexnet": "three poolings (3x3, stride 2) need 15x15", "vgg": "it must have 16 pixels"}


def merged(name: str, host: PluginHost) -> Space:
    return merge(read(SPACES[name]), host.catalogue())


def corners(group: Any) -> list[Config]:
    """The corners of an architecture's domains; a pinned parameter is a choice of one."""
    return corner_configs({k: d if isinstance(d, Parameter) else Choice(d) for k, d in group.items()})


def output_of(host: PluginHost, name: str, shape: tuple[int, ...], config: Config) -> tuple[int, ...]:
    with torch.device("meta"), torch.no_grad():
        network = host.architecture(name).build(shape, 10, **config)
        return tuple(split_auxiliary(network, network(torch.empty(2, *shape)))[0].shape)


@pytest.mark.parametrize("name", SPACES)
def test_each_merges_with_the_plugins_and_says_in_a_sentence_when_to_use_it(host: PluginHost, name: str) -> None:
    assert merged(name, host).architectures
    description = str(read(SPACES[name]).value["description"])
    assert description.strip().endswith(".")
    assert "\n" not in description.strip()


@pytest.mark.parametrize("name", SPACES)
def test_each_is_in_the_table_of_the_docs(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "search-spaces.md"
    assert re.search(rf"^\| `{name}` \|", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_classics_are_the_seven_families_of_convolutional_networks(host: PluginHost) -> None:
    assert list(merged("classics", host).architectures) == CLASSICS


@pytest.mark.parametrize("family", CLASSICS)
def test_every_corner_of_the_classics_fits_photos_and_digits_or_says_why_not(host: PluginHost, family: str) -> None:
    for config in corners(merged("classics", host).architectures[family]):
        assert output_of(host, family, (3, 32, 32), config) == (2, 10)
        if family in TOO_SMALL:
            with pytest.raises(Infeasible, match=re.escape(TOO_SMALL[family])):
                output_of(host, family, (1, 8, 8), config)
        else:
            assert output_of(host, family, (1, 8, 8), config) == (2, 10)


@pytest.mark.parametrize("technique", ["l1", "label_smoothing", "clip_norm", "ema", "warmup"])
def test_every_technique_of_regularisation_can_be_off(host: PluginHost, technique: str) -> None:
    domain = merged("regularisation", host).training[technique]
    assert isinstance(domain, Choice)
    assert domain.values[0] == 0
    assert KNOWN[technique].accepts(domain.values[-1])
