import json

import pytest
from typer.testing import CliRunner

from automl.cli.plugins import app
from automl.errors import BadInput, PluginError

GOOD = '''\
from automl import Int, architecture, hookimpl
from torch import nn


@architecture(width=Int(2, 8, log=True))
def tower(input_shape, num_outputs, *, width):
    """A tower of [bold] width."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.Linear(width, num_outputs + (width == 8)))


@hookimpl
def automl_architectures():
    return [tower]
'''
FINE = GOOD.replace(" + (width == 8)", "")


@pytest.fixture
def good(tmp_path):
    file = tmp_path / "towers.py"
    file.write_text(GOOD)
    return str(file)


@pytest.fixture
def bad(tmp_path):
    file = tmp_path / "bad.py"
    file.write_text("import no_such_thing\n")
    return str(file)


def run(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments))


def test_the_table_lists_built_in_and_given_plugins_and_the_broken_ones(good, bad):
    result = run("--plugin", good, "--plugin", bad)
    assert result.exit_code == 0
    for text in ("resnet", "adamw", "cosine", "A tower of [bold] width.", "width: 2..8 log"):
        assert text in result.stdout
    assert "plugin 'bad' (bad.py:1): ModuleNotFoundError: No module named 'no_such_thing'" in result.stdout


def test_json_has_a_row_for_each_declaration_and_each_broken_plugin(good, bad):
    listing = json.loads(run("--json", "--plugin", good, "--plugin", bad).stdout)
    (tower,) = [p for p in listing["plugins"] if p["name"] == "tower"]
    assert tower == {
        "name": "tower",
        "kind": "architecture",
        "summary": "A tower of [bold] width.",
        "parameters": {"width": "2..8 log"},
        "plugin": "towers",
        "source": f"{good}:5",
        "version": "",
    }
    assert all(p["version"] for p in listing["plugins"] if p["name"] != "tower")
    (broken,) = listing["broken"]
    assert (broken["plugin"], broken["source"], broken["line"]) == ("bad", bad, 1)
    assert broken["message"].startswith("plugin 'bad' (bad.py:1): ")


def test_a_folder_of_plugins_is_listed(good, tmp_path):
    listing = json.loads(run("--json", "--plugins-dir", str(tmp_path)).stdout)
    assert "tower" in [p["name"] for p in listing["plugins"]]


def test_check_exits_1_and_shows_the_config_that_fails(good):
    result = run("check", good, "--input-shape", "1,4,4", "--outputs", "3")
    assert result.exit_code == 1
    assert 'failed: {"width": 8}: the network\'s output has shape [2, 4]; it must be [2, 3]' in result.stdout


def test_check_exits_0_when_all_is_well(good, tmp_path):
    (tmp_path / "towers.py").write_text(FINE)
    result = run("check", "tower", "--plugin", good, "--input-shape", "1,4,4")
    assert result.exit_code == 0
    assert "0 infeasible, 0 failed" in result.stdout


def test_check_takes_options_before_it_and_prints_json(good):
    result = run("--json", "--plugin", good, "check", "tower", "--input-shape", "5")
    checks = json.loads(result.stdout)["tower"]
    assert result.exit_code == 1
    assert {(c["config"]["width"] == 8, c["outcome"]) for c in checks} == {(True, "failed"), (False, "ok")}


def test_check_exits_1_when_no_config_is_feasible():
    result = run("check", "lenet", "--input-shape", "20")
    assert result.exit_code == 1
    assert "0 ok" in result.stdout


def test_check_of_an_unknown_name_names_the_nearest(good):
    result = run("check", "towr", "--plugin", good)
    assert isinstance(result.exception, BadInput)
    assert str(result.exception) == "unknown architecture 'towr'; did you mean 'tower'?"


def test_check_of_a_broken_file_says_what_is_broken(bad):
    result = run("check", bad)
    assert isinstance(result.exception, PluginError)
    assert result.exception.exit_code == 2
    assert str(result.exception).startswith("plugin 'bad' (bad.py:1): ModuleNotFoundError")


