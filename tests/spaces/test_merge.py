from __future__ import annotations

import pickle
from types import MappingProxyType

import pytest
from catalogue import CATALOGUE, merged

from automl.data.augmentation.policy import BOUNDS
from automl.errors import SpaceError
from automl.spaces.merge import merge
from automl.spaces.parameters import Choice, Float, Int
from automl.spaces.space import Catalogue
from automl.spaces.training import AUGMENTATION_PARTS, TRAINING
from automl.spaces.yaml_file import parse


def test_a_choice_of_very_many_values_is_read_and_its_doubles_are_found():
    # In quadratic time this would never end.
    values = ", ".join(map(str, range(100_000)))
    assert len(merged(f"training: {{batch_size: [{values[3:]}]}}").training["batch_size"].values) == 99_999
    with pytest.raises(SpaceError, match="listed twice"):
        merged(f"training: {{batch_size: [{values}, 7]}}")


def test_a_foreign_value_cannot_flood_the_message():
    for text in ("{int: [%s, 1]}", "{%s: 1}", "{int: [1, 2], %s: 1}", "%s", "{int: [1, 2, %s]}", "[[%s]]"):
        with pytest.raises(SpaceError) as error:
            merged("architectures: {resnet: {depth: " + text % ("x" * 10_000) + "}}")
        assert len(str(error.value)) < 300


def test_a_space_can_be_sent_to_another_process():
    lenet = MappingProxyType({"width": Int(1, 2)})
    hosted = Catalogue({"lenet": lenet}, CATALOGUE.optimizers, CATALOGUE.schedules, CATALOGUE.augmentations)
    assert pickle.loads(pickle.dumps(merge(None, hosted))) == merge(None, hosted)


def test_without_a_file_the_space_is_all_that_the_plugins_declare_but_no_augmentation():
    space = merged()
    assert space.architectures == CATALOGUE.architectures
    assert space.optimizers == CATALOGUE.optimizers
    assert space.schedules == CATALOGUE.schedules
    assert space.augmentations == {"none": {}}
    assert space.training == TRAINING
    assert merged("{}") == space


def test_a_file_replaces_domains_and_keeps_the_rest():
    space = merged("""
        architectures:
          lenet:
          resnet: {depth: {int: [1, 3]}, kernel_size: 3}
        training:
          optimizer: [sgd, adam]
          lr: {float: [1e-4, 1], log: true}
          batch_size: [48, 96]
        description: for tests
        """)
    assert list(space.architectures) == ["lenet", "resnet"]
    assert space.architectures["lenet"] == CATALOGUE.architectures["lenet"]
    assert space.architectures["resnet"] == CATALOGUE.architectures["resnet"] | {"depth": Int(1, 3), "kernel_size": 3}
    assert space.training["lr"] == Float(1e-4, 1.0, log=True)
    assert space.training["batch_size"] == Choice(48, 96)
    assert space.training["weight_decay"] == TRAINING["weight_decay"]
    assert space.schedules == CATALOGUE.schedules


@pytest.mark.parametrize("names", ["sgd", "[sgd]", "{sgd: }", "{sgd: {}}"])
def test_names_may_be_a_scalar_a_list_or_a_mapping(names):
    assert merged(f"training: {{optimizer: {names}}}").optimizers == {"sgd": CATALOGUE.optimizers["sgd"]}


def test_optimizers_and_schedules_take_domains_like_architectures():
    space = merged("training: {optimizer: {sgd: {momentum: 0.9}}, schedule: {step: {gamma: [0.1, 0.5]}}}")
    assert space.optimizers == {"sgd": {"momentum": 0.9, "nesterov": Choice(True, False)}}
    assert space.schedules == {"step": {"gamma": Choice(0.1, 0.5)}}


def test_a_whole_number_for_a_float_becomes_a_float():
    space = merged("training: {lr: 1, weight_decay: [0, 1e-4]}")
    assert type(space.training["lr"]) is float
    assert [type(v) for v in space.training["weight_decay"].values] == [float, float]


def test_a_replaced_domain_keeps_the_condition_unless_it_has_its_own():
    groups = [
        merged(f"architectures: {{resnet: {{groups: {text}}}}}").architectures["resnet"]["groups"]
        for text in ("{int: [1, 4]}", "[2, 4]", "4", "{int: [1, 4], when: {norm: [group, batch]}}")
    ]
    assert groups[0] == Int(1, 4, when={"norm": "group"})
    assert groups[1] == Choice(2, 4, when={"norm": "group"})
    assert groups[2] == Choice(4, when={"norm": "group"})
    assert groups[3] == Int(1, 4, when={"norm": ("group", "batch")})


