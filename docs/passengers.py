"""Writes passengers.csv and passengers_test.csv: made-up passengers of a ship, in a table as an office keeps it."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

HEADER = ("id", "name", "sex", "born", "class", "deck", "from", "boarded", "fare", "vegetarian", "survived")
PORTS = [f"{first}{last}" for first in ("North", "South", "East", "West", "Port ", "St. ") for last in
         ("ham", "wick", "haven", "mouth", "borough", "stead", "bridge")]  # fmt: skip


def passengers(count: int, seed: int) -> list[list[object]]:
    """Rows of these columns; whether one survived depends on sex, age, class and deck, and on luck."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        woman, rank, age = rng.random() < 0.4, int(rng.integers(1, 4)), float(np.clip(rng.gamma(6, 5), 0.5, 80))
        deck = "ABCDEFG"[min(6, int(2 * rank - 2 + rng.integers(0, 3)))]
        born = datetime(1912, 4, 10) - timedelta(days=round(365.25 * age))
        boarded = datetime(1912, 4, 10, 8) + timedelta(minutes=int(rng.integers(0, 2880)))
        fare = float(np.exp(5.5 - 1.1 * rank + 0.4 * rng.normal()))
        chance = 1.6 * woman - 0.9 * (rank - 2) + 1.5 * (age < 12) - 0.02 * age + 0.5 * (deck in "AB") - 0.3
        rows.append([
            1000 + number,
            f"{'Mrs' if woman else 'Mr'} {chr(65 + number % 26)}. {''.join(rng.choice(list('aeilnorst'), 7)).title()}",
            "female" if woman else "male",
            f"{born:%Y-%m-%d}" if rng.random() < 0.8 else "",
            rank,
            deck if rng.random() < 0.6 else "",
            PORTS[int(len(PORTS) * rng.random() ** 2)],
            f"{boarded:%Y-%m-%d %H:%M}",
            f"£{fare:,.2f}" if rng.random() < 0.95 else "-",
            rng.choice(["yes", "no", ""], p=[0.1, 0.8, 0.1]),
            "yes" if rng.random() < 1 / (1 + np.exp(-chance)) else "no",
        ])  # fmt: skip
    return rows


def write(path: Path, rows: list[list[object]]) -> None:
    """Writes the rows below the header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


if __name__ == "__main__":
    write(Path("passengers.csv"), passengers(900, seed=0))
    write(Path("passengers_test.csv"), passengers(400, seed=1))
