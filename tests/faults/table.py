"""The table of docs/faults.md: every fault, what automl promises, the tests that drive the real command, their result.

    python tests/faults/table.py             runs all tests in tests/faults (20 minutes) and writes the table
    python tests/faults/table.py -k evil     runs some; the rows of the others keep their results
    python tests/faults/table.py --names     runs nothing: only brings ids, texts and the names of tests up to date

The texts stand in promises.yaml. A test belongs to the ids that its name begins with: `test_nan_loss_inf_score_...`.
"""

from __future__ import annotations

import ast
import datetime
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import yaml

HERE = Path(__file__).parent
PROMISES = HERE / "promises.yaml"
PAGE = HERE.parents[1] / "docs" / "faults.md"
NONE, NOT_RUN = "no test yet", "not run"

HEAD = """# Faults, and what became of them

What `automl` promises when machines, data, plugins and files go wrong. Each row is tested by driving the real command;
`pytest tests/faults -m '' -k ID` runs the tests of one row. `make faults` runs them all and writes this page,
which `tests/faults/table.py` makes: do not edit it. "Not run": not all of the tests of the row, yet.

"Stops" means: exit code 2 before the first trial, one clear message with the culprit, nothing written. "Infeasible"
means: PRUNED with that reason, and the search goes on. "Fails" means: trial state FAIL with its reason, and the search
goes on.
"""


@dataclass(frozen=True)
class Row:
    """One fault: its id, what goes wrong, what is promised."""

    id: str
    fault: str
    promise: str


def read_promises() -> dict[str, list[Row]]:
    """The rows by the heading that they stand under."""
    return {heading: [Row(**row) for row in rows] for heading, rows in yaml.safe_load(PROMISES.read_text()).items()}


def ids_of(test: str, known: set[str]) -> list[str]:
    """The ids that a test's name begins with, one after the other."""
    rest, found = test.removeprefix("test_"), []
    while best := max((i for i in known if rest == i or rest.startswith(f"{i}_")), key=len, default=""):
        found.append(best)
        rest = rest[len(best) + 1 :]
    return found


def find_tests() -> dict[str, list[str]]:
    """Of each id the names of its tests, in the order of files and lines."""
    known = {row.id for rows in read_promises().values() for row in rows}
    tests: dict[str, list[str]] = {row_id: [] for row_id in known}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row_id in ids_of(node.name, known):
                    tests[row_id].append(node.name)
    return tests


def page(results: Mapping[str, str], when: str) -> str:
    """The whole page."""
    tests = find_tests()
    lines = [HEAD, f"{when}\n"]
    for heading, rows in read_promises().items():
        lines += [f"## {heading}\n", "| id | fault | promise | tests | result |", "|---|---|---|---|---|"]
        for row in rows:
            names = "<br>".join(f"`{name.removeprefix('test_')}`" for name in tests[row.id])
            result = results.get(row.id, NOT_RUN) if names else NONE
            lines.append(f"| `{row.id}` | {row.fault} | {row.promise} | {names} | {result} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def results_in(text: str) -> dict[str, str]:
    """The result of each id in a page that has one."""
    found = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    return {row_id: result for row_id, result in found if result not in (NONE, NOT_RUN)}


def without_results(text: str) -> list[str]:
    """The lines of a page but for what running the tests has put there."""
    return [re.sub(r"\| [^|]* \|$", "|", line) for line in text.splitlines() if not line.startswith("Run ")]


def run_tests(arguments: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Of each test that was run, (outcome, reason) of its cases; the outcome is passed, failed or skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        everything = [sys.executable, "-m", "pytest", str(HERE), "-m", ""]  # the slow ones too
        subprocess.run([*everything, f"--junitxml={report}", *arguments], check=False)
        cases = ElementTree.parse(report).iter("testcase")
        found: dict[str, list[tuple[str, str]]] = {}
        for case in cases:
            bad, skipped = [*case.iter("failure"), *case.iter("error")], case.find("skipped")
            outcome = "failed" if bad else "passed" if skipped is None else "skipped"
            reason = "" if skipped is None else skipped.get("message", "")
            found.setdefault(case.get("name", "").partition("[")[0], []).append((outcome, reason))
    return found


def summarise(cases: list[tuple[str, str]]) -> str:
    """`3 passed`, or `2 passed, 1 skipped: no CUDA device`."""
    counts = Counter(outcome for outcome, _ in cases)
    reasons = sorted({reason for outcome, reason in cases if outcome == "skipped"})
    text = ", ".join(f"{counts[name]} {name}" for name in ("failed", "passed", "skipped") if counts[name])
    return (f"**{text}**" if counts["failed"] else text) + (
        f": {'; '.join(reasons).replace('|', '/')}" if reasons else ""
    )


def main() -> None:
    """Runs what was asked for and writes the page; exit code 1 when a test failed."""
    arguments = sys.argv[1:]
    old = PAGE.read_text() if PAGE.exists() else ""
    results = results_in(old)
    when = next((line for line in old.splitlines() if line.startswith("Run ")), "Run nowhere yet.")
    failed = False
    if arguments != ["--names"]:
        run = run_tests(arguments)
        for row_id, names in find_tests().items():
            if names and run.keys() >= set(names):
                results[row_id] = summarise([case for name in names for case in run[name]])
        failed = any(outcome == "failed" for cases in run.values() for outcome, _ in cases)
        when = f"Run on {datetime.date.today()} with Python {platform.python_version()} on {platform.system()}."
    PAGE.write_text(page(results, when))
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
