from __future__ import annotations

import sys

import machine


def test_a_heading_names_machine_versions_threads_and_seeds() -> None:
    text = machine.heading(threads=2, seeds=range(3), note="Five folds")
    for part in (
        machine._cpu(),
        "cores",
        "torch ",
        "optuna ",
        "Python 3.",
        "2 threads",
        "seeds 0, 1, 2",
        "Five folds.",
    ):
        assert part in text


def test_a_command_is_measured_with_its_children_on_the_cores_it_may_use(tmp_path) -> None:
    child = "x = bytearray(60_000_000); import time; time.sleep(0.7)"
    code = (
        f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print(os.sched_getaffinity(0))"
    )
    done = machine.measure([sys.executable, "-c", code], cores=1, folder=tmp_path)
    assert done.code == 0
    assert "," not in done.out  # one core
    assert done.seconds > 0.7
    assert 60_000_000 < done.peak < 200_000_000


def test_a_table_is_markdown() -> None:
    assert machine.table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"
