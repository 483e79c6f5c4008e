"""The inspection of a table at the end of a search, with real searches."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
import pytest

import automl
from automl.conclude import inspection as module
from automl.conclude.fitting import restore_fold_models
from automl.conclude.inspection import choose_networks, inspect_table
from automl.conclude.out_of_fold import with_rows
from automl.conclude.rescoring import Rescoring
from automl.conclude.selection import as_finalist
from automl.data.table_columns import table_columns
from automl.errors import Interrupted
from automl.models.inspection import load_inspection
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.record import settings_of
from automl.scheduling.deadline import Budget, Deadline
from automl.study.storage.opening import load_study, open_storage

OPTIONS = {
    "space": "tabular", "architectures": ("tabular_mlp",), "trials": 1, "folds": 3, "epochs": 6, "repeats": 1,
    "seed": 1, "finalists": 1, "workers": 1, "threads": 1, "device": "cpu",
    "overrides": ("train.lr=0.01", "train.batch_size=16", "tabular_mlp.width=32"),
}  # fmt: skip


def table(rows: int = 240) -> pd.DataFrame:
    """Only `a` and the month of `when` matter; `gone` is an identifier."""
    rng = np.random.default_rng(0)
    a, when = rng.normal(size=rows), pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 360, rows), unit="D")
    return pd.DataFrame(
        {
            "a": a, "noise": rng.normal(size=rows), "when": when, "colour": rng.choice(["red", "blue"], rows),
            "gone": [f"id {i} of many" for i in range(rows)],
            "y": 3 * a + (when.month > 6) + rng.normal(0, 0.1, rows),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    table().to_csv(folder / "table.csv", index=False)
    return automl.search(str(folder / "table.csv"), target="y", out=folder / "run", report=False, **OPTIONS)


@pytest.fixture
def again(run, tmp_path):
    """`again(budget)` inspects a copy of the run anew; `again.folder` is the copy's."""
    folder = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    folder.inspection.unlink()
    context = prepare(settings_of(run.record, {}), automl_data(run))
    study = load_study(open_storage(None, folder.journal), run.record.study, None)

    class Work:
        resident = context.resident()

    work = Work()
    work.folder, work.study, work.context = folder, study, context

    def inspect(budget=None, fresh=()):
        inspect_table(context, work, budget or Budget.of(0), run.record.final.trial, fresh)
        return load_inspection(folder)

    inspect.folder, inspect.work, inspect.context = folder, work, context
    return inspect


def automl_data(run):
    from automl.data.sources.load import load

    return load(run.record.settings.data, target="y")


def test_the_column_that_matters_is_found_out_of_fold_and_noise_is_not(run):
    known = load_inspection(run.folder)
    assert known.left_out == ""
    assert known.trial == run.record.final.trial
    assert (known.metric, known.folds, known.repeats) == ("rmse", 3, 5)
    assert known.rows == known.summarised == 192
    by_name = {each.name: each for each in known.importances}
    assert next(iter(by_name)) == "a"
    assert set(by_name) == {"a", "noise", "when", "colour"}
    assert by_name["a"].beyond_chance
    assert by_name["a"].mean > 1.5
    assert by_name["noise"].ends[0] <= 0 <= by_name["noise"].ends[1]
    assert [each.name for each in known.dependences] == list(by_name)[:3]
    of_a = known.dependences[0]
    rising = np.array(of_a.means)[0].mean(axis=0)
    slope = np.polyfit(of_a.values, rising, 1)[0]
    assert slope == pytest.approx(3, abs=0.6)  # in the units of the table
    assert {each.name: each.kind for each in known.summaries}["gone"] == "left out"
    assert not any(drift.beyond_chance for drift in known.drift)


def test_the_networks_are_those_that_the_race_scored_on_their_own_folds(run, again):
    context, folder = again.context, again.folder
    finalist = as_finalist(again.work.study, folder, context.objective, run.record.final.trial)
    models, epochs = restore_fold_models(context, finalist, again.work.resident, folder)
    curves = load_curves(folder, finalist.number, context.objective)
    networks = with_rows(models, context.dataset)
    expected = curves.values[:3, epochs - 1, context.objective.column]
    found = [network.cost(network.x, context.objective) for network in networks]
    assert found == pytest.approx(expected.tolist(), rel=1e-4)
    assert load_inspection(run.folder).score == pytest.approx(float(np.mean(found)), rel=1e-4)


