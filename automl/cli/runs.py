"""`automl leaderboard`: what a run came to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli.output import as_data
from automl.cli.paths import require_run
from automl.cli.targets import MEANS, call_target

if TYPE_CHECKING:
    from automl.results.run import Run

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.", callback=require_run)]
RunPlugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A plugin file of the run, where it is not believed. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# The columns of a row that the table has, but for the score.
SHOWN = {"number", "score", "score_std", "epochs", "folds", "fold_epochs", "parameters", "seconds", "architecture",
         "state", "reason"}  # fmt: skip


TARGETS = 10  # of several, whose own scores are printed


def leaderboard(
    run: RunArgument,
    top: Annotated[int, typer.Option("--top", min=1, help="How many trials to show.")] = 20,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Sort by a column, a metric or a parameter: train.lr.")
    ] = None,
    architecture: Annotated[
        list[str] | None, typer.Option("--architecture", metavar="NAME", help="Only this one. Repeatable.")
    ] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only complete, pruned, failed or waiting.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: all rows, a column per parameter.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole run as JSON.")] = False,
) -> None:
    """List a run's trials, best first, and what the race has saved."""
    from automl.errors import SettingsError
    from automl.results.listing import keep, sort, to_csv
    from automl.results.run import open_run

    found = open_run(run)
    if as_json:
        if as_csv or by or architecture or state:
            raise SettingsError("--json prints the whole run: leave out --csv, --by, --architecture and --state")
        typer.echo(json.dumps(found.summary))
        return
    rows = keep(found.summary, list(found.record.space["architectures"]), architecture or (), state)
    if by:
        rows = sort(rows, by, found.summary)
    if as_csv:
        as_data().write(to_csv(rows))
        return
    print_trials(found, rows, top, by)
    if not (architecture or state):
        _print_families(found)
    print_answer(found)


def print_trials(run: Run, rows: Sequence[Mapping[str, Any]], top: int, by: str | None = None) -> None:
    """The first `top` of the rows as a table; `by` is a name that is shown besides, where no column has it."""
    from automl.cli.table import Column, print_table
    from automl.results.listing import value_of

    metric, objective = run.record.metric, run.record.objective_name
    extra = by if by not in {None, objective, metric, *SHOWN} else None
    shown = rows[:top]
    # A number is of no use when cut: where the terminal is narrow, the last in rank are left out.
    columns = [
        Column("trial", 0, [str(row["number"]) for row in shown]),
        Column(objective, 1, [as_text(row["score"]) for row in shown]),
        Column("±", 8, ["" if row["score_std"] is None else f"{row['score_std']:.2g}" for row in shown]),
        Column(metric, 5, [as_text(row["metrics"].get(metric)) for row in shown]),
        Column("rung", 6, [f"{row['epochs']}x{row['folds']}" for row in shown]),
        Column("cost", 9, [str(row["fold_epochs"]) for row in shown]),
        Column("params", 7, [_count(row["parameters"]) for row in shown]),
        Column("s", 10, [f"{row['seconds']:.1f}" for row in shown]),
        *([Column(extra, 3, [as_text(value_of(row, extra, objective)) for row in shown])] if extra else []),
        Column("architecture", 2, [str(row["architecture"]) for row in shown], right=False),
        Column("state", 4, [_state(row) for row in shown], right=False, least=8),
    ]
    if left_out := print_table(columns):
        typer.echo(f"no room for {', '.join(left_out)}: --csv has all")
    if len(rows) > top:
        typer.echo(f"... and {len(rows) - top} more (--top)")


def _state(row: Mapping[str, Any]) -> str:
    reason = str(row["reason"])
    return (reason if len(reason) <= 40 else reason[:40] + "...") or str(row["state"]).lower()


def _print_families(run: Run) -> None:
    """The best of each architecture, where there are several."""
    if len(families := run.summary["best_by_architecture"]) > 1:
        rows = {row["number"]: row for row in run.summary["trials"]}
        best = (f"{name} {rows[number]['score']:.4g} (trial {number})" for name, number in families.items())
        typer.echo("best of   " + ", ".join(best))


