"""Bad input stops before the first trial: exit 2, one clear message with the culprit, nothing written."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def refused(automl, empty_folder):
    """The message with which a search was refused; checks exit 2, no traceback, nothing written."""

    def search(*arguments: object) -> str:
        before = sorted(empty_folder.rglob("*"))
        answer = automl("search", *arguments)
        assert answer.code == 2, answer.err or answer.out
        assert "Traceback" not in answer.err
        assert answer.out == ""
        assert sorted(empty_folder.rglob("*")) == before
        return answer.err

    return search


def write_images(folder: Path, **counts: int) -> Path:
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / name / f"{number}.png")
    return folder


PLUGIN = '''from automl import Choice, Float, Int, architecture, hookimpl
from torch import nn


@architecture(depth=Int(1, 4), widht=Int(32, 512, log=True), dropout=Float(0.0, 0.6))
def typo(input_shape, num_outputs, *, depth, width, dropout):
    """A network."""
    return nn.Linear(1, 1)


@hookimpl
def automl_architectures():
    return [typo]
'''


def test_a_misspelt_parameter_in_a_plugin_names_file_line_and_nearest_name(refused, tmp_path):
    file = tmp_path / "typo.py"
    file.write_text(PLUGIN)
    message = refused("digits", "--plugin", file)
    assert "plugin 'typo' (typo.py:5)" in message
    assert "the search space declares 'widht' but build() takes depth, width, dropout; did you mean 'width'?" in message


def test_a_misspelt_parameter_in_the_yaml_names_file_line_and_nearest_name(refused, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("architectures:\n  lenet:\n    widht: 3\n")
    message = refused("digits", "--space", file)
    assert "space.yaml:3: architectures.lenet.widht" in message
    assert "did you mean 'width'?" in message


def test_a_misspelt_parameter_on_the_command_line_names_place_and_nearest_name(refused):
    message = refused("digits", "--set", "resnet.detph=2")
    assert "--set resnet.detph" in message
    assert "did you mean 'resnet.depth'?" in message


def test_a_misspelt_option_on_the_command_line_names_the_nearest_one(automl):
    answer = automl("search", "digits", "--trails", "5")
    assert answer.code == 2
    assert "--trails" in answer.err
    assert "--trials" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trials", "0"], ["--trials 0", "greater than or equal to 1"]),
        (["--folds", "1"], ["--folds 1", "greater than or equal to 2"]),
        (["--timeout", "soon"], ["--timeout soon", "10m"]),
        (["--ladder", "1x1,9x2", "--epochs", "9"], ["9x2", "9x5"]),
        (["--device", "cuda:7"], ["--device cuda:7"]),
        (["--devices", "cpu,cuda:7"], ["--devices cuda:7"]),
        (["--devices", "cpu,,cpu"], ["--devices cpu,,cpu", "cuda:0,cuda:1"]),
        (["--devices", "auto,cpu"], ["--devices auto,cpu", "must be auto, or devices"]),
        (["--devices", "cpu,cpu", "--device", "cpu"], ["--devices cpu,cpu", "--device cpu, not both"]),
        (["--devices", "cpu,cpu,cpu", "--workers", "2"], ["--workers 2", "3 devices"]),
        (["--sampler", "tpee"], ["--sampler tpee", "'tpe'"]),
        (["--sampler", "grid"], ["grid points", "--set"]),
        (["--architecture", "lenett"], ["--architecture lenett", "did you mean 'lenet'?"]),
        (["--space", "imagess"], ["imagess", "did you mean 'images'?"]),
        (["--plugin", "nowhere.py"], ["nowhere.py"]),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_the_law(refused, arguments, words):
    message = refused("digits", *arguments)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("data", ["digitss", "nowhere.csv", "torchvision:MNISTT"])
def test_unknown_data_are_refused(refused, data):
    assert data.removeprefix("torchvision:") in refused(data)


def test_small_class_names_the_class_and_the_largest_k(refused, tmp_path):
    message = refused(write_images(tmp_path / "data", cat=20, dog=3))
    assert "'dog'" in message
    assert "3" in message


def test_one_class_empty_class_are_named(refused, tmp_path):
    assert "'cat'" in refused(write_images(tmp_path / "one", cat=20))
    folder = write_images(tmp_path / "two", cat=20, dog=20)
    (folder / "bird").mkdir()
    assert "bird" in refused(folder)


def test_corrupt_images_are_all_listed_in_one_message(refused, tmp_path):
    folder = write_images(tmp_path / "data", cat=20, dog=20)
    (folder / "cat" / "3.png").write_bytes(b"")
    (folder / "dog" / "4.png").write_bytes(b"not an image")
    whole = (folder / "dog" / "5.png").read_bytes()
    (folder / "dog" / "5.png").write_bytes(whole[: len(whole) // 2])
    message = refused(folder)
    assert all(name in message for name in ("3.png", "4.png", "5.png", "--skip-bad"))


def test_missing_files_of_a_list_of_images_are_all_listed_in_one_message(refused, tmp_path):
    folder = write_images(tmp_path / "data", train=20)
    rows = "".join(f"{number},{'ab'[number % 2]}\n" for number in range(23))
    (folder / "train.csv").write_text(f"id,label\n{rows}")
    message = refused(folder)
    assert all(f"  {number}: there is no such file" in message for number in (20, 21, 22))
    assert "--skip-bad" in message
    assert "column names files in" in refused(folder / "train.csv", "--images", folder)


def test_path_escape_links_out_of_the_folder_are_refused(refused, tmp_path):
    folder = write_images(tmp_path / "data", cat=20, dog=20)
    secret = tmp_path / "secret.png"
    Image.new("L", (8, 8)).save(secret)
    (folder / "cat" / "link.png").symlink_to(secret)
    message = refused(folder)
    assert "link.png" in message
    assert "--follow-links" in message


def test_bad_npz_names_the_array(refused, tmp_path):
    file = tmp_path / "data.npz"
    np.savez(file, x=np.zeros((20, 8, 8), np.uint8))
    assert "'y'" in refused(file)
    np.savez(file, x=np.zeros((20, 8, 8), np.uint8), y=np.zeros(19, int))
    message = refused(file)
    assert "20" in message
    assert "19" in message
    np.savez(file, x=np.array([{}] * 20, dtype=object), y=np.arange(20) % 2)
    assert "object" in refused(file)


def test_bad_csv_names_column_and_row(refused, tmp_path):
    file = tmp_path / "data.csv"
    file.write_text("a,price\n" + "\n".join(f"{i},{i * 1.5}" for i in range(40)))
    assert "did you mean 'price'?" in refused(file, "--target", "prise")
    lines = file.read_text().split("\n")
    lines[7] = "3,nan"  # a missing answer; a missing feature is filled
    file.write_text("\n".join(lines))
    message = refused(file, "--target", "price")
    assert "'price'" in message
    assert "8" in message
    file.write_text("")
    assert "empty" in refused(file, "--target", "price")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("architectures: {lenet: {}}\narchitectures: {mlp: {}}\n", [":2:", "twice"]),
        ("architecture: {lenet: {}}\n", [":1:", "architectures"]),
        ("\ntraining:\n  lr: 0.1\n  lr: 0.2\n", [":4: training.lr", "twice", "line 3"]),
        ("training:\n  learning_rate: 0.1\n", [":2: training.learning_rate"]),
        ("architectures: &a {lenet: {}}\n", [":1:", "anchors"]),
        ("training:\n  lr: *a\n", [":2:", "aliases"]),
        ("training:\n  <<: {lr: 0.1}\n", [":2:", "merge keys"]),
        ("training:\n  lr: !!python/object/apply:os.getcwd []\n", [":2:", "tags"]),
        ("[" * 100_000, [":1:"]),
        ("training: " + "{a: " * 100_000, [":1:"]),
        ("", ["empty"]),
        ("# nothing\n", ["empty"]),
        (b"training:\n  lr: 0.1 # \xe9\n", [":2:", "not UTF-8"]),
        (b"\xff\xfet\0r\0", [":1:", "not UTF-8"]),
        (b"training:\n  lr: \x07\n", [":2:"]),
        ("- lenet\n", [":1:", "must be a mapping"]),
        ("architectures: 7\n", [":1:", "architectures"]),
        ("training:\n  lr: fast\n", [":2:", "lr"]),
        ("training:\n  lr: {float: [1, 0.1]}\n", [":2:", "lr"]),
        ("training:\n  lr: {int: [1, two]}\n", [":2:", "lr"]),
        ("training:\n\tlr: 0.1\n", [":2:", "tabs"]),
        ("training: {lr: .inf}\n" + "# " + "x" * (1 << 20), ["1 MiB"]),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, str | bytes) else "",
)
def test_bad_yaml_is_refused_with_the_line_in_less_than_a_second(refused, tmp_path, text, words):
    file = tmp_path / "space.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    import automl.api  # noqa: F401  (the second is beyond the start of the program)

    started = time.process_time()
    message = refused("digits", "--space", file)
    assert time.process_time() - started < 5  # a fraction of a second on a quiet machine
    assert [word for word in words if word not in message] == []
    assert len(message) < 500


def test_bad_yaml_the_number_1e_3_is_a_number(automl, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("training: {lr: 1e-3}\n")
    answer = automl("space", "check", file, "--json")
    assert answer.code == 0
    assert '"train.lr": "0.001"' in answer.out


def test_bad_plugin_the_others_load_and_a_requested_one_stops(automl, refused, tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import nothing_of_that_name\n")
    assert "bad.py:1" in refused("digits", "--plugin", bad)
    assert "bad.py:1" in refused("digits", "--plugins-dir", tmp_path, "--set", "architecture=bad")
    listed = automl("plugins", "--plugin", bad)
    assert listed.code == 0
    assert "lenet" in listed.out
    assert "bad.py:1" in listed.out + listed.err


GOOD_PLUGIN = '''from automl import Int, architecture, hookimpl
from torch import nn


@architecture(width=Int(1, 4))
def good(input_shape, num_outputs, *, width):
    """A network."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))


