"""Files and names that somebody made to do harm: no code in them runs, and no page shows their markup."""

from __future__ import annotations

import hashlib
import html
import json
import pickle
import re
import shutil
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from watching import board

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 2, "--threads", 1]


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """The file that evil code makes, if it ever runs."""
    return tmp_path / "owned"


@pytest.fixture
def evil(owned: Path) -> bytes:
    """A pickle that makes the file when it is loaded."""

    class Evil:
        def __reduce__(self):
            return Path.touch, (owned,)

    content = pickle.dumps(Evil())
    pickle.loads(content)
    assert owned.exists(), "the test's own weapon is blunt"
    owned.unlink()
    return content


@pytest.fixture
def evil_array(owned: Path) -> np.ndarray:
    """An array that numpy writes with a pickle in it."""

    class Evil:
        def __reduce__(self):
            return Path.touch, (owned,)

    array = np.empty(1, dtype=object)
    array[0] = Evil()
    return array


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "bars.npz", x=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), y=np.arange(60) % 2)
    return tmp_path / "bars.npz"


@pytest.fixture
def run(automl, bars, tmp_path: Path) -> Path:
    """A finished run of two trials."""
    folder = tmp_path / "run"
    answer = automl("search", bars, "--out", folder, *SMALL, "--trials", 2, "--quiet")
    assert answer.code == 0, answer.err
    return folder


def write_model(folder: Path, weights: bytes, **changes: object) -> None:
    """Puts `weights` into a model's folder, with a description that vouches for them."""
    (folder / "model.safetensors").write_bytes(weights)
    about = json.loads((folder / "model.json").read_text())
    about |= {"sha256": hashlib.sha256(weights).hexdigest(), **changes}
    (folder / "model.json").write_text(json.dumps(about))


def test_evil_checkpoint_a_pickle_as_the_weights_of_a_model_is_refused_by_every_command(automl, run, bars, evil, owned):
    (run / "model" / "model.safetensors").write_bytes(evil)
    assert "SHA-256 differs" in automl("predict", run, bars).err
    write_model(run / "model", evil)  # whoever writes the one file can write the other
    for command in (["predict", run, bars], ["evaluate", run, bars], ["export", run, "--format", "state-dict"]):
        answer = automl(*command)
        assert answer.code == 2, command
        assert "model.safetensors: damaged" in answer.err
    assert not owned.exists()


def test_evil_checkpoint_a_pickle_as_the_description_of_a_model_is_refused(automl, run, bars, evil, owned):
    (run / "model" / "model.json").write_bytes(evil)
    answer = automl("predict", run, bars)
    assert answer.code == 2
    assert "model.json: cannot be read" in answer.err
    assert not owned.exists()


def test_evil_checkpoint_a_pickle_as_the_checkpoint_of_a_complete_trial_is_not_used(automl, run, evil, owned, caplog):
    best = board(automl, run)["winner"]
    (run / "checkpoints" / f"trial-{best:05d}.safetensors").write_bytes(evil)
    answer = automl("fit", run, "--final", "ensemble")
    assert answer.code == 0, answer.err
    assert f"the folds of trial {best} are trained again" in caplog.text
    assert "not a checkpoint of automl" in caplog.text
    assert not owned.exists()


@pytest.mark.slow
def test_evil_checkpoint_a_pickle_as_the_checkpoint_of_a_waiting_trial_makes_it_start_again(
    automl, start, bars, tmp_path, evil, owned, caplog
):
    folder = tmp_path / "killed"
    search = start("search", bars, "--out", folder, *SMALL, "--epochs", 6, "--trials", 500, "--quiet")
    end = time.monotonic() + 90
    while len(list(folder.glob("checkpoints/*.safetensors"))) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    search.kill()
    search.wait()
    for path in folder.glob("checkpoints/*.safetensors"):
        path.write_bytes(evil)
    trials = len(board(automl, folder)["trials"])
    answer = automl("resume", folder, "--trials", trials, "--quiet")
    assert answer.code == 0, answer.err
    assert "starts again" in caplog.text
    assert "not a checkpoint of automl" in caplog.text
    assert not owned.exists()


@pytest.mark.parametrize("kind", ["pickle", "object array"])
def test_evil_checkpoint_pickles_among_the_artifacts_are_passed_over(kind, automl, run, evil, evil_array, owned):
    for path in [*run.glob("artifacts/*.npz"), run / "splits.npz"]:
        if kind == "pickle":
            path.write_bytes(evil)
        else:
            names = np.load(path).files
            np.savez(path, **dict.fromkeys(names, evil_array))
    for command in (["leaderboard", run], ["show", run, 0], ["report", run], ["show", run, 0, "--json"]):
        answer = automl(*command)
        assert answer.code in (0, 2), command
        assert "Traceback" not in answer.err
    answer = automl("resume", run, "--trials", 3, "--quiet")
    assert answer.code == 2
    assert "splits.npz" in answer.err
    assert not owned.exists()


