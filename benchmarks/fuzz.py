"""Feeds damaged and hostile files to everything that reads files, and counts what became of them.

    python benchmarks/fuzz.py                        200,000 inputs for each target: a million; prints the table
    python benchmarks/fuzz.py --only yaml csv --inputs 5000 --state fuzz
    python benchmarks/fuzz.py --only yaml --first 12345 --inputs 1      one input again
    python benchmarks/fuzz.py --atheris yaml --inputs 100000            guided by coverage, where atheris is installed

No crash, no hang, and only the documented errors: an input for which anything else happens is kept in `--failures`, and
the exit code is 1. Input number i of a target is always the same bytes. With `--state FOLDER` each call goes on where
the last one stopped, and the table shows all of them together.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz_targets import TARGETS, mutate
from machine import heading

HANG = 10.0  # seconds of CPU: it is made to run beside other work
STUCK = 300.0  # seconds, for what waits, or does not even let the alarm through


class Hang(BaseException):
    """Not an Exception: no reader may swallow it."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises `Hang` when its body takes more CPU time; ends the process where even that does not help."""

    def late(*_: object) -> None:
        raise Hang(f"more than {seconds:g} s")

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(STUCK, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


def fuzz(name: str, first: int, count: int, seconds: float, failures: Path) -> dict[str, Any]:
    """Inputs `first` to `first + count` of a target, or as many as can be done in `seconds`."""
    target = TARGETS[name]
    seeds = target.seeds()
    tally: dict[str, Any] = {"inputs": 0, "accepted": 0, "refused": 0, "failures": 0, "seconds": 0.0, "slowest": 0.0}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        if not target.read(seeds[0], Path(folder)):  # also imports what it needs, for which nobody is to blame
            raise SystemExit(f"{name}: the reader refuses even the undamaged file")
        for number in range(first, first + count):
            content = mutate(target, seeds, random.Random(f"{name} {number}"))
            before = time.process_time()
            try:
                with limited(HANG):
                    taken = target.read(content, Path(folder))
                tally["accepted" if taken else "refused"] += 1
            except (Exception, SystemExit, Hang):
                failures.mkdir(parents=True, exist_ok=True)
                (failures / f"{name}-{number}.bin").write_bytes(content)
                (failures / f"{name}-{number}.txt").write_text(traceback.format_exc())
                tally["failures"] += 1
                print(f"{name} {number}: {traceback.format_exc().strip().splitlines()[-1]}", file=sys.stderr)
            tally["inputs"] += 1
            spent = time.process_time() - before
            tally["slowest"] = max(tally["slowest"], spent)
            tally["seconds"] += spent
            if time.perf_counter() - started > seconds:
                break
    return tally


def guided(name: str, count: int) -> None:
    """Lets atheris choose the inputs by the coverage of automl's own code."""
    import atheris

    with atheris.instrument_imports(include=["automl"]):
        import automl.data.sources.arrays
        import automl.data.sources.tables
        import automl.models.model
        import automl.spaces.merge
        import automl.spaces.yaml_file
        import automl.study.storage.opening  # noqa: F401
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], f"-runs={count}", "-max_len=20000", str(corpus)],
                      lambda content: target.read(content, Path(folder)) and None)  # fmt: skip
        atheris.Fuzz()  # ends the process


def add(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two tallies together."""
    return {key: max(one[key], other[key]) if key == "slowest" else one[key] + other[key] for key in other}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--inputs", type=int, default=200_000, help="for each target")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each target, at most")
    parser.add_argument("--first", type=int, help="the number of the first input")
    parser.add_argument("--state", type=Path, help="a folder: go on where the last call stopped")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--atheris", choices=list(TARGETS), help="one target, guided by coverage")
    chosen = parser.parse_args()
    if chosen.atheris:
        guided(chosen.atheris, chosen.inputs)
    warnings.simplefilter("ignore")
    tallies = {}
    for name in TARGETS:
        path = chosen.state / f"{name}.json" if chosen.state else None
        tally = json.loads(path.read_text()) if path and path.exists() else None
        if name in chosen.only:
            first = chosen.first if chosen.first is not None else tally["inputs"] if tally else 0
            new = fuzz(name, first, chosen.inputs, chosen.seconds, chosen.failures)
            tally = add(tally, new) if tally else new
        if path and tally:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(tally))
        if tally:
            tallies[name] = tally
    show(tallies)
    sys.exit(int(any(tally["failures"] for tally in tallies.values())))


def show(tallies: dict[str, dict[str, Any]]) -> None:
    """Prints the table."""
    print(heading(threads=1), "\n")
    print("| reader | inputs | read | refused | anything else | seconds of CPU | slowest input, ms of CPU |")
    print("|---|---|---|---|---|---|---|")
    total = dict.fromkeys(("inputs", "accepted", "refused", "failures", "seconds"), 0.0)
    for name, tally in tallies.items():
        total = {key: total[key] + tally[key] for key in total}
        numbers = [f"{tally[key]:,}" for key in ("inputs", "accepted", "refused", "failures")]
        print(f"| {name} | {' | '.join(numbers)} | {tally['seconds']:,.1f} | {1000 * tally['slowest']:.0f} |")
    numbers = [f"{total[key]:,.0f}" for key in ("inputs", "accepted", "refused", "failures", "seconds")]
    print(f"| **together** | {' | '.join(numbers)} | |")


if __name__ == "__main__":
    main()
