"""The first screen of the report: which network, how good, at what price; and what to know about these numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.results.leaderboard import ENOUGH, basis
from automl.results.report.context import Context
from automl.results.report.formatting import count, duration, number, plain
from automl.results.report.page import Html, render

Tile = tuple[str, str, str]
"""A name, its value, and a line below it."""


def first_screen(context: Context) -> Html:
    """The answer: one number, and what to know about it."""
    winner = context.winner
    best = f"{winner['architecture']} (trial {winner['number']})" if winner else "no network yet"
    return render(
        "summary",
        name=context.record.data.name,
        best=best,
        warnings=_warnings(context),
        headline=_headline(context),
        tiles=_tiles(context),
        gap=(_test_details(context).get("gap") or {}).get("words"),
        config={name: plain(value) for name, value in winner["config"].items()} if winner else None,
        model=context.summary["model"],
    )


def _headline(context: Context) -> Tile | None:
    """The one number that a reader takes away: the test score with its interval, beside guessing.

    Of classes and labels by log loss it is the accuracy, for a log loss says little to a person. None without a test.
    """
    summary = context.summary
    name = _headline_metric(context)
    if name not in summary["test"]:
        return None
    ends = (_test_details(context).get("intervals") or {}).get(name)
    said = [f"95 % interval {number(ends[0])} to {number(ends[1])}"] if ends else []
    if (guessed := summary["guessing"].get("test", {}).get(name)) is not None:
        said.append(f"guessing by {summary['guessing']['by']}: {number(guessed)}")
    if name in ("rmse", "mae") and (targets := _test_details(context).get("targets")):
        said.append(f"in standard deviations, the mean over {len(targets)} targets")
    if context.record.data.task == "multilabel" and name != "subset_accuracy":
        said.append("the mean over the labels")
    return f"{name} on the test set, which no trial saw", number(summary["test"][name]), "; ".join(said)


def _headline_metric(context: Context) -> str:
    objective: str = context.summary["objective"]
    return "accuracy" if objective == "log_loss" else objective


def _tiles(context: Context) -> list[Tile]:
    summary, winner, totals = context.summary, context.winner, context.summary["totals"]
    spent, without = totals["fold_epochs"], totals["fold_epochs_without_race"]
    tiles: list[Tile] = []
    if winner is not None:
        score, std, how = basis(winner)
        value = number(score) + (f" ± {std:.2g}" if std is not None else "")
        said = "cross-validated" if winner["folds"] > 1 else "one fold"
        tiles += [(f"{summary['objective']}, {said}", value, how)]
        tiles += [(f"{name}, {said}", number(value), "") for name, value in winner["metrics"].items()]
    guessing = summary["guessing"]
    if (guessed := guessing["cross_validated"].get(summary["objective"])) is not None:
        tiles.append((f"{summary['objective']} of guessing", number(guessed), f"by {guessing['by']}, same folds"))
    if baseline := summary["baseline"]:
        folds = len(baseline["scores"])
        same = "same folds" if folds == context.settings.folds else f"{folds} of the folds"
        tiles.append(
            (f"{baseline['metric']} of {baseline['by']}", number(baseline["mean"]), f"with its defaults, {same}")
        )
    intervals = _test_details(context).get("intervals") or {}
    for name, value in summary["test"].items():
        if name == _headline_metric(context):
            continue
        ends = intervals.get(name)
        below = f"95 % interval {number(ends[0])} to {number(ends[1])}" if ends else "data no trial saw"
        tiles.append((f"{name}, test set", number(value), below))
    told = totals["complete"] >= ENOUGH and 0 < spent < without
    ratio = f"{without / spent:.1f}x less than the {without:,} without the race" if told else ""
    return [
        *tiles,
        ("fold-epochs", f"{spent:,}", ratio),
        ("time", duration(totals["seconds"]), count(totals["trials"], "trial")),
    ]


def _warnings(context: Context) -> list[str]:
    winner, final, settings = context.winner, context.final, context.settings
    found = []
    for said in filter(None, (context.summary["guessing"], context.summary["baseline"])):
        if words := said["words"]:
            found.append(words)
    if context.summary["best"] is None:
        found.append("No trial is complete: no score here is over all folds and epochs.")
    if final and final.stand_in and winner is not None:
        found.append(
            f"The model has the config of trial {winner['number']}, which was stopped after {winner['epochs']} of "
            f"{settings.epochs} epochs on {winner['folds']} of {settings.folds} folds."
        )
    if words := final and final.words:
        found.append(words)
    if context.summary["model"] is None:
        found.append("No final model was fitted.")
    return found


def _test_details(context: Context) -> Mapping[str, Any]:
    return context.final.test_details if context.final else {}
