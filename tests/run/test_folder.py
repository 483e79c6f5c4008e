"""The run's folder: made once, and held by one process at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from automl.errors import RunError
from automl.run.folder import RunFolder, fresh_folder
from automl.run.run_record import DataFacts, RunRecord
from automl.settings import Settings

RECORD = RunRecord(settings=Settings(seed=1), space={}, data=DataFacts(name="Ünïcode <b>"))

HOLDER = """
import sys, time
from automl.run.folder import RunFolder
with RunFolder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create(RECORD)
    return folder


class TestCreating:
    def test_naming_a_folder_touches_nothing(self, tmp_path):
        assert not RunFolder(tmp_path / "run").exists
        assert list(tmp_path.iterdir()) == []

    def test_the_record_comes_back(self, run):
        assert run.exists
        assert run.read_record() == RECORD
        assert {path.name for path in run.path.iterdir()} == {"run.yaml", "checkpoints", "artifacts"}

    def test_an_empty_folder_may_be_given(self, tmp_path):
        RunFolder(tmp_path).create(RECORD)
        assert RunFolder(tmp_path).read_record() == RECORD

    def test_a_folder_with_something_in_it_is_refused_and_left_alone(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("dear")
        with pytest.raises(RunError, match="is there already and is not an empty folder; choose another --out"):
            RunFolder(tmp_path).create(RECORD)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    def test_a_file_in_the_way_is_refused(self, tmp_path):
        (tmp_path / "run").write_text("")
        with pytest.raises(RunError, match="is not an empty folder"):
            RunFolder(tmp_path / "run").create(RECORD)

    def test_a_second_run_in_a_folder_is_refused_with_the_way_to_resume(self, run):
        with pytest.raises(RunError, match=r"holds a run already; continue it with `automl resume .*/run`"):
            run.create(RECORD)
        assert run.read_record() == RECORD


class TestReading:
    def test_a_missing_run_names_its_neighbour(self, run):
        with pytest.raises(RunError, match=r"no such run; did you mean '.*/run'\?"):
            RunFolder(run.path.parent / "runn").read_record()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"just text",
            b"settings: {}\nspace: {}\n",
            b"settings: {trials: many}\nspace: {}\ndata: {}\n",
            b"a: [",
            b"\xff\xfe",
            b"[" * 50_000,
            b"!!python/object:x.Y {}",
        ],
    )
    def test_a_damaged_record_is_refused(self, content, run):
        run.record_path.write_bytes(content)
        with pytest.raises(RunError, match=r"run.yaml: (cannot be read|not the record of a run)"):
            run.read_record()

    def test_a_record_that_calls_python_runs_nothing(self, run, tmp_path):
        evil = f"settings: !!python/object/apply:os.mkdir ['{tmp_path}/evidence']\nspace: {{}}\ndata: {{}}\n"
        run.record_path.write_text(evil)
        with pytest.raises(RunError, match="cannot be read"):
            run.read_record()
        assert not (tmp_path / "evidence").exists()
        yaml.unsafe_load(evil)  # the trap does work
        assert (tmp_path / "evidence").exists()


class TestLock:
    def test_it_is_held_by_one_process_and_freed_when_that_is_killed(self, run):
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, run.path], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RunError, match=f"process {holder.pid} is searching here; wait for it"), run.lock():
                pass
        finally:
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            holder.stdout.close()
        with run.lock():
            assert (run.path / "run.lock").read_text() == str(os.getpid())

    def test_it_is_given_back_after_an_error(self, run):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), run.lock():
                raise ZeroDivisionError

    def test_a_second_search_in_the_same_process_is_refused_too(self, run):
        with run.lock():
            with pytest.raises(RunError, match=f"process {os.getpid()} is searching here"), run.lock():
                pass
            assert (run.path / "run.lock").read_text() == str(os.getpid())

    def test_a_shorter_process_number_leaves_nothing_of_the_longer_one(self, run):
        (run.path / "run.lock").write_text("123456789012345")
        with run.lock():
            assert (run.path / "run.lock").read_text() == str(os.getpid())


class TestFreshFolder:
    def test_it_is_numbered_after_those_that_are_there(self, tmp_path):
        assert fresh_folder("digits", tmp_path) == tmp_path / "runs" / "digits-1"
        (tmp_path / "runs" / "digits-1").mkdir(parents=True)
        assert fresh_folder("digits", tmp_path) == tmp_path / "runs" / "digits-2"

    @pytest.mark.parametrize("name", ["../../etc", "a/b", "<b>", "...", "", "x\n\0y", "torchvision:MNIST"])
    def test_a_name_cannot_leave_the_folder(self, name, tmp_path):
        folder = fresh_folder(name, tmp_path)
        assert folder.parent == tmp_path / "runs"
        assert not set(folder.name) & set('/<>\n\0:"')


def test_the_files_of_a_trial_have_sortable_names(run):
    assert run.checkpoint(7).name == "trial-00007.safetensors"
    assert run.curves(12).name == "trial-00012-curves.npz"
