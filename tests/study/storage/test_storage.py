"""The study's storage: whole again after a crash, and silent about passwords."""

from __future__ import annotations

import json
import time
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

import automl
from automl.errors import MachineFailed, RunError, SettingsError
from automl.racing.objective import Objective
from automl.study.storage.journal import repair_journal
from automl.study.storage.opening import create_study, load_study, open_storage, redact

RANDOM = optuna.samplers.RandomSampler(seed=0)


@pytest.fixture(scope="module")
def journal(finished_run) -> tuple[bytes, str]:
    """The journal of a real search, and its study's name."""
    return finished_run.folder.journal.read_bytes(), finished_run.record.study


def torn_copies(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.torn-*"))


class TestRepair:
    def test_a_whole_journal_is_left_alone(self, journal, tmp_path):
        path = tmp_path / "journal.log"
        path.write_bytes(journal[0])
        assert repair_journal(path) is None
        assert path.read_bytes() == journal[0]
        assert [file.name for file in tmp_path.iterdir()] == ["journal.log"]

    def test_a_journal_that_is_not_there_is_not_made(self, tmp_path):
        assert repair_journal(tmp_path / "journal.log") is None
        assert list(tmp_path.iterdir()) == []

    def test_cut_at_any_byte_of_the_last_3_records_only_the_torn_one_is_lost(self, journal, tmp_path):
        content, _ = journal
        records = content.splitlines(keepends=True)
        assert len(records) > 50
        start = len(content) - sum(map(len, records[-3:]))
        for cut in range(start, len(content)):
            path = tmp_path / str(cut) / "journal.log"
            path.parent.mkdir()
            path.write_bytes(content[:cut])
            whole = content[: content.rfind(b"\n", 0, cut) + 1]
            copy = repair_journal(path)
            assert path.read_bytes() == whole
            if len(whole) == cut:
                assert copy is None
            else:
                assert copy is not None
                assert copy.read_bytes() == content[:cut]
                assert torn_copies(path) == [copy]

    def test_a_study_cut_anywhere_opens_keeps_its_trials_and_takes_more(self, journal, tmp_path):
        content, name = journal
        start = len(content) - sum(map(len, content.splitlines(keepends=True)[-3:]))
        path = tmp_path / "journal.log"
        for cut in [*range(start, len(content), 17), len(content) - 1]:
            path.write_bytes(content[:cut])
            study = load_study(open_storage(None, path), name, RANDOM)
            assert len(study.trials) == 6
            study.tell(study.ask({"more": optuna.distributions.FloatDistribution(0, 1)}), 1.0)
            again = load_study(open_storage(None, path), name, RANDOM)  # reads what was appended behind the cut
            assert len(again.trials) == 7
            assert again.trials[-1].state == TrialState.COMPLETE
            for line in path.read_bytes().splitlines():
                assert isinstance(json.loads(line), dict)

    @pytest.mark.parametrize(
        "tail", [b"\x00" * 4096, b"\x00" * 10 + b"\n", b"{}}\n", b"[1]\n", b"\xff\xfe\n{\n", b"5\n\n"]
    )
    def test_garbage_that_a_crash_left_at_the_end_is_cut_off(self, tail, journal, tmp_path):
        path = tmp_path / "journal.log"
        path.write_bytes(journal[0] + tail)
        copy = repair_journal(path)
        assert path.read_bytes() == journal[0]
        assert copy is not None
        assert copy.read_bytes() == journal[0] + tail

    def test_two_repairs_in_one_second_keep_two_copies(self, journal, tmp_path):
        path = tmp_path / "journal.log"
        for tail in (b"first", b"second"):
            path.write_bytes(journal[0] + tail)
            repair_journal(path)
        assert {copy.read_bytes()[len(journal[0]) :] for copy in torn_copies(path)} == {b"first", b"second"}

    def test_the_lock_is_given_back(self, journal, tmp_path):
        path = tmp_path / "journal.log"
        path.write_bytes(journal[0][:-3])
        repair_journal(path)
        assert not (tmp_path / "journal.log.lock").exists()

    @pytest.mark.parametrize("tail", [b"[" * 5000 + b"\n", b"7\n" * 300_000], ids=["brackets", "many lines"])
    def test_a_tail_that_is_no_record_is_cut_off_at_once_however_odd_it_is(self, journal, tail, tmp_path):
        path, whole = tmp_path / "odd.log", journal[0]
        path.write_bytes(whole + tail)
        started = time.process_time()
        assert repair_journal(path) is not None
        assert time.process_time() - started < 2
        assert path.read_bytes() == whole

    def test_a_journal_damaged_before_its_end_is_refused(self, journal, tmp_path):
        path = tmp_path / "damaged.log"
        path.write_bytes(b"{}\n" + journal[0])
        with pytest.raises(RunError, match="damaged before its end"):
            open_storage(None, path)


URLS = [
    "postgresql+psycopg://me:s3cret@host:5432/db",
    "postgresql+psycopg://me:s3cret%40x@host/db",
    "mysql+pymysql://me:s3cret@host/db?charset=utf8",
    "postgresql+psycopg://host/db?user=me&password=s3cret",
    "postgresql+psycopg://host/db?sslpassword=s3cret&sslmode=require",
]


class TestPasswords:
    @pytest.mark.parametrize("url", URLS)
    def test_a_url_is_shown_without_its_password(self, url):
        shown = redact(url)
        assert "s3cret" not in shown
        assert "***" in shown
        assert shown.startswith(url.partition("://")[0])
        assert "host" in shown

    def test_a_url_without_a_password_is_shown_whole(self):
        assert redact("sqlite:////data/study.db") == "sqlite:////data/study.db"
        assert redact("postgresql+psycopg://me@host/db") == "postgresql+psycopg://me@host/db"

    @pytest.mark.parametrize("url", ["me:s3cret@host", "://me:s3cret@host", "s3cret", ""])
    def test_what_is_no_url_is_not_shown_at_all(self, url):
        assert redact(url) == "(unreadable storage URL)"

    @pytest.mark.parametrize(
        "url",
        ["nosuch://me:s3cret@host/db", "postgresql+nosuch://me:s3cret@host/db", "me:s3cret@host", "http//x:s3cret"],
    )
    def test_no_error_of_opening_shows_the_password(self, url, tmp_path):
        with pytest.raises(SettingsError, match=r"--storage .*; use sqlite:///FILE or postgresql") as caught:
            open_storage(url, tmp_path / "journal.log")
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


class TestStudies:
    @pytest.mark.parametrize("kind", ["journal", "sqlite"])
    def test_a_study_is_created_once_and_found_again(self, kind, tmp_path):
        url = f"sqlite:///{tmp_path}/study.db" if kind == "sqlite" else None
        study = create_study(open_storage(url, tmp_path / "journal.log"), "mine", Objective(), RANDOM)
        assert study.direction == optuna.study.StudyDirection.MINIMIZE
        study.tell(study.ask(), 0.5)
        found = load_study(open_storage(url, tmp_path / "journal.log"), "mine", RANDOM)
        assert (found.best_value, found.metric_names) == (0.5, ["log_loss"])
        with pytest.raises(RunError, match="has a study 'mine' already; choose another name with --study"):
            create_study(open_storage(url, tmp_path / "journal.log"), "mine", Objective(), RANDOM)

    def test_a_study_that_is_not_there_is_refused_with_those_that_are(self, tmp_path):
        storage = open_storage(None, tmp_path / "journal.log")
        with pytest.raises(RunError, match=r"no study 'x' \(it has: none\)"):
            load_study(storage, "x", RANDOM)
        create_study(storage, "y", Objective(), RANDOM)
        with pytest.raises(RunError, match=r"no study 'x' \(it has: y\)"):
            load_study(storage, "x", RANDOM)

    def test_a_run_with_a_journal_of_its_own_asks_no_storage_of_the_environment(self, finished_run, monkeypatch):
        monkeypatch.setenv("AUTOML_STORAGE", "postgresql://me@127.0.0.1:1/other_runs")
        assert automl.open_run(finished_run.path).leaderboard() == finished_run.leaderboard()

    def test_a_database_that_cannot_be_opened_is_the_machines_failure(self, tmp_path):
        with pytest.raises(MachineFailed, match="does not answer: unable to open database file"):
            open_storage(f"sqlite:///{tmp_path}/nowhere/study.db", tmp_path / "journal.log")

    def test_a_file_that_is_no_database_is_told_in_one_line(self, tmp_path):
        (tmp_path / "study.db").write_text("no database" * 100)
        with pytest.raises((MachineFailed, SettingsError), match="not a database") as caught:
            open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path / "journal.log")
        assert "\n" not in str(caught.value)


