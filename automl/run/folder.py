"""A run on disk: one folder, its files' names, its `run.yaml`, and the lock that keeps a second search out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from automl.data.atomic import write_atomic
from automl.errors import MachineFailed, RunError, did_you_mean
from automl.open_file import UnfitFile, open_to_append, read_file
from automl.run.run_record import RunRecord

LARGEST_RECORD = 64 << 20  # bytes; a name of a class or column takes tens of them
PARTS = ("run.yaml", "run.lock", "journal.log", "splits.npz", "data", "checkpoints", "artifacts", "model", "models",
         "logs", "features")  # fmt: skip
"""What a run writes, by name: none of it may be a link."""


class RunFolder:
    """Where everything about one search lies. Creating the object touches nothing on disk."""

    def __init__(self, path: str | Path):
        self.given = path
        self.path = Path(path).expanduser().absolute()
        self.record_path = self.path / "run.yaml"
        self.journal = self.path / "journal.log"
        self.splits = self.path / "splits.npz"
        self.features = self.path / "features"  # of the frozen parts of networks
        self.data = self.path / "data"  # of a search that was given arrays
        self.checkpoints = self.path / "checkpoints"
        self.artifacts = self.path / "artifacts"
        self.tested = self.artifacts / "test.npz"
        self.inspection = self.artifacts / "inspection.json"  # of a table's columns and its folds' networks
        self.model = self.path / "model"
        self.report = self.path / "report.html"

    def checkpoint(self, trial: int) -> Path:
        """The checkpoint of a trial: the state of its folds and its curves."""
        return self.checkpoints / f"trial-{trial:05d}.safetensors"

    def part(self, trial: int, fold: int) -> Path:
        """One fold of a trial, counted from 0, that another worker than the trial's has trained."""
        return self.checkpoints / f"trial-{trial:05d}-fold-{fold}.safetensors"

    def drop_parts(self, trial: int | None = None) -> None:
        """Removes the folds of a trial (default: of all) that lie there alone."""
        number = "*" if trial is None else f"{trial:05d}"
        for path in self.checkpoints.glob(f"trial-{number}-fold-*.safetensors"):
            path.unlink(missing_ok=True)

    def curves(self, trial: int) -> Path:
        """The curves of an ended trial: an .npz with `curves` [fold, epoch, 4]."""
        return self.artifacts / f"trial-{trial:05d}-curves.npz"

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return self.record_path.is_file()

    def require(self) -> None:
        """Raises `RunError` with the runs that there are when none is here, and for one whose parts are links."""
        if not self.exists:
            what = "no run is here (run.yaml is missing)" if self.path.exists() else "no such run"
            raise RunError(f"{self.given}: {what}{known_runs(self.path)}")
        for name in PARTS:
            if (self.path / name).is_symlink():
                raise RunError(f"{self.path / name}: is a link, which could lead anywhere; a run holds its own files")

    def check_free(self) -> None:
        """Raises `RunError` when something is here already."""
        if self.exists:
            raise RunError(
                f"{self.path} holds a run already; continue it with `automl resume {self.path}` or choose another --out"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise RunError(f"{self.path} is there already and is not an empty folder; choose another --out")

    def create(self, record: RunRecord) -> None:
        """Makes the folder with its `run.yaml`. Raises `RunError` when something is there already."""
        self.check_free()
        for folder in (self.path, self.checkpoints, self.artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        self.write_record(record)

    def write_record(self, record: RunRecord) -> None:
        """Writes `run.yaml`."""
        text = record.to_yaml()
        write_atomic(self.record_path, lambda file: file.write(text.encode()))

    def read_record(self) -> RunRecord:
        """What `run.yaml` says. Raises `RunError` when there is no run here, or its record is damaged."""
        self.require()
        try:
            text = read_file(self.record_path, owned=True, limit=LARGEST_RECORD).decode()
        except UnicodeDecodeError as error:
            raise RunError(f"{self.record_path}: cannot be read ({error})") from error
        except OSError as error:
            raise RunError(f"{self.record_path}: cannot be read: {error.strerror or error}") from error
        return RunRecord.from_yaml(text, str(self.record_path))

    def check_writable(self) -> None:
        """Raises `RunError` for a run that may only be looked at: another user's, or on a read-only disk."""
        for path in (self.path, self.record_path, self.journal, self.path / "run.lock", self.checkpoints):
            if path.exists() and not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise RunError(
                    f"{path}: you may read it but not write to it, so the run cannot go on here; go on with a copy "
                    f"(cp -r {self.given} COPY; automl resume COPY), or let its owner go on"
                )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the run for this process; the kernel gives it back when the process dies, however it dies.

        Raises `RunError` naming the process that holds it, and `MachineFailed`.
        """
        path = self.path / "run.lock"
        try:
            file = open_to_append(path)
        except UnfitFile as error:
            raise RunError(f"{path}: {error.strerror}") from error
        except OSError as error:
            raise MachineFailed(f"the disk failed: {error.strerror} ({path})") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                process = file.read().decode(errors="replace").strip() or "?"
                raise RunError(
                    f"{self.path}: process {process} is searching here; wait for it, or choose another --out"
                ) from None
            with suppress(OSError):  # on a full disk nobody is told who holds it
                file.truncate(0)
                file.write(str(os.getpid()).encode())
            yield


def fresh_folder(data_name: str, parent: Path | None = None) -> Path:
    """The folder of a new run when none was chosen: `runs/DATA-1`, `runs/DATA-2`, ..."""
    base = (parent or Path.cwd()) / "runs"
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in data_name).strip(".-") or "data"
    number = 1
    while (base / f"{safe}-{number}").exists():
        number += 1
    return base / f"{safe}-{number}"


def known_runs(path: Path) -> str:
    """The end of a message about a run that is not at `path`: the nearest run, or those that there are."""
    runs: dict[str, float] = {}
    for folder in (path.parent, Path("runs")):
        with suppress(OSError):
            runs |= {_from_here(p.parent): p.stat().st_mtime for p in folder.glob("*/run.yaml")}
    near = did_you_mean(_from_here(path), runs)
    if not runs or "did you mean" in near:
        return near
    latest = sorted(runs, key=lambda run: -runs[run])
    return f"; there are: {', '.join(latest[:8])}" + (", ..." if len(latest) > 8 else "")


def _from_here(path: Path) -> str:
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
