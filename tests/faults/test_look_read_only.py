"""Runs that belong to somebody else: every command that looks at one leaves it as it is, and asks nobody it names."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from sqlalchemy.engine import URL
from watching import board

import automl as package

SMALL = {"folds": 2, "epochs": 1, "finalists": 1, "repeats": 1, "threads": 1, "workers": 1, "report": False}


@pytest.fixture
def run(digits_run, tmp_path) -> Iterator[Path]:
    """A run that others may read but not write to: not a superuser, who is held by nothing, so all is compared too."""
    folder = tmp_path / "theirs" / "run"
    shutil.copytree(digits_run.path, folder)
    yield folder
    set_modes(folder, 0o755, 0o644)


def set_modes(folder: Path, folders: int, files: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def listing(folder: Path) -> dict[str, tuple[int, ...] | tuple[int, int, str]]:
    """All below the folder, with the time of its last change and its SHA-256; a file made and removed shows too."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, hashlib.sha256(content).hexdigest())
    return found


def looking(run: Path, out: Path, data: Path) -> list[list[object]]:
    """Every command that looks at a run."""
    out.mkdir(exist_ok=True)
    return [
        ["leaderboard", run], ["leaderboard", run, "--json"], ["leaderboard", run, "--csv"], ["show", run],
        ["report", run, "--out", out / "report.html"], ["replay", run, 0], ["predict", run, data],
        ["predict", run, data, "--out", out / "predicted.csv"], ["evaluate", run, data],
        ["export", run, "--format", "state-dict", "--out", out / "weights.safetensors"],
        ["fit", run, "--final", "ensemble", "--out", out / "model"],
    ]  # fmt: skip


@pytest.fixture
def digits(tmp_path) -> Path:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images[:40] * (255 / 16)).astype(np.uint8)
    np.savez(tmp_path / "digits.npz", x=images, y=found.target[:40])
    return tmp_path / "digits.npz"


@pytest.mark.parametrize("torn", [False, True])
def test_look_read_only_every_command_that_looks_leaves_a_run_as_it_is(torn, automl, run, digits, tmp_path):
    trials = board(automl, run)["trials"]
    if torn:
        with (run / "journal.log").open("ab") as journal:
            journal.write(b'{"op_code":8,"worker_id":"dead","trial')
    set_modes(run, 0o555, 0o444)
    before = listing(run.parent)
    for command in looking(run, tmp_path / "out", digits):
        answer = automl(*command)
        assert answer.code == 0, (command, answer.err)
        assert listing(run.parent) == before, command
    assert board(automl, run)["trials"] == trials
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html", "predicted.csv", "weights.safetensors", "model"
    }  # fmt: skip


def test_look_read_only_a_search_goes_on_after_others_have_looked_at_its_torn_journal(automl, run):
    content = (run / "journal.log").read_bytes()
    (run / "journal.log").write_bytes(content[:-10])
    seen = board(automl, run)["trials"]
    assert (run / "journal.log").read_bytes() == content[:-10]
    assert automl("resume", run, "--quiet").code == 0
    assert len(board(automl, run)["trials"]) == len(seen)
    assert len(list(run.glob("journal.log.torn-*"))) == 1


def test_look_read_only_a_report_that_cannot_be_written_says_how(automl, run):
    (run / "report.html").mkdir()
    answer = automl("report", run)
    assert answer.code == 3
    assert "report.html); write it to another place with --out" in answer.err


def test_look_read_only_the_dashboard_leaves_a_run_as_it_is(run):
    from test_shared_machines import dashboard

    for picture in run.glob("artifacts/*-*-*-*-*"):
        picture.unlink()
    set_modes(run, 0o555, 0o444)
    before = listing(run.parent)
    with dashboard(run) as served:
        for _ in range(600):
            study = json.loads(served.ask(served.study, Cookie=served.cookie).body)
            if all(trial["artifacts"] for trial in study["trials"]):
                break
            time.sleep(0.1)
        (picture,) = study["trials"][0]["artifacts"]
        answer = served.ask(f"/artifacts/{study['trials'][0]['study_id']}/{study['trials'][0]['trial_id']}/"
                            f"{picture['artifact_id']}", Cookie=served.cookie)  # fmt: skip
        assert answer.status == 200
        assert study["note"]["body"]
    assert listing(run.parent) == before


def name_storage(run: Path, url: str) -> None:
    record = yaml.safe_load((run / "run.yaml").read_text())
    record["settings"]["storage"] = url
    (run / "run.yaml").write_text(yaml.safe_dump(record))


@pytest.mark.parametrize("form", ["sqlite:///{path}", "sqlite:///file:{path}?uri=true&mode=rwc", "sqlite://"])
def test_look_read_only_a_database_that_only_the_run_names_is_not_made(form, automl, run, tmp_path):
    path = tmp_path / "made.db"
    name_storage(run, form.format(path=path))
    before = listing(run.parent)
    for command in (["leaderboard", run], ["show", run], ["report", run], ["replay", run, 0]):
        answer = automl(*command)
        assert answer.code == 2, (command, answer.err)
        assert "there is no such file" in answer.err
    assert not path.exists()
    assert listing(run.parent) == before


def test_look_read_only_a_database_of_something_else_is_not_changed(automl, run, tmp_path):
    theirs = tmp_path / "theirs.db"
    with sqlite3.connect(theirs) as database:
        database.execute("create table diary (entry text)")
    database.close()
    name_storage(run, f"sqlite:///{theirs}")
    before = theirs.read_bytes()
    answer = automl("leaderboard", run)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert theirs.read_bytes() == before


def test_look_read_only_a_run_with_a_database_is_shown_without_changing_it(automl, tmp_path):
    run, database = tmp_path / "run", tmp_path / "a study's 1%.db"
    url = f"sqlite:///{tmp_path}/study.db"
    package.search("digits", out=run, space="smoke", architectures=("mlp",), trials=1, storage=url, **SMALL)
    shutil.move(tmp_path / "study.db", database)
    database.chmod(0o444)
    name_storage(run, URL.create("sqlite", database=str(database)).render_as_string())
    before = listing(run) | listing(database)
    assert len(board(automl, run)["trials"]) == 1
    assert listing(run) | listing(database) == before


@pytest.mark.parametrize("scheme", ["grpc", "postgresql+psycopg"])
def test_look_read_only_no_server_is_asked_that_only_the_run_names(scheme, automl, run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        name_storage(run, f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        for command in (["leaderboard", run], ["report", run], ["replay", run, 0]):
            answer = automl(*command)
            assert answer.code == 2
            assert "give it in $AUTOML_STORAGE" in answer.err
        with pytest.raises(BlockingIOError):
            server.accept()


def test_look_read_only_a_run_is_followed_while_its_search_goes_on(digits_run, tmp_path):
    from automl.study.storage.journal import Journal, JournalStudies
    from automl.study.storage.looking import WatchedJournal

    path = tmp_path / "journal.log"
    lines = digits_run.folder.journal.read_bytes().splitlines(keepends=True)
    watched = None
    for end in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:end]) + lines[end % len(lines)][:7])  # half of the next is there
        watched = watched or JournalStudies(WatchedJournal(path))
        (study,) = watched.get_all_studies()
        trials = watched.get_all_trials(study._study_id)
    path.write_bytes(b"".join(lines))
    assert trials == JournalStudies(Journal(path)).get_all_trials(study._study_id)
    watched.set_study_user_attr(study._study_id, "note", "mine")
    assert watched.get_study_user_attrs(study._study_id)["note"] == "mine"
    assert path.read_bytes() == b"".join(lines)
