"""What a command was given and is not there: all of it is said at once, before the imports that take long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from automl.errors import BadInput, DataError, RunError, SettingsError


def require_run(run: Path) -> Path:
    """The folder of a run, for a command that reads one. Raises `RunError` with the runs that there are."""
    from automl.run.folder import RunFolder

    RunFolder(run).require()
    return run


def require_model(model: Path) -> Path:
    """A run's folder or a model's. Raises `RunError` with the runs that there are."""
    from automl.models.model_files import model_folder

    model_folder(model)
    return model


def require_model_and_data(command: str, model: Path, data: str, plugins: Sequence[Path] = ()) -> None:
    """Raises `BadInput` for what is missing of a model and of the data for it, or when the two are swapped."""
    if not _is_model(model) and model.exists() and _is_model(Path(data)):
        raise SettingsError(f"the model stands before the data: automl {command} {data} {model}")
    _all_of(
        lambda: require_model(model),
        lambda: _require_file(data),
        lambda: _require_plugins(plugins),
    )


def require_search(data: str, out: Path | None, settings: dict[str, Any]) -> None:
    """Raises `BadInput` for everything that a new search was given and that is not there, or is a wrong setting."""
    plugins = [*settings["plugins"], *settings["plugins_dirs"]]
    _all_of(
        lambda: _require_data(data, plugins),
        lambda: _require_groups(data, settings["groups"]),
        lambda: _require_space(settings["space"]),
        lambda: _require_plugins(settings["plugins"], settings["plugins_dirs"]),
        lambda: _require_weights(settings["weights"]),
        lambda: _require_runs(settings["first_from"]),
        lambda: _require_free(out),
    )
    require_settings(data=data, **settings)


def require_worker(data: str | None, run: Path | None, plugins: Sequence[str]) -> None:
    """Raises `BadInput` for everything that a worker was given and that is not there."""
    _all_of(
        lambda: None if data is None else _require_data(data, [*plugins, "those of the search"]),
        lambda: None if run is None else require_run(run),
        lambda: _require_plugins(plugins),
    )


def require_settings(**settings: Any) -> None:
    """Raises `SettingsError` for all that cannot be used."""
    from automl.settings import make_settings

    make_settings(**settings)


def _all_of(*checks: Callable[[], object]) -> None:
    """Makes every check and raises one error for all that failed."""
    problems: list[BadInput] = []
    for check in checks:
        try:
            check()
        except BadInput as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise BadInput("\n".join(map(str, problems)))


def _is_model(path: Path) -> bool:
    with suppress(RunError):
        return bool(require_model(path))
    return False


def _require_data(data: str, plugins: Sequence[object]) -> None:
    from automl.data.sources.missing import is_missing, missing_data

    if is_missing(data, maybe_a_name=bool(plugins) or _others_are_installed()):
        raise missing_data(data)


def _others_are_installed() -> bool:
    """Whether there are plugins besides the built-in ones, which declare no data set."""
    from importlib import metadata

    from automl.hooks.loading import BUILT_IN

    return any(not point.module.startswith(BUILT_IN) for point in metadata.entry_points(group="automl"))


def _require_file(data: str) -> None:
    if not Path(data).expanduser().exists():
        raise DataError(f"{data}: there is no such file or folder")


def _require_groups(data: str, groups: str | None) -> None:
    """Of a folder of images they are a file; elsewhere they name a column or an array."""
    folder = Path(data).expanduser()
    if groups and folder.is_dir() and not any(folder.glob("*.csv")) and not Path(groups).expanduser().is_file():
        raise DataError(f"--groups {groups}: there is no such file")


def _require_space(space: str | None) -> None:
    if space is not None and not space.lstrip().startswith("{"):  # else it is the space itself
        from automl.spaces.library import find_space
        from automl.spaces.yaml_file import read

        read(find_space(space))


def _require_plugins(files: Sequence[str | Path], folders: Sequence[str | Path] = ()) -> None:
    if files or folders:
        from automl.hooks.loading import find_files

        find_files(files, folders)


def _require_weights(weights: str | None) -> None:
    if weights is not None and not Path(weights).expanduser().exists():
        raise SettingsError(
            f"--weights {weights}: must be a file of weights or the folder of a run: No such file or directory"
        )


def _require_runs(runs: Sequence[str]) -> None:
    for run in runs:
        try:
            require_run(Path(run).expanduser())
        except RunError as error:
            raise SettingsError(f"--first-from {error}") from None


def _require_free(out: Path | None) -> None:
    if out is not None:
        from automl.run.folder import RunFolder

        RunFolder(out).check_free()
