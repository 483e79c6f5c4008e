"""Half an hour in which every few seconds a worker is killed, and once the database is restarted: what is left of it?

    python benchmarks/soak.py [--minutes 30] [--workers 4] [--every 10] [--away 20]

Searches of the digits in one study on PostgreSQL: `--trials` more by each session, `automl search` and then
`automl resume`, until the time is up; the last session ends in peace. Meanwhile a random worker gets a SIGKILL every
`--every` seconds, and in the middle the database is stopped for `--away` seconds. At the end every trial must be
accounted for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from fleet import Account, Killer, Look, Server, Watch, account, ended, leftovers, note, reasons, start, why_not
from machine import heading, table

SMALL = ["--space", "smoke", "--folds", "3", "--epochs", "9", "--repeats", "1", "--quiet"]


class Soak:
    """The sessions, one after the other, over one study."""

    def __init__(self, args: argparse.Namespace, folder: Path, server: Server):
        self.args, self.folder, self.server = args, folder, server
        self.run = folder / "run"
        self.began = time.monotonic()
        self.sessions = self.kills = self.asked = 0
        self.restarted = 0.0  # when, in minutes
        self.looks: list[Look] = []
        self.codes: Counter[int] = Counter()

    @property
    def minutes(self) -> float:
        """Since the soak began."""
        return (time.monotonic() - self.began) / 60

    def session(self) -> None:
        """A search or its resumption for some more trials; killing ends with the time."""
        self.sessions += 1
        self.asked += self.args.trials
        what = (
            ["search", "digits", "--out", self.run, *SMALL] if self.sessions == 1 else ["resume", self.run, "--quiet"]
        )
        more = ["--trials", self.asked, "--workers", self.args.workers, "--threads", self.args.workers]
        process = start(self.folder, *what, *more, url=self.server.url)
        with ended(process), Watch(process.pid) as watch, Killer(process.pid, self.args.every, self.sessions) as killer:
            while process.poll() is None:
                time.sleep(0.2)
                if self.minutes > self.args.minutes:
                    killer.stop()
                elif not self.restarted and self.minutes > self.args.minutes / 2:
                    self._restart()
        self.kills += killer.kills
        self.looks += watch.looks
        self.codes[process.returncode] += 1
        told = account(self.run, self.server.url, self.asked)
        note(f"{self.minutes:.1f} min, session {self.sessions}: exit {process.returncode}, {self.kills} kills, {told}")
        if process.returncode:
            raise SystemExit((self.folder / "printed").read_text()[-3000:])

    def _restart(self) -> None:
        self.restarted = self.minutes
        note(f"the database is stopped for {self.args.away:.0f} s")
        self.server.stop()
        time.sleep(self.args.away)
        self.server.start()

    def report(self) -> str:
        """The table."""
        told: Account = account(self.run, self.server.url, self.asked)
        left = leftovers(self.run, self.server.url)
        tenth = max(1, len(self.looks) // 10)
        early, late = self.looks[tenth : 2 * tenth] or self.looks, self.looks[-2 * tenth : -tenth] or self.looks
        memory = [sum(look.supervisor for look in looks) / len(looks) / 2**20 for looks in (early, late)]
        rows = [
            ["minutes, sessions", f"{self.minutes:.1f}, {self.sessions}"],
            ["workers killed", self.kills],
            ["database stopped", f"once, for {self.args.away:.0f} s, after {self.restarted:.1f} min"],
            ["trials asked for, there", f"{told.asked}, {told.there}"],
            ["doubled, lost", f"{told.doubled}, {told.lost}"],
            ["states", ", ".join(f"{count} {state}" for state, count in sorted(told.states.items()))],
            ["failed for", reasons(told.failures)],
            ["climbs, of these begun again after a death", f"{told.climbs}, {told.retries}"],
            ["left behind", ", ".join(f"{count} {what}" for what, count in left.items())],
            ["supervisor's memory, early and late", f"{memory[0]:.0f} MiB, {memory[1]:.0f} MiB"],
        ]
        return table(["", "seen"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=100, help="of each session")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--away", type=float, default=20.0, help="seconds without the database")
    parser.add_argument("--keep", type=Path, help="where the run stays; default nowhere")
    args = parser.parse_args()
    if reason := why_not():
        print(f"not measured: {reason}")
        return
    print(heading(threads=1, seeds=[0]) + "\n", flush=True)
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = args.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            soak = Soak(args, folder, server)
            while soak.minutes < args.minutes:
                soak.session()
            print(f"{args.workers} workers, one killed every {args.every:.0f} s:\n")
            print(soak.report())
    finally:
        server.close()


if __name__ == "__main__":
    main()
