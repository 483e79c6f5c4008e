"""A study that is only looked at: nothing is written, locked, repaired or created, whoever the run belongs to.

A run comes with an address of its storage that somebody else may have written. A database is opened where it exists,
and read-only; a server is asked only where the user has named it.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from optuna.storages import BaseStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study._frozen import FrozenStudy
from sqlalchemy.engine import URL, make_url

from automl.errors import MachineFailed, RunError
from automl.open_file import open_file
from automl.run.run_record import RunRecord
from automl.study.storage.journal import whole_records
from automl.study.storage.opening import PASSWORD_VARIABLE, is_server, open_journal, open_storage, storage_url_of
from automl.study.storage.redaction import check_url, redact


class WatchedJournal(BaseJournalBackend):
    """A journal as it is read, also while a search goes on. What is appended stays in memory, for this process alone.

    What was torn off at its end is left out, until the rest of it is there. It is read forwards only, by one storage.
    """

    def __init__(self, path: Path):
        self._path = path
        self._offset = 0  # bytes that were read
        self._records: deque[dict[str, Any]] = deque()  # that were not handed out yet

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The records that have come since. Raises OSError, and ValueError for one that is damaged."""
        try:
            with open_file(self._path, owned=True) as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:  # killed before there was one
            content = b""
        if content:
            content = content[: whole_records(content)]
            self._records.extend(map(json.loads, content.splitlines()))
            self._offset += len(content)
        while self._records:
            yield self._records.popleft()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keeps records in memory, behind those that were read."""
        self._records.extend(logs)


class Overlay:
    """A storage as it is, but that attributes of its studies which are set stay in memory, for this process alone."""

    def __init__(self, storage: BaseStorage):
        self._storage = storage
        self._user: dict[int, dict[str, Any]] = {}  # by study
        self._system: dict[int, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """As of a storage."""
        self._user.setdefault(study_id, {})[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """As of a storage."""
        self._system.setdefault(study_id, {})[key] = value

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As of a storage."""
        return {**self._storage.get_study_user_attrs(study_id), **self._user.get(study_id, {})}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As of a storage."""
        return {**self._storage.get_study_system_attrs(study_id), **self._system.get(study_id, {})}

    def get_all_studies(self) -> list[FrozenStudy]:
        """As of a storage."""
        studies = self._storage.get_all_studies()
        for study in studies:
            study.user_attrs = {**study.user_attrs, **self._user.get(study._study_id, {})}
            study.system_attrs = {**study.system_attrs, **self._system.get(study._study_id, {})}
        return studies


def look_at_storage(record: RunRecord, journal: Path) -> BaseStorage:
    """The storage of a run, to be looked at.

    Raises `RunError` for a server that only the run names, a database that is not there or holds no study, and a
    journal that cannot be read; `MachineFailed` for a server that does not answer.
    """
    url = storage_url_of(record)
    if url is None:
        try:
            return open_journal(WatchedJournal(journal), journal)
        except OSError as error:
            raise RunError(f"{journal}: cannot be read: {error.strerror or error}") from error
    if is_server(url):
        if not os.environ.get(PASSWORD_VARIABLE):
            raise RunError(
                f"the run says that its trials are in {redact(url)}, and a server is not asked because a run names it: "
                f"if it is yours, give it in ${PASSWORD_VARIABLE}"
            )
        return cast(BaseStorage, Overlay(open_storage(url, journal, existing=True)))
    check_url(url)
    try:
        return cast(BaseStorage, Overlay(open_storage(_read_only(url), journal, existing=True)))
    except MachineFailed as error:
        raise RunError(str(error)) from error


def _read_only(url: str) -> str:
    """The URL that opens the SQLite database only to read it. Raises `RunError` when it is not there."""
    name = (make_url(url).database or "").removeprefix("file:")
    path = Path(name).absolute()
    if not name or not path.is_file():
        raise RunError(f"the run says that its trials are in {redact(url)}, and there is no such file")
    only_read = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    return only_read.render_as_string()
