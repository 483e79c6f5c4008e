"""The study's storage: opened, repaired after a crash, and never shown with its password."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection

from automl.errors import Interrupted, MachineFailed, RunError, SettingsError
from automl.open_file import UnfitFile
from automl.racing.objective import Objective
from automl.run.logs import quiet_optuna
from automl.run.run_record import RunRecord
from automl.study.storage.cache import StudyCache
from automl.study.storage.database import open_database, reason_of
from automl.study.storage.journal import Journal, JournalStudies, repair_journal
from automl.study.storage.proxy import SCHEME, lost_proxy, open_proxy
from automl.study.storage.redaction import FORM, check_url, redact, scrub

__all__ = ["redact"]

PASSWORD_VARIABLE = "AUTOML_STORAGE"


def storage_url_of(record: RunRecord, given: str | None = None) -> str | None:
    """The storage's URL: as given now, from the environment, or from the record, which never holds a password.

    None for a run with a journal of its own, whatever the environment says: that is for other runs.
    """
    recorded = record.settings.storage
    url = given or (os.environ.get(PASSWORD_VARIABLE) if recorded else None) or recorded
    if url and "***" in url:
        raise RunError(
            f"the run's storage is {url}, and passwords are not kept: give it in ${PASSWORD_VARIABLE}, or to `automl "
            "resume` with --storage"
        )
    return str(url) if url else None


def is_server(url: str | None) -> bool:
    """Whether the URL is that of a database server, which takes workers of other machines as well."""
    return url is not None and not url.startswith("sqlite")


def open_storage(
    url: str | None,
    journal: Path,
    interrupted: Callable[[], bool] = lambda: False,
    patience: float = 0.0,
    existing: bool = False,
) -> BaseStorage:
    """The storage at `url`, or the journal file of the run when there is none.

    `interrupted`: whether the user wants to stop, asked while a call waits for a database server that is away;
    `patience`: seconds to wait for it here already; `existing`: make no tables in a database that has none. Raises
    `SettingsError` for a URL that no driver takes, `MachineFailed` when the storage does not answer, and `RunError` for
    a journal that is damaged elsewhere than at its end.
    """
    if url is None:
        with storage_errors():
            repair_journal(journal)
            return open_journal(Journal(journal), journal)
    if url.startswith(SCHEME):
        return open_proxy(url, patience)
    from sqlalchemy.exc import DatabaseError

    check_url(url)
    try:
        return StudyCache(open_database(url, interrupted, patience, existing))
    except Interrupted:
        raise
    except (DatabaseError, optuna.exceptions.StorageInternalError) as error:
        raise MachineFailed(f"storage {redact(url)} does not answer: {scrub(reason_of(error), url)}") from None
    # No such dialect, no such driver, an option that the driver does not know: each library has its own exceptions.
    except Exception as error:
        reason = scrub(str(error).partition("\n")[0] or type(error).__name__, url)
        raise SettingsError(f"--storage {redact(url)}: {reason}; use {FORM}") from None


def open_journal(backend: BaseJournalBackend, path: Path) -> JournalStudies:
    """The studies in a journal, of which `backend` reads the records. Raises OSError, `RunError` for a damaged one."""
    try:
        return JournalStudies(backend)
    except OSError:
        raise
    except Exception as error:  # Optuna replays the records as they are; of a damaged one it raises almost anything
        raise RunError(
            f"{path}: damaged before its end, which cannot be repaired ({type(error).__name__}: {error}); bring back a "
            "copy of it"
        ) from error


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
    """The study of a run. Raises `RunError` when the storage does not have it, or what it has is no search."""
    try:
        study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
    except KeyError:
        known = [summary.study_name for summary in optuna.get_all_study_summaries(storage=storage)]
        raise RunError(f"the storage has no study '{name}' (it has: {', '.join(known) or 'none'})") from None
    if len(study.directions) != 1:
        raise RunError(f"the study '{name}' has {len(study.directions)} objectives, and a search has one")
    return study


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what a full disk or a lost storage raises into `MachineFailed`."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except UnfitFile as error:
        raise RunError(f"{error.filename}: {error.strerror}") from error
    except OSError as error:
        raise MachineFailed(f"the disk failed: {error.strerror or error} ({error.filename or 'storage'})") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise MachineFailed(f"the storage failed: {reason_of(error)}") from error
    except Exception as error:
        if (reason := lost_proxy(error)) is not None:
            raise MachineFailed(f"the storage's proxy failed: {reason}") from error
        raise
