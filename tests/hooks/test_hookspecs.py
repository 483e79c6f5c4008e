"""Every hook's docstring holds a complete plugin: each is loaded here and has the effect that it documents."""

import inspect
import json
import re
from pathlib import Path

import pytest
import torch

from automl import Policy
from automl.data.augmentation.augment import BatchAugmentation
from automl.hooks import hookspecs
from automl.hooks.host import load_plugins
from automl.testing import check_architecture

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("automl_"))


@pytest.fixture
def load_example(tmp_path):
    def load(hook):
        (example,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(getattr(hookspecs, hook)), flags=re.DOTALL)
        file = tmp_path / f"example_{hook}.py"
        file.write_text(example)
        host = load_plugins(files=[file], entry_points=False)
        assert [str(b) for b in host.broken] == []
        return host

    return load


@pytest.fixture
def run(tmp_path):
    return {"folder": str(tmp_path), "study": "first", "data": "digits", "settings": {"folds": 5}}


def test_the_architecture_of_the_example_builds_trains_and_saves(load_example):
    network = load_example("automl_architectures").architecture("two_layers")
    assert list(network.parameters) == ["width", "dropout", "activation"]
    checks = check_architecture(network, (1, 8, 8), 3, random_configs=2)
    assert {c.outcome for c in checks} == {"ok"}


def test_the_optimizer_of_the_example_steps_along_the_average_of_the_gradients(load_example):
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    averaged = load_example("automl_optimizers").optimizer("averaged")
    optimizer = averaged.build([{"params": [weight], "weight_decay": 0.0}], 0.1, momentum=0.9)
    for gradient in (1.0, 3.0):  # averages: 1, then 0.9 * 1 + 0.1 * 3 = 1.2
        weight.grad = torch.tensor([gradient])
        optimizer.step()
    assert weight.item() == pytest.approx(1 - 0.1 - 0.12)


def test_the_schedule_of_the_example_falls_to_zero(load_example):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = load_example("automl_schedules").schedule("polynomial").build(optimizer, 2, 2, power=2.0)
    rates = []
    for _ in range(4):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5625, 0.25, 0.0625, 0.0])


def test_the_augmentations_of_the_example_are_a_policy_and_a_function(load_example):
    host = load_example("automl_augmentations")
    assert host.augmentation("wobble").build(degrees=7.0) == Policy(rotation=7.0, scale=0.1)
    images = torch.arange(200).view(200, 1, 1, 1).expand(200, 3, 4, 4).to(torch.uint8)
    torch.manual_seed(0)
    changed, _ = BatchAugmentation(function=host.augmentation("negative").build(share=0.3))(images, None, None)
    negative = (changed == 255 - images).all(dim=(1, 2, 3))
    assert (negative ^ (changed == images).all(dim=(1, 2, 3))).all()
    assert 40 < int(negative.sum()) < 80


def test_the_dataset_of_the_example_gives_two_kinds_of_stripes(load_example):
    source = load_example("automl_datasets").dataset("stripes")
    made = source.make("size=24, samples=100")
    x, y = made["x"], made["y"]
    assert x.shape == (100, 24, 24)
    assert source.make("")["x"].shape == (200, 16, 16)
    assert x.dtype == "uint8"
    assert made["classes"] == ["horizontal", "vertical"]
    along = x.std(axis=2).mean(axis=1)  # within each row: zero when the stripes are horizontal
    assert (along[y == 0] == 0).all()
    assert (along[y == 1] > 0).all()


def test_the_listener_that_names_itself_is_told_where_it_is_asked_for(load_example, run, tmp_path):
    host = load_example("automl_log_to")
    for settings in ({}, {"log_to": ["scores"]}):
        asking = {**run, "settings": settings}
        assert host.notify("automl_trial_finished", run=asking, trial={"number": 3, "score": 0.5}) == []
    assert (tmp_path / "scores.txt").read_text() == "3 0.5\n"


def test_the_listener_of_the_example_notes_the_start(load_example, run, tmp_path):
    assert load_example("automl_search_started").notify("automl_search_started", run=run) == []
    assert (tmp_path / "started.txt").read_text() == "first on digits"


def test_the_listener_of_the_example_appends_each_trial(load_example, run, tmp_path):
    host = load_example("automl_trial_finished")
    for number in range(2):
        assert host.notify("automl_trial_finished", run=run, trial={"number": number, "score": 0.5}) == []
    lines = (tmp_path / "finished.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"trial": n, "score": 0.5} for n in range(2)]


def test_the_listener_of_the_example_notes_the_end(load_example, run, tmp_path):
    assert load_example("automl_search_finished").notify("automl_search_finished", run=run) == []
    assert (tmp_path / "done.txt").read_text() == "first is done"


def test_every_hook_has_its_example_run_by_a_test():
    source = Path(__file__).read_text()
    tested = set(re.findall(r'load_example\("(\w+)"\)', source))
    assert sorted(tested) == HOOKS
