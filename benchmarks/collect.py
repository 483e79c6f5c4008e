"""Runs a benchmark and puts what it prints into benchmarks/RESULTS.md, in the place of what it printed before.

    python benchmarks/collect.py SECTION benchmarks/SCRIPT.py [ARGS...]

In RESULTS.md a section stands between the lines `<!-- SECTION -->` and `<!-- end of SECTION -->`. What the script
prints is shown as it comes. It is not taken over when the script fails, nor when it begins with "not measured" and
the section has numbers already, perhaps from another machine.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
NOT_MEASURED = "not measured"


def replace(document: str, section: str, text: str) -> str:
    """`document` with `text` in its `section`. Raises `ValueError` when the document has no such section."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    before, found, rest = document.partition(begin)
    old, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"RESULTS.md has no section '{section}': add the lines {begin.strip()} and {end}")
    if text.strip().startswith(NOT_MEASURED) and "|" in old:
        text = old
    return f"{before}{begin}{text.strip()}\n{end}{after}"


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    section, script, *arguments = sys.argv[1:]
    replace(RESULTS.read_text(), section, "")  # a wrong name is told before hours are spent
    print(f"== {section}: {script} {' '.join(arguments)}", flush=True)
    lines = []
    with subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(f"{script} failed with {process.returncode}; RESULTS.md stays as it was")
    RESULTS.write_text(replace(RESULTS.read_text(), section, "".join(lines)))


if __name__ == "__main__":
    main()
