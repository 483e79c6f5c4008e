"""The public names, and what importing them costs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sklearn.datasets import make_blobs

import automl

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "sklearn", "optuna", "pandas", "matplotlib")


def loaded_by(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import automl",
        "from automl import Int, Float, Choice, architecture, hookimpl, Infeasible",
        "import automl.settings",
    ],
)
def test_what_a_plugin_imports_loads_no_torch(statement):
    assert loaded_by(statement) == set()


@pytest.mark.parametrize("arguments", [["leaderboard", "--csv"], ["show", "0"]])
def test_who_looks_at_a_run_waits_for_optuna_alone(arguments, tmp_path):
    run = tmp_path / "run"
    blobs = make_blobs(60, 3, random_state=0)
    automl.search(blobs, "smoke", out=run, report=False, architectures=["mlp"], trials=1, folds=2, epochs=1, repeats=1)
    command = [arguments[0], str(run), *arguments[1:]]
    script = f"import contextlib, os\nfrom automl.cli import main\nsys.argv = {['automl', *command]}\n"
    script += "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(open(os.devnull, 'w')): main()"
    assert loaded_by(script) == {"optuna"}


def test_the_check_above_would_see_torch():
    assert "torch" in loaded_by("import automl.training.losses")


@pytest.mark.parametrize("name", automl.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(automl, name).__doc__
    assert name in dir(automl)


def test_the_lazy_names_are_the_public_names():
    assert sorted(automl._HOME) == sorted(automl.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'automl' has no attribute 'serach'"):
        automl.serach  # noqa: B018


@pytest.mark.parametrize("name", automl.__all__)
def test_no_module_takes_the_name_of_a_public_function(name):
    assert importlib.util.find_spec(f"automl.{name}") is None


def test_every_package_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "automl").rglob("__init__.py")}
    listed = {name for name in project["tool"]["setuptools"]["packages"] if name.startswith("automl.")} | {"automl"}
    assert listed - {"automl.hooks.template"} == packages