def test_evil_checkpoint_code_in_the_record_of_a_run_is_refused(automl, run, owned):
    record = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(f"evil: !!python/object/apply:os.system ['touch {owned}']\n{record}")
    for command in ("leaderboard", "resume", "report"):
        answer = automl(command, run)
        assert answer.code == 2
        assert "run.yaml: cannot be read" in answer.err
        assert "Traceback" not in answer.err
    assert not owned.exists()


def fingerprint(run: Path) -> str:
    return yaml.safe_load((run / "run.yaml").read_text())["data"]["fingerprint"]


def test_evil_checkpoint_a_pickle_in_the_cache_of_images_is_decoded_again(automl, tmp_path, evil, evil_array, owned):
    data = folder_of(tmp_path / "data", ["a", "b"])
    arguments = [*SMALL, "--trials", 1, "--quiet"]
    assert automl("search", data, "--out", tmp_path / "first", *arguments).code == 0
    pixels, facts = (next((tmp_path / "cache").rglob(f"*.{kind}")) for kind in ("npy", "json"))
    for harm in range(3):
        if harm == 2:
            facts.write_bytes(evil)
        elif harm == 1:
            np.save(pixels, evil_array, allow_pickle=True)
        else:
            pixels.write_bytes(evil)
        again = tmp_path / f"again-{harm}"
        assert automl("search", data, "--out", again, *arguments).code == 0
        assert fingerprint(again) == fingerprint(tmp_path / "first")
    assert not owned.exists()


def test_evil_checkpoint_pickles_as_data_and_as_weights_are_refused(automl, bars, tmp_path, evil, evil_array, owned):
    for name in ("data.npz", "data.csv", "weights.safetensors", "weights.pth"):
        (tmp_path / name).write_bytes(evil)
    np.savez(tmp_path / "objects.npz", x=evil_array, y=evil_array)
    weights = ["--trials", 1, "--folds", 2, "--epochs", 1, "--weights"]
    for arguments in (
        [tmp_path / "data.npz"],
        [tmp_path / "data.csv", "--target", "y"],
        [tmp_path / "objects.npz"],
        [bars, *weights, tmp_path / "weights.safetensors"],
        [bars, *weights, tmp_path / "weights.pth"],
    ):
        answer = automl("search", *arguments)
        assert answer.code == 2, arguments
        assert "Traceback" not in answer.err
    assert not owned.exists()


EVIL_NAME = "<script>alert(1)<%2Fscript><img src=x onerror=alert(1)>\"'&amp;"


def folder_of(folder: Path, classes: list[str], per_class: int = 12) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / name / f"{number} {name}.png")
    return folder


class Elements(HTMLParser):
    """The tags of a page and its event handlers."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}
        assert tag != "img" or all(value.startswith("data:") for name, value in attrs if name == "src")


def test_html_injection_names_from_outside_are_escaped_in_the_report(automl, tmp_path):
    data = folder_of(tmp_path / EVIL_NAME, [EVIL_NAME, "plain"])
    shutil.copy(next(data.glob("plain/*")), data / EVIL_NAME / "copy <b>.png")  # a copy is listed by its name
    (data / "plain" / "bad <svg onload=alert(1)>.png").write_bytes(b"not an image")
    run = tmp_path / "run <u>"
    arguments = [*SMALL, "--trials", 2, "--skip-bad", "--study", EVIL_NAME, "--quiet"]
    answer = automl("search", data, "--out", run, *arguments)
    assert answer.code == 0, answer.err
    page = (run / "report.html").read_text()
    found = Elements(page)
    assert not {"script", "u", "iframe", "object"} & found.tags
    assert not found.handlers
    for shown in ("<script>alert(1)", "copy <b>.png", "bad <svg onload=alert(1)>.png", "run <u>"):
        assert html.escape(shown) in page
    assert "<img src=x" not in page
    assert "default-src 'none'" in page


def test_html_injection_what_a_run_writes_has_safe_names_whatever_the_data_are_called(automl, tmp_path):
    data = folder_of(tmp_path / EVIL_NAME, [EVIL_NAME, "plain"])
    assert automl("search", data, *SMALL, "--trials", 1, "--quiet").code == 0
    written = list(Path.cwd().rglob("*"))
    assert written
    assert [path.name for path in written if not re.fullmatch(r"[A-Za-z0-9_.-]+", path.name)] == []
