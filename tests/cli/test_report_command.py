"""`automl report` on a run that came to its end."""

import shutil

from typer.testing import CliRunner

from automl.cli import app


def test_the_report_is_written_anew_without_the_data(finished_run, tmp_path):
    run = shutil.copytree(finished_run.path, tmp_path / "run")
    (run / "report.html").unlink()
    result = CliRunner().invoke(app, ["report", str(run)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.replace("\n", "") == str(run / "report.html")
    page = (run / "report.html").read_text()
    assert "<h2>Test set</h2>" in page
    assert "<h3>Confusion matrix</h3>" in page
