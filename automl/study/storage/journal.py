"""The study's journal: a file of records, one JSON object a line, which survives deaths and full disks."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation

from automl.data.atomic import write_atomic
from automl.open_file import open_to_append, read_file

PATIENCE = 60.0  # seconds to wait for another process, whose writes take milliseconds


class Journal(JournalFileBackend):
    """Optuna's journal file, synced to the disk at the turning points of a trial, and not for every record.

    A trial has about fifty records, and a sync takes milliseconds, tens of them where the disk is busy. What is written
    survives the death of the process without it, and other processes see it. After a power failure a trial may lack its
    last reports and where it stands; it goes on from its checkpoint then. So its config must be on the disk before its
    first checkpoint is: that is seen to with the first report.

    A record is written whole or not at all: half of one, of a disk that is full or a process that died, is taken back.
    """

    def __init__(self, path: Path):
        open_to_append(path).close()  # made where there is none, and no link or pipe
        super().__init__(str(path))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends records, one line each. Raises OSError when the disk fails."""
        content = memoryview("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
        # Not buffered: a buffer that the disk has refused would be tried again when the file is closed.
        with _locked(self._path) as file:
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                _cut_torn_tail(self._path, file)
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
    if not path.exists():
        return None
    with _locked(path) as file:
        return _cut_torn_tail(path, file)


@contextmanager
def _locked(path: Path) -> Iterator[io.FileIO]:
    """The journal, open to be appended to by this process alone; the kernel gives the lock back when a process dies.

    Raises OSError, also when another process holds it longer than `PATIENCE`: one that was stopped in a write.
    """
    with open_to_append(path) as file:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise OSError(errno.EBUSY, "another process holds its lock", str(path)) from None
                time.sleep(random.uniform(0.0005, 0.002))
        try:
            yield file
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # also for a process that was forked meanwhile


def whole_records(content: bytes) -> int:
    """How many bytes of a journal are whole records, without what was torn off at its end."""
    end = content.rfind(b"\n") + 1
    while end and not _is_record(content[(start := content.rfind(b"\n", 0, end - 1) + 1) : end]):
        end = start
    return end


def _cut_torn_tail(path: Path, file: io.FileIO) -> Path | None:
    content = read_file(path, owned=True)
    end = whole_records(content)
    if end == len(content):
        return None
    copy = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09d}")
    write_atomic(copy, lambda kept: kept.write(content))
    file.truncate(end)
    os.fsync(file.fileno())
    return copy


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):  # thousands of brackets
        return False