@pytest.mark.parametrize("name", ["sgd", "adamw", "cosine", "plateau", "one_cycle", "medium"])
def test_check_takes_every_kind_that_is_declared(name):
    result = run("check", name)
    assert result.exit_code == 0, result.stdout
    assert ", 0 infeasible, 0 failed" in result.stdout


HEAD = "import torch\nfrom automl import augmentation, dataset, hookimpl, optimizer, schedule\n\n\n"
WRONG = {
    "leaves the weights": (
        "optimizer",
        "class Lazy(torch.optim.SGD):\n    def step(self, closure=None):\n        pass\n\n\n"
        "@optimizer()\ndef broken(params, lr):\n    'Does nothing.'\n    return Lazy(params, lr)\n",
        "4 steps leave the parameter '0.weight' as it is",
    ),
    "forgets": (
        "optimizer",
        "class Forgetful(torch.optim.SGD):\n    def __init__(self, *a):\n        super().__init__(*a)\n"
        "        self.count = 0\n\n    def step(self, closure=None):\n        self.count += 1\n"
        "        for group in self.param_groups:\n            group['lr'] = 0.1 * self.count\n"
        "        super().step()\n\n\n"
        "@optimizer()\ndef broken(params, lr):\n    'Counts for itself.'\n    return Forgetful(params, lr)\n",
        "with its saved state it goes on differently; keep what it remembers in `self.state`",
    ),
    "raises": (
        "optimizer",
        "@optimizer()\ndef broken(params, lr):\n    'Divides by zero.'\n    return 1 / 0\n",
        "ZeroDivisionError: division by zero at file.py:8",
    ),
    "negative": (
        "schedule",
        "@schedule()\ndef broken(optimizer, epochs, steps_per_epoch):\n    'Falls below zero.'\n"
        "    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step)\n",
        "the learning rates of 5 epochs are",
    ),
    "other images": (
        "augmentation",
        "import random\n\n\n@augmentation()\ndef broken():\n    'Random.'\n"
        "    return lambda images: images.float() * random.random()\n",
        "with the same seed it gives other images; draw what is random with torch",
    ),
    "one class": (
        "dataset",
        "import numpy as np\n\n\n@dataset\ndef broken():\n    'One class.'\n"
        "    return np.zeros((4, 8, 8), np.uint8), np.zeros(4, int)\n",
        "classification needs at least two classes, found 1",
    ),
}


@pytest.mark.parametrize(("kind", "text", "problem"), WRONG.values(), ids=WRONG)
def test_check_says_what_is_wrong_with_a_plugin_of_any_kind(kind, text, problem, tmp_path):
    file = tmp_path / "file.py"
    file.write_text(f"{HEAD}{text}\n\n@hookimpl\ndef automl_{kind}s():\n    return [broken]\n")
    result = run("check", str(file))
    assert result.exit_code == 1, result.stdout
    assert problem in result.stdout


def test_check_of_a_listener_runs_a_small_search_and_says_what_it_raises(tmp_path):
    file = tmp_path / "listener.py"
    file.write_text(
        "from automl import hookimpl\n\n\n@hookimpl\ndef automl_trial_finished(trial):\n    trial['no such key']\n"
    )
    result = run("check", str(file))
    assert result.exit_code == 1, result.stdout
    assert "plugin 'listener' (listener.py:6): KeyError: 'no such key'" in result.stdout


def test_check_of_a_file_that_declares_nothing_is_bad_input(tmp_path):
    file = tmp_path / "empty.py"
    file.write_text("")
    result = run("check", str(file))
    assert str(result.exception) == f"{file}: declares nothing and listens to nothing; there is nothing to check"


@pytest.mark.parametrize("shape", ["0,28,28", "28,28", "a", "", "1,28,-1"])
def test_a_wrong_input_shape_is_bad_input(shape):
    result = run("check", "linear", "--input-shape", shape)
    assert isinstance(result.exception, BadInput)
    assert f"--input-shape {shape}: must be channels,height,width" in str(result.exception)
