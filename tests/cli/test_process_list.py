"""A password in the storage's URL does not stay in the process list."""

from __future__ import annotations

import pytest

from automl.cli.process_list import VARIABLE, without_password
from automl.study.storage.opening import PASSWORD_VARIABLE

URL = "postgresql+psycopg://me:s3cret@host/db"


@pytest.mark.parametrize("given", [["--storage", URL], [f"--storage={URL}"]])
def test_a_url_with_a_password_is_taken_out_of_the_arguments(given):
    assert without_password(["-m", "automl", "search", "digits", *given, "--quiet"]) == (
        ["-m", "automl", "search", "digits", "--quiet"],
        URL,
    )


@pytest.mark.parametrize(
    "url", ["postgresql://host/db?user=me&password=s3cret", "postgresql://host/db?sslpassword=s3cret", "x://:s3cret@h"]
)
def test_a_password_is_found_wherever_a_driver_takes_one(url):
    assert without_password(["search", "--storage", url]) == (["search"], url)


@pytest.mark.parametrize("given", [["--storage", "sqlite:///a:b.db"], ["--storage", "postgresql://me@host:5432/db"],
                                   ["--storage"], ["digits"]])  # fmt: skip
def test_without_a_password_nothing_changes(given):
    assert without_password(["search", *given]) is None


def test_the_variable_is_that_of_the_storage():
    assert VARIABLE == PASSWORD_VARIABLE