def print_answer(run: Run) -> None:
    """The answer in a few lines: the winner, its scores, what the race saved, where the files are.

    A model that is no better than guessing is called so first.
    """
    from automl.results.leaderboard import ENOUGH, basis, describe_baseline

    summary, final, totals = run.summary, run.record.final, run.summary["totals"]
    objective, guessing = summary["objective"], summary["guessing"]
    for said in filter(None, (guessing, summary["baseline"])):
        if said["words"]:
            typer.echo(said["words"])
    if final:
        row = next(row for row in summary["trials"] if row["number"] == final.trial)
        value, std, how = basis(row)
        named = f"trial {row['number']}, {row['architecture']}"
        typer.echo(f"best      {named}: {objective} {value:.4f}{f' ± {std:.4f}' if std is not None else ''} ({how})")
        choice = final.choice
        for words in filter(None, (choice and choice.words, choice and choice.rescoring, _why_not_lower(summary, row))):
            typer.echo(f"          {words}")
    if known := _guessed(guessing["cross_validated"], objective, run.record.metric):
        typer.echo(f"guessing  {known} (by {guessing['by']}, on the same folds)")
    if baseline := summary["baseline"]:
        typer.echo(f"baseline  {describe_baseline(baseline, run.record.settings.folds)}")
    if final:
        details = summary["test_details"] or {"intervals": {}, "gap": None}
        typer.echo("test      " + ", ".join(_tested(summary["test"], details["intervals"])))
        _print_targets(details.get("targets", ()), run.record.data.task)
        if details["gap"]:
            typer.echo(f"          {details['gap']['words']}")
        if final.words:
            typer.echo(f"          {final.words}")
    pruned = ", ".join(f"{count} {reason}" for reason, count in sorted(totals["pruned"].items())) or "none"
    waiting = f", {totals['waiting']} waiting" if totals["waiting"] else ""
    counts = f"{totals['complete']} complete, pruned: {pruned}, {totals['failed']} failed{waiting}"
    typer.echo(f"trials    {totals['trials']}: {counts}")
    without = totals["fold_epochs_without_race"]
    if totals["fold_epochs"]:
        saved = ""
        if totals["complete"] >= ENOUGH and without > totals["fold_epochs"]:
            saved = f", {without / totals['fold_epochs']:.1f}x less than without the race ({without})"
        typer.echo(f"cost      {totals['fold_epochs']} fold-epochs{saved}, {totals['seconds']:.0f} s")
        if again := totals["fold_epochs_rescoring"]:
            typer.echo(f"          and {again} fold-epochs on fresh folds, to choose among the finalists")
    if final:
        typer.echo(f"model     {summary['model']}")
    typer.echo(f"report    {run.folder.report}")


def _why_not_lower(summary: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """Why pruned trials with a better number than `best` are not the best; "" where there are none."""
    sign = 1 if summary["direction"] == "minimize" else -1

    def seen(row: Mapping[str, Any]) -> int:
        return int(row["epochs"] * row["folds"])

    better = [
        row
        for row in summary["trials"]
        if row["state"] == "PRUNED" and None not in (row["score"], best["score"]) and seen(row) < seen(best)
        and sign * row["score"] < sign * best["score"]
    ]  # fmt: skip
    if not better:
        return ""
    first = min(better, key=lambda row: sign * row["score"])
    others = f" and {len(better) - 1} more have" if len(better) > 1 else " has"
    folds = f"{first['folds']} fold{'s' * (first['folds'] > 1)}"
    epochs = f"{first['epochs']} epoch{'s' * (first['epochs'] > 1)}"
    return (
        f"trial {first['number']} ({as_text(first['score'])} on {folds}, {epochs}){others} a better number, on less: "
        f"it cannot be compared with {best['folds']} folds and {best['epochs']} epochs"
    )


def _guessed(scores: Mapping[str, float | None], *names: str) -> str:
    """What guessing scores on the same folds: `log_loss 0.6931, accuracy 0.5100`."""
    return ", ".join(f"{name} {score:.4f}" for name in names if (score := scores.get(name)) is not None)


def _tested(scores: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> list[str]:
    """Each metric of the test, with its interval: `accuracy 0.9750 (0.953 to 0.987)`."""
    ends = {name: f" ({low:.3g} to {high:.3g})" for name, (low, high) in intervals.items()}
    return [f"{name} {value:.4f}{ends.get(name, '')}" for name, value in scores.items()]


def _print_targets(rows: Sequence[Mapping[str, Any]], task: str) -> None:
    """The test of each of several targets."""
    if rows:
        typer.echo(f"          {MEANS[task]}")
    for row in rows[:TARGETS]:
        known = {name: value for name, value in row["metrics"].items() if value is not None}
        typer.echo(f"          {call_target(row, task)}: {', '.join(_tested(known, row['intervals']))}")
    if len(rows) > TARGETS:
        typer.echo(f"          and {len(rows) - TARGETS} more targets, which the report has")


def as_text(value: Any) -> str:
    """A value in a table: floats with four digits, None as nothing."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _count(number: int | None) -> str:
    """A count in at most four digits and a unit: 950, 83.1k, 1.2M."""
    if number is None:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
