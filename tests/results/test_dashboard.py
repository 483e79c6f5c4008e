"""The dashboard as it is served: a real server on a copy of a real run, asked over HTTP."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves
from automl.results.dashboard import annotate_trials
from automl.results.notes import plain, study_note, trial_note
from automl.results.report.pictures import draw_alone
from automl.run.folder import RunFolder
from automl.study.storage.opening import load_study, open_storage
from automl.study.trial_record import TrialRecord

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def run(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A copy of a finished run."""
    return RunFolder(shutil.copytree(finished_run.path, tmp_path_factory.mktemp("dashboard") / "run"))


def study_of(run: RunFolder) -> optuna.Study:
    return load_study(open_storage(None, run.journal), run.read_record().study, optuna.samplers.RandomSampler())


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "automl", "dashboard", *map(str, words), "--no-browser"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def address(run: RunFolder) -> Iterator[str]:
    """Where the dashboard of the run is served; it must end well on Ctrl-C."""
    server = start(run.path, "--port", 0)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        match = re.search(r"(http://127\.0\.0\.1:\d+)/\S+", line)
        assert match, line + server.communicate()[1]
        ask(match[0])  # as a browser, which has the cookie from then on
        yield match[1]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.communicate()


BROWSER = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())


def ask(url: str, **headers: str) -> bytes:
    with BROWSER.open(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return bytes(answer.read())


def detail(address: str) -> dict[str, Any]:
    return dict(json.loads(ask(f"{address}/api/studies/0?after=0")))


def ended(address: str) -> dict[str, Any]:
    """The study, as soon as every trial with curves has its picture."""
    for _ in range(20):
        study = detail(address)
        if all(trial["artifacts"] for trial in study["trials"] if trial["state"] != "Fail"):
            break
        time.sleep(1)
    return study


def test_it_serves_the_study_under_its_name(address: str, run: RunFolder) -> None:
    (study,) = json.loads(ask(f"{address}/api/studies"))["study_summaries"]
    assert study["study_name"] == run.read_record().study
    assert b"<!DOCTYPE html>" in ask(f"{address}/dashboard")


def test_the_note_of_the_study_says_how_it_was_made_and_how_to_go_on(address: str) -> None:
    study = detail(address)
    body = study["note"]["body"]
    for expected in (
        "bars",
        "61 samples",
        "| folds | 2 |",
        "| ladder |",
        "| seed | 1 |",
        "smoke",
        "torch 2.",
        "resume ",
    ):
        assert expected in body
    assert "mid &lt;b&gt;" in body
    assert "<b>" not in body
    assert study["objective_names"] == ["log_loss"]


def test_every_ended_trial_has_a_picture_that_can_be_fetched(address: str) -> None:
    trials = ended(address)["trials"]
    assert len(trials) == 6
    for trial in trials:
        (picture,) = trial["artifacts"]
        assert (picture["filename"], picture["mimetype"]) == ("curves.png", "image/png")
        assert ask(f"{address}/artifacts/0/{trial['trial_id']}/{picture['artifact_id']}").startswith(PNG)


def test_finalists_have_notes_and_what_was_outpaced_has_none(address: str) -> None:
    for trial in ended(address)["trials"]:
        reason = next(a["value"] for a in trial["user_attrs"] if a["key"] == "reason")
        noted = trial["state"] == "Complete" or reason == "overfitting"
        assert bool(trial["note"].get("body")) == noted
        if trial["state"] == "Complete":
            assert f"Trial {trial['number']}" in trial["note"]["body"]
            assert "generalisation gap" in trial["note"]["body"]


def test_the_figures_of_the_trials_can_be_sorted(address: str) -> None:
    sortable = {spec["key"] for spec in detail(address)["union_user_attrs"] if spec["sortable"]}
    assert sortable >= {
        "score", "score_std", "generalisation_gap", "epochs", "folds", "fold_epochs", "parameters", "seconds"
    }  # fmt: skip


def test_it_listens_on_this_machine_only(address: str) -> None:
    port = f"{int(address.rpartition(':')[2]):04X}"
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]


