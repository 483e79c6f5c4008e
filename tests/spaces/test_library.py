from __future__ import annotations

import pytest

from automl.errors import SpaceError
from automl.spaces.library import find_space, list_spaces
from automl.spaces.yaml_file import read

pytest.importorskip("automl_search_spaces")


def test_every_installed_search_space_has_a_description():
    spaces = list_spaces()
    assert "smoke" in [name for name, _, _ in spaces]
    assert [name for name, description, _ in spaces if not description] == []
    assert all(path.is_file() for _, _, path in spaces)


def test_a_search_space_is_found_by_its_name_and_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").write_text("not this one")
    (tmp_path / "mine.yaml").write_text("architectures: [lenet]")
    assert find_space("smoke") == {name: path for name, _, path in list_spaces()}["smoke"]
    assert find_space("mine.yaml").samefile(tmp_path / "mine.yaml")
    assert find_space(str(tmp_path / "smoke")) == tmp_path / "smoke"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("smok", "no such search space or file; did you mean 'smoke'?"),
        ("mien.yaml", "no such file; did you mean 'mine.yaml'?"),
        ("./nowhere/mine.yaml", "there is no folder nowhere"),
        ("a\0b", "no such search space or file"),
    ],
)
def test_an_unknown_search_space_is_answered_with_the_nearest_name(tmp_path, monkeypatch, name, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("architectures: [lenet]")
    with pytest.raises(SpaceError) as error:
        find_space(name)
    assert problem in str(error.value)


def test_the_smoke_space_is_tiny():
    value = read(find_space("smoke")).value
    assert value["training"]["batch_size"] == 64
    assert list(value["architectures"]) == ["mlp", "lenet"]
