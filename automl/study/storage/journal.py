"""The study's journal: a file of records, one JSON object a line, which survives deaths and full disks."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.storages.journal._storage import JournalOperation


class Journal(JournalFileBackend):
    """Optuna's journal file, synced to the disk at the turning points of a trial, and not for every record.

    A trial has about fifty records, and a sync takes milliseconds, tens of them where the disk is busy. What is written
    survives the death of the process without it, and other processes see it. After a power failure a trial may lack its
    last reports and where it stands; it goes on from its checkpoint then. So its config must be on the disk before its
    first checkpoint is: that is seen to with the first report.

    A record is written whole or not at all: half of one, of a disk that is full or a process that died, is taken back.
    """

    def __init__(self, path: Path):
        super().__init__(str(path), lock_obj=JournalFileOpenLock(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends records, one line each. Raises OSError when the disk fails."""
        content = memoryview("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
        # Not buffered: a buffer that the disk has refused would be tried again when the file is closed.
        with _locked(self._path), self._path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                _cut_torn_tail(self._path)
                size = file.seek(0, os.SEEK_END)
            try:
                while content:
                    content = content[file.write(content) :]
            except OSError:
                file.truncate(size)
                raise
            if any(_lasts(log) for log in logs):
                os.fsync(file.fileno())  # also what was written before


class JournalStudies(JournalStorage):
    """Optuna's studies in a journal, which takes several attributes at once: each append locks the file."""

    def set_trial_user_attrs(self, trial_id: int, values: Mapping[str, Any]) -> None:
        """Sets attributes of a trial in their order; raises as `set_trial_user_attr`."""
        about = {
            "op_code": JournalOperation.SET_TRIAL_USER_ATTR,
            "worker_id": self._replay_result.worker_id,
            "trial_id": trial_id,
        }
        with self._thread_lock:
            self._backend.append_logs([{**about, "user_attr": {name: value}} for name, value in values.items()])
            refused: UpdateFinishedTrialError | None = None
            while True:
                try:
                    self._sync_with_backend()
                    break
                except UpdateFinishedTrialError as error:
                    refused = error  # of one record; the others would be refused in whatever is asked for next
        if refused:
            raise refused


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
    journal could not be read any more. Raises OSError when the disk fails; the journal is as it was then.
    """
    if not path.is_file():
        return None
    with _locked(path):
        return _cut_torn_tail(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = JournalFileOpenLock(str(path))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _cut_torn_tail(path: Path) -> Path | None:
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    while end and not _is_record(content[(start := content.rfind(b"\n", 0, end - 1) + 1) : end]):
        end = start
    if end == len(content):
        return None
    copy = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09d}")
    try:
        shutil.copyfile(path, copy)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    with path.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())
    return copy


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):  # thousands of brackets
        return False
