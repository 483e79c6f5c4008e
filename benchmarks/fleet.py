"""A search with many workers, watched from outside: what it takes, and whether every trial is accounted for at its end.

Used by load.py, soak.py and kills.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import optuna
from machine import below, memory

from automl.run.folder import RunFolder
from automl.scheduling.leases import Key, Kind
from automl.study.storage.opening import open_storage

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgresql import Server, why_not

__all__ = ["Server", "why_not"]

LOOK_EVERY = 3.0  # seconds between two looks at the processes: the kernel walks all their pages for their memory
ASK_EVERY = 5.0  # seconds between two questions to the dashboard
TICKS = os.sysconf("SC_CLK_TCK")
SPACE = """
architectures: {linear: {}}
training: {optimizer: [sgd, adam], schedule: constant, augmentation: none, batch_size: 64}
"""
TINY = ["tiny.npz", "--space", "tiny.yaml", "--folds", "2", "--epochs", "3"]
"""Nothing to train: 60 images of 4 x 4 pixels, a linear model."""


def make_data(folder: Path) -> None:
    """What `TINY` names."""
    rng = np.random.default_rng(0)
    np.savez(folder / "tiny.npz", x=rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), y=np.arange(60) % 2)
    (folder / "tiny.yaml").write_text(SPACE)


class Look(NamedTuple):
    """UNIX time; CPU seconds so far of the search with its workers, and of the database; memory (PSS) in bytes of all
    processes of the search, and of its supervisor alone; how many processes they are."""

    time: float
    cpu: float
    database: float
    memory: int
    supervisor: int
    processes: int


class Beside:
    """What goes on in a thread beside the search, until `stop` or the end of the `with`."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        """Ends soon after `_over` is set."""
        raise NotImplementedError


class Watch(Beside):
    """Looks at the processes below `search` and below `database` again and again."""

    def __init__(self, search: int, database: int | None = None):
        super().__init__()
        self.search, self.database = search, database
        self.looks: list[Look] = []
        self._dead = 0.0  # CPU seconds of processes that are no more
        self._last: dict[int, float] = {}

    def _run(self) -> None:
        while True:
            ours = [self.search, *below(self.search)]
            theirs = [self.database, *below(self.database)] if self.database else []
            now = {process: _cpu(process) for process in ours}
            self._dead += sum(spent for process, spent in self._last.items() if process not in now)
            self._last = now
            memories = [memory(process) for process in ours]
            look = Look(
                time.time(), self._dead + sum(now.values()), sum(map(_cpu, theirs)), sum(memories), memories[0],
                len(ours),
            )  # fmt: skip
            if memories[0]:
                self.looks.append(look)
            if self._over.wait(LOOK_EVERY):
                return


def _cpu(process: int) -> float:
    try:
        known = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(known[11]) + int(known[12])) / TICKS


def at(looks: list[Look], moment: float, column: str) -> float:
    """What `column` was at the moment, between two looks by a straight line."""
    return float(np.interp(moment, [look.time for look in looks], [getattr(look, column) for look in looks]))


@dataclass
class Account:
    """What became of the trials that were asked for.

    `climbs`: claims of a trial for a rung that counted; `retries`: those for the same rung again, after a death.
    """

    asked: int
    there: int
    states: Counter[str]
    failures: Counter[str]
    climbs: int
    retries: int
    begun: list[float] = field(repr=False)

    @property
    def doubled(self) -> int:
        """Trials beyond those that were asked for."""
        return max(0, self.there - self.asked)

    @property
    def lost(self) -> int:
        """Trials that are not there, or never came to an end."""
        return max(0, self.asked - self.there) + self.states["RUNNING"] + self.states["WAITING"]

    @property
    def failed(self) -> int:
        return self.states["FAIL"]


def account(run: Path, url: str | None, asked: int) -> Account:
    """The account of an ended search, from its storage."""
    folder = RunFolder(run)
    storage = open_storage(url, folder.journal)
    name = folder.read_record().study
    trials = optuna.load_study(storage=storage, study_name=name).get_trials(deepcopy=False)
    claims = optuna.load_study(storage=storage, study_name=f"{name}.leases").get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    versions: dict[Key, int] = {}
    rungs: dict[Key, int] = {}
    climbs = retries = 0
    for claim in claims:
        known = claim.user_attrs["claim"]
        kind, *numbers = known["key"]
        key = Key(Kind(kind), *numbers)
        if known["version"] == versions.get(key, 0) + 1:
            versions[key] = known["version"]
            if key.kind == Kind.TRIAL and known["worker"] != "supervisor":
                climbs += 1
                retries += rungs.get(key) == known["rung"]
                rungs[key] = known["rung"]
    failed = (trial for trial in trials if trial.state.name == "FAIL")
    return Account(
        asked=asked,
        there=len(trials),
        states=Counter(trial.state.name for trial in trials),
        failures=Counter(str(trial.user_attrs.get("reason")) for trial in failed),
        climbs=climbs,
        retries=retries,
        begun=sorted(trial.datetime_start.timestamp() for trial in trials if trial.datetime_start),
    )


def start(folder: Path, *arguments: object, url: str | None = None, **environment: str) -> subprocess.Popen[str]:
    """Starts `automl ARGUMENTS` with `folder` as the current one; what it prints goes to `folder/printed`."""
    env: Mapping[str, str] = {**os.environ, **environment, **({"AUTOML_STORAGE": url} if url else {})}
    with (folder / "printed").open("a") as printed:
        return subprocess.Popen(
            [sys.executable, "-m", "automl", *map(str, arguments)], cwd=folder, env=env, text=True, stdout=printed,
            stderr=printed,
        )  # fmt: skip


class Killer(Beside):
    """SIGKILLs a random worker of the search every `every` seconds."""

    def __init__(self, search: int, every: float, seed: int = 0):
        super().__init__()
        self.search, self.every = search, every
        self.kills = 0
        self._random = random.Random(seed)

    def _run(self) -> None:
        while not self._over.wait(self.every):
            if workers := below(self.search):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._random.choice(workers), signal.SIGKILL)
                    self.kills += 1


class Dashboard(Beside):
    """`automl dashboard RUN`, asked for the study again and again. `seconds`: its answer times."""

    def __init__(self, run: Path, url: str | None):
        super().__init__()
        self.run, self.url = run, url
        self.seconds: list[float] = []
        self.size = 0  # bytes of the last answer

    def _run(self) -> None:
        with self._served() as address:
            while address and not self._over.wait(ASK_EVERY):
                began = time.perf_counter()
                with urllib.request.urlopen(address, timeout=120) as answer:
                    self.size = len(answer.read())
                self.seconds.append(time.perf_counter() - began)

    @contextlib.contextmanager
    def _served(self) -> Iterator[str]:
        """The address of what the dashboard's page asks for, again and again; empty when the search is over already."""
        env = {**os.environ, **({"AUTOML_STORAGE": self.url} if self.url else {})}
        process = subprocess.Popen(
            [sys.executable, "-m", "automl", "dashboard", self.run, "--no-browser", "--port", "0"],
            env=env, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            page = line.split()[1] if line.startswith("dashboard ") else ""
            yield page.replace("/dashboard/studies/", "/api/studies/") + "&after=0" if page else ""
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def leftovers(run: Path, url: str | None) -> dict[str, int]:
    """What an ended search should not have left: processes, checkpoints of trials that are not complete, half-written
    files (those of killed workers are deleted after an hour)."""
    folder = RunFolder(run)
    study = optuna.load_study(storage=open_storage(url, folder.journal), study_name=folder.read_record().study)
    complete = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"}
    checkpoints = [int(path.stem.rpartition("-")[2]) for path in (run / "checkpoints").glob("trial-*")]
    return {
        "processes": sum(str(run).encode() in _command(path) for path in Path("/proc").glob("[0-9]*")),
        "checkpoints": sum(number not in complete for number in checkpoints),
        "half-written files": len(list(run.rglob(".*.tmp"))),
    }


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes() if int(process.name) != os.getpid() else b""
    except OSError:
        return b""


def note(text: str) -> None:
    """A word on stderr about how far it is: stdout is for the tables."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Nothing of the search runs any more after this; what is left of it is killed."""
    try:
        yield
    finally:
        left = below(process.pid)
        for each in (process.pid, *left) if process.poll() is None else left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        process.wait()


def reasons(counted: Counter[str]) -> str:
    """`2 x this; 1 x that`, or a dash."""
    return "; ".join(f"{count} x {reason}" for reason, count in counted.most_common()) or "-"


def board(run: Path) -> dict[str, Any]:
    """What `automl leaderboard RUN --json` says."""
    command = [sys.executable, "-m", "automl", "leaderboard", str(run), "--json"]
    told: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return told
