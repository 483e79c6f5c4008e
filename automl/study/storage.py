"""The study's storage: opened, repaired after a crash, and never shown with its password."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.storages.journal._storage import JournalOperation
from optuna.study import StudyDirection

from automl.errors import MachineFailed, RunError, SettingsError
from automl.racing.objective import Objective
from automl.study.logs import quiet_optuna

PASSWORD_VARIABLE = "AUTOML_STORAGE"


def redact(url: str) -> str:
    """A storage URL without its password, for records, logs and messages."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        return "(unreadable storage URL)"
    # PostgreSQL's drivers take passwords behind the question mark as well.
    secret = {key: "***" for key in parsed.query if "pass" in key.lower() or "pwd" in key.lower()}
    return parsed.update_query_dict(secret).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """The storage at `url`, or the journal file of the run when there is none.

    Raises `SettingsError` for a URL that no driver takes and `MachineFailed` when the storage does not answer.
    """
    if url is None:
        repair_journal(journal)
        return JournalStorage(Journal(journal))
    from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

    try:
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (ArgumentError, NoSuchModuleError, ImportError, ModuleNotFoundError) as error:
        reason = str(error).replace(url, redact(url)).partition("\n")[0]
        raise SettingsError(
            f"--storage {redact(url)}: {reason}; use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        ) from None
    except DatabaseError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise MachineFailed(f"storage {redact(url)} does not answer: {reason}") from None


class Journal(JournalFileBackend):
    """Optuna's journal file, synced to the disk at the turning points of a trial, and not for every record.

    A trial has about fifty records, and a sync takes milliseconds, tens of them where the disk is busy. What is written
    survives the death of the process without it, and other processes see it. After a power failure a trial may lack its
    last reports and where it stands; it goes on from its checkpoint then. So its config must be on the disk before its
    first checkpoint is: that is seen to with the first report.
    """

    def __init__(self, path: Path):
        super().__init__(str(path), lock_obj=JournalFileOpenLock(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends records, one line each. Raises OSError when the disk fails."""
        content = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self._lock.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(content)
                file.flush()
                if any(_lasts(log) for log in logs):
                    os.fsync(file.fileno())  # also what was written before
        finally:
            self._lock.release()


_TURNING_POINTS = (
    JournalOperation.CREATE_STUDY,
    JournalOperation.CREATE_TRIAL,
    JournalOperation.SET_TRIAL_STATE_VALUES,
)


def _lasts(log: dict[str, Any]) -> bool:
    """Whether a record of the journal must be on the disk when it is written."""
    first_report = log["op_code"] == JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE and log["step"] == 1
    return first_report or log["op_code"] in _TURNING_POINTS


def repair_journal(path: Path) -> Path | None:
    """Cuts a torn tail off a journal, under its lock; returns the copy that was kept of it, or None when it was whole.

    A record without its newline was never acknowledged. Left there, the next record would be appended to it and the
    journal could not be read any more.
    """
    if not path.is_file():
        return None
    lock = JournalFileOpenLock(str(path))
    lock.acquire()
    try:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        while whole and not _is_record(whole[whole.rfind(b"\n", 0, -1) + 1 :]):
            whole = whole[: whole.rfind(b"\n", 0, -1) + 1]
        if whole == content:
            return None
        copy = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09d}")
        shutil.copyfile(path, copy)
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
        return copy
    finally:
        lock.release()


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def create_study(
    storage: BaseStorage, name: str, objective: Objective, sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """A new study that optimises `objective`. Raises `RunError` when the storage has one of this name."""
    try:
        direction = StudyDirection[objective.direction.upper()]
        with quiet_optuna():
            study = optuna.create_study(storage=storage, study_name=name, direction=direction, sampler=sampler)
            study.set_metric_names([objective.name])
    except optuna.exceptions.DuplicatedStudyError:
        raise RunError(f"the storage has a study '{name}' already; choose another name with --study") from None
    return study


def load_study(storage: BaseStorage, name: str, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """The study of a run. Raises `RunError` when the storage does not have it."""
    try:
        return optuna.load_study(storage=storage, study_name=name, sampler=sampler)
    except KeyError:
        known = [summary.study_name for summary in optuna.get_all_study_summaries(storage=storage)]
        raise RunError(f"the storage has no study '{name}' (it has: {', '.join(known) or 'none'})") from None


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what a full disk or a lost storage raises into `MachineFailed`."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except OSError as error:
        raise MachineFailed(f"the disk failed: {error.strerror or error} ({error.filename or 'storage'})") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise MachineFailed(f"the storage failed: {type(error).__name__}") from error
