"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import automl

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
