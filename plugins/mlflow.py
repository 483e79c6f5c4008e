"""`--log-to mlflow`: a search as a run of MLflow, with a nested run for every trial. Needs `automl[mlflow]`.

It goes to $MLFLOW_TRACKING_URI and the experiment $MLFLOW_EXPERIMENT_NAME (`automl` where there is none); without a
URI, to a database in the run's folder: mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from automl import hookimpl

from .trial_curves import fold_means, numbers

BATCH = 900  # metrics a request; MLflow takes 1000

Facts = Mapping[str, Any]


@hookimpl
def automl_log_to() -> dict[str, str]:
    """`--log-to mlflow`, and the package that it needs."""
    return {"mlflow": "mlflow"}


@hookimpl
def automl_search_started(run: Facts) -> None:
    """Begins the parent run, or goes on with that of an earlier session."""
    # A server that does not answer must not hold the search up for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    import_module("mlflow")  # which sets the level of its log
    for library in ("mlflow", "alembic"):  # both announce the making of a database
        logging.getLogger(library).setLevel(logging.WARNING)
    client, remembered = _client(run), _remembered(run)
    if remembered.exists():
        client.update_run(remembered.read_text(), status="RUNNING")
        return
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "automl")
    experiment = client.get_experiment_by_name(name)
    own = None if os.environ.get("MLFLOW_TRACKING_URI") else Path(run["folder"], "mlflow").as_uri()
    number = experiment.experiment_id if experiment else client.create_experiment(name, artifact_location=own)
    tags = {"automl.folder": run["folder"], "automl.data": run["data"]}
    parent = client.create_run(number, tags=tags, run_name=run["study"]).info.run_id
    settings = {name: str(value)[:500] for name, value in run["settings"].items() if value not in (None, [], False)}
    _log(client, parent, {}, settings)
    remembered.write_text(parent)


@hookimpl
def automl_trial_finished(run: Facts, trial: Facts, curves: Facts) -> None:
    """Logs the trial as a nested run: config, metrics by epoch, state and reason."""
    if not _remembered(run).exists():  # the start has failed, and was told
        return
    client, parent = _client(run), _remembered(run).read_text()
    tags = {"mlflow.parentRunId": parent, "state": trial["state"], "reason": trial["reason"]}
    tags |= {"detail": str(trial["detail"])[:500]} if trial.get("detail") else {}
    experiment = client.get_run(parent).info.experiment_id
    child = client.create_run(experiment, tags=tags, run_name=f"trial-{trial['number']:05d}").info.run_id
    metrics = fold_means(run, curves) | {name: [(0, value)] for name, value in numbers(trial).items()}
    _log(client, child, metrics, {name: str(value)[:500] for name, value in trial["config"].items()})
    client.set_terminated(child, "FAILED" if trial["state"] == "FAIL" else "FINISHED")


@hookimpl
def automl_search_finished(run: Facts, summary: Facts) -> None:
    """Logs the outcome and the report. A search that was interrupted is KILLED, until it is resumed."""
    if not _remembered(run).exists():
        return
    client, parent = _client(run), _remembered(run).read_text()
    best = next((row for row in summary["trials"] if row["number"] == summary["best"]), None)
    outcome = {f"test/{name}": value for name, value in summary["test"].items()}
    outcome |= {"best_score": best["score"], "best_trial": best["number"]} if best else {}
    _log(client, parent, {name: [(0, value)] for name, value in outcome.items()}, {})
    report = Path(run["folder"], "report.html")
    if report.is_file():
        client.log_artifact(parent, str(report))
    ended = "FINISHED" if summary["model"] else "KILLED" if summary["totals"]["waiting"] else "FAILED"
    client.set_terminated(parent, ended)


def _client(run: Facts) -> Any:
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path(run['folder'], 'mlflow.db')}"
    return import_module("mlflow").MlflowClient(tracking_uri=uri)


def _remembered(run: Facts) -> Path:
    """The file with the id of the parent run."""
    return Path(run["folder"], "mlflow-run-id")


def _log(client: Any, run_id: str, metrics: Mapping[str, list[tuple[int, float]]], params: Mapping[str, str]) -> None:
    entities = import_module("mlflow.entities")
    now = int(time.time() * 1000)
    points = [entities.Metric(name, value, now, step) for name, curve in metrics.items() for step, value in curve]
    client.log_batch(run_id, params=[entities.Param(name, value) for name, value in params.items()])
    for start in range(0, len(points), BATCH):
        client.log_batch(run_id, metrics=points[start : start + BATCH])
