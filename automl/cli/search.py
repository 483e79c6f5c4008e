"""`automl search` and `automl resume`."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli.output import go_on
from automl.cli.paths import require_run, require_search, require_settings
from automl.cli.runs import RunPlugins
from automl.errors import Interrupted, MachineFailed

if TYPE_CHECKING:
    from automl.api import MakeCallback, Run
    from automl.study.callbacks import Callback

DATA, SPACE, RACE, MACHINE = "Data", "Search space", "Race", "Machine and records"


def _option(*names: str, help: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the leaderboard as JSON at the end, and nothing else.")]
Trials = Annotated[int | None, _option("--trials", help="How many configs to try [50].", panel=RACE)]
Timeout = Annotated[
    str | None, _option("--timeout", metavar="10m", help="Hard deadline, e.g. 90s, 10m, 1h30m.", panel=RACE)
]
TrialTimeout = Annotated[
    str | None,
    _option("--trial-timeout", metavar="10m", help="A trial that takes longer in all fails.", panel=RACE),
]
Device = Annotated[str | None, _option("--device", help="auto, cpu, cuda or cuda:N.", panel=MACHINE)]
Devices = Annotated[
    str | None,
    _option(
        "--devices", metavar="cuda:0,cuda:1", help="A device for each worker, in turn; auto: every GPU.", panel=MACHINE
    ),
]
Threads = Annotated[int | None, _option("--threads", help="CPU threads, of all workers together.", panel=MACHINE)]
Workers = Annotated[
    str | None, _option("--workers", metavar="N", help="Processes that search side by side [auto].", panel=MACHINE)
]
Launcher = Annotated[
    str | None,
    _option("--launcher", metavar="local|ray", help="Workers on this machine, or as actors of a Ray cluster [local].",
            panel=MACHINE),
]  # fmt: skip
RayAddress = Annotated[
    str | None,
    _option("--ray-address", metavar="HOST:PORT", help="The Ray cluster [the one on this machine].", panel=MACHINE),
]
Storage = Annotated[
    str | None,
    _option("--storage", help="Optuna storage URL instead of the run's journal (also $AUTOML_STORAGE).", panel=MACHINE),
]


def search(
    data: Annotated[
        str, typer.Argument(help="A folder of images, a table, an .npz, digits, torchvision:NAME, a plugin's data set.")
    ] = "digits",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder [runs/NAME-N].")] = None,
    target: Annotated[str | None, _option("--target", help="The column of a table to predict.", panel=DATA)] = None,
    task: Annotated[
        str | None, _option("--task", help="classification or regression, where unclear.", panel=DATA)
    ] = None,
    groups: Annotated[
        str | None,
        _option("--groups", help="Column, array or file of groups that stay in one fold.", panel=DATA),
    ] = None,
    images: Annotated[
        str | None, _option("--images", metavar="DIR", help="Where the paths of a list of images begin.", panel=DATA)
    ] = None,
    image_size: Annotated[int | None, _option("--image-size", help="Resize all images to N x N.", panel=DATA)] = None,
    skip_bad: Annotated[bool, _option("--skip-bad", help="Leave unreadable images out.", panel=DATA)] = False,
    follow_links: Annotated[
        bool, _option("--follow-links", help="Allow links that lead out of the data folder.", panel=DATA)
    ] = False,
    test_fraction: Annotated[
        float | None, _option("--test-fraction", help="Share cut off for the test [0.2].", panel=DATA)
    ] = None,
    space: Annotated[
        str | None,
        _option("--space", help="A YAML file or a built-in space (see `automl spaces`).", panel=SPACE),
    ] = None,
    architecture: Annotated[
        list[str] | None, _option("--architecture", help="Search only this one. Repeatable.", panel=SPACE)
    ] = None,
    overrides: Annotated[
        list[str] | None,
        _option(
            "--set", metavar="NAME=DOMAIN", help="Pin or replace a domain: resnet.depth=3. Repeatable.", panel=SPACE
        ),
    ] = None,
    plugin: Annotated[
        list[str] | None, _option("--plugin", metavar="FILE", help="Load this plugin too. Repeatable.", panel=SPACE)
    ] = None,
    plugins_dir: Annotated[
        list[str] | None,
        _option("--plugins-dir", metavar="DIR", help="Load every *.py of this folder. Repeatable.", panel=SPACE),
    ] = None,
    weights: Annotated[
        str | None,
        _option(
            "--weights",
            metavar="FILE|RUN",
            help="What `transfer` begins with: a file of weights, or a run's folder.",
            panel=SPACE,
        ),
    ] = None,
    max_params: Annotated[
        int | None, _option("--max-params", help="Networks with more parameters are infeasible.", panel=SPACE)
    ] = None,
    sampler: Annotated[
        str | None, _option("--sampler", help="tpe, random, grid, gp or cmaes [tpe].", panel=SPACE)
    ] = None,
    trials: Trials = None,
    timeout: Timeout = None,
    trial_timeout: TrialTimeout = None,
    folds: Annotated[int | None, _option("--folds", help="K of the cross-validation [5].", panel=RACE)] = None,
    epochs: Annotated[int | None, _option("--epochs", help="Epochs of a full training [20].", panel=RACE)] = None,
    metric: Annotated[
        str | None,
        _option("--metric", help="What is optimised: accuracy, auroc, mae, ... [log_loss or rmse].", panel=RACE),
    ] = None,
    ladder: Annotated[
        str | None,
        _option("--ladder", metavar="1x1,3x1,9x2,27x5", help="The rungs by hand, epochs x folds.", panel=RACE),
    ] = None,
    finalists: Annotated[
        int | None, _option("--finalists", help="Trials to complete on all folds [3].", panel=RACE)
    ] = None,
    repeats: Annotated[
        int | None, _option("--repeats", help="Cross-validations of a finalist in all, on fresh folds [2].", panel=RACE)
    ] = None,
    prefer: Annotated[
        str | None,
        _option(
            "--prefer",
            metavar="score|small",
            help="Who wins: the best mean score, or of those within a standard error the smallest network [score].",
            panel=RACE,
        ),
    ] = None,
    final: Annotated[
        str | None,
        _option("--final", help="The final model: refit (one network) or ensemble (its folds) [refit].", panel=RACE),
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            "--patience", help="Epochs of overfitting before a verdict [20 % of --epochs, at least 4].", panel=RACE
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        _option("--tolerance", help="Rise of the validation loss that counts as overfitting [0.05].", panel=RACE),
    ] = None,
    seed: Annotated[int | None, _option("--seed", help="Seed of everything random [0].", panel=MACHINE)] = None,
    device: Device = None,
    devices: Devices = None,
    precision: Annotated[str | None, _option("--precision", help="auto, fp32 or bf16 [auto].", panel=MACHINE)] = None,
    executor: Annotated[
        str | None,
        _option("--executor", help="auto, serial or fused: folds one by one or as a CUDA graph [auto].", panel=MACHINE),
    ] = None,
    threads: Threads = None,
    workers: Workers = None,
    launcher: Launcher = None,
    ray_address: RayAddress = None,
    storage: Storage = None,
    study: Annotated[
        str | None, _option("--study", help="Name of the study in the storage [the run's folder].", panel=MACHINE)
    ] = None,
    log_to: Annotated[
        list[str] | None,
        _option(
            "--log-to", help="Log every trial to tensorboard, mlflow or a plugin's listener. Repeatable.", panel=MACHINE
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Search a network for DATA, fit it, test it once.

    Leaves a run folder with the model, the leaderboard and a report. Ctrl-C stops; `automl resume` goes on.
    """
    settings: dict[str, Any] = {
        "target": target, "task": task, "groups": groups, "images": images, "image_size": image_size,
        "skip_bad": skip_bad, "follow_links": follow_links, "test_fraction": test_fraction,
        "space": space, "weights": weights,
        "max_params": max_params,
        "sampler": sampler, "trials": trials, "timeout": timeout,
        "trial_timeout": trial_timeout, "folds": folds, "epochs": epochs, "metric": metric,
        "ladder": ladder,
        "finalists": finalists, "repeats": repeats, "prefer": prefer, "final": final,
        "patience": patience, "tolerance": tolerance,
        "seed": seed, "device": device, "devices": devices,
        "precision": precision, "executor": executor, "threads": threads, "workers": workers, "storage": storage,
        "study": study, "launcher": launcher, "ray_address": ray_address,
        "architectures": tuple(architecture or ()), "overrides": tuple(overrides or ()),
        "log_to": tuple(log_to or ()), "plugins": tuple(plugin or ()), "plugins_dirs": tuple(plugins_dir or ()),
    }  # fmt: skip

    require_search(data, out, settings)

    def begin(**watching: Any) -> Run:
        """Imports torch only now, when the search is to begin."""
        from automl import api

        return api.search(data, out=out, **watching, **settings)

    _run(begin, quiet, as_json)


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.", callback=require_run)],
    trials: Trials = None,
    timeout: Timeout = None,
    trial_timeout: TrialTimeout = None,
    device: Device = None,
    devices: Devices = None,
    threads: Threads = None,
    workers: Workers = None,
    launcher: Launcher = None,
    ray_address: RayAddress = None,
    storage: Storage = None,
    plugin: RunPlugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with an interrupted run, or with a larger budget.

    The data and the search space must be those that the run was begun with.
    """

    require_settings(trials=trials, timeout=timeout, trial_timeout=trial_timeout, threads=threads, workers=workers)

    def begin_again(**watching: Any) -> Run:
        """Imports torch only now, as for a new search."""
        from automl import api

        return api.resume(
            run,
            trials=trials,
            timeout=timeout,
            trial_timeout=trial_timeout,
            device=device,
            devices=devices,
            threads=threads,
            workers=workers,
            launcher=launcher,
            ray_address=ray_address,
            storage=storage,
            plugins=plugin or (),
            **watching,
        )

    _run(begin_again, quiet, as_json)


def _run(go: Callable[..., Run], quiet: bool, as_json: bool) -> None:
    """Runs a search with signals, progress and the closing words."""
    from automl.cli.signals import Signals
    from automl.study.logs import set_up_logging

    started = time.monotonic()  # for the user, the time runs from here: torch, plugins and data come first
    set_up_logging()
    go_on()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        watch = None if quiet or as_json else _watch(stack)
        try:
            run = go(watch=watch, interrupted=signals.interrupted, started=started)
        except Interrupted as stopped:
            stack.close()
            print(f"automl: stopped; {_how_to_go_on(stopped)}", file=sys.stderr)
            raise typer.Exit(128 + signals.received) from None
        except MachineFailed as failed:
            stack.close()
            print(f"automl: {failed}; {_how_to_go_on(failed)}", file=sys.stderr)
            raise typer.Exit(failed.exit_code) from None
    if as_json:
        typer.echo(json.dumps(run.summary))
    elif not quiet:
        from automl.cli.runs import print_answer

        print_answer(run)


def _how_to_go_on(ended: Interrupted | MachineFailed) -> str:
    """The command that resumes the run, to be copied, with its path from here."""
    if ended.run is None:
        return "nothing was begun"
    near = ended.run.is_relative_to(Path.cwd())
    path = ended.run.relative_to(Path.cwd()) if near else ended.run
    return f"go on with: automl resume {shlex.quote(str(path))}"


def _watch(stack: ExitStack) -> MakeCallback:
    """Live progress on a terminal, plain lines elsewhere."""

    def make(prepared: Any, budget: Any, earlier: Any) -> Callback:
        """As `automl.study.callbacks.MakeCallback`."""
        from automl.cli.progress import LiveProgress, PlainProgress, printable
        from automl.data.understood import sentences

        kind = LiveProgress if sys.stdout.isatty() else PlainProgress
        progress = kind(budget, prepared.ladder, prepared.objective)
        progress.tally.prime(earlier)
        for place, line in enumerate(sentences(prepared.dataset, len(prepared.splits.test))):
            typer.echo(f"{'' if place else 'data':10}{printable(line)}")
        for note in prepared.dataset.notes:
            typer.echo(f"note      {printable(note)}")
        callback: Callback = stack.enter_context(progress)
        return callback

    return make