def test_a_choice_may_shrink_until_a_condition_can_never_hold():
    config = [c for c in merged("architectures: {resnet: {norm: batch}}").parameters() if c == "resnet.groups"]
    assert config == ["resnet.groups"]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (
            "architectures:\n  lenet:\n    dopth: 3",
            "3: architectures.lenet.dopth",
            "unknown parameter 'dopth'; did you",
        ),
        (
            "architectures:\n- lenet\n- resnt",
            "3: architectures.1",
            "unknown architecture 'resnt'; did you mean 'resnet'?",
        ),
        ("architectures: {linear: {a: 1}}", "1: architectures.linear.a", "unknown parameter 'a'; it has none"),
        ("architectures: []", "1: architectures", "names no architecture"),
        ("architectures: {}", "1: architectures", "names no architecture"),
        ("architectures:", "1: architectures", "names no architecture"),
        ("architectures: 3", "1: architectures", "names no architecture"),
        ("architectures: [lenet, lenet]", "1: architectures.1", "listed twice"),
        ("architectures: [3]", "1: architectures.0", "must be the name of an architecture, not the number 3"),
        ("architectures: {lenet: 3}", "1: architectures.lenet", "must map parameters to their domains"),
        ("architecture: lenet", "1: architecture", "did you mean 'architectures'?"),
        ("description: [a]", "1: description", "must be a text"),
        ("training: [sgd]", "1: training", "must map training parameters"),
        ("training: {wieght_decay: 1}", "1: training.wieght_decay", "did you mean 'weight_decay'?"),
        ("training: {optimizer: sdg}", "1: training.optimizer", "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("training: {schedule: [3]}", "1: training.schedule.0", "must be the name of a schedule"),
        ("training: {augmentation: [none, ligth]}", "1: training.augmentation.1", "did you mean 'light'?"),
        ("training: {augmentation: }", "1: training.augmentation", "leave out for none"),
        (
            "training: {augmentation: {blur: {sgima: 1}}}",
            "1: training.augmentation.blur.sgima",
            "did you mean 'sigma'?",
        ),
        ("training: {roation: 3}", "1: training.roation", "did you mean 'rotation'?"),
        ("training: {rotation: {float: [0, 200]}}", "1: training.rotation", "200 is too large: the most is 180"),
        ("training: {crop_area: [0.05, 1]}", "1: training.crop_area", "0.05 is too small: the least is 0.1"),
        ("training: {optimizer: {sgd: {momentm: 1}}}", "1: training.optimizer.sgd.momentm", "did you mean 'momentum'?"),
        ("training: {lr: fast}", "1: training.lr", "must be a number (the domain to replace is 0.0001..0.1 log)"),
        ("training: {lr: }", "1: training.lr", "not null; leave the key out"),
        ("training: {lr: -1}", "1: training.lr", "-1 is too small: the least is 0"),
        ("training: {batch_size: [0, 32]}", "1: training.batch_size", "0 is too small: the least is 1"),
        ("training: {batch_size: 1.5}", "1: training.batch_size", "must be a whole number"),
        ("training: {batch_size: {float: [1, 2]}}", "1: training.batch_size", "must be a whole number"),
        ("training: {lr: {float: [1e-3, 1], when: {optimizer: sgd}}}", "1: training.lr", "takes no condition"),
        ("training: {lr: {float: [1]}}", "1: training.lr", "float must be [low, high], not [1]"),
        ("training: {lr: {float: 1}}", "1: training.lr", "float must be [low, high], not the number 1"),
        ("training: {lr: {flaot: [1, 2]}}", "1: training.lr", "did you mean 'float'?"),
        ("training: {lr: {float: [1, 2], lgo: true}}", "1: training.lr", "unknown option 'lgo'; did you mean 'log'?"),
        ("training: {lr: {float: [1, 2], log: yes}}", "1: training.lr", "log must be true or false"),
        ("training: {lr: {int: [1, 2], float: [1, 2]}}", "1: training.lr", "not int and float"),
        ("training: {lr: {}}", "1: training.lr", "exactly one of int, float, choice and text"),
        ("training: {lr: {choice: 3}}", "1: training.lr", "choice must be a list"),
        ("training: {lr: []}", "1: training.lr", "at least one value"),
        ("architectures: {resnet: {norm: grup}}", "1: architectures.resnet.norm", "did you mean 'group'?"),
        ("architectures: {resnet: {depth: 1.5}}", "1: architectures.resnet.depth", "must be a whole number"),
        ("architectures: {resnet: {depth: {int: [3, 1]}}}", "1: architectures.resnet.depth", "3 is above high 1"),
        ("architectures: {resnet: {depth: {int: [[3], 1]}}}", "1: architectures.resnet.depth", "not [3]"),
        (
            "architectures: {resnet: {groups: {int: [1, 2], when: {nrom: group}}}}",
            "1: architectures.resnet.groups",
            "the condition names 'nrom', which is no parameter here; did you mean 'norm'?",
        ),
        (
            "architectures: {resnet: {depth: {int: [1, 2], when: {norm: group}}}}",
            "1: architectures.resnet.depth",
            "takes no condition `when`: it is always needed",
        ),
        (
            "architectures: {resnet: {groups: {int: [1, 2], when: {bias: true}}}}",
            "1: architectures.resnet.groups",
            "the condition names 'bias', which comes later",
        ),
        (
            "architectures: {resnet: {groups: {int: [1, 2], when: {norm: grup}}}}",
            "1: architectures.resnet.groups",
            "norm=grup cannot hold; did you mean 'group'?",
        ),
        ("architectures: {resnet: {groups: {int: [1, 2], when: }}}", "1: architectures.resnet.groups", "not null"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line_and_key(text, place, problem):
    with pytest.raises(SpaceError) as error:
        merged(text)
    assert error.value.place == f"space.yaml:{place}"
    assert problem in error.value.problem


def test_overrides_go_over_the_file_and_the_last_one_counts():
    space = merged(
        "architectures: {resnet: {depth: 2, kernel_size: 3}}",
        "resnet.depth=4",
        "resnet.depth=[1, 3]",
        "train.lr={float: [1e-3, 1e-1], log: true}",
        "train.sgd.momentum=0.5",
        "train.optimizer=sgd",
        "resnet.groups=4",
    )
    assert space.architectures["resnet"]["depth"] == Choice(1, 3)
    assert space.architectures["resnet"]["kernel_size"] == 3
    assert space.architectures["resnet"]["groups"] == Choice(4, when={"norm": "group"})
    assert space.training["lr"] == Float(1e-3, 0.1, log=True)
    assert space.optimizers == {"sgd": {"momentum": 0.5, "nesterov": Choice(True, False)}}


def test_augmentations_are_chosen_by_name_with_their_domains():
    space = merged("training: {augmentation: [none, blur]}", "train.blur.sigma=1.5")
    assert space.augmentations == {"none": {}, "blur": {"sigma": 1.5}}
    space = merged("training: {augmentation: {blur: {sigma: [1, 2]}}}")
    assert space.augmentations == {"blur": {"sigma": Choice(1.0, 2.0)}}
    assert merged(None, "train.augmentation=light").augmentations == {"light": {}}
    with pytest.raises(SpaceError, match="augmentation 'blur' is not in the search space, which has none"):
        merged(None, "train.blur.sigma=1")


def test_a_part_of_an_augmentation_is_searched_only_where_it_is_named():
    assert not {*BOUNDS} & {*merged("training: {augmentation: light}").training}
    space = merged("training: {augmentation: light, rotation: {float: [0, 30]}, horizontal_flip: 0}", "train.mixup=0.2")
    parts = {"horizontal_flip": 0.0, "rotation": Float(0.0, 30.0), "mixup": 0.2}
    assert {name: domain for name, domain in space.training.items() if name in BOUNDS} == parts


def test_the_parts_of_an_augmentation_are_those_of_a_policy_and_their_domains_lie_within_its_bounds():
    assert AUGMENTATION_PARTS.keys() == BOUNDS.keys()
    for name, domain in AUGMENTATION_PARTS.items():
        least, most = BOUNDS[name]
        assert least <= domain.low < domain.high <= most


def test_choosing_an_optimizer_again_keeps_what_the_file_says_of_it():
    space = merged("training: {optimizer: {sgd: {momentum: 0.9}, adam: }}", "train.optimizer=[sgd]")
    assert space.optimizers == {"sgd": {"momentum": 0.9, "nesterov": Choice(True, False)}}
    space = merged("training: {optimizer: {sgd: {momentum: 0.9}}}", "train.optimizer={sgd: {momentum: 0.5}}")
    assert space.optimizers["sgd"]["momentum"] == 0.5


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("resnet.detph=3", "unknown parameter 'resnet.detph'; did you mean 'resnet.depth'?"),
        ("train.sdg.momentum=1", "did you mean 'train.sgd.momentum'?"),
        ("train.lrr=1", "did you mean 'train.lr'?"),
        ("architecture=lent", "unknown architecture 'lent'; did you mean 'lenet'?"),
        ("train.optimizer=sdg", "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("train.augmentation=ligth", "unknown augmentation 'ligth'; did you mean 'light'?"),
        ("train.blur.sgima=1", "did you mean 'train.blur.sigma'?"),
        ("train.mixup=11", "11 is too large: the most is 10"),
        ("resnet.depth=deep", "must be a whole number"),
        ("train.batch_size=0", "0 is too small"),
        ("train.lr=[1", "not valid YAML"),
        ("train.lr=.inf", "not a finite number"),
        ("resnet=3", "unknown parameter 'resnet'"),
        ("train.resnet.depth=3", "unknown parameter 'train.resnet.depth'; did you mean 'resnet.depth'?"),
        ("sgd.momentum=0.5", "did you mean 'train.sgd.momentum'?"),
        ("resnet.depth", "must be NAME=VALUE"),
        ("resnet.depth= ", "must be NAME=VALUE"),
        ("=3", "must be NAME=VALUE"),
    ],
)
def test_a_mistake_in_an_override_is_named_with_the_nearest_full_name(override, problem):
    with pytest.raises(SpaceError) as error:
        merged(None, override)
    assert error.value.place == f"--set {override}"
    assert problem in error.value.problem


def test_an_override_of_what_is_not_searched_is_refused():
    with pytest.raises(SpaceError, match="architecture 'resnet' is not in the search space, which has lenet"):
        merged("architectures: [lenet]", "resnet.depth=3")
    with pytest.raises(SpaceError, match="optimizer 'sgd' is not in the search space, which has adam"):
        merged(None, "train.sgd.momentum=0.5", "train.optimizer=adam")


def test_architectures_restrict_the_space():
    space = merged("architectures: {lenet: , resnet: {depth: 3}}", architectures=("resnet",))
    assert list(space.architectures) == ["resnet"]
    assert space.architectures["resnet"]["depth"] == 3
    with pytest.raises(SpaceError, match=r"--architecture lent: .* 'lent'; did you mean 'lenet'\?"):
        merged(architectures=("lent",))
    with pytest.raises(SpaceError, match="does not list 'resnet', only lenet"):
        merged("architectures: [lenet]", architectures=("resnet",))


A = {"a": {"x": Int(1, 2)}}


@pytest.mark.parametrize(
    ("catalogue", "problem"),
    [
        (Catalogue({}, {"sgd": {}}, {"constant": {}}, {"none": {}}), "has no architecture"),
        (Catalogue({"lenet": {}}, {}, {"constant": {}}, {"none": {}}), "has no optimizer"),
        (Catalogue({"lenet": {}}, {"sgd": {}}, {"constant": {}}, {}), "has no augmentation"),
        (Catalogue({"train": {}}, {"sgd": {}}, {"constant": {}}, {"none": {}}), "cannot be called 'train'"),
        (Catalogue({"lenet": {}}, A, A, {"none": {}}), "`train.a.x` is of the optimizer and of the schedule"),
        (Catalogue({"lenet": {}}, {"sgd": {}}, A, A), "`train.a.x` is of the schedule and of the augmentation"),
    ],
)
def test_plugins_that_leave_no_choice_or_clash_are_refused(catalogue, problem):
    with pytest.raises(SpaceError) as error:
        merge(None, catalogue)
    assert problem in str(error.value)


def test_all_that_is_wrong_with_a_file_is_said_at_once_each_at_its_place():
    text = """
architectures:
  resnet: {detph: 3, depth: many}
  lennet:
training:
  lr: fast
  optimzer: sgd
  batch_size: {int: [8, few]}
nonsense: 1
"""
    with pytest.raises(SpaceError) as error:
        merged(text)
    lines = str(error.value).splitlines()
    keys = ["architectures.resnet.detph", "architectures.resnet.depth", "architectures.lennet",
            "training.optimzer", "training.lr", "training.batch_size", "nonsense"]  # fmt: skip
    assert len(lines) == len(keys)
    assert all(f": {key}: " in line for key, line in zip(keys, lines, strict=True))


def test_a_file_full_of_nonsense_does_not_fill_the_terminal():
    with pytest.raises(SpaceError) as error:
        merged("\n".join(f"key{number}: 1" for number in range(1000)))
    assert str(error.value).splitlines()[-1] == "and 980 more"


def test_all_overrides_that_are_wrong_are_said_at_once():
    with pytest.raises(SpaceError, match=r"(?s)--set resnet.dpth=3: .*\n--set train.lr=-1: "):
        merged(None, "resnet.dpth=3", "train.lr=-1")


def test_an_added_architecture_competes_with_those_of_the_space_on_its_own_domains():
    space = merge(parse("architectures: {lenet: {width: 8}}", "space.yaml"), CATALOGUE, added=["resnet", "lenet"])
    assert set(space.architectures) == {"lenet", "resnet"}
    assert space.architectures["lenet"]["width"] == 8
    assert space.architectures["resnet"] == CATALOGUE.architectures["resnet"]
    with pytest.raises(SpaceError, match=r"--add resnt: unknown architecture 'resnt'; did you mean 'resnet'\?"):
        merge(None, CATALOGUE, added=["resnt"])
