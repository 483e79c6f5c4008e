"""Replays a table of recorded curves: what does it cost, in fold-epochs, to find and fully score a very good config?

    python benchmarks/replay.py TABLE.npz [--orders 100] [--ladder 1x1,3x1,9x2,20x5] [--metric accuracy] [--json]

TABLE.npz holds `curves` [config, fold, epoch, 4] (train loss, train metric, validation loss, validation metric), as
benchmarks/record_curves.py writes it. The configs come in random order, as a random sampler would draw them. The target
is a config of the best 2 % by its score on all folds (`Curves.summary`), in the loss or in `--metric`. Schedules:

    none               every config, all folds, all epochs
    single_split       every config on the first fold only, all epochs, as other tools do
    one_split_halving  asynchronous halving with promotion on the first fold only, then the other folds for the target
    lockstep_median    all folds epoch by epoch, pruned when the best so far is worse than the median of the
                       complete trials at this epoch (Optuna's MedianPruner with its defaults: 5 start-up trials)
    stop_only_halving  all folds epoch by epoch, stopped at epochs 1, 4, 16, ... unless among the best quarter of those
                       seen there (Optuna's SuccessiveHalvingPruner with its defaults)
    race               automl's own: the code of automl.racing, with the overfitting rule

Printed: mean fold-epochs over the orders until a target config is complete (all that was spent, where it never was),
the share of orders that missed it, and `overfitting_regret`: by how much the rule worsens the best score of the table
when every config climbs the whole ladder under its eyes; and, for the race, the mean over the orders.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from machine import heading
from machine import table as markdown
from numpy.typing import NDArray

from automl.racing.climb import climb
from automl.racing.curves import VALIDATION_LOSS, Curves, FoldEpoch
from automl.racing.ladder import Ladder, Rung, make_ladder, parse_ladder
from automl.racing.objective import Objective
from automl.racing.overfitting import OverfittingRule, default_patience, verdict_at
from automl.racing.race import ETA, Race

TARGET_SHARE = 0.02
TITLES = {
    "none": "none: every config, all folds",
    "single_split": "single split: every config, one fold",
    "one_split_halving": "single split, halving with promotion; then the other folds",
    "lockstep_median": "all folds in lockstep, median pruner",
    "stop_only_halving": "all folds in lockstep, stop-only halving",
    "race": "**the race**",
}
Array = NDArray[np.float64]
Result = tuple[float, bool]


class TableRun:
    """Recorded curves [fold, epoch, 4] in the place of training."""

    def __init__(self, curves: Array):
        self.curves = curves
        self.done = [0] * len(curves)

    def advance(self, epochs: int, folds: int) -> Iterator[list[FoldEpoch]]:
        """What training would have shown, epoch by epoch."""
        for epoch in range(1, epochs + 1):
            behind = [fold for fold in range(folds) if self.done[fold] < epoch]
            if behind:
                for fold in behind:
                    self.done[fold] = epoch
                yield [FoldEpoch(fold, epoch, *map(float, self.curves[fold, epoch - 1])) for fold in behind]


def scores(table: Array, objective: Objective = Objective()) -> Array:  # noqa: B008 (immutable)
    """[config]: the score on all folds as a cost; infinite where a curve is not finite."""
    found = np.array([Curves.of(config, objective).score() for config in table])
    return np.where(np.isfinite(table).all(axis=(1, 2, 3)), found, np.inf)


def no_pruning(table: Array, order: list[int], targets: set[int], folds: int) -> Result:
    """All epochs of `folds` folds for every config."""
    position = next(i for i, config in enumerate(order) if config in targets)
    return (position + 1) * folds * table.shape[2], False


def _lockstep(
    table: Array, order: list[int], targets: set[int], keep: Callable[[int, Array, list[int]], bool]
) -> Result:
    """All folds epoch by epoch; `keep(epoch, mean curve, complete)` says whether to go on after an epoch (from 1)."""
    spent, complete = 0, []
    _, folds, epochs, _ = table.shape
    for config in order:
        mean = table[config, :, :, VALIDATION_LOSS].mean(axis=0)
        for epoch in range(1, epochs + 1):
            spent += folds
            if epoch < epochs and not keep(epoch, mean, complete):
                break
        else:
            complete.append(config)
            if config in targets:
                return spent, False
    return spent, True


def lockstep_median(table: Array, order: list[int], targets: set[int]) -> Result:
    """Optuna's MedianPruner on the fold mean."""
    means = table[..., VALIDATION_LOSS].mean(axis=1)

    def keep(epoch: int, mean: Array, complete: list[int]) -> bool:
        return len(complete) < 5 or mean[:epoch].min() <= np.median(means[complete, epoch - 1])

    return _lockstep(table, order, targets, keep)


