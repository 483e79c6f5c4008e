"""A whole search, as benchmarks/whole_search.py measures one, with what it says of its time kept.

    python cifar.py DATA RUN [--section FILE] [--ensemble] [options of `automl search`]

RUN is the folder that it leaves. FILE gets the text of the section `cifar10-gpu` of benchmarks/RESULTS.md. `--ensemble`
also measures the winner's five folds, averaged, on DATA/test.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import heading, measure, table


def main() -> None:
    data, run, *options = sys.argv[1:]
    section = None
    if "--section" in options:
        at = options.index("--section")
        section = Path(options[at + 1])
        del options[at : at + 2]
    ensemble = "--ensemble" in options
    options = [option for option in options if option != "--ensemble"]
    device = options[options.index("--device") + 1] if "--device" in options else "cpu"
    done = measure([sys.executable, "-m", "automl", "search", data, "--out", run, "--json", *options])
    print(done.err[-3000:])
    if done.code or not done.out.strip():
        sys.exit(f"the search ended with {done.code}: {done.out[-1000:]}")
    board = json.loads(done.out)
    totals, trials = board["totals"], board["trials"]
    best = next((row["score"] for row in trials if row["number"] == board["best"]), float("nan"))
    accuracy = board["test"].get("accuracy", float("nan"))
    row = [Path(data).name, f"`{' '.join(options) or 'defaults'}`", f"{done.seconds:.0f} s", totals["trials"],
           f"{best:.4f}", f"{accuracy:.4f}", totals["fold_epochs"], totals["fold_epochs_without_race"],
           f"{done.peak / 2**20:.0f}"]  # fmt: skip
    columns = ["data", "call", "time", "trials", "CV score", "test accuracy", "fold-epochs", "without the race",
               "peak MiB"]  # fmt: skip
    text = heading(device=device) + "\n\n" + table(columns, [row])
    print(text)
    if section:
        section.write_text(text + "\n")
    if ensemble:
        said = f"The winner's five folds, averaged: test accuracy {accuracy_of_ensemble(data, run, device):.4f}."
        print(said, flush=True)
        if section:
            section.write_text(f"{text}\n\n{said}\n")

    training = sum(row["seconds"] or 0 for row in trials)
    print(f"\ntraining {training:.0f} s of {done.seconds:.0f} s; CPU {done.cpu:.0f} s; reasons: "
          f"{dict(Counter(row['reason'] or row['state'] for row in trials))}")  # fmt: skip
    groups: dict[tuple[str, str], list[float]] = {}
    for row in trials:
        if row["fold_epochs"]:
            groups.setdefault((str(row["architecture"]), str(row["executor"])), []).append(
                row["seconds"] / row["fold_epochs"]
            )
    rows = [
        [*key, len(v), f"{statistics.median(v):.2f}", f"{min(v):.2f}", f"{max(v):.2f}"] for key, v in groups.items()
    ]
    print(table(["architecture", "executor", "trials", "s per fold-epoch, median", "least", "most"], rows))
    winner = next((row for row in trials if row["number"] == board["winner"]), None)
    print(f"winner: {json.dumps(winner and {k: winner[k] for k in ('number', 'architecture', 'config', 'score')})}")


def accuracy_of_ensemble(data: str, run: str, device: str) -> float:
    """Test accuracy of the networks of the winner's folds together."""
    automl, folder = [sys.executable, "-m", "automl"], f"{run}-ensemble"
    fitted = measure([*automl, "fit", run, "--final", "ensemble", "--out", folder, "--device", device])
    measured = measure([*automl, "evaluate", folder, f"{data}/test" if Path(data).exists() else data, "--json"])
    print(f"ensemble: fit {fitted.seconds:.0f} s, evaluate {measured.seconds:.0f} s")
    print(fitted.err[-500:], measured.err[-500:])
    return json.loads(measured.out)["metrics"]["accuracy"] if not measured.code else float("nan")


if __name__ == "__main__":
    main()
