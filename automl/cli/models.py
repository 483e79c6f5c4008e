"""`automl fit`, `automl evaluate`, `automl predict` and `automl export`: a model, and what it is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from automl.cli.output import as_data
from automl.cli.paths import require_model, require_model_and_data, require_run
from automl.cli.runs import RunPlugins
from automl.cli.targets import MEANS, call_target
from automl.foreign_text import escaped

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="The run's folder, or its model/ folder.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="The architecture's plugin file; repeatable.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unusable image files out.")]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Where the paths of a list of images begin.")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Allow links out of the folder.")]


def fit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.", callback=require_run)],
    trial: Annotated[
        int | None, typer.Option("--trial", min=0, help="Whose config [that of the run's own model].")
    ] = None,
    final: Annotated[
        str | None,
        typer.Option("--final", help="refit (one network) or ensemble (its folds, averaged) [as the run was set]."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The model's folder [RUN/models/...].")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N [that of the run].")] = None,
    plugin: RunPlugins = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit another final model of a run; its own model and the test set are left alone."""
    from automl import api
    from automl.models.model import describe_model
    from automl.run.logs import set_up_logging

    set_up_logging()
    folder = api.fit(run, trial=trial, final=final, out=out, device=device, plugins=plugin or ())
    about = describe_model(folder)
    if as_json:
        names = {"trial", "final", "members", "epochs", "architecture", "parameters"}
        typer.echo(json.dumps({"model": str(folder), **about.model_dump(include=names)}))
        return
    what = f"the {about.members} folds, averaged" if about.members else "on the whole training part"
    typer.echo(f"trial     {about.trial}, {about.architecture}: {what}, {about.epochs} epochs")
    typer.echo(f"model     {folder}")
    typer.echo("The test set was not touched; `automl evaluate` measures the model on other data.")


def evaluate(
    model: ModelArgument,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled: a folder, a table or an .npz.")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="COLUMN", help="The table's column with the answers; or several."),
    ] = None,
    images: Images = None,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    plugin: Plugins = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model on labelled data: every metric of its task, and each class."""
    require_model_and_data("evaluate", model, data, plugin or [])
    from automl.models.evaluate import evaluate as measure_all
    from automl.models.model import load_model

    loaded = load_model(model, plugins=plugin or [])
    found = measure_all(loaded, data, target=target, images=images, skip_bad=skip_bad, follow_links=follow_links)
    if as_json:
        typer.echo(json.dumps({"model": str(model), **found}))
        return
    skipped = f", {found['skipped']} unusable files skipped" if found["skipped"] else ""
    for note in found["notes"]:
        typer.echo(f"note      {note}")
    typer.echo(f"samples   {found['samples']}{skipped}")
    for name, value in found["metrics"].items():
        typer.echo(f"{name:<18}{_text(value)}")
    if found["targets"]:
        typer.echo(MEANS[found["task"]])
    for row in found["targets"]:
        own = ", ".join(f"{name} {_text(value)}" for name, value in row["metrics"].items())
        typer.echo(f"{call_target(row, found['task'])}: {own}")
    if found["classes"]:
        _print_classes(found["classes"])


def predict(
    model: ModelArgument,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, an image, a table or an .npz.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The csv to write; else it is printed.")] = None,
    images: Images = None,
    skip_bad: SkipBad = False,
    follow_links: FollowLinks = False,
    plugin: Plugins = None,
) -> None:
    """Predict the samples of DATA: a csv with labels and probabilities, or numbers."""
    require_model_and_data("predict", model, data, plugin or [])
    from automl.models.model import load_model
    from automl.models.predict import predict_lines, write_predictions

    loaded = load_model(model, plugins=plugin or [])
    skipped: dict[str, str] = {}
    notes: list[str] = []
    reading: dict[str, Any] = {"images": images, "skip_bad": skip_bad, "follow_links": follow_links}
    if out is not None:
        skipped = write_predictions(loaded, data, out, notes=notes, **reading)
    else:
        as_data().writelines(predict_lines(loaded, data, skipped=skipped, notes=notes, **reading))
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    for name, reason in skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)


def export(
    model: ModelArgument,
    format: Annotated[
        str | None, typer.Option("--format", help="torch-export, onnx or state-dict.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Compare on samples of this [the run's data; random ones].")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Write a model for use without automl, checked against the model."""
    from automl.errors import SettingsError
    from automl.models.model_files import FORMATS

    require_model(model)
    if format not in FORMATS:
        given = "which of them? give" if format is None else f"{format}: there are"
        raise SettingsError(f"--format {given} {', '.join(FORMATS)}")
    from automl.models.export import export as write
    from automl.models.export import gives, real_samples, takes
    from automl.models.model import load_model
    from automl.results.run import data_of

    path = out or Path(FORMATS.get(format, format))
    loaded = load_model(model, plugins=plugin or [])
    real = data or data_of(model)
    difference = write(loaded, format, path, real_samples(loaded, real) if real else None)
    typer.echo(f"{path}: the largest difference from the model is {difference:.2g}, on {real or 'random'} samples")
    typer.echo(f"it takes x as {takes(loaded)}")
    if len(loaded.targets) > 1:
        typer.echo(f"it gives {gives(loaded)}")
    if format == "state-dict":
        text = _HOW_TO_LOAD_MEMBERS if loaded.description.members else _HOW_TO_LOAD
        table = len(loaded.description.input_shape) == 1
        typer.echo(text.format(path=path, inputs=_TABLE if table else _PIXELS))
        if table:
            typer.echo(_HOW_TO_MAKE_INPUTS)
        if loaded.description.tta == "mirror":
            typer.echo(_MIRRORED)


_HOW_TO_LOAD = """load it with
  weights = safetensors.torch.load_file("{path}")
  network.load_state_dict({{k[8:]: v for k, v in weights.items() if k.startswith("network.")}})
  output = network({inputs}) * weights["y_std"] + weights["y_mean"]"""


_HOW_TO_LOAD_MEMBERS = """load member 0, 1, ... with
  weights = {{k[10:]: v for k, v in safetensors.torch.load_file("{path}").items() if k.startswith("members.0.")}}
  network.load_state_dict({{k[8:]: v for k, v in weights.items() if k.startswith("network.")}})
  output = network({inputs}) * weights["y_std"] + weights["y_mean"]
and average the members' probabilities, or predictions"""

_PIXELS = '((x - weights["inputs.mean"]) / weights["inputs.std"]).float()'
_TABLE = "inputs(x)"
_MIRRORED = "and take the mean of the outputs for x and x.flip(-1), its mirror image"
_HOW_TO_MAKE_INPUTS = "where inputs is the preprocessing of a table, which docs/model-format.md gives in Python"


def _print_classes(rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from automl.cli.terminal import Terminal

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class")
    for name in ("n", "recall", "precision"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(escape(escaped(row["class"])), str(row["n"]), _text(row["recall"]), _text(row["precision"]))
    Terminal().print(table)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
