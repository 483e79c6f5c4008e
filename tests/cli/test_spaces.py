import json

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from automl.cli.spaces import space_app, spaces
from automl.errors import SpaceError

SPACE = """\
architectures:
  resnet:
    depth: {int: [1, 3]}
    width: 16
training:
  optimizer: [sgd, adam]
  lr: {float: [1e-4, 1e-1], log: true}
"""
TOWER = '''\
from automl import Int, architecture, hookimpl


@architecture(height=Int(1, 7))
def tower(input_shape, num_outputs, *, height):
    """A tower."""


@hookimpl
def automl_architectures():
    return [tower]
'''

app = typer.Typer()
app.command("spaces")(spaces)
app.add_typer(space_app, name="space")


def run(*arguments):
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(a) for a in arguments])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE)
    return path


def test_the_built_in_spaces_are_listed_with_their_descriptions():
    result = run("spaces")
    assert result.exit_code == 0
    assert "images" in result.stdout
    rows = json.loads(run("spaces", "--json").stdout)
    assert {"images", "smoke"} <= {row["name"] for row in rows}
    assert all(row["description"] for row in rows)


def test_check_prints_every_parameter_with_its_domain_and_the_fingerprint(file):
    result = run("space", "check", file)
    shown = json.loads(run("space", "check", file, "--json").stdout)
    assert result.exit_code == 0
    assert shown["space"] == str(file)
    assert shown["parameters"]["architecture"] == "resnet"
    assert shown["parameters"]["resnet.depth"] == "1..3 when variant=small|cifar"
    assert shown["parameters"]["train.lr"] == "0.0001..0.1 log"
    for text in (*shown["parameters"], "adam|sgd", f"fingerprint {shown['fingerprint']}"):
        assert text in result.stdout


def test_check_takes_a_built_in_name_overrides_and_architectures():
    plain = json.loads(run("space", "check", "images", "--json").stdout)
    changed = run("space", "check", "images", "--architecture", "lenet", "--set", "train.lr=0.01", "--json")
    changed = json.loads(changed.stdout)
    assert plain["parameters"]["architecture"] == "airbench|lenet|resnet"
    assert changed["parameters"]["architecture"] == "lenet"
    assert changed["parameters"]["train.lr"] == "0.01"
    assert changed["fingerprint"] != plain["fingerprint"]
    assert {config["architecture"] for config in plain["first"]} == {"airbench", "lenet", "resnet"}
    assert {config["architecture"] for config in changed["first"]} == {"lenet"}
    assert all("train.lr" not in config for config in changed["first"])
    assert 'first architecture="lenet", lenet.width=2' in run("space", "check", "images").stdout


def test_check_names_the_line_and_the_nearest_name_of_a_mistake(file):
    file.write_text(SPACE.replace("depth", "dept"))
    result = run("space", "check", file)
    assert isinstance(result.exception, SpaceError)
    assert result.exception.exit_code == 2
    assert f"{file}:3: architectures.resnet.dept" in str(result.exception)
    assert "did you mean 'depth'?" in str(result.exception)


def test_check_of_a_missing_file_is_an_error():
    assert isinstance(run("space", "check", "nowhere.yaml").exception, SpaceError)


def test_a_given_plugin_takes_part_and_a_broken_one_is_named_beside_the_json(file, tmp_path):
    (tmp_path / "towers.py").write_text(TOWER)
    (tmp_path / "bad.py").write_text("import no_such_thing\n")
    file.write_text("architectures: [tower]")
    result = run("space", "check", file, "--plugins-dir", tmp_path, "--json")
    assert json.loads(result.stdout)["parameters"]["tower.height"] == "1..7"
    assert "warning: plugin 'bad' (bad.py:1): ModuleNotFoundError" in result.stderr


def test_the_schema_accepts_what_the_plugins_declare_and_nothing_else(tmp_path):
    (tmp_path / "towers.py").write_text(TOWER)
    schema = json.loads(run("space", "schema", "--plugin", tmp_path / "towers.py").stdout)
    jsonschema.validate({"architectures": {"tower": {"height": 3}}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"architectures": {"tower": {"hight": 3}}}, schema)