def test_networks_on_fresh_folds_are_preferred_where_the_checkpoint_is_not_at_the_scores_epoch(run, again, monkeypatch):
    finalist = as_finalist(again.work.study, again.folder, again.context.objective, run.record.final.trial)
    fresh, _ = restore_fold_models(again.context, finalist, again.work.resident, again.folder)
    choose = partial(choose_networks, again.context, again.work, finalist.number)
    for epochs, chosen in ((finalist.epochs, False), (finalist.epochs + 1, True)):
        monkeypatch.setattr(module, "restore_fold_models", lambda *_, epochs=epochs: ([], epochs))
        assert (choose(fresh)[0] is fresh) == chosen
    assert choose(fresh)[1] == finalist.epochs
    assert choose(fresh[:1])[0] == []


def test_a_rescoring_leaves_the_networks_that_it_has_scored_on_fresh_folds(run, again):
    context = replace(again.context, settings=again.context.settings.model_copy(update={"repeats": 2}))
    finalist = as_finalist(again.work.study, again.folder, context.objective, run.record.final.trial)
    rescoring = Rescoring(context, again.work.study, again.work.resident, Deadline(), {}, lambda _: None)
    (scored,), _ = rescoring.run([finalist])
    networks = with_rows(rescoring.networks[finalist.number], context.dataset)
    costs = [network.cost(network.x, context.objective) for network in networks]
    assert costs == pytest.approx([score for score, _ in scored.fresh], rel=1e-4)
    assert sorted(np.concatenate([network.y for network in networks]).ravel()) == pytest.approx(
        sorted(context.dataset.y[context.splits.training_part].ravel())
    )


def test_the_same_run_is_inspected_to_the_same_end(run, again):
    assert again() == load_inspection(run.folder)


def test_what_an_earlier_session_has_found_stands(run, again, monkeypatch):
    first = again()
    monkeypatch.setattr(module, "summarise_columns", None)
    assert again() == first


def test_networks_that_are_gone_are_said_to_be(run, again):
    trial = run.record.final.trial
    again.folder.checkpoint(trial).unlink()
    known = again()
    assert known.left_out == f"the networks of the folds of trial {trial} are not on this machine any more"
    assert known.importances == ()
    assert len(known.summaries) == 5
    assert len(known.drift) == 4


def test_a_checkpoint_that_is_damaged_stops_nothing(run, again):
    again.folder.checkpoint(run.record.final.trial).write_bytes(b"torn")
    assert "not on this machine any more" in again().left_out


def test_a_network_that_fails_stops_nothing(again, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no <b>memory</b>")

    monkeypatch.setattr(module, "permute_all", fail)
    assert again().left_out == "the networks of the folds could not be asked (ValueError: no <b>memory</b>)"


@pytest.mark.parametrize("ticks", [0.1, 5.0])
def test_a_deadline_that_is_over_leaves_it_out(ticks, again):
    clock = count(0, ticks)
    budget = Budget.of(0, timeout=10, clock=lambda: next(clock))
    known = again(budget)
    assert known.left_out == ("the deadline left no time for it" if ticks == 5.0 else "")
    assert known.summaries


def test_who_stops_it_gets_it_from_the_next_session(again):
    with pytest.raises(Interrupted):
        again(Budget.of(0, interrupted=lambda: True))
    assert load_inspection(again.folder) is None
    assert again().left_out == ""


def test_a_table_without_names_is_inspected_too(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 35)).astype(np.float32)
    y = (x[:, 33] > 0).astype(np.int64)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    run = automl.search(str(tmp_path / "data.npz"), out=tmp_path / "run", **OPTIONS)
    known = load_inspection(run.folder)
    assert known.importances[0].name == "x33"
    assert (len(known.importances), known.columns, known.screened) == (30, 35, 35)
    assert known.dependences[0].outputs == ("1",)
    means = np.array(known.dependences[0].means)[0].mean(axis=0)
    assert means[0] < 0.3
    assert means[-1] > 0.7
    assert known.calibration.of == "1"
    assert len(known.drift) == 35
    page = (tmp_path / "run" / "report.html").read_text()
    assert "These are the 30 of 35 columns" in " ".join(page.split())


def test_the_first_value_of_each_column_stands_at_its_first_place(again):
    dataset = again.context.dataset
    names = {column.name: dataset.features[column.places[0]].name for column in table_columns(dataset)}
    assert all(name == first for name, first in names.items())
