"""Models and runs of strangers that name plugin files: none is imported that the user did not name or write."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

SMALL = ["--space", "smoke", "--folds", 2, "--epochs", 1, "--trials", 1, "--repeats", 1, "--workers", 1, "--quiet"]

CODE = """
from pathlib import Path
from torch import nn
from automl import architecture, hookimpl

Path({owned!r}).touch()

@architecture()
def mine(input_shape, num_outputs):
    "A network."
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))

@hookimpl
def automl_architectures():
    return [mine]
"""


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """The file that the plugin makes whenever it is imported."""
    return tmp_path / "owned"


@pytest.fixture
def plugin(tmp_path: Path, owned: Path) -> Path:
    path = tmp_path / "evil.py"
    path.write_text(CODE.format(owned=str(owned)))
    path.chmod(0o644)
    return path


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "bars.npz", x=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), y=np.arange(60) % 2)
    return tmp_path / "bars.npz"


@pytest.fixture
def plain(automl, bars, tmp_path: Path) -> Path:
    """A run of a built-in architecture."""
    answer = automl("search", bars, "--out", tmp_path / "run", "--architecture", "mlp", *SMALL)
    assert answer.code == 0, answer.err
    return tmp_path / "run"


@pytest.fixture
def mine(automl, bars, plugin, owned, tmp_path: Path) -> Path:
    """A run of the plugin's architecture, looked at by a process that has not imported the plugin."""
    options = ["--plugin", plugin, "--set", "architecture=mine"]
    answer = automl("search", bars, "--out", tmp_path / "run", *options, *SMALL[2:])
    assert answer.code == 0, answer.err
    forget(owned)
    return tmp_path / "run"


def forget(owned: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("automl_plugin_")]:
        del sys.modules[name]
    owned.unlink(missing_ok=True)


def uses_of_model(run: Path, data: Path) -> list[list[object]]:
    return [["predict", run, data], ["evaluate", run, data], ["export", run, "--format", "state-dict", "-o", "m.pt"]]


def uses_of_run(run: Path) -> list[list[object]]:
    return [["resume", run, "--trials", 1], ["replay", run, 0], ["fit", run, "-o", "fitted"]]


def change(path: Path, **changes: object) -> None:
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | changes))


def record(run: Path, entry: object) -> None:
    """Has the run and its model name this plugin file alone."""
    change(run / "model" / "model.json", plugins=[entry])
    text = yaml.safe_load((run / "run.yaml").read_text())
    (run / "run.yaml").write_text(yaml.safe_dump(text | {"plugins": [entry]}))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_foreign_code_a_model_of_a_built_in_architecture_needs_none_of_the_files_that_it_names(
    automl, plain, bars, plugin, owned
):
    recorded = [{"name": "evil", "file": str(plugin), "sha256": sha256(plugin)}]
    for plugins in (recorded, [str(plugin)]):
        change(plain / "model" / "model.json", plugins=plugins)
        for command in uses_of_model(plain, bars):
            answer = automl(*command)
            assert answer.code == 0, answer.err
    assert not owned.exists()


def others_can_write(plugin: Path, run: Path) -> dict[str, str]:
    plugin.chmod(0o666)
    return {"name": "evil", "file": str(plugin), "sha256": sha256(plugin)}


def of_another_user(plugin: Path, run: Path) -> dict[str, str]:
    os.chown(plugin, 12345, -1)
    return {"name": "evil", "file": str(plugin), "sha256": sha256(plugin)}


def another_text(plugin: Path, run: Path) -> dict[str, str]:
    return {"name": "evil", "file": str(plugin), "sha256": "0" * 64}


def without_hash(plugin: Path, run: Path) -> dict[str, str]:
    return {"name": "evil", "file": str(plugin), "sha256": ""}


def beside_the_weights(plugin: Path, run: Path) -> dict[str, str]:
    inside = shutil.copy(plugin, run / "model")
    return {"name": "evil", "file": str(inside), "sha256": sha256(plugin)}


