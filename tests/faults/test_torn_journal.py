"""A journal that lost its last bytes is repaired when it is opened, and a copy of what was left of it is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal._storage import JournalOperation
from watching import board

from automl.study.storage.journal import Journal, repair_journal
from automl.study.storage.opening import load_study, open_storage

RANDOM = optuna.samplers.RandomSampler()


@pytest.fixture
def searched(digits_run) -> Path:
    """The folder of a small run that came to its end."""
    return digits_run.path


def operation(line: bytes) -> int:
    return int(json.loads(line)["op_code"])


def lines_of(run: Path, interrupted: bool) -> list[bytes]:
    """The records of the journal; of the interrupted run up to the end of its first trial."""
    lines = (run / "journal.log").read_bytes().splitlines(keepends=True)
    if not interrupted:
        return lines
    told = next(n for n, line in enumerate(lines) if operation(line) == JournalOperation.SET_TRIAL_STATE_VALUES)
    return lines[: told + 1]


def trials_in(lines: list[bytes]) -> int:
    return sum(operation(line) == JournalOperation.CREATE_TRIAL for line in lines)


@pytest.mark.parametrize("interrupted", [False, True])
def test_torn_journal_at_each_byte_of_its_last_three_records_opens_with_all_records_before(
    interrupted, searched, tmp_path
):
    lines, path = lines_of(searched, interrupted), tmp_path / "journal.log"
    content = b"".join(lines)
    for cut in range(len(content) - sum(map(len, lines[-3:])), len(content)):
        path.write_bytes(content[:cut])
        copy = repair_journal(path)
        whole = content[:cut].rfind(b"\n") + 1
        assert path.read_bytes() == content[:whole]
        assert (copy is None) == (cut == whole)
        if copy is not None:
            assert copy.read_bytes() == content[:cut]
            copy.unlink()
        if cut % 9 == 0:
            study = load_study(open_storage(None, path), "run", RANDOM)
            assert len(study.trials) == trials_in(lines)
    assert not path.with_name("journal.log.lock").exists()


@pytest.mark.parametrize(("interrupted", "torn"), [(False, 1), (False, 150), (True, 1), (True, 40), (True, 200)])
def test_torn_journal_the_leaderboard_opens_it_and_the_search_goes_on(interrupted, torn, searched, automl, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(searched, run)
    lines = lines_of(searched, interrupted)
    content = b"".join(lines)[:-torn]
    (run / "journal.log").write_bytes(content)
    answer = automl("leaderboard", run, "--json")
    assert answer.code == 0, answer.err
    assert len(json.loads(answer.out)["trials"]) == trials_in(lines)
    assert (run / "journal.log").read_bytes() == content  # who only looks repairs nothing
    answer = automl("resume", run, "--quiet")
    assert answer.code == 0, answer.err
    assert [copy.read_bytes() for copy in run.glob("journal.log.torn-*")] == [content]
    trials = board(automl, run)["trials"]
    assert sorted(trial["number"] for trial in trials) == [0, 1, 2]
    assert {trial["state"] for trial in trials} <= {"COMPLETE", "PRUNED"}


def test_torn_journal_what_a_dying_process_left_is_cut_off_before_others_that_live_write_on(searched, tmp_path):
    path = tmp_path / "journal.log"
    shutil.copy(searched / "journal.log", path)
    alive = Journal(path)
    known = len(list(alive.read_logs(0)))
    with path.open("ab") as file:
        file.write(b'{"op_code":8,"worker_id":"dead","trial')
    alive.append_logs([{"op_code": 8, "worker_id": "alive"}])
    assert [record["worker_id"] for record in alive.read_logs(known)] == ["alive"]
    assert len(list(tmp_path.glob("journal.log.torn-*"))) == 1
