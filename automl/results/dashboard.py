"""A run in the Optuna dashboard: notes and pictures for its trials, and the server.

The dashboard has no login and lets whoever reaches it delete trials; `door.py` says who does.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import FrozenTrial, TrialState

from automl.data.atomic import write_atomic
from automl.open_file import open_file
from automl.racing.objective import Objective
from automl.results.door import HOST, Door, shown_name
from automl.results.notes import study_note, trial_note
from automl.results.plain_csv import PlainCsv
from automl.results.response_cache import Remembering
from automl.results.server import PORTS, listen
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.run_record import RunRecord
from automl.study.storage.internals import (
    set_system_attribute,
    storage_of,
    study_id,
    system_attributes,
    trial_id,
    trial_of,
)
from automl.study.storage.opening import storage_errors
from automl.study.trial_record import TrialRecord, is_overfitting

log = logging.getLogger("automl.dashboard")

LOOK_EVERY = 5.0  # seconds; a search may be going on meanwhile
PICTURE = "curves.png"
NOTED = 300  # trials; each answer looks through all notes and pictures for every trial, so more would make it slow


def annotate_study(study: optuna.Study, record: RunRecord, folder: RunFolder) -> None:
    """Gives a study its note, unless it has one: what a person has written there stays. Raises `MachineFailed`."""
    from optuna_dashboard import get_note, save_note

    with storage_errors():
        if not get_note(study):
            save_note(study, study_note(record, folder.path))
        if final := record.final:
            facts: dict[str, object] = {"model": str(folder.model), "model_trial": final.trial}
            facts |= {f"test_{name}": value for name, value in final.test.items()}
            for name, value in facts.items():
                if study.user_attrs.get(name) != value:
                    study.set_user_attr(name, value)


def annotate_trials(
    study: optuna.Study,
    record: RunRecord,
    folder: RunFolder,
    *,
    complete_only: bool = False,
    stop: Callable[[], bool] = lambda: False,
    writing: AbstractContextManager[Any] | None = None,
    pictures: Path | None = None,
) -> None:
    """Gives ended trials what they lack of notes and pictures, complete ones first; may be called again at any time.

    Complete trials all get them, of the others as many as are needed to have `NOTED` in all. The files of the pictures
    go to `pictures`, by default to the run's artifacts.

    A picture costs about 0.2 s: `complete_only` leaves out the others, `stop` is asked before and after each. What is
    written is written inside of `writing`. Raises `MachineFailed`.
    """
    from optuna_dashboard import save_note

    objective = record.objective
    with storage_errors():
        # A trial of the study itself would go through its sampler.
        noted = optuna.load_study(
            study_name=study.study_name, storage=storage_of(study), sampler=optuna.samplers.RandomSampler()
        )
        system = system_attributes(study)
        with_note, with_picture = (_ids(system, kind) for kind in (NOTE, ARTIFACT))
        for frozen in _by_interest(study.get_trials(deepcopy=False)):
            if frozen.state != TrialState.COMPLETE and (complete_only or len(with_note | with_picture) >= NOTED):
                return
            # Also when it was deleted by hand: the entry stays.
            has_picture = trial_id(frozen) in with_picture
            picture = None if has_picture or stop() else _draw(frozen, folder, objective)
            note = trial_note(TrialRecord.of(frozen, objective))
            with writing or nullcontext():
                if stop():
                    return
                if note and trial_id(frozen) not in with_note:
                    save_note(trial_of(noted, frozen), note)
                    with_note.add(trial_id(frozen))
                if picture is not None:
                    _save_picture(study, frozen, pictures or folder.artifacts, picture)
                    with_picture.add(trial_id(frozen))


def _by_interest(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The ended trials: complete ones, those that overfit, the others."""

    def rank(trial: FrozenTrial) -> tuple[bool, bool, int]:
        return trial.state != TrialState.COMPLETE, not is_overfitting(trial), trial.number

    return sorted((trial for trial in trials if trial.state.is_finished()), key=rank)


# The dashboard's places for what belongs to ended trials, whose own attributes cannot be changed any more, as
# `optuna.artifacts.upload_artifact` would have to.
NOTE = re.compile(r"dashboard:(\d+):note_ver")
ARTIFACT = re.compile(r"dashboard:artifacts:(\d+):")