@hookimpl
def automl_architectures():
    return [good]
'''


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name\n", ["bad.py:1", "nothing_of_that_name"]),
        ("x = 1\nraise SystemExit(0)\n", ["bad.py:2", "ends the program", "must not"]),
        ("import os\n\ndef broken(:\n", ["bad.py:3", "SyntaxError"]),
        (GOOD_PLUGIN.replace("automl_architectures", "automl_architecture"), ["bad.py", "automl_architectures"]),
        (GOOD_PLUGIN.replace("def good", "def lenet").replace("[good]", "[lenet]"), ["bad.py", "lenet", "already"]),
        (GOOD_PLUGIN.replace("return [good]", "return good"), ["bad.py", "must return a list"]),
        (b"\0\xff not python", ["bad.py"]),
    ],
    ids=["ImportError", "SystemExit", "SyntaxError", "misspelt hook", "duplicate name", "no list", "no text"],
)
def test_bad_plugin_is_named_with_its_line_and_the_good_one_beside_it_loads(automl, refused, tmp_path, text, words):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "bad.py").write_bytes(text.encode() if isinstance(text, str) else text)
    (folder / "good.py").write_text(GOOD_PLUGIN)
    listed = automl("plugins", "--plugins-dir", folder, "--json")
    assert listed.code == 0
    assert {"lenet", "good"} <= {entry["name"] for entry in json.loads(listed.out)["plugins"]}
    for message in (listed.out + listed.err, refused("digits", "--plugin", folder / "bad.py")):
        assert [word for word in words if word not in message] == []
    space = tmp_path / "space.yaml"
    space.write_text("architectures: {bad: {}}\n")
    message = refused("digits", "--space", space, "--plugins-dir", folder)
    assert "bad.py" in message
    assert "may belong to a broken plugin" in message


def test_a_run_folder_that_is_not_empty_is_refused(refused, tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    assert "not an empty folder" in refused("digits", "--out", folder)
    assert (folder / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("command", [["resume"], ["leaderboard"], ["show"]])
def test_a_folder_without_a_run_is_refused(automl, tmp_path, command):
    answer = automl(*command, tmp_path, *(["0"] if command == ["show"] else []))
    assert answer.code == 2
    assert "no run is here" in answer.err


@pytest.mark.parametrize("option", ["epochs", "repeats", "folds", "workers", "finalists", "threads"])
def test_huge_description_numbers_on_the_command_line_have_ends(automl, empty_folder, option):
    for number in (10**6, 10**12, 10**30):
        answer = automl("search", "digits", f"--{option}", number)
        assert answer.code == 2
        assert f"--{option} {number}" in answer.err
        assert "less than or equal to" in answer.err
    assert list(empty_folder.iterdir()) == []
