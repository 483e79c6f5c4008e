"""Commands that are killed as they write, or find the disk full: the file of before is there, or none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

BEFORE = b"what was here before\n"
WRITING = {
    "predict": (["{data}", "--out", "made.csv"], "made.csv"),
    "export": (["--format", "state-dict", "--out", "made.safetensors"], "made.safetensors"),
    "report": (["--out", "made.html"], "made.html"),
}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("how", [{"failpoint": "rename:1"}, {"largest": 1000}])
def test_killed_command_leaves_the_file_of_before_or_none(look, whole, tmp_path, how, there):
    out = tmp_path / "out"
    for command, (options, name) in WRITING.items():
        if there:
            (out / name).write_bytes(BEFORE)
        arguments = [option.format(data=whole.parent / "data.npz") for option in options]
        answer = look(command, whole, *arguments, **how)
        if "largest" in how:
            assert answer["code"] == 3, answer
            assert re.fullmatch(r"automl: .*File too large.*\n", answer["err"]), answer
        else:
            assert answer["code"] == -9, answer
        assert [path.read_bytes() for path in out.glob("made*")] == [BEFORE] * there
        for path in out.iterdir():
            assert path.name.startswith("made") or (path.name.endswith(".tmp") and "failpoint" in how), path
            path.unlink()


@pytest.mark.parametrize("how", [{"failpoint": "rename:1"}, {"largest": 100}])
def test_killed_command_that_makes_a_plugin_or_a_model_leaves_no_half_of_one(look, whole, tmp_path, how):
    out = tmp_path / "out"
    for command in (["plugins", "new", "mine"], ["fit", whole, "--out", "mine"]):
        answer = look(*command, **how)
        assert answer["code"] != 0, answer
        assert "Traceback" not in answer["err"]
        half = [path for path in out.rglob("*") if path.is_file() and not any(".tmp" in part for part in path.parts)]
        assert half == []
        assert look(*command)["code"] == 0
        assert look("predict", "mine", whole.parent / "data.npz")["code"] == (0 if command[0] == "fit" else 2)
        (out / "mine").rename(tmp_path / command[0])


def test_shared_plugins_that_every_user_can_write_are_not_imported(automl, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    for open_to_all, closed in ((folder, 0o755), (folder / "mine.py", 0o644)):
        open_to_all.chmod(0o777)
        for command in (["plugins"], ["search", "digits"]):
            answer = automl(*command, "--plugins-dir", folder)
            assert answer.code == 2
            assert f"every user of this machine can write to {open_to_all}" in answer.err
        open_to_all.chmod(closed)
    assert not (tmp_path / "owned").exists()
    automl("plugins", "--plugins-dir", folder)
    assert (tmp_path / "owned").exists()


def test_two_searches_one_folder_of_two_users_the_one_who_may_not_write_is_told_to_copy(look, whole, tmp_path):
    import shutil

    from test_hostile_runs import give_away, take_back

    theirs = Path(shutil.copytree(whole, tmp_path / "theirs" / "run"))
    give_away(theirs.parent)
    try:
        answer = look("resume", theirs, "--trials", 3, "--quiet")
        assert answer["code"] == 2, answer
        assert "you may read it but not write to it, so the run cannot go on here" in answer["err"]
        shutil.copytree(theirs, tmp_path / "out" / "mine")
    finally:
        take_back(theirs.parent)


def test_clock_that_jumps_backwards_loses_no_trial(automl, tmp_path, monkeypatch):
    import itertools
    import time

    from watching import board

    jumps = itertools.cycle((0, -86400, 3600))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    small = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 2, "--workers", 1, "--quiet"]
    assert automl("search", "digits", "--out", tmp_path / "run", *small, "--trials", 2, "--timeout", "10m").code == 0
    assert automl("resume", tmp_path / "run", "--trials", 3, "--quiet").code == 0
    found = board(automl, tmp_path / "run")
    assert len(found["trials"]) == 3
    assert all(trial["seconds"] >= 0 for trial in found["trials"])
    assert found["totals"]["seconds"] >= 0
