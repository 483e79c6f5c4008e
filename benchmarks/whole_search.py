"""One whole search: how long, how good, how much cheaper than without the race.

    python benchmarks/whole_search.py DATA [options of `automl search`]
    python benchmarks/whole_search.py cifar10/ --device cuda --trials 100 --timeout 10m

Prints one row: what `automl search` says at its end, the wall time of the whole command, the peak memory of its
processes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from machine import heading, measure, table


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    data, *options = sys.argv[1:]
    device = options[options.index("--device") + 1] if "--device" in options else "cpu"
    if device.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            print(f"not measured: torch {torch.__version__} sees no CUDA device here")
            return
    if data == "none":
        print("not measured: no data were named")
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "automl", "search", data, "--out", f"{folder}/run", "--json", *options]
        done = measure(command)
    if done.code:
        sys.exit(done.err)
    board = json.loads(done.out)
    totals = board["totals"]
    best = next((row["score"] for row in board["trials"] if row["number"] == board["best"]), float("nan"))
    accuracy = board["test"].get("accuracy", float("nan"))
    row = [Path(data).name, f"`{' '.join(options) or 'defaults'}`", f"{done.seconds:.0f} s", totals["trials"],
           f"{best:.4f}", f"{accuracy:.4f}", totals["fold_epochs"], totals["fold_epochs_without_race"],
           f"{done.peak / 2**20:.0f}"]  # fmt: skip
    print(heading(device=device) + "\n")
    columns = [
        "data",
        "call",
        "time",
        "trials",
        "CV score",
        "test accuracy",
        "fold-epochs",
        "without the race",
        "peak MiB",
    ]
    print(table(columns, [row]))


if __name__ == "__main__":
    main()
