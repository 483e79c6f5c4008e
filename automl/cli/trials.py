"""`automl show` and `automl replay`: one trial, what its curves say, and whether they come out again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli.runs import AsJson, RunArgument, RunPlugins, as_text
from automl.errors import RunError
from automl.foreign_text import escaped

if TYPE_CHECKING:
    from automl.conclude.replay import Replay
    from automl.results.run import Run

TrialArgument = Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="The trial's number.")]


def show(
    run: RunArgument,
    trial: Annotated[
        int | None, typer.Argument(metavar="[TRIAL]", min=0, help="The trial's number; default the best.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one trial: its config, its score, why it ended, its curves, and what they say."""
    from automl.racing.overfitting import OverfittingRule
    from automl.results.diagnosis import diagnose, longest_means
    from automl.results.run import open_run
    from automl.run.curve_files import trial_curves

    found = open_run(run)
    row = found.trial(best_trial(found) if trial is None else trial)
    curves = trial_curves(found.folder, row["number"], found.record.objective)
    trained = curves is not None and curves.fold_epochs > 0
    losses = [[float(v) for v in mean] for mean in longest_means(curves)] if trained and curves else [[], []]
    guessing = found.record.guessing.get(curves.objective.loss) if trained and curves else None
    settings = found.record.settings
    rule = OverfittingRule.of(settings.epochs, settings.patience, settings.tolerance)
    diagnosis = diagnose(curves, guessing, reason=row["detail"] or row["reason"], rule=rule)
    if as_json:
        more = {
            "diagnosis": diagnosis.word,
            "diagnosis_text": diagnosis.sentence,
            "curves": {"train_loss": losses[0], "validation_loss": losses[1]},
        }
        typer.echo(json.dumps({**row, **more}))
        return
    _print_row(row)
    _print_curves(*losses, best=curves.best_epoch() if curves else 0)
    typer.echo(f"\n{diagnosis}")


def replay(
    run: RunArgument,
    trial: TrialArgument,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N [that of the run].")] = None,
    plugin: RunPlugins = None,
    as_json: AsJson = False,
) -> None:
    """Train a trial again from its seeds and compare its curves with the recorded ones; the run stays as it is.

    Exit code 0: no value differs by more than 1e-6; 1: one does; 2: data, search space or plugins have changed.
    """
    from automl.api import replay as replay_trial
    from automl.run.logs import set_up_logging

    set_up_logging()
    result = replay_trial(run, trial, device=device, plugins=plugin or ())
    if as_json:
        typer.echo(json.dumps(result.to_json()))
    else:
        _print_replay(result)
    if not result.equal:
        raise typer.Exit(1)


def best_trial(run: Run) -> int:
    """The trial of the run's model, else the first of its leaderboard. Raises `RunError` where there is none."""
    winner, rows = run.summary["winner"], run.leaderboard()
    if winner is None and not rows:
        raise RunError(f"{run.path} has no trial yet")
    return int(rows[0]["number"] if winner is None else winner)


def _print_row(row: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from automl.cli.terminal import Terminal

    table = Table(show_header=False, box=None, title=f"trial {row['number']}", title_justify="left")
    shown = {k: v for k, v in row.items() if k not in ("number", "config", "metrics") and v not in ("", None)}
    if again := row["rescored"]:
        shown["rescored"] = (
            f"{again['mean']:.4g} ± {again['std']:.2g} on {again['folds']} folds, {again['repeats']} repeats"
        )
    for name, value in [*shown.items(), *row["metrics"].items(), *row["config"].items()]:
        table.add_row(Text(escaped(name)), Text(escaped(as_text(value))))  # not markup: a reason may hold [brackets]
    Terminal().print(table)


def _print_curves(train: list[float], validation: list[float], *, best: int) -> None:

    from automl.cli.plot import plot_losses
    from automl.cli.terminal import Terminal

    console = Terminal()
    width = console.width if console.is_terminal else min(console.width, 80)
    for line in ["", *plot_losses(train, validation, best, width)] if train else []:
        typer.echo(line)


def _print_replay(result: Replay) -> None:
    folds, cost, executor = result.recorded.folds, result.recorded.fold_epochs, result.now["executor"]
    typer.echo(f"trial {result.trial}: {cost} fold-epochs on {folds} fold{'s' * (folds > 1)} trained again")
    if result.bit_equal:
        typer.echo("bit-equal: every loss and metric is the recorded one")
    else:
        verdict = "equal within 1e-6" if result.equal else "not equal"
        typer.echo(f"{verdict}: the largest difference is {result.difference:.3g}")
    then = ", ".join(f"{name} {value}" for name, value in result.then.items() if name not in ("device", "executor"))
    typer.echo(f"recorded on {result.then['device']}, {result.then['executor']}: {then}")
    if result.changed:
        typer.echo("now:      " + ", ".join(result.changed))
    elif not result.equal:
        typer.echo(
            f"the same {executor} training, device, threads and versions now: a plugin's code or the processor may be "
            "another"
        )
