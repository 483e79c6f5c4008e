"""Replays a table of recorded curves: what does it cost, in fold-epochs, to find and fully score a very good config?

    python benchmarks/replay.py TABLE.npz [--orders 100] [--ladder 1x1,3x1,9x2,20x5] [--metric accuracy] [--json]

TABLE.npz holds `curves` [config, fold, epoch, 4] (train loss, train metric, validation loss, validation metric), as
benchmarks/record_curves.py writes it. The configs come in random order, as a random sampler would draw them, and the
folds too. The target is a config of the best 2 % by its score on all folds (`Curves.summary`), in the loss or in
`--metric`. Schedules:

    oracle                knows a target after one epoch: every draw until then costs one, the target all its folds
    race                  automl's own: the code of automl.racing, with the overfitting rule
    one_split_halving     the race's promotions on the first fold only: what a user of Ray or Optuna gets from ASHA
    one_split_median      first fold only, Optuna's MedianPruner with its defaults
    one_split_stop_only   first fold only, Optuna's SuccessiveHalvingPruner with its defaults
    one_split_in_full     first fold only, every config for all epochs
    one_epoch_then_best   one epoch of the first fold for every config, then the best ten in full on all folds
    early_stopped_cv      fold by fold in full, stopped when worse than the best config's worst fold (arXiv 2405.03389)
    all_folds_...         the pruners on the mean of all folds, and every config in full

Printed, as means over the orders: fold-epochs until a target config is complete (all that was spent, where it never
was), and the same with the other folds of that config for those that look at one fold only; the share of orders that
missed it; the cost in that of one split with halving; and, by budget, the median 5-fold score of the config that each
would return after so many fold-epochs, whatever it has seen of it itself. `regret` is how far the mean of these is from
the best score of the table, at the largest budget.

`overfitting_regret` is by how much the overfitting rule worsens the best score of the table when every config climbs
the whole ladder under its eyes; and, for the race, the mean over the orders.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from machine import heading
from machine import table as markdown
from numpy.typing import NDArray
from schedules import Replay, Schedule, opponents, race

from automl.racing.curves import Curves
from automl.racing.ladder import Ladder, make_ladder, parse_ladder
from automl.racing.objective import METRICS, Objective
from automl.racing.overfitting import OverfittingRule, verdict_at
from automl.racing.race import ETA

TARGET_SHARE = 0.02
BUDGETS = (0.2, 0.5, 1, 2, 3, 4)  # complete trainings on all folds
TITLES = {
    "oracle": "an oracle",
    "race": "**the race**",
    "one_split_halving": "one split, halving with promotion",
    "one_split_median": "one split, median pruner",
    "one_split_stop_only": "one split, stop-only halving",
    "one_split_in_full": "one split, every config in full",
    "one_epoch_then_best": "one epoch, then the best ten in full",
    "early_stopped_cv": "early-stopped cross-validation",
    "all_folds_median": "all folds, median pruner",
    "all_folds_stop_only": "all folds, stop-only halving",
    "all_folds_in_full": "all folds, every config in full",
}
Array = NDArray[np.float64]


def scores(table: Array, objective: Objective) -> Array:
    """[config]: the score on all folds as a cost; infinite where a curve is not finite."""
    found = np.array([Curves.of(config, objective).score() for config in table])
    return np.where(np.isfinite(table).all(axis=(1, 2, 3)), found, np.inf)


@dataclass(frozen=True)
class Outcome:
    """What one schedule came to in one order."""

    fold_epochs: float
    missed: bool
    total: int
    best: float  # the score of the best complete config, on all folds
    returned: list[float]  # by budget: the 5-fold score of the config that would be returned; infinite: none


def outcome(replay: Replay, found: Array, targets: set[int], budgets: list[float]) -> Outcome:
    """What has become of a replay, by the scores that the configs have on all folds."""
    reached = min((spent for config, spent in replay.complete.items() if config in targets), default=None)
    returned = (replay.returned_after(budget) for budget in budgets)
    return Outcome(
        fold_epochs=replay.spent if reached is None else reached,
        missed=reached is None,
        total=replay.spent,
        best=min((float(found[config]) for config in replay.complete), default=math.inf),
        returned=[math.inf if config is None else float(found[config]) for config in returned],
    )


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
    table: Array, ladder: Ladder, orders: int, eta: float, seed: int, objective: Objective
) -> dict[str, dict[str, Any] | float]:
    """All schedules on `orders` random orders of the table's configs and folds."""
    _, folds, epochs, _ = table.shape
    found = scores(table, objective)
    count = max(1, round(TARGET_SHARE * len(table)))
    targets = set(np.argsort(found, kind="stable")[:count].tolist())
    rule = OverfittingRule.of(epochs)
    schedules: dict[str, Schedule] = {"race": partial(race, ladder=ladder, eta=eta, rule=rule)} | opponents(ladder, eta)
    without_rule = partial(race, ladder=ladder, eta=eta, rule=None)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in [*schedules, "without_rule"]}
    oracle, budgets = [], [share * folds * epochs for share in BUDGETS]
    rng = np.random.default_rng(seed)
    for _ in range(orders):
        order, shuffled = rng.permutation(len(table)).tolist(), table[:, rng.permutation(folds)]
        oracle.append(next(i for i, config in enumerate(order) if config in targets) + folds * epochs)
        for name, schedule in {**schedules, "without_rule": without_rule}.items():
            search = Replay(shuffled, order, objective)
            schedule(search)
            outcomes[name].append(outcome(search, found, targets, budgets))
    report: dict[str, dict[str, Any] | float] = {"oracle": {"fold_epochs": float(np.mean(oracle)), "missed": 0.0}}
    for name in schedules:
        report[name] = row = summary(outcomes[name], float(found.min()))
        row["with_all_folds"] = row["fold_epochs"]
        if name.startswith("one_split"):
            row["with_all_folds"] += (folds - 1) * epochs
    report["overfitting_regret"], report["overfitting_verdicts"] = regret(table, ladder, rule, objective)
    pairs = zip(outcomes["race"], outcomes["without_rule"], strict=True)
    report["overfitting_regret_in_the_race"] = float(np.mean([ruled.best - free.best for ruled, free in pairs]))
    return report