def stop_only_halving(table: Array, order: list[int], targets: set[int], eta: int = 4) -> Result:
    """Optuna's SuccessiveHalvingPruner on the fold mean."""
    seen: dict[int, list[float]] = {}

    def keep(epoch: int, mean: Array, complete: list[int]) -> bool:
        if math.log(epoch, eta) % 1 > 1e-9:
            return True
        competing = seen.setdefault(epoch, [])
        competing.append(float(mean[epoch - 1]))
        return competing[-1] <= sorted(competing)[max(0, len(competing) // eta - 1)]

    return _lockstep(table, order, targets, keep)


def one_split_halving(
    table: Array, order: list[int], targets: set[int], ladder: Ladder, eta: float, objective: Objective
) -> Result:
    """The race's promotions on the first fold; what it costs until a target is at the top, and its other folds."""
    lower = tuple(dict.fromkeys(Rung(rung.epochs, 1) for rung in ladder))
    spent, missed, *_ = race(table[:, :1], order, targets, lower, eta, None, objective)
    return spent + (table.shape[1] - 1) * table.shape[2], missed


def race(
    table: Array,
    order: list[int],
    targets: set[int],
    ladder: Ladder,
    eta: float,
    rule: OverfittingRule | None,
    objective: Objective = Objective(),  # noqa: B008 (immutable)
) -> tuple[float, bool, float, float]:
    """The race: (fold-epochs to the target, missed, best score among the complete trials, fold-epochs of it all)."""
    contest = Race(ladder, eta=eta)
    runs: dict[int, tuple[TableRun, Curves]] = {}
    waiting_to_start = iter(order)
    reached: float | None = None
    spent, best = 0.0, math.inf
    while True:
        step = contest.promote()
        if step is None:
            config = next(waiting_to_start, None)
            step = contest.carry() if config is None else (config, contest.start(config))
        if step is None:
            break
        config, rung = step
        run, curves = runs.setdefault(config, (TableRun(table[config]), Curves(*table.shape[1:3], objective)))
        before = curves.fold_epochs
        climbing = climb(contest, config, rung, run, curves, rule)
        try:
            while True:
                results = next(climbing)
                if not all(math.isfinite(r.validation_loss) and math.isfinite(r.train_loss) for r in results):
                    contest.leave(config)
                    break
        except StopIteration as ended:
            outcome = ended.value
            done = contest.standings[config].complete
            spent += curves.fold_epochs - before
            if done:
                best = min(best, outcome.score)
                if config in targets and reached is None:
                    reached = spent
        else:
            spent += len(results)
    return (spent if reached is None else reached), reached is None, best, spent


def regret(table: Array, ladder: Ladder, rule: OverfittingRule, objective: Objective) -> tuple[float, int]:
    """How much worse the table's best score gets when the rule watches each config on its way up the whole ladder.

    Where a verdict falls, the config keeps the score on all folds that it has up to its score's epoch. Also how many
    verdicts fall.
    """
    kept, verdicts = [], 0
    looks = [(rung.folds, epoch) for rung in ladder for epoch in range(1, rung.epochs + 1)][:-1]
    for config in table:
        curves, epochs = Curves.of(config, objective), config.shape[1]
        for folds, epoch in looks:
            if verdict_at(curves, rule, folds, epoch):
                verdicts += 1
                epochs = curves.best_epoch(folds, epoch)
                break
        kept.append(curves.score(len(config), epochs))
    return float(np.nanmin(kept) - scores(table, objective).min()), verdicts


def replay(
    table: Array,
    ladder: Ladder,
    orders: int,
    eta: float = ETA,
    seed: int = 0,
    objective: Objective = Objective(),  # noqa: B008 (immutable)
) -> dict[str, dict[str, float] | float]:
    """All schedules on `orders` random orders of the table's configs."""
    count = max(1, round(TARGET_SHARE * len(table)))
    targets = set(np.argsort(scores(table, objective), kind="stable")[:count].tolist())
    rng = np.random.default_rng(seed)
    rule = OverfittingRule(default_patience(table.shape[2]))
    schedules: dict[str, Callable[[list[int]], Result]] = {
        "none": lambda order: no_pruning(table, order, targets, table.shape[1]),
        "single_split": lambda order: no_pruning(table, order, targets, 1),
        "one_split_halving": lambda order: one_split_halving(table, order, targets, ladder, eta, objective),
        "lockstep_median": lambda order: lockstep_median(table, order, targets),
        "stop_only_halving": lambda order: stop_only_halving(table, order, targets),
    }
    results: dict[str, list[Result]] = {name: [] for name in [*schedules, "race"]}
    shortfalls, totals = [], []
    for _ in range(orders):
        order = rng.permutation(len(table)).tolist()
        for name, schedule in schedules.items():
            results[name].append(schedule(order))
        cost, missed, best, total = race(table, order, targets, ladder, eta, rule, objective)
        results["race"].append((cost, missed))
        totals.append(total)
        shortfalls.append(best - race(table, order, targets, ladder, eta, None, objective)[2])
    report: dict[str, dict[str, float] | float] = {
        name: {
            "fold_epochs": float(np.mean([cost for cost, _ in rows])),
            "missed": float(np.mean([missed for _, missed in rows])),
        }
        for name, rows in results.items()
    }
    report["overfitting_regret"], report["overfitting_verdicts"] = regret(table, ladder, rule, objective)
    report["overfitting_regret_in_the_race"] = float(np.mean(shortfalls))
    report["race_whole_search"] = float(np.mean(totals))
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--ladder")
    parser.add_argument("--metric", help="what is optimised, the loss or the table's metric [log_loss]")
    parser.add_argument("--eta", type=float, default=ETA)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with np.load(args.table, allow_pickle=False) as file:
        table = file["curves"].astype(np.float64)
        about = json.loads(str(file["about"]))
    objective = Objective.of("classification", args.metric)
    if args.metric and objective.metric != about.get("metric", "accuracy"):
        parser.error(f"--metric {args.metric}: {args.table.name} has log_loss and {about.get('metric', 'accuracy')}")
    _, folds, epochs, _ = table.shape
    ladder = parse_ladder(args.ladder, epochs, folds) if args.ladder else make_ladder(epochs, folds)
    report = replay(table, ladder, args.orders, args.eta, args.seed, objective)
    if args.json:
        print(json.dumps(report))
        return
    print(heading(seeds=[args.seed]) + "\n")
    print(f"`{args.table.name}`: {len(table)} configs x {folds} folds x {epochs} epochs, {args.orders} random orders;")
    print(f"ladder {', '.join(map(str, ladder))} (epochs x folds), eta {args.eta:g}; {objective.name}.\n")
    single = report["single_split"]
    assert isinstance(single, dict)
    rows = [
        (
            TITLES[name],
            f"{row['fold_epochs']:.0f}",
            f"{row['missed']:.0%}",
            f"{row['fold_epochs'] / single['fold_epochs']:.2f}",
        )
        for name, row in report.items()
        if isinstance(row, dict)
    ]
    print(markdown(["schedule", "fold-epochs", "missed", "of a single split"], rows))
    print(f"\nVerdicts of the overfitting rule: {report['overfitting_verdicts']}; ", end="")
    print(f"regret: {report['overfitting_regret']:.6g} on the table, ", end="")
    print(f"{report['overfitting_regret_in_the_race']:.6g} in the race (mean; negative: it helped).")
    print(f"The whole race, to its last finalist: {report['race_whole_search']:.0f} fold-epochs.")


if __name__ == "__main__":
    main()
