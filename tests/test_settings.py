"""Settings: validated at the border, with messages that name the option, the value and the law."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from automl.errors import SettingsError
from automl.settings import IN_TIME, Settings, make_settings, option_name, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1d2h3m4s", 93784),
        ("1.5h", 5400), (" 10m ", 600), (90, 90), (0.5, 0.5), ("2min", 120), ("90 sec", 90), ("1h 30m", 5400),
        ("10 m", 600), ("2 days", 172800), ("1 hour 5 minutes", 3900), ("3hrs", 10800), ("10M", 600),
    ],
)  # fmt: skip
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10x", "1h30", "-5m", "1e3", "ten", "1h30mm", "5m.", "5 months", "1 30"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="must be a duration such as 90s, 10m or 1h30m"):
        parse_duration(text)


def test_the_defaults_are_a_whole_search():
    settings = make_settings()
    assert (settings.data, settings.folds, settings.epochs, settings.trials) == ("digits", 5, 20, 50)
    assert settings.timeout is None


def test_none_means_the_default():
    assert make_settings(folds=None, seed=None) == make_settings()


def test_a_timeout_is_given_as_text_or_seconds():
    assert make_settings(timeout="1h30m").timeout == make_settings(timeout=5400).timeout == 5400


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, r"--folds 1: should be greater than or equal to 2"),
        ({"trials": 0}, r"--trials 0: should be greater than or equal to 1"),
        ({"trials": 2.5}, r"--trials 2.5: should be a valid integer"),
        ({"epochs": "many"}, r"--epochs many: should be a valid integer"),
        ({"test_fraction": 1.0}, r"--test-fraction 1.0: should be less than 1"),
        ({"test_fraction": float("nan")}, r"--test-fraction nan"),
        ({"timeout": float("inf")}, r"--timeout inf: should be a finite number"),
        ({"tolerance": float("inf")}, r"--tolerance inf: should be a finite number"),
        ({"timeout": "soon"}, r"--timeout soon: must be a duration such as"),
        ({"timeout": "0s"}, r"--timeout .*: should be greater than 0"),
        ({"timeout": -1}, r"--timeout -1: should be greater than 0"),
        ({"sampler": "bayes"}, r"--sampler bayes: should be 'tpe', 'random', 'grid', 'gp' or 'cmaes'"),
        ({"precision": "fp16"}, r"--precision fp16: should be 'auto', 'fp32' or 'bf16'"),
        ({"seed": -1}, r"--seed -1: should be greater than or equal to 0"),
        ({"seed": 2**31}, r"--seed 2147483648: should be less than"),
        ({"task": "ranking"}, r"--task ranking: should be 'classification', 'regression' or 'multilabel'"),
        ({"architectures": "lenet"}, r"--architecture lenet: should be a valid tuple"),
        ({"overrides": 3}, r"--set 3: should be a valid tuple"),
        ({"data": 5}, r"DATA 5: should be a valid string"),
        ({"flods": 3}, r"there is no setting 'flods'; did you mean 'folds'\?"),
    ],
)
def test_a_bad_value_is_named_with_its_option_and_the_law(given, message):
    with pytest.raises(SettingsError, match=message):
        make_settings(**given)


def test_all_bad_values_are_told_at_once():
    with pytest.raises(SettingsError, match=r"--trials 0: .*; --folds 1: "):
        make_settings(trials=0, folds=1)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        make_settings().folds = 3  # type: ignore[misc]


def test_settings_survive_the_way_through_a_file():
    settings = make_settings(timeout="1h", overrides=("a=1",), seed=3)
    assert Settings(**settings.model_dump(mode="json")) == settings


def test_paths_that_exist_become_absolute_and_names_stay(tmp_path: Path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "mine.py").touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").mkdir()  # beside a built-in name
    chosen = make_settings(data="images", plugins=("mine.py",), space="smoke", groups="patient")
    settings = chosen.with_absolute_paths({"digits", "smoke"})
    assert settings.data == str(tmp_path / "images")
    assert settings.plugins == (str(tmp_path / "mine.py"),)
    assert (settings.space, settings.groups) == ("smoke", "patient")
    assert make_settings().with_absolute_paths({"digits"}) == make_settings()


def test_every_option_has_the_name_of_the_command_line():
    assert option_name("test_fraction") == "--test-fraction"
    assert option_name("overrides") == "--set"
    assert option_name("data") == "DATA"


def test_a_target_may_be_one_column_or_several_or_none_as_older_runs_have_it():
    assert [make_settings(target=given).target for given in ("a,b", ["a", "b"], ("a",), None)] == [
        ("a,b",), ("a", "b"), ("a",), (),
    ]  # fmt: skip
    assert Settings.model_validate({"target": None}).target == ()
    with pytest.raises(SettingsError, match=r"--target .*: must be the name of a column, or several"):
        make_settings(target=["a", 5])


@pytest.mark.parametrize(("given", "trials"), [
    ({}, 50), ({"timeout": "10m"}, IN_TIME), ({"timeout": "10m", "trials": 7}, 7), ({"trials": 70}, 70),
    ({"timeout": None, "trials": None}, 50),
])  # fmt: skip
def test_a_search_with_a_timeout_goes_on_until_then_unless_its_trials_are_counted(given, trials):
    settings = make_settings(**given)
    assert settings.trials == trials
    assert Settings(**settings.model_dump()) == settings