def summary(outcomes: list[Outcome], best: float) -> dict[str, Any]:
    """One schedule over all orders; `best` is the best score of the table."""
    costs = [each.fold_epochs for each in outcomes]
    returned = np.array([each.returned for each in outcomes])
    last = returned[:, -1]
    return {
        "fold_epochs": float(np.mean(costs)),
        "standard_error": float(np.std(costs) / math.sqrt(len(costs))),
        "missed": float(np.mean([each.missed for each in outcomes])),
        "whole_search": float(np.mean([each.total for each in outcomes])),
        "returned": [float(value) if math.isfinite(value) else None for value in np.median(returned, axis=0)],
        "regret": float(last.mean() - best) if np.isfinite(last).all() else None,
    }


def cell(cost: float | None, objective: Objective) -> str:
    """A score as people know it; a dash where there is none yet."""
    return "-" if cost is None else f"{objective.value(cost):.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--ladder")
    parser.add_argument("--metric", help="what is optimised, the loss or the table's metric [the loss]")
    parser.add_argument("--eta", type=float, default=ETA)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with np.load(args.table, allow_pickle=False) as file:
        table = file["curves"].astype(np.float64)
        about = json.loads(str(file["about"]))
    metric = about.get("metric", "accuracy")
    task = next(task for task, names in METRICS.items() if metric in names)
    objective = Objective.of(task, args.metric)
    if args.metric not in (None, objective.loss, metric):
        parser.error(f"--metric {args.metric}: {args.table.name} has {objective.loss} and {metric}")
    _, folds, epochs, _ = table.shape
    ladder = parse_ladder(args.ladder, epochs, folds) if args.ladder else make_ladder(epochs, folds)
    report = replay(table, ladder, args.orders, args.eta, args.seed, objective)
    if args.json:
        print(json.dumps(report))
        return
    print(heading(seeds=[args.seed]) + "\n")
    print(f"`{args.table.name}`: {len(table)} configs x {folds} folds x {epochs} epochs, {args.orders} random orders;")
    print(f"ladder {', '.join(map(str, ladder))} (epochs x folds), eta {args.eta:g}; {objective.name}.\n")
    show(report, objective, folds * epochs)


def show(report: dict[str, dict[str, Any] | float], objective: Objective, full: int) -> None:
    """The report as Markdown; `full`: the fold-epochs of a complete training."""
    found = {name: row for name, row in report.items() if isinstance(row, dict)}
    halving = found["one_split_halving"]["fold_epochs"]
    rows, curves = [], []
    for name, row in found.items():
        error = f" ± {row['standard_error']:.0f}" if "standard_error" in row else ""
        rows.append((
            TITLES[name],
            f"{row['fold_epochs']:.0f}{error}",
            f"{row.get('with_all_folds', row['fold_epochs']):.0f}",
            f"{row['missed']:.0%}",
            f"{row['fold_epochs'] / halving:.2f}",
            f"{row['whole_search']:.0f}" if "whole_search" in row else "",
        ))  # fmt: skip
        if "returned" in row:
            regret = row["regret"]
            scored = [cell(cost, objective) for cost in row["returned"]]
            curves.append((TITLES[name], *scored, "-" if regret is None else f"{regret:.3g}"))
    names = ["to a top-2 % config", "with all folds", "missed", "of one split, halving", "whole search"]
    print(markdown(["schedule", *names], rows))
    print(f"\nMedian {objective.name} on all folds of the config that each would return after so many fold-epochs:\n")
    print(markdown(["schedule", *(f"{share * full:.0f}" for share in BUDGETS), "mean regret"], curves))
    print(f"\nVerdicts of the overfitting rule: {report['overfitting_verdicts']}; ", end="")
    print(f"regret: {report['overfitting_regret']:.6g} on the table, ", end="")
    print(f"{report['overfitting_regret_in_the_race']:.6g} in the race (mean; negative: it helped).")


if __name__ == "__main__":
    main()
