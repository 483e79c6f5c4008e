"""`automl leaderboard` and `automl show`: what a run came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from automl.api import Run

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def leaderboard(
    run: RunArgument,
    top: Annotated[int, typer.Option("--top", min=1, help="How many trials to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List a run's trials, best first, and what the race has saved."""
    from automl.api import open_run

    found = open_run(run)
    if as_json:
        typer.echo(json.dumps(found.summary))
        return
    print_trials(found, top)
    print_answer(found)


def show(
    run: RunArgument,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial's number.")],
    as_json: AsJson = False,
) -> None:
    """Show one trial: its config, its score, and why it ended."""
    from automl.api import open_run
    from automl.errors import RunError

    found = open_run(run)
    rows = {row["number"]: row for row in found.summary["trials"]}
    if trial not in rows:
        known = f"0 to {len(rows) - 1}" if rows else "none"
        raise RunError(f"{run} has no trial {trial}; it has: {known}")
    row = rows[trial]
    if as_json:
        typer.echo(json.dumps(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, title=f"trial {trial}", title_justify="left")
    for name, value in row.items():
        if name not in ("number", "config", "metrics") and value not in ("", None):
            table.add_row(name, _text(value))
    for name, value in [*row["metrics"].items(), *row["config"].items()]:
        table.add_row(name, _text(value))
    Console().print(table)


def print_trials(run: Run, top: int) -> None:
    """The leaderboard as a table."""
    from rich.console import Console
    from rich.table import Table

    metric, objective = run.record["metric"], run.record["objective"]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("trial", objective, "±", metric, "rung", "cost", "params", "s"):
        table.add_column(name, no_wrap=True, justify="right")  # a number is of no use when cut
    table.add_column("architecture")
    table.add_column("state")
    for row in run.summary["trials"][:top]:
        reason = row["reason"] if len(row["reason"]) <= 40 else row["reason"][:40] + "..."
        table.add_row(
            str(row["number"]),
            _text(row["score"]),
            "" if row["score_std"] is None else f"{row['score_std']:.2g}",
            _text(row["metrics"].get(metric)),
            f"{row['epochs']}x{row['folds']}",
            str(row["fold_epochs"]),
            _count(row["parameters"]),
            f"{row['seconds']:.1f}",
            str(row["architecture"]),
            reason or row["state"].lower(),
        )
    Console().print(table)
    if len(run.summary["trials"]) > top:
        typer.echo(f"... and {len(run.summary['trials']) - top} more (--top)")
    if len(families := run.summary["best_by_architecture"]) > 1:
        rows = {row["number"]: row for row in run.summary["trials"]}
        best = (f"{name} {rows[number]['score']:.4g} (trial {number})" for name, number in families.items())
        typer.echo("best of   " + ", ".join(best))


def print_answer(run: Run) -> None:
    """The answer in a few lines: the winner, its scores, what the race saved, where the files are."""
    summary, final, totals = run.summary, run.record.get("final"), run.summary["totals"]
    objective = summary["objective"]
    if final:
        row = next(row for row in summary["trials"] if row["number"] == final["trial"])
        spread = f" ± {row['score_std']:.4f}" if row["score_std"] is not None else ""
        how = f"{row['folds']}-fold cross-validation"
        if final["stand_in"]:
            how = f"{row['folds']} fold(s) and {row['epochs']} epochs only, no trial was completed"
        typer.echo(
            f"best      trial {row['number']}, {row['architecture']}: {objective} {row['score']:.4f}{spread} ({how})"
        )
        typer.echo("test      " + ", ".join(f"{name} {value:.4f}" for name, value in summary["test"].items()))
        if final["cut_short"]:
            typer.echo(f"          the deadline cut the final fit short after {final['epochs']} epochs")
    pruned = ", ".join(f"{count} {reason}" for reason, count in sorted(totals["pruned"].items())) or "none"
    waiting = f", {totals['waiting']} waiting" if totals["waiting"] else ""
    counts = f"{totals['complete']} complete, pruned: {pruned}, {totals['failed']} failed{waiting}"
    typer.echo(f"trials    {totals['trials']}: {counts}")
    without = totals["fold_epochs_without_race"]
    if totals["fold_epochs"]:
        saved = f", {without / totals['fold_epochs']:.1f}x less than without the race ({without})"
        typer.echo(f"cost      {totals['fold_epochs']} fold-epochs{saved}, {totals['seconds']:.0f} s")
    if final:
        typer.echo(f"model     {final['model']}")
    typer.echo(f"report    {run.folder.report}")


def _text(value: Any) -> str:
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
