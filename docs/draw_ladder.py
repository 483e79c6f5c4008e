"""Draws docs/ladder.svg: 40 simulated trials in a real race on the default ladder of 20 epochs and 5 folds.

    python docs/draw_ladder.py [OUTPUT.svg or .png]

The scores are made up (a quality, plus noise that shrinks from rung to rung); who climbs is decided by automl.racing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from automl.racing.ladder import make_ladder
from automl.racing.race import Race

plt.switch_backend("Agg")

TRIALS, FOLDS, EPOCHS = 40, 5, 20
BLUE, GREEN, GREY = "#1f6fb4", "#2a8f4a", "#b8bec6"


def simulate() -> Race:
    """Runs the race to its end."""
    rng = np.random.default_rng(3)
    quality = rng.uniform(0, 1, TRIALS)
    noise = rng.normal(0, 1, (TRIALS, 6)) * [0.22, 0.15, 0.10, 0.06, 0.04, 0.03]
    race = Race(make_ladder(EPOCHS, FOLDS))
    asked = 0
    while True:
        step = race.promote()
        if step is None and asked < TRIALS:
            step = asked, race.start(asked)
            asked += 1
        step = step or race.carry()
        if step is None:
            return race
        trial, rung = step
        race.record(trial, rung, float(quality[trial] + noise[trial, rung]))


def draw(path: Path) -> None:
    """Writes the picture."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "path", "svg.hashsalt": "ladder"})
    race = simulate()
    ladder = race.ladder
    columns = [
        sorted((s.scores[rung], trial) for trial, s in race.standings.items() if rung in s.scores)
        for rung in range(len(ladder))
    ]
    place = {
        (trial, rung): (rung, -row) for rung, column in enumerate(columns) for row, (_, trial) in enumerate(column)
    }
    figure, axes = plt.subplots(figsize=(9, 6.6))
    for (trial, rung), (x, y) in place.items():
        top = rung == len(ladder) - 1
        above = place.get((trial, rung + 1))
        if above:
            axes.plot([x + 0.06, above[0] - 0.06], [y, above[1]], color=BLUE, lw=1.1, alpha=0.55, zorder=1)
        colour = GREEN if top else BLUE if above else GREY
        axes.scatter([x], [y], s=46, color=colour, zorder=2)
    for rung, (budget, column) in enumerate(zip(ladder, columns, strict=True)):
        cost = budget.epochs * budget.folds
        axes.text(rung, 7.4, f"rung {rung + 1}", ha="center", weight="bold")
        axes.text(rung, 6.0, f"{budget.epochs} epoch{'s' * (budget.epochs > 1)}", ha="center")
        for fold in range(FOLDS):
            trained = fold < budget.folds
            axes.add_patch(
                Rectangle((rung - 0.25 + 0.1 * fold, 4.2), 0.085, 1.1, fc=BLUE if trained else "none", ec=BLUE, lw=0.8)
            )
        axes.text(rung, 2.7, f"{cost} fold-epoch{'s' * (cost > 1)}", ha="center", fontsize=9)
        axes.text(rung, 1.2, f"{len(column)} trial{'s' * (len(column) > 1)}", ha="center", fontsize=9)
    spent = sum(ladder[s.rung].epochs * ladder[s.rung].folds for s in race.standings.values())
    axes.text(1.55, -31.0, "40 trials with made-up scores; the best score on top.", fontsize=10)
    for height, colour, text in (
        (-33.2, BLUE, "promoted: trains on from its checkpoint"),
        (-35.0, GREY, "waits, and is outpaced in the end"),
        (-36.8, GREEN, "complete: scored on all 5 folds"),
    ):
        axes.scatter([1.62], [height + 0.72], s=46, color=colour)
        axes.text(1.72, height, text, fontsize=10, va="bottom")
    axes.text(
        1.55,
        -39.3,
        f"Spent: {spent} fold-epochs. All {TRIALS} on 5 folds: {TRIALS * FOLDS * EPOCHS}. On one: {TRIALS * EPOCHS}.",
        fontsize=10,
    )
    axes.set_xlim(-0.5, len(ladder) - 0.5)
    axes.set_ylim(-40.3, 8.6)
    axes.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(path, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("ladder.svg"))
