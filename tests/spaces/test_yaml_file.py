from __future__ import annotations

import pytest
import yaml

from automl.errors import SpaceError
from automl.spaces import yaml_file
from automl.spaces.yaml_file import parse, parse_value, read


@pytest.fixture(params=sorted({getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader}, key=str))
def any_loader(request, monkeypatch):
    """libyaml's parser and PyYAML's own: which one a user has depends on the wheel."""
    monkeypatch.setattr(yaml_file, "_LOADER", request.param)


def error_of(text: str) -> SpaceError:
    with pytest.raises(SpaceError) as error:
        parse(text, "space.yaml")
    assert error.value.exit_code == 2
    return error.value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *[("1e-3", 0.001), ("1.0e-4", 0.0001), ("1E5", 100000.0), (".5", 0.5), ("5.", 5.0), ("-3", -3), ("+4", 4)],
        *[("010", 10), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("1:30", "1:30"), ("2001-01-01", "2001-01-01")],
        *[("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", True), ("false", False)],
        *[("null", None), ("~", None), ("", None), ("'null'", "null"), ('"1"', "1"), ("'true'", "true"), ("e3", "e3")],
    ],
)
@pytest.mark.usefixtures("any_loader")
def test_a_word_means_what_yaml_1_2_says(word, value):
    found = parse(f"a: {word}", "space.yaml").value["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("a: 1\nb: {c: 1,\n    c: 2}", "space.yaml:3: b.c", "'c' is given twice (first in line 2)"),
        ("a: 1\na: 1", "space.yaml:2: a", "given twice"),
        ("a: &x 1", "space.yaml:1: a", "anchors (&x)"),
        ("a: 1\nb: [0, *x]", "space.yaml:2: b.1", "aliases (*x)"),
        ("a:\n  <<: {b: 1}", "space.yaml:2: a", "merge keys"),
        ("a: !!int 3", "space.yaml:1: a", "tags"),
        ("a: !!python/object/apply:os.system [ls]", "space.yaml:1: a", "tags"),
        ("a: 1\n---\nb: 1", "space.yaml:2", "second document"),
        ("a: .inf", "space.yaml:1: a", "not a finite number"),
        ("a: -.Inf", "space.yaml:1: a", "not a finite number"),
        ("a: .nan", "space.yaml:1: a", "not a finite number"),
        ("a: 1e999", "space.yaml:1: a", "not a finite number"),
        ("a: " + "9" * 5000, "space.yaml:1: a", "more than 64 bits"),
        ("1: 2", "space.yaml:1", "must be a name, not the number 1"),
        ("? [a]\n: 2", "space.yaml:1", "must be a name, not a list or mapping"),
        ("", "space.yaml", "is empty"),
        ("# nothing\n", "space.yaml", "is empty"),
        ("- a", "space.yaml:1", "must be a mapping, not a list"),
        ("lenet", "space.yaml:1", "must be a mapping, not the string 'lenet'"),
        ("a:\n\tb: 1", "space.yaml:2", "spaces, not tabs"),
        ("a: b\nc: d: e", "space.yaml:2", "mapping values are not allowed"),
        ("a: @x", "space.yaml:1", "not valid YAML"),
        ("a: 1\nb: \x00", "space.yaml:2", "U+0000 is not allowed"),
        ("a: \ud800", "space.yaml", "not"),
    ],
)
@pytest.mark.usefixtures("any_loader")
def test_what_a_search_space_never_needs_is_refused_with_its_line_and_key(text, place, problem):
    error = error_of(text)
    assert error.place == place or (place == "space.yaml" and error.place == "space.yaml:1")
    assert problem in error.problem


@pytest.mark.parametrize("start", ["[", "a: [", "{a: ", "- ", "a: {b: ["])
@pytest.mark.usefixtures("any_loader")
def test_a_hundred_thousand_brackets_are_refused_without_reading_them_all(start):
    error = error_of(start + "[" * 100_000 if "{" not in start else start * 100_000)
    assert "nested more than 50 levels" in error.problem
    assert len(str(error)) < 200


def test_fifty_levels_are_read():
    value = parse("{a: " * 50 + "1" + "}" * 50, "space.yaml").value
    for _ in range(50):
        value = value["a"]
    assert value == 1
    assert "nested" in error_of("{a: " * 51 + "1" + "}" * 51).problem


def test_every_key_and_item_knows_its_line():
    document = parse("a:\n  b: 1\n\n  c:\n    - x\n    - y\n", "space.yaml")
    lines = [document.line(key) for key in [("a",), ("a", "b"), ("a", "c"), ("a", "c", 1)]]
    assert lines == [1, 2, 4, 6]
    assert document.line(("a", "unknown")) == 1
    assert document.place(("a", "c", 1)) == "space.yaml:6: a.c.1"


def test_a_foreign_name_cannot_flood_or_confuse_the_terminal():
    error = error_of(f'"{"x" * 5000}\\e[31m": 1\n"{"x" * 5000}\\e[31m": 2')
    assert len(str(error)) < 300
    assert "\x1b" not in str(error_of('"\\e[31m": 1\n"\\e[31m": 2'))


@pytest.mark.parametrize(
    ("data", "line", "problem"),
    [
        (b"a: 1\nb: \xff", ":2", "is not UTF-8"),
        ("a: 1".encode("utf-16"), ":1", "is not UTF-8"),
        (b"a: " + b"x" * (1 << 20), "", "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path, data, line, problem):
    path = tmp_path / "space.yaml"
    path.write_bytes(data)
    with pytest.raises(SpaceError) as error:
        read(path)
    assert error.value.place == f"{path}{line}"
    assert problem in error.value.problem


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "space.yaml").write_bytes("\ufeffa: ä".encode())
    assert read(tmp_path / "space.yaml").value == {"a": "ä"}


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path):
    (tmp_path / "images.yaml").write_text("a: 1")
    with pytest.raises(SpaceError, match=r"no such file; did you mean 'images\.yaml'\?"):
        read(tmp_path / "imagse.yaml")
    with pytest.raises(SpaceError, match="there is no folder"):
        read(tmp_path / "nowhere" / "images.yaml")
    with pytest.raises(SpaceError, match="is not a file"):
        read(tmp_path)
    with pytest.raises(SpaceError):
        read("a\0b.yaml")


def test_a_value_from_the_command_line_is_read_by_the_same_rules():
    assert parse_value("3") == 3
    assert parse_value("no") == "no"
    assert parse_value("[0.1, 1e-2]") == [0.1, 0.01]
    assert parse_value("{float: [1e-3, 1e-1], log: true}") == {"float": [0.001, 0.1], "log": True}
    for text in ("[1", "&x 1", "{a: 1, a: 2}", "\udcff", "[" * 100_000):
        with pytest.raises(SpaceError) as error:
            parse_value(text, "--set train.lr")
        assert error.value.place == "--set train.lr"
