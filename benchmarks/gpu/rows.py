"""The tables of benchmarks/executors.py, row by row as they come: what was measured stays when time runs out.

    python rows.py --device cuda --rounds 1 --networks lenet "3-layer cnn" resnet-20 resnet-18 [--section FILE]

FILE gets the text that belongs into the section `executors-gpu` of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from executors import CASES, FOLD_COLUMNS, compare_folds, compare_with_hand
from machine import heading, table

from automl.hooks.host import load_plugins
from automl.training.device import choose_device, choose_precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--networks", nargs="*", default=["lenet", "3-layer cnn", "resnet-20", "resnet-18"])
    parser.add_argument("--no-hand", action="store_true", help="without the second table")
    parser.add_argument("--section", type=Path)
    args = parser.parse_args()
    device, host = choose_device(args.device), load_plugins()
    cases = [case for case in CASES if case.name.lower() in args.networks]
    assert len(cases) == len(args.networks), args.networks

    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    note = f"Matrix products in {precision}; medians of {args.rounds} rounds"
    first = FOLD_COLUMNS
    second = ["network", "batch", "steps", "ms per step, by hand", "serial executor / by hand"]
    top = heading(device=args.device, seeds=[0], note=note)
    rows: list[list[object]] = []
    by_hand: list[list[object]] = []

    def keep() -> None:
        if args.section:
            text = [
                top,
                "",
                table(first, rows),
                "",
                "The serial executor against a loop written by hand, training alone:",
            ]
            args.section.write_text("\n".join([*text, "", table(second, by_hand), ""]))

    print(top, flush=True)
    failed = False
    for compare, columns, into in ((compare_folds, first, rows), (compare_with_hand, second, by_hand)):
        if compare is compare_with_hand and args.no_hand:
            continue
        print("\n" + table(columns, []), flush=True)
        for case in cases:
            started = time.perf_counter()
            try:
                into.append(compare(case, args, device, host))
            except Exception as error:
                print(f"| {case.name} | {type(error).__name__}: {str(error)[:150]} |", flush=True)
                failed = True
                continue
            finally:
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            keep()
            print("| " + " | ".join(map(str, into[-1])) + f" |   ({time.perf_counter() - started:.0f} s)", flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