def by_a_relative_path(plugin: Path, run: Path) -> dict[str, str]:
    shutil.copy(plugin, "evil.py")
    return {"name": "evil", "file": "evil.py", "sha256": sha256(plugin)}


def a_pipe(plugin: Path, run: Path) -> dict[str, str]:
    digest = sha256(plugin)
    plugin.unlink()
    os.mkfifo(plugin)
    return {"name": "evil", "file": str(plugin), "sha256": digest}


WAYS = {
    others_can_write: "others can write it",
    **({of_another_user: "it belongs to another user"} if os.geteuid() == 0 else {}),  # only root gives files away
    another_text: "its SHA-256 is not the recorded one",
    without_hash: "its SHA-256 was not recorded",
    beside_the_weights: "it has come with",
    by_a_relative_path: "whole path",
    a_pipe: "is a named pipe, not a file",
}


def test_foreign_code_a_file_that_might_be_anybodys_is_named_and_not_imported(automl, mine, bars, plugin, owned):
    content = plugin.read_bytes()
    for way, reason in WAYS.items():
        plugin.unlink()
        plugin.write_bytes(content)
        plugin.chmod(0o644)
        run = Path(shutil.copytree(mine, mine.with_name(way.__name__)))
        record(run, way(plugin, run))
        for command in [*uses_of_model(run, bars), *uses_of_run(run)]:
            answer = automl(*command)
            assert answer.code == 2, (command, answer.err)
            for words in ("evil.py: ", reason, "--plugin FILE"):
                assert words in answer.err, (way, command)
            assert "Traceback" not in answer.err
        for looking in (["leaderboard", run], ["show", run], ["report", run]):
            assert automl(*looking).code == 0
        assert not owned.exists(), way


def test_foreign_code_a_file_of_ones_own_that_is_as_it_was_is_found_by_itself(automl, mine, bars, owned):
    for command in [*uses_of_model(mine, bars), *uses_of_run(mine)]:
        answer = automl(*command)
        assert answer.code == 0, (command, answer.err)
        assert owned.exists()
        forget(owned)


def test_foreign_code_a_file_that_the_command_names_is_imported_wherever_and_whosever_it_is(
    automl, mine, bars, plugin, owned
):
    moved = plugin.rename(bars.parent / "here" / "evil.py")
    moved.chmod(0o666)
    for command in [*uses_of_model(mine, bars), *uses_of_run(mine)]:
        answer = automl(*command, "--plugin", moved)
        assert answer.code == 0, (command, answer.err)
        assert owned.exists()
        forget(owned)


def test_foreign_code_a_folder_of_plugins_that_has_grown_since_is_not_read_again(automl, bars, plugin, owned, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(plugin, folder / "good.py")
    options = ["--plugins-dir", folder, "--set", "architecture=mine"]
    assert automl("search", bars, "--out", tmp_path / "run", *options, *SMALL[2:]).code == 0
    (folder / "new.py").write_text(f"open({str(tmp_path / 'new')!r}, 'w')")
    for command in uses_of_run(tmp_path / "run"):
        answer = automl(*command)
        assert answer.code == 0, answer.err
    assert not (tmp_path / "new").exists()


def test_foreign_code_nonsense_in_place_of_plugin_files_is_refused(automl, plain):
    for plugins in (
        7,
        "evil.py",
        [7],
        [None],
        [{"file": 7}],
        [["evil.py"]],
        {"file": "evil.py"},
        ["\0.py"],
        ["/\0.py"],
    ):
        text = yaml.safe_load((plain / "run.yaml").read_text())
        (plain / "run.yaml").write_text(yaml.safe_dump(text | {"plugins": plugins}))
        answer = automl("resume", plain, "--trials", 1)
        assert answer.code == 2, plugins
        assert (
            "names plugin files that are not imported" in answer.err or "not the record of a run; plugins" in answer.err
        )