def test_a_journal_is_synced_where_a_trial_begins_has_its_config_and_ends_and_not_for_every_record(
    tmp_path, monkeypatch
):
    journal = tmp_path / "journal.log"
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda handle: synced.append(journal.read_bytes().count(b"\n")))
    storage = open_storage(None, journal)
    study = create_study(storage, "s", Objective.of("classification"), RANDOM)
    synced.clear()
    trial = study.ask()
    for name in "abcdef":
        trial.suggest_float(name, 0, 1)
    with_config = journal.read_bytes().count(b"\n") + 1
    trial.report(0.5, 1)
    assert synced[-1] == with_config  # before the first checkpoint
    for epoch in range(2, 9):
        trial.report(0.5, epoch)
    trial.set_user_attr("seconds", 1.0)
    study.tell(trial, 0.5)
    assert len(synced) == 3
    assert synced[-1] == journal.read_bytes().count(b"\n")
    again = load_study(open_storage(None, journal), "s", RANDOM).trials[0]
    assert (again.value, again.user_attrs, len(again.intermediate_values)) == (0.5, {"seconds": 1.0}, 8)


def test_attributes_that_come_too_late_for_their_trial_are_refused_at_once_and_not_later(tmp_path):
    journal = tmp_path / "journal.log"
    study = create_study(open_storage(None, journal), "s", Objective.of("classification"), RANDOM)
    trial = study.ask()
    other = load_study(open_storage(None, journal), "s", RANDOM)
    other.tell(trial.number, 0.5)
    with pytest.raises(UpdateFinishedTrialError):
        trial.storage.set_trial_user_attrs(trial._trial_id, {"a": 1, "b": 2, "c": 3})
    assert study.ask().number == 1
    assert study.trials[0].user_attrs == {}
