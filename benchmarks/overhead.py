"""What does a search cost beside the training? Every part of it, timed inside of the real command.

    python benchmarks/overhead.py [--threads 1] [--trials 50] [--long-trials 4]

Runs `automl search digits --trials 50` in a new process in which the functions below are timed, each without those of
them that it calls, so that the parts add up. Overhead is the wall time of the whole command, the start of Python
included, minus the time inside training: what the trials' `seconds` count, and the epochs of the final fit. A second
search has a few trials of about 10 seconds: all 5 folds of a LeNet in one rung. There the parts that come once per
search are left out, and the overhead of a trial is compared with its training. CPU seconds tell where a busy machine
only lets wait; they count all threads, and no waiting for the disk.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTS: dict[str, tuple[str, ...]] = {
    "training": ("automl.training.run:TrialRun._train_epoch",),
    "data, plugins, search space": ("automl.search_context:prepare", "automl.run.context:SearchContext.resident"),
    "ask: create a trial, sample a config": ("optuna.study:Study.ask", "automl.spaces.space:Space.suggest"),
    "check and build networks": (
        "automl.training.run:TrialRun.__init__",
        "automl.training.run:TrialRun._build",
        "automl.training.run:TrialRun.release",
    ),
    "report epochs": ("optuna.trial:Trial.report",),
    "checkpoints": ("automl.training.run:TrialRun.save", "automl.training.run:TrialRun.restore"),
    "tell and attributes": (
        "optuna.study:Study.tell",
        "optuna.trial:Trial.set_user_attr",
        "optuna.trial:Trial.set_constraint",
        "automl.study.trial_record:write_attributes",
    ),
    "read the study": ("optuna.study:Study.get_trials",),
    "final model: file and test": ("automl.session:conclude",),
    "summary, report, dashboard notes": (
        "automl.session:summarise",
        "automl.session:write_report",
        "automl.session:annotate_study",
        "automl.session:annotate_trials",
    ),
}
"""What is timed: `module:name` of functions and methods, by the row of the table that they count for."""

ONCE = ("start of Python", "imports", "data, plugins, search space", "final model: file and test",
        "summary, report, dashboard notes", "all else")  # fmt: skip
"""Rows that a search pays once, however many trials it has."""


Parts = dict[str, float]


class Clock:
    """Seconds and calls by part. While one part calls another one, only the inner one's time runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._open: list[str] = []
        self.repeated: dict[str, float] = defaultdict(float)  # seconds after the first call, which may import
        self._since = self._cpu_since = 0.0

    def _turn(self) -> None:
        now, cpu = time.perf_counter(), time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
            self.cpu[self._open[-1]] += cpu - self._cpu_since
            if self.calls[self._open[-1]]:
                self.repeated[self._open[-1]] += now - self._since
        self._since, self._cpu_since = now, cpu

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted for `part`."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._open.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._turn()
                self._open.pop()
                self.calls[part] += 1

        return wrapper

    def watch(self) -> None:
        """Puts itself around all of `PARTS`."""
        for part, places in PARTS.items():
            for place in places:
                module, _, path = place.partition(":")
                owner: Any = importlib.import_module(module)
                *outer, name = path.split(".")
                for each in outer:
                    owner = getattr(owner, each)
                setattr(owner, name, self.timed(part, getattr(owner, name)))


def run_inside(out: Path, arguments: list[str]) -> None:
    """In the new process: the command itself, with clocks."""
    begun = time.time()
    clock = Clock()
    started = time.perf_counter(), time.process_time()
    clock.watch()
    importlib.import_module("torch._dynamo")  # torch's first optimizer imports it, which is no trial's cost
    from automl.cli import main as automl

    clock.seconds["imports"] = time.perf_counter() - started[0]
    clock.cpu["start of Python"], clock.cpu["imports"] = started[1], time.process_time() - started[1]
    sys.argv = ["automl", *arguments]
    try:
        code = automl()
    except SystemExit as left:
        code = left.code
    out.write_text(json.dumps({"begun": begun, "seconds": clock.seconds, "cpu": clock.cpu, "calls": clock.calls,
                               "repeated": clock.repeated}))  # fmt: skip
    sys.exit(code)


def profile(arguments: list[str]) -> tuple[Parts, Parts, dict[str, Any], dict[str, Any]]:
    """(seconds by part, CPU seconds by part, all that the clock tells, the leaderboard) of a search."""
    from machine import measure

    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        search = ["search", *arguments, "--out", f"{folder}/run"]
        done = measure([sys.executable, __file__, "--inside", told, "--", *search])
        if done.code:
            sys.exit(done.err)
        board = measure([sys.executable, "-m", "automl", "leaderboard", f"{folder}/run", "--json"])
        clock = json.loads(told.read_text())
    seconds = {"start of Python": clock["begun"] - done.began, **clock["seconds"]}
    seconds["all else"] = done.seconds - sum(seconds.values())
    cpu = {**clock["cpu"], "all else": done.cpu - sum(clock["cpu"].values())}
    return seconds, cpu, clock, json.loads(board.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--long-trials", type=int, default=4)
    parser.add_argument("--long-epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    from machine import heading, table

    plain = [args.data, "--threads", str(args.threads), "--seed", str(args.seed)]
    print(heading(threads=args.threads, seeds=[args.seed]) + "\n", flush=True)
    seconds, cpu, clock, board = profile([*plain, "--trials", str(args.trials)])
    wall, used = sum(seconds.values()), sum(cpu.values())
    rows = [
        [part, f"{spent:.2f}", f"{spent / wall:.1%}", f"{cpu.get(part, 0):.2f}", f"{cpu.get(part, 0) / used:.1%}",
         clock["calls"].get(part, ""), f"{1000 * spent / args.trials:.1f}"]
        for part, spent in sorted(seconds.items(), key=lambda item: -item[1])
    ]  # fmt: skip
    rows.append(["**all**", f"{wall:.2f}", "", f"{used:.2f}", "", "", f"{1000 * wall / args.trials:.1f}"])
    print(f"`automl search {args.data} --trials {args.trials}`, {board['totals']['fold_epochs']} fold-epochs:\n")
    print(table(["part", "seconds", "share", "CPU seconds", "share", "calls", "ms per trial"], rows))
    shares = 1 - seconds["training"] / wall, 1 - cpu["training"] / used
    print(f"\nOverhead: **{shares[0]:.1%}** of the time, {shares[1]:.1%} of the CPU time (promise: below 5 %).\n")

    once = ["--architecture", "lenet", "--set", "train.batch_size=64", "--finalists", "1", "--patience", "1000",
            "--ladder", f"{args.long_epochs}x5", "--epochs", str(args.long_epochs)]  # fmt: skip
    seconds, _, clock, board = profile([*plain, *once, "--trials", str(args.long_trials)])
    trials = [row["seconds"] for row in board["trials"]]
    # The first call of a part imports what it needs, so it stands for the search and not for a trial.
    each = sum(
        spent / (clock["calls"][part] - 1) * clock["calls"][part] / len(trials)
        for part, spent in clock["repeated"].items()
        if part != "training" and part not in ONCE and clock["calls"][part] > 1
    )
    wall = sum(seconds.values())
    print(
        f"{len(trials)} trials of {min(trials):.1f} to {max(trials):.1f} s: {1000 * each:.0f} ms of a trial are "
        f"overhead, **{each * len(trials) / sum(trials):.2%}** of its training (promise: below 1 % of 10 s). The whole "
        f"command took {wall:.1f} s, {wall - seconds['training']:.1f} s of it not training."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        run_inside(Path(sys.argv[2]), sys.argv[4:])
    main()
