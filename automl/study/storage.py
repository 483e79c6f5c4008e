"""The study's storage: opened, repaired after a crash, and never shown with its password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.study import StudyDirection

from automl.errors import MachineFailed, RunError, SettingsError
from automl.racing.objective import Objective
from automl.study.journal import Journal, repair_journal
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
        with storage_errors():
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