def test_a_request_under_another_name_is_refused(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(f"{address}/api/studies", Host="rebound.example:80")
    assert ask(f"{address}/api/studies", Host="localhost:1")


def test_a_port_in_use_is_bad_input(run: RunFolder, address: str) -> None:
    port = address.rpartition(":")[2]
    server = start(run.path, "--port", port)
    assert f"--port {port} is in use" in server.communicate(timeout=60)[1]
    assert server.returncode == 2


def test_without_a_port_the_next_free_one_is_taken() -> None:
    from automl.results.server import listen

    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        with listen([first, 0]) as server:
            assert server.server_port not in (0, first)


def test_the_dashboards_own_command_serves_the_journal_too(run: RunFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = Path(sys.executable).parent / "optuna-dashboard"
    server = subprocess.Popen(
        [command, run.journal, "--port", str(port), "--artifact-dir", run.artifacts],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        while "Listening" not in (line := server.stderr.readline()):
            assert line, "it ended"
        for _ in range(50):
            try:
                studies = json.loads(ask(f"http://127.0.0.1:{port}/api/studies"))["study_summaries"]
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        assert [study["study_name"] for study in studies] == [run.read_record().study]
    finally:
        server.kill()
        server.communicate()


def test_a_finished_search_leaves_notes_and_pictures_of_its_finalists(finished_run: Any) -> None:
    study = study_of(finished_run.folder)
    system = study._storage.get_study_system_attrs(study._study_id)
    for trial in study.get_trials(states=(TrialState.COMPLETE,)):
        assert f"dashboard:{trial._trial_id}:note_ver" in system
        assert any(key.startswith(f"dashboard:artifacts:{trial._trial_id}:") for key in system)
    assert study.user_attrs["model_trial"] == finished_run.record.final.trial


def test_making_notes_and_pictures_again_changes_nothing(tmp_path: Path, finished_run: Any) -> None:
    run = RunFolder(shutil.copytree(finished_run.path, tmp_path / "run"))
    study, record = study_of(run), run.read_record()
    annotate_trials(study, record, run)
    before = run.journal.read_bytes()
    files = {path: path.stat().st_mtime_ns for path in run.artifacts.iterdir()}
    annotate_trials(study, record, run)
    assert run.journal.read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in run.artifacts.iterdir()} == files


def test_with_many_trials_all_complete_ones_have_a_picture_and_of_the_others_some(
    tmp_path: Path, finished_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(shutil.copytree(finished_run.path, tmp_path / "run"))
    study = study_of(run)
    states = [trial.state for trial in study.get_trials()]
    monkeypatch.setattr("automl.results.dashboard.NOTED", states.count(TrialState.COMPLETE) + 1)
    annotate_trials(study, run.read_record(), run)
    system = study._storage.get_study_system_attrs(study._study_id)
    shown = {int(key.split(":")[2]) for key in system if key.startswith("dashboard:artifacts:")}
    complete = {trial._trial_id for trial in study.trials if trial.state == TrialState.COMPLETE}
    assert complete < shown
    assert len(shown) == states.count(TrialState.COMPLETE) + 1 < len(states)


def test_no_password_comes_into_a_note(finished_run: Any) -> None:
    url = "postgresql+psycopg://me:sesame@host/db"
    record = finished_run.record
    record = record.but(settings=record.settings.model_copy(update={"storage": url}))
    assert "sesame" not in study_note(record, finished_run.path)


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=alert(1)>", "[a](javascript:b)", "![a](http://far/away.png)", "a | b", "$x$", "a\n# b"]
)
def test_other_peoples_text_is_no_markup(text: str) -> None:
    escaped = plain(text)
    assert "<" not in escaped
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[\[\]|$`*_]", escaped)
    assert not re.search(r"(?<!\\)://", escaped)


def test_the_note_of_a_trial_stopped_for_overfitting_gives_both_losses(finished_run: Any) -> None:
    trial = optuna.trial.create_trial(
        state=TrialState.PRUNED,
        user_attrs={
            "reason": "overfitting", "detail": "overfitting at epoch 7 <script>", "overfitting_epoch": 7,
            "overfitting_gap": 0.25, "overfitting_train_loss": 0.01, "overfitting_validation_loss": 0.8,
            "fold_epochs": 7, "seconds": 2.0, "parameters": 1234,
        },
    )  # fmt: skip
    note = trial_note(TrialRecord.of(trial, Curves(1, 1).objective))
    for expected in ("stopped for overfitting", "at epoch 7", "train loss 0.01", "validation loss 0.8", "25%", "1,234"):
        assert expected in note
    assert "<script>" not in note


@pytest.mark.parametrize("epochs", [0, 1, 6])
def test_a_picture_is_a_png_however_far_the_folds_came(epochs: int) -> None:
    curves = Curves(3, 6)
    for fold, length in enumerate((epochs, epochs, max(epochs - 2, 0))):
        curves.values[fold, :length, TRAIN_LOSS] = 1 / np.arange(1, length + 1)
        curves.values[fold, :length, VALIDATION_LOSS] = 1.2 / np.arange(1, length + 1)
    assert draw_alone(curves, "trial $1, <b>", "overfitting").startswith(PNG)