def _ids(system: Iterable[str], kind: re.Pattern[str]) -> set[int]:
    """Optuna's ids of the trials that have such an entry."""
    return {int(found[1]) for key in system if (found := kind.match(key))}


def _draw(trial: FrozenTrial, folder: RunFolder, objective: Objective) -> bytes | None:
    from automl.results.report.pictures import draw_alone

    curves = load_curves(folder, trial.number, objective)
    if curves is None or not curves.folds:
        return None
    record = TrialRecord.of(trial, objective)
    title = f"trial {record.number}, {record.architecture or ''}".rstrip(", ")
    return draw_alone(curves, title, record.why[:40])


def _save_picture(study: optuna.Study, trial: FrozenTrial, folder: Path, picture: bytes) -> None:
    # The same name each time: two processes that draw it at once leave one picture.
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{study.study_name}/{trial.number}/{PICTURE}"))
    write_atomic(folder / name, lambda file: file.write(picture))
    entry = {"artifact_id": name, "filename": PICTURE, "mimetype": "image/png", "encoding": None}
    set_system_attribute(study, f"dashboard:artifacts:{trial_id(trial)}:{name}", json.dumps(entry))


class Artifacts(FileSystemArtifactStore):
    """The files of a study, which may be somebody else's: regular ones, of the run or among those `made` since."""

    def __init__(self, theirs: Path, made: Path):
        super().__init__(made)
        self._folders = (made, theirs)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file, open. Raises `ArtifactNotFound`."""
        for folder in self._folders:
            with suppress(OSError):
                return open_file(folder / Path(artifact_id).name, owned=True)
        raise ArtifactNotFound("not found")


def serve(
    study: optuna.Study,
    record: RunRecord,
    folder: RunFolder,
    port: int | None = None,
    ready: Callable[[str], None] = lambda url: None,
    host: str = HOST,
    *,
    login: bool = True,
    edit: bool = False,
) -> None:
    """Serves the dashboard until Ctrl-C. Notes and pictures are made meanwhile, also for trials that end later.

    Args:
        study: the study; its storage is served with all that is in it. Without `edit` it is one that is looked at,
            which keeps notes in memory, and the pictures go to a temporary folder.
        record: the run's `run.yaml`.
        folder: the run's folder.
        port: where; None: the first free one of `PORTS`. 0: any free one.
        ready: is called with the address once it answers; it holds the token that lets in.
        host: the address to listen on; `door.check_host` has let it pass.
        login: whether a token is needed to be let in.
        edit: whether the study may be changed through it.

    Raises `SettingsError` when the port or the address cannot be had.
    """
    from optuna_dashboard import wsgi

    with ExitStack() as until_the_end:
        made = folder.artifacts if edit else Path(until_the_end.enter_context(TemporaryDirectory(prefix="automl-")))
        # A study's own storage keeps the ended trials in memory; a URL would be read anew for each request.
        app = wsgi(storage_of(study), Artifacts(folder.artifacts, made))
        server = until_the_end.enter_context(listen([port] if port is not None else PORTS, host))
        until_the_end.enter_context(_annotating(study, record, folder, made))
        door = Door(Remembering(PlainCsv(app)), host, server.server_port, login=login, edit=edit)
        server.set_app(door)
        ready(f"http://{shown_name(host)}:{server.server_port}/dashboard/studies/{study_id(study)}{door.key()}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log.info("stopped")


@contextmanager
def _annotating(study: optuna.Study, record: RunRecord, folder: RunFolder, made: Path) -> Iterator[None]:
    """Makes notes and pictures in the background, and again every few seconds."""
    done = threading.Event()
    writing = threading.Lock()

    def work() -> None:
        try:
            with writing:
                annotate_study(study, record, folder)
            while not done.is_set():
                annotate_trials(study, record, folder, stop=done.is_set, writing=writing, pictures=made)
                done.wait(LOOK_EVERY)
        except Exception as error:  # the study was deleted in the dashboard, the disk is full: it serves on
            log.warning("no more notes and pictures: %s: %s", type(error).__name__, error)

    # A picture that is half drawn is given up, what is half written is not: on a busy machine the first picture, with
    # its imports, can take half a minute.
    threading.Thread(target=work, name="notes and pictures", daemon=True).start()
    try:
        yield
    finally:
        done.set()
        writing.acquire()
