"""`automl plugins new`: what it refuses, and that what it writes installs, passes its own test and can be searched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import automl
from automl.errors import BadInput
from automl.hooks.host import PluginHost, load_plugins
from automl.hooks.scaffold import FILES, LONGEST, write_package


def automl_command(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "automl", *arguments, folder=folder, **variables)


def python(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`wide-net` as the command writes it."""
    folder = tmp_path_factory.mktemp("new")
    done = automl_command("plugins", "new", "wide-net", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "wide-net"


@pytest.fixture(scope="module")
def installed(package: Path) -> Path:
    """The package, really installed, but beside the environment: a folder for PYTHONPATH."""
    target = package.parent / "installed"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    done = python("-m", "pip", "install", "./wide-net", *options, folder=package.parent)
    assert done.returncode == 0, done.stderr
    return target


def test_the_command_writes_a_package_and_says_what_to_type_next(package: Path) -> None:
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "search_space.yaml", "automl_wide_net.py", "tests/test_wide_net.py"} <= files
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["name"] == "automl-wide-net"
    assert project["entry-points"] == {"automl": {"wide_net": "automl_wide_net"}}
    assert project["dependencies"] == [f"automl>={automl.__version__}"]


def test_no_placeholder_is_left_and_the_code_is_clean(package: Path) -> None:
    texts = {path: path.read_text() for path in package.rglob("*") if path.suffix in (".py", ".md", ".toml", ".yaml")}
    assert not [path for path, text in texts.items() if "$" in text]
    sources = [str(path) for path in package.rglob("*.py") if "build" not in path.parts]
    options = ["--isolated", "--no-cache", "--line-length=120", *sources]
    for command in (["check", "--select=E,F,I,B,UP,SIM,RUF,PT"], ["format", "--check"]):
        done = python("-m", "ruff", *command, *options, folder=package)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_new_package_installs_and_passes_its_own_test(package: Path, installed: Path) -> None:
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=package, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


@pytest.mark.slow
def test_an_installed_package_is_listed_with_its_version_and_can_be_searched(package: Path, installed: Path) -> None:
    listed = automl_command("plugins", "--json", folder=package.parent, PYTHONPATH=str(installed))
    (row,) = [row for row in json.loads(listed.stdout)["plugins"] if row["name"] == "wide_net"]
    assert (row["kind"], row["plugin"], row["version"]) == ("architecture", "wide_net", "0.1.0")
    assert row["source"].startswith(str(installed / "automl_wide_net.py"))
    search = ["search", "digits", "--space", "wide-net/search_space.yaml", "--json", "--out", "run"]
    search += ["--trials", "2", "--epochs", "2", "--folds", "2", "--finalists", "1"]
    done = automl_command(*search, folder=package.parent, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert {trial["architecture"] for trial in json.loads(done.stdout)["trials"]} == {"wide_net"}


@pytest.mark.slow
def test_a_second_package_of_the_name_is_refused_once_the_first_is_installed(package: Path, installed: Path) -> None:
    arguments = ("plugins", "new", "wide_net", "--dir", str(installed))
    done = automl_command(*arguments, folder=package.parent, PYTHONPATH=str(installed))
    assert done.returncode == 2
    assert "there is an architecture 'wide_net' already, from plugin 'wide_net'" in done.stderr


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "a name has lower-case letters"),
        ("1net", "a name has lower-case letters"),
        ("Net", "a name has lower-case letters"),
        ("my--net", "a name has lower-case letters"),
        ("../net", "a name has lower-case letters"),
        ("net\n", "a name has lower-case letters"),
        ("nét", "a name has lower-case letters"),
        ("n" * (LONGEST + 1), "at most 60 characters, this one 61"),
        ("class", "a word of Python's or YAML's own; choose another, e.g. my-class"),
        ("len", "a word of Python's or YAML's own"),
        ("null", "a word of Python's or YAML's own"),
        ("architecture", "a name of automl's own"),
        ("nn", "a name of automl's own"),
        ("resnet", "there is an architecture 'resnet' already, from plugin 'resnet'"),
        ("adam", "there is an optimizer 'adam' already, from plugin 'optimizers'"),
        ("optimizers", "there is a plugin 'optimizers' already"),
        ("plugins", "there is a module 'automl_plugins' already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_written(
    tmp_path: Path, host: PluginHost, name: str, problem: str
) -> None:
    with pytest.raises(BadInput) as caught:
        write_package(name, tmp_path, host)
    assert problem in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_never_touched(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("taken", "dangling"):
        with pytest.raises(BadInput, match=f"{name}: exists already; give another name"):
            write_package(name, tmp_path, host)
    assert (tmp_path / "taken").read_text() == "mine"
    with pytest.raises(BadInput, match=r"--dir .*nowhere: no such folder"):
        write_package("net", tmp_path / "nowhere", host)
    with pytest.raises(BadInput, match=r"--dir .*taken: is a file"):
        write_package("net", tmp_path / "taken", host)


def test_what_could_not_be_written_to_its_end_is_taken_away(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "test_plugin.py", "README.md/test_$function.py")  # a file in the place of a folder
    with pytest.raises(BadInput, match="net: cannot be written: File exists"):
        write_package("net", tmp_path, host)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_broken_plugin_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("import no_such_thing")
    host = load_plugins(files=[tmp_path / "half.py"])
    with pytest.raises(BadInput, match="there is a plugin 'half' already"):
        write_package("half", tmp_path, host)


def test_every_template_is_written_and_goes_into_the_wheel() -> None:
    folder = Path(automl.__file__).parent / "hooks" / "template"
    assert {path.name.removesuffix(".tmpl") for path in folder.iterdir()} == FILES.keys()
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = project["tool"]["setuptools"]
    assert "automl.hooks.template" in setuptools["packages"]
    assert setuptools["package-data"]["automl.hooks.template"] == ["*.tmpl"]
