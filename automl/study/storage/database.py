"""A study in a database server, which may be away for a while: restarted, failed over, or out of connections.

The patience stands here, around Optuna's own calls, and nowhere else: each of them is one transaction, so a call whose
transaction was lost may be made again. Only of a commit whose answer was lost it is unknown whether it counted. Setting
an attribute, a parameter or a report twice changes nothing; the other two kinds of call look before they write again.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from automl.errors import Interrupted

log = logging.getLogger("automl.storage")

PATIENCE = 120.0  # seconds that a server may be away
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between two attempts; each pause is twice the one before
OPENED_AT_ONCE = 8  # attempts: a table, a row of versions and a revision may each have been made by another one
TICKET = "automl:ticket"
"""A trial's system attribute: which call has made it."""

# For libpq: a server that has vanished without a word must be noticed, or a call would wait for it for hours.
NETWORK = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
           "tcp_user_timeout": 30_000}  # fmt: skip

# SQLSTATE classes: connection lost, read-only (a failover), conflict with another transaction, out of connections, shut
# down. 53100 is a full disk.
PASSING, LASTING = ("08", "25006", "40", "53", "57"), ("53100", "53200")
REFUSED = ("authentication failed", "does not exist", "pg_hba.conf", "permission denied", "no password supplied")


def is_passing(error: BaseException) -> bool:
    """Whether what a storage call raised may be over in a moment: the server is away, not the request wrong."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, PendingRollbackError):  # the connection was lost in the midst of a transaction
        return True
    if not isinstance(cause, DBAPIError):
        return False
    state = getattr(cause.orig, "sqlstate", None) or getattr(cause.orig, "pgcode", None)
    if state:
        return state.startswith(PASSING) and state not in LASTING
    if type(cause.orig).__module__.startswith("sqlite3"):
        return "locked" in str(cause.orig)
    if not isinstance(cause, OperationalError | InterfaceError) and not cause.connection_invalidated:
        return False
    return not any(words in str(cause.orig) for words in REFUSED)


def reason_of(error: BaseException) -> str:
    """In a line what a storage call raised. Drivers name the host and the user in it, never the password."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    original = getattr(cause, "orig", None) or cause
    return str(original).strip().partition("\n")[0] or type(original).__name__


def patiently(call: Callable[[int], Any], interrupted: Callable[[], bool], patience: float = PATIENCE) -> Any:
    """What `call(attempt)` returns, attempts counted from 0, made again as long as the server is away.

    Raises what the last attempt raised, `Interrupted` when the user wants to stop meanwhile.
    """
    started, pause, attempt = time.monotonic(), FIRST_PAUSE, 0
    while True:
        try:
            return call(attempt)
        except Exception as error:
            left = started + patience - time.monotonic()
            if not is_passing(error) or left <= 0:
                raise
            if interrupted():
                raise Interrupted from error
            if attempt == 0:
                log.warning("the storage does not answer (%s); trying again for %.0f s", reason_of(error), left)
        # Not all workers at once, and never past the last moment.
        _sleep(min(pause * random.uniform(0.5, 1.0), left), interrupted)
        pause = min(2 * pause, LONGEST_PAUSE)
        attempt += 1


