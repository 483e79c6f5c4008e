"""The csv that the dashboard hands out."""

from __future__ import annotations

import csv
import io
from wsgiref.util import setup_testing_defaults

import optuna
from optuna_dashboard import wsgi

from automl.results.plain_csv import PlainCsv


def test_no_cell_of_the_dashboards_csv_is_a_formula_and_numbers_stay_numbers() -> None:
    study = optuna.create_study()
    study.add_trial(
        optuna.trial.create_trial(
            value=-1.5,
            params={"=cmd|' /C calc'!A0": "@x"},
            distributions={"=cmd|' /C calc'!A0": optuna.distributions.CategoricalDistribution(["@x", "y"])},
            user_attrs={"detail": "=1+1\x1b[2J"},
        )
    )
    environ = {"PATH_INFO": "/csv/0"}
    setup_testing_defaults(environ)
    told = {}
    body = PlainCsv(wsgi(study._storage))(environ, lambda status, headers: told.update(headers, status=status))
    text = b"".join(body).decode()
    assert told["status"].startswith("200")
    assert int(told["Content-Length"]) == len(text.encode())
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert "-1.5" in cells
    assert "'@x" in cells
    assert "'=1+1\\x1b[2J" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