def _sleep(seconds: float, interrupted: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not interrupted():
        time.sleep(min(left, 0.2))


class Database(RDBStorage):
    """Optuna's storage in a database, whose calls wait for a server that is away.

    Args:
        url: of the database; SQLAlchemy's form.
        interrupted: whether the user wants to stop; asked while a call waits.
        existing: make no tables where there are none.

    Raises what `RDBStorage` raises. A trial is made once, even where the answer to the commit was lost.
    """

    def __init__(self, url: str, interrupted: Callable[[], bool] = lambda: False, existing: bool = False):
        from sqlalchemy.engine import make_url

        parsed = make_url(url)
        libpq = parsed.drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")
        network = {name: value for name, value in NETWORK.items() if libpq and name not in parsed.query}
        self._interrupted = interrupted
        self._tried: set[str] = set()
        options = {"pool_pre_ping": True, "connect_args": network}
        super().__init__(url, engine_kwargs=options, skip_table_creation=existing)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        trial = template_trial or create_trial(state=TrialState.RUNNING)
        ticket = secrets.token_hex(8)
        trial.system_attrs = {**trial.system_attrs, TICKET: ticket}
        try:
            made: FrozenTrial = self._patiently(lambda _: super(Database, self)._create_new_trial(study_id, trial))
        finally:
            self._tried.discard(ticket)
        return made

    def _get_prepared_new_trial(self, study_id: int, template_trial: FrozenTrial | None, session: Any) -> Any:
        """Optuna calls this with the study locked, and again when the commit failed: also one that has counted."""
        from optuna.storages._rdb.models import TrialModel, TrialSystemAttributeModel

        ticket = template_trial.system_attrs[TICKET] if template_trial is not None else ""
        if ticket in self._tried:
            asked = session.query(TrialModel).join(TrialSystemAttributeModel).filter(
                TrialModel.study_id == study_id,
                TrialSystemAttributeModel.key == TICKET,
                TrialSystemAttributeModel.value_json == json.dumps(ticket),
            )  # fmt: skip
            if (made := asked.one_or_none()) is not None:
                return made
        self._tried.add(ticket)
        return super()._get_prepared_new_trial(study_id, template_trial, session)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """As Optuna's; a trial that was told so before the answer was lost is not told again."""

        def tell(attempt: int) -> bool:
            try:
                return super(Database, self).set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if attempt and self.get_trial(trial_id).state == state:
                    return True
                raise

        told: bool = self._patiently(tell)
        return told

    def read_marks(self, study_id: int, standing: str, newer_than: int) -> dict[int, tuple[Any, ...]]:
        """By Optuna's id of each unfinished trial, and of each with a higher id, what changes when the trial does.

        That is its state, the user attribute `standing` as JSON, and while it has none how many parameters and reports
        the trial has.
        """
        from optuna.storages._rdb import models
        from sqlalchemy import and_, case, func, or_, select

        trial, attribute = models.TrialModel, models.TrialUserAttributeModel

        def count(of: Any) -> Any:
            counted = select(func.count()).select_from(of).where(of.trial_id == trial.trial_id).scalar_subquery()
            return case((attribute.value_json.is_(None), counted), else_=0)

        asked = (
            select(trial.trial_id, trial.state, attribute.value_json, count(models.TrialParamModel),
                   count(models.TrialIntermediateValueModel))
            .outerjoin(attribute, and_(attribute.trial_id == trial.trial_id, attribute.key == standing))
            .where(trial.study_id == study_id)
            .where(or_(trial.state.in_((TrialState.RUNNING, TrialState.WAITING)), trial.trial_id > newer_than))
        )  # fmt: skip
        return {number: tuple(mark) for number, *mark in self._read(asked)}

    def read_attribute(self, study_id: int, name: str, newer_than: int) -> list[tuple[int, Any]]:
        """Optuna's id and the user attribute `name` of the trials with a higher id, in their order."""
        from optuna.storages._rdb.models import TrialModel, TrialUserAttributeModel
        from sqlalchemy import select

        asked = (
            select(TrialModel.trial_id, TrialUserAttributeModel.value_json)
            .join(TrialUserAttributeModel, TrialUserAttributeModel.trial_id == TrialModel.trial_id)
            .where(TrialModel.study_id == study_id, TrialModel.trial_id > newer_than)
            .where(TrialUserAttributeModel.key == name)
            .order_by(TrialModel.trial_id)
        )
        return [(number, json.loads(text)) for number, text in self._read(asked)]

    def _read(self, asked: Any) -> list[Any]:
        """The rows of a plain query: a tenth of what objects take."""

        def read(_: int) -> list[Any]:
            with self.engine.connect() as connection:
                return list(connection.execute(asked))

        rows: list[Any] = self._patiently(read)
        return rows

    def set_trial_user_attrs(self, trial_id: int, values: Mapping[str, Any]) -> None:
        """Sets several attributes in one transaction; raises as `set_trial_user_attr`."""
        from optuna.storages._rdb.models import TrialUserAttributeModel
        from optuna.storages._rdb.storage import _create_scoped_session

        def write(_: int) -> None:
            with _create_scoped_session(self.scoped_session, True) as session:
                for name, value in values.items():
                    self._set_trial_attr_without_commit(session, TrialUserAttributeModel, trial_id, name, value)

        self._patiently(write)

    def _patiently(self, call: Callable[[int], Any]) -> Any:
        from sqlalchemy.exc import SQLAlchemyError

        def attempt(number: int) -> Any:
            if number:
                with suppress(SQLAlchemyError):
                    self.scoped_session.remove()  # what is left of the lost connection
            return call(number)

        return patiently(attempt, self._interrupted)


# The calls that make one transaction and may be made twice; all others go through these.
REPEATABLE = (
    "create_new_study", "delete_study", "set_study_user_attr", "set_study_system_attr", "get_study_id_from_name",
    "get_study_name_from_id", "get_study_directions", "get_study_user_attrs", "get_study_system_attrs",
    "get_all_studies", "_set_trial_param", "set_trial_intermediate_value", "set_trial_user_attr",
    "set_trial_system_attr", "get_trial_id_from_study_id_trial_number", "get_trial", "_get_trials",
    "_get_best_trial_id", "get_trial_param", "get_trial_user_attrs", "get_trial_system_attrs",
)  # fmt: skip


def _waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Database, *args: Any, **kwargs: Any) -> Any:
        return self._patiently(lambda _: method(self, *args, **kwargs))

    return call


for _name in REPEATABLE:
    setattr(Database, _name, _waiting(getattr(RDBStorage, _name)))


def open_database(
    url: str, interrupted: Callable[[], bool] = lambda: False, patience: float = 0.0, existing: bool = False
) -> Database:
    """The database at `url`, its tables made when they are not there, unless it is to be an `existing` one.

    `patience`: seconds to wait for a server that is away. Several processes may open a fresh database at once: those
    that were too late to make a table try again. Raises as `RDBStorage`.
    """
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    def attempt(_: int) -> Database:
        return Database(url, interrupted, existing)

    late = 0
    while True:
        try:
            database: Database = patiently(attempt, interrupted, patience)
            return database
        except (IntegrityError, ProgrammingError, StorageInternalError, RuntimeError, AssertionError):
            late += 1
            if late > OPENED_AT_ONCE:
                raise
            time.sleep(random.uniform(0.2, 1.0))
