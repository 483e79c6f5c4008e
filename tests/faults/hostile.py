"""Runs and models that somebody made to do harm, each one fault in a copy of a run that is whole.

    python tests/faults/hostile.py FOLDER     searches a small run, and leaves FOLDER/runs/NAME for every fault

What they lead to and must not be touched is FOLDER/outside; FOLDER/data.npz goes with their models.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import sqlite3
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

FILES = {
    "record": "run.yaml",
    "journal": "journal.log",
    "splits": "splits.npz",
    "lock": "run.lock",
    "description": "model/model.json",
    "weights": "model/model.safetensors",
    "tested": "artifacts/test.npz",
    "mistakes": "artifacts/mistakes.npz",
    "inspection": "artifacts/inspection.json",
    "photos": "artifacts/photos.npz",
    "curves": "artifacts/trial-00000-curves.npz",
    "report": "report.html",
}
EVIL_TEXT = "\x1b]0;owned\x07\x1b[2J\u202e=cmd|' /C calc'!A0<script>alert(1)</script>\r\n"
HUGE = 10**400


class Pickled:
    """Makes the file `outside/owned` when it is unpickled."""

    def __init__(self, outside: Path):
        self.owned = outside / "owned"

    def __reduce__(self) -> Any:
        return Path.touch, (self.owned,)


def search_small(folder: Path) -> Path:
    """A finished run of two trials on FOLDER/data.npz."""
    import automl

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 2
    np.savez(folder / "data.npz", x=x, y=y, classes=np.array(["low", "high"]))
    automl.search(
        folder / "data.npz", "smoke", out=folder / "whole", architectures=("mlp",), trials=2, folds=2, epochs=2,
        finalists=1, repeats=1, threads=1, workers=1,
    )  # fmt: skip
    return folder / "whole"


def make(folder: Path, whole: Path, names: Iterable[str] | None = None) -> dict[str, Path]:
    """The hostile runs of these names (default: all), as copies of the run `whole`, and what is outside of them."""
    outside = folder / "outside"
    outside.mkdir(parents=True)
    (outside / "diary.txt").write_text("it belongs to somebody else\n")
    (outside / "evil.py").write_text(f"open({str(outside / 'owned')!r}, 'w')\n")
    os.mkfifo(outside / "pipe")
    with closing(sqlite3.connect(outside / "theirs.db")) as database:
        database.execute("create table diary (entry text)")
    made, known = {}, faults(outside)
    for name in known if names is None else names:
        made[name] = Path(shutil.copytree(whole, folder / "runs" / name))
        known[name](made[name])
    return made


def faults(outside: Path) -> dict[str, Callable[[Path], object]]:
    """What does harm to a run, by a name for it."""
    return {
        **_not_files(outside), **_records(outside), **_journals(), **_arrays(outside), **_checkpoints(outside),
        **_models(outside), **_inspections(),
    }  # fmt: skip


def _not_files(outside: Path) -> dict[str, Callable[[Path], object]]:
    """Links, named pipes, devices, sockets, folders and files without end in the place of each file."""
    kinds: dict[str, Callable[[Path], object]] = {
        "pipe": os.mkfifo,
        "device": lambda path: path.symlink_to("/dev/zero"),
        "link": lambda path: path.symlink_to(outside / "diary.txt"),
        "dead-link": lambda path: path.symlink_to(outside / "made"),
        "loop": lambda path: path.symlink_to(path.name),
        "folder": Path.mkdir,
        "endless": lambda path: (path.touch(), os.truncate(path, 1 << 42)),
        "unreadable": lambda path: (path.touch(), path.chmod(0)),
        "socket": _bind,
    }

    def put(make: Callable[[Path], object], names: tuple[str, ...]) -> Callable[[Path], None]:
        def harm(run: Path) -> None:
            for name in names:
                (run / name).unlink(missing_ok=True)
                make(run / name)

        return harm

    first = ("record", "journal", "description", "weights")
    beside = tuple(FILES[name] for name in FILES if name not in first)
    return {
        **{f"{kind}-{name}": put(make, (FILES[name],)) for kind, make in kinds.items() for name in first},
        **{f"{kind}-beside": put(make, beside) for kind, make in kinds.items()},
        **{f"linked-{name}": lambda run, name=name: _lead_out(run / name, outside) for name in ("model", "artifacts")},  # type: ignore[misc]
    }


def _bind(path: Path) -> None:
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)  # the name of a socket is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def _lead_out(path: Path, outside: Path) -> None:
    there = outside / f"{path.parent.name}-{path.name}"
    shutil.move(path, there)
    path.symlink_to(there)


def _records(outside: Path) -> dict[str, Callable[[Path], object]]:
    """run.yaml: code, aliases, recursion, addresses of storages, paths, and values that are none."""

    def text(change: Callable[[str], str]) -> Callable[[Path], object]:
        return lambda run: (run / "run.yaml").write_text(change((run / "run.yaml").read_text()))

    def change(*keys: str, to: Any) -> Callable[[Path], object]:
        return lambda run: _change_record(run, keys, to)

    doubled = "\n".join(f"d{i}: &d{i} [{', '.join(f'*d{i - 1}' for _ in range(9))}]" for i in range(1, 12))
    evil = {"name": "mlp", "file": str(outside / "evil.py")}
    nonsense = [None, 7, -1, HUGE, float("nan"), float("inf"), "", EVIL_TEXT, [], {}, ["x"], {"x": "y"}, True]
    keys = [("settings",), ("space",), ("data",), ("study",), ("objective",), ("metric",), ("guessing",), ("ladder",),
            ("device",), ("precision",), ("versions",), ("plugins",), ("final",), ("seconds",)]  # fmt: skip
    return {
        "code": text(lambda was: f"evil: !!python/object/apply:os.system ['touch {outside}/owned']\n{was}"),
        "aliases": text(lambda was: f"d0: &d0 [x, x]\n{doubled}\n{was}"),
        "recursion": text(lambda was: f"me: &me [*me]\n{was}"),
        "brackets": text(lambda was: f"deep: {'[' * 100_000}\n{was}"),
        "nul": text(lambda was: was + "\0"),
        "digits": text(lambda was: f"number: {'9' * 1_000_000}\n{was}"),
        "sqlite-new": change("settings", "storage", to=f"sqlite:///{outside}/made.db"),
        "sqlite-theirs": change("settings", "storage", to=f"sqlite:///{outside}/theirs.db"),
        "sqlite-wal": change("settings", "storage", to=f"sqlite:///file:{outside}/theirs.db?mode=rwc&uri=true"),
        "sqlite-pipe": change("settings", "storage", to=f"sqlite:///{outside}/pipe"),
        "server": change("settings", "storage", to="postgresql+psycopg://me:***@127.0.0.1:9/x"),
        "proxy": change("settings", "storage", to="grpc://127.0.0.1:9"),
        "dialect": change("settings", "storage", to="os.system://x"),
        "evil-plugin": change("plugins", to=[evil, {**evil, "sha256": "0" * 64}, str(outside / "evil.py")]),
        "evil-names": lambda run: [
            _change_record(run, keys, to)
            for keys, to in (
                (("data", "name"), EVIL_TEXT), (("data", "understood"), [EVIL_TEXT] * 3),
                (("data", "classes"), [EVIL_TEXT, "high"]), (("final", "words"), EVIL_TEXT),
                (("final", "model"), EVIL_TEXT), (("settings", "data"), EVIL_TEXT),
            )
        ],
        "data-device": change("settings", "data", to="/dev/zero"),
        "data-above": change("data", "kept", to="../../outside/diary.txt"),
        "launcher": change("settings", "launcher", to="ray"),
        "ray": change("settings", "ray_address", to="ray://127.0.0.1:9"),
        "model-elsewhere": change("final", "model", to=str(outside / "diary.txt")),
        "trial-elsewhere": change("final", "trial", to=10**30),
        "huge-settings": lambda run: [
            _change_record(run, ("settings", name), 10**30)
            for name in ("epochs", "folds", "workers", "threads", "repeats", "finalists", "trials", "seed")
        ],
        "huge-shape": change("data", "input_shape", to=[10**9] * 3),
        "many-classes": change("data", "classes", to=[f"c{i}" for i in range(200_000)]),
        **{
            f"{'.'.join(keys_of)}-{number}": change(*keys_of, to=value)
            for keys_of in keys
            for number, value in enumerate(nonsense)
        },
    }  # fmt: skip


def _change_record(run: Path, keys: tuple[str, ...], to: Any) -> None:
    record = yaml.safe_load((run / "run.yaml").read_text())
    place = record
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    (run / "run.yaml").write_text(yaml.safe_dump(record))


def _journals() -> dict[str, Callable[[Path], object]]:
    """journal.log: torn, damaged, endless, with values that no search writes."""

    def line(**changes: Any) -> Callable[[Path], object]:
        return lambda run: _append(run, json.dumps({"worker_id": "me-1", **changes}))

    def attribute(name: str, value: Any) -> Callable[[Path], object]:
        return _in_every_trial({"op_code": 8, "user_attr": {name: value}})

    nonsense = [None, -1, HUGE, float("nan"), EVIL_TEXT, [], {}, "[[", '{"scores": 7}', '{"scores": {"x": "y"}}',
                '{"scores": {"99999999999999999999": 1}, "waiting": 7}']  # fmt: skip
    names = ["race_standing", "parameters", "seconds", "fold_epochs", "reason", "epochs", "folds", "score", "accuracy",
             "best_epoch", "score_std", "generalisation_gap", "executor", "automl:attempt",
             "automl:repeated"]  # fmt: skip
    return {
        "torn": lambda run: (run / "journal.log").write_bytes((run / "journal.log").read_bytes()[:-10]),
        "emptied": lambda run: (run / "journal.log").write_bytes(b""),
        "zeros": lambda run: (run / "journal.log").write_bytes(bytes(1 << 20)),
        "journal-brackets": lambda run: _append(run, "[" * 100_000),
        "journal-nested": line(op_code=8, trial_id=0, user_attr={"x": json.loads("[" * 900 + "]" * 900)}),
        "unknown-operation": line(op_code=99),
        "no-operation": line(),
        "no-such-trial": line(op_code=8, trial_id=10**9, user_attr={"x": 1}),
        "ended-trial": line(op_code=6, trial_id=0, state=1, values=["x"]),
        "study-of-others": line(op_code=0, study_name="mine", directions=[1]),
        "study-deleted": line(op_code=1, study_id=0),
        "two-directions": lambda run: _replace(run, '"directions":[1]', '"directions":[1,2]'),
        "maximised": lambda run: _replace(run, '"directions":[1]', '"directions":[2]'),
        "other-date": lambda run: _replace(run, '"datetime_start":"2', '"datetime_start":"9'),
        "no-date": lambda run: _replace(run, '"datetime_start":"', '"datetime_start":"x'),
        "huge-value": _in_every_trial({"op_code": 7, "step": 10**18, "intermediate_value": 1e308}),
        "nan-value": _in_every_trial({"op_code": 7, "step": 1, "intermediate_value": float("nan")}),
        "many-steps": lambda run: _in_every_trial(*(
            {"op_code": 7, "step": step, "intermediate_value": 1.0} for step in range(20_000)
        ))(run),
        "parameters-of-others": _in_every_trial({
            "op_code": 5, "param_name": EVIL_TEXT, "param_value_internal": 0,
            "distribution": '{"name": "CategoricalDistribution", "attributes": {"choices": ["x", null, 1e999]}}',
        }),
        "another-architecture": lambda run: _replace(run, "relu", "no such"),
        "note": line(op_code=3, study_id=0, system_attr={"dashboard:note_str:0": "<img src=x onerror=alert(1)>"}),
        "artifact": line(op_code=3, study_id=0, system_attr={"dashboard:artifacts:0:x": json.dumps(
            {"artifact_id": "../../../outside/diary.txt", "filename": "../x", "mimetype": "text/html"}
        )}),
        "sent-curves": _in_every_trial({"op_code": 9, "system_attr": {"automl:curves": "UEsDBBQ="}}),
        **{f"{name}-{number}": attribute(name, value) for name in names for number, value in enumerate(nonsense)},
    }  # fmt: skip


def _append(run: Path, text: str) -> None:
    with (run / "journal.log").open("a") as journal:
        journal.write(text + "\n")


def _replace(run: Path, old: str, new: str) -> None:
    text = (run / "journal.log").read_text()
    (run / "journal.log").write_text(text.replace(old, new))


def _in_every_trial(*records: dict[str, Any]) -> Callable[[Path], None]:
    """Writes records into the journal for both trials, before they end."""

    def harm(run: Path) -> None:
        lines = []
        for text in (run / "journal.log").read_text().splitlines():
            known = json.loads(text)
            if known["op_code"] == 6:
                lines += [json.dumps({"worker_id": "me-1", "trial_id": known["trial_id"], **more}) for more in records]
            lines.append(text)
        (run / "journal.log").write_text("\n".join(lines) + "\n")

    return harm


def _arrays(outside: Path) -> dict[str, Callable[[Path], object]]:
    """The .npz of a run: bombs, arrays that are shorter than they say, pickles, other shapes and kinds."""
    names = ("splits", "tested", "mistakes", "photos", "curves")

    def write(content: bytes) -> Callable[[Path], None]:
        def harm(run: Path) -> None:
            for name in names:
                (run / FILES[name]).write_bytes(content)

        return harm

    def arrays(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
        def harm(run: Path) -> None:
            for path in (run / FILES[name] for name in names):
                known = dict(np.load(path))
                np.savez_compressed(path, **{name: change(array) for name, array in known.items()})

        return harm

    def members(header: bytes, size: int) -> Callable[[Path], None]:
        """Every array with this header and so many zeros."""

        def harm(run: Path) -> None:
            for path in (run / FILES[name] for name in names):
                known = np.load(path).files
                with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                    for name in known:
                        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                            member.write(header)
                            for _ in range(size >> 20):
                                member.write(bytes(1 << 20))

        return harm

    evil = np.empty(2, dtype=object)
    evil[:] = [Pickled(outside)] * 2
    return {
        "npz-bomb": members(_header("<f8", (64 << 17,)), 64 << 20),
        "npz-short": members(_header("<f8", (10**11,)), 0),
        "npz-negative": members(_header("<f8", (-1,)), 1 << 20),
        "npz-overflow": members(_header("<f8", (2**40, 2**40)), 1 << 20),
        "npz-version": members(b"\x93NUMPY\x09\x00\x10\x00", 1 << 20),
        "npz-pickle": write(pickle.dumps(Pickled(outside))),
        "npz-objects": arrays(lambda _: evil),
        "npz-damaged": write(b"PK\x03\x04" + bytes(1000)),
        "npz-empty": write(b""),
        "npz-nan": arrays(lambda array: array * np.nan if array.dtype.kind == "f" else array),
        "npz-huge-numbers": arrays(lambda array: np.full_like(array, 2**63 - 1) if array.dtype.kind == "i" else array),
        "npz-negative-numbers": arrays(lambda array: -1 - np.abs(array) if array.dtype.kind == "i" else array),
        "npz-scalars": arrays(lambda array: np.zeros((), array.dtype)),
        "npz-no-rows": arrays(lambda array: array[:0] if array.ndim else array),
        "npz-more-axes": arrays(lambda array: array[None, None]),
        "npz-texts": arrays(lambda array: np.full(array.shape, EVIL_TEXT)),
        "npz-others": lambda run: [np.savez(run / FILES[name], other=np.zeros(3)) for name in names],
    }  # fmt: skip


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def _inspections() -> dict[str, Callable[[Path], object]]:
    """inspection.json: damaged, endless, and one that fits and says what no search writes."""

    def write(content: str) -> Callable[[Path], object]:
        return lambda run: (run / FILES["inspection"]).write_text(content)

    name, far = EVIL_TEXT, 1e39
    curve = {"name": name, "outputs": [name] * 5, "means": [[[-far, far]] * 9] * 5, "values": [-far, far]}
    evil = {
        "metric": name, "folds": 0, "epochs": 10**12, "rows": 0, "columns": 0, "screened": 10**12,
        "importances": [{"name": name, "mean": mean, "ends": [far, -far], "by_fold": []} for mean in (-far, far)] * 15,
        "dependences": [
            {**curve, "kind": "number"}, {**curve, "kind": "date"}, {**curve, "kind": "category", "names": [name] * 2},
        ],
        "residuals": {"target": name, "truth": [far] * 2000, "predicted": [-far] * 2000},
        "summaries": [{"name": name, "kind": "date", "quantiles": [-far, far], "frequent": [[name, far]]}] * 400,
        "drift": [{"name": name, "measure": "total variation", "statistic": 1, "p": 0}] * 200,
    }  # fmt: skip

    photo = {"sample": 10**12, "name": name, "label": name}
    suspect = {**photo, "predicted": name, "probability": 1, "own": 1}
    counts = dict.fromkeys(("found", "asked", "total", "folds", "test", "training", "all_test", "all_training"), 10**12)
    photos = {
        "seen": {"photos": [photo] * 30, "shape": [0, 0, 0], "changes": [name] * 40, "frozen": True},
        "suspects": {"photos": [suspect] * 100, "epochs": [10**12, 0], "agree": 0, **counts},
        "neighbours": {"of": {n: [{**photo, "similarity": -1}] * 5 for n in range(100)}, "compared": 0, "total": 0},
        "near_copies": {
            "pairs": [{"test": photo, "training": photo, "bits": 64, "similarity": None}] * 100, **counts,
        },
        "left_out": {name: name},
    }  # fmt: skip

    def fitting(**facts: object) -> Callable[[Path], None]:
        def harm(run: Path) -> None:
            trial = yaml.safe_load((run / "run.yaml").read_text())["final"]["trial"]
            write(json.dumps({"trial": trial, **facts}))(run)

        return harm

    return {
        "inspection-evil": fitting(**evil),
        "inspection-photos": fitting(photos=photos),
        "inspection-brackets": write("[" * 100_000),
        "inspection-huge": write(json.dumps({"trial": 0, "folds": HUGE, "epochs": -1})),
        "inspection-digits": write('{"trial": ' + "9" * 1_000_000 + "}"),
        "inspection-surrogates": write('{"trial": 0, "left_out": "\\ud800"}'),
    }


def _checkpoints(outside: Path) -> dict[str, Callable[[Path], object]]:
    """Checkpoints, of trials that lack the curves that would be read instead."""

    def write(content: bytes) -> Callable[[Path], None]:
        def harm(run: Path) -> None:
            for number in range(2):
                (run / f"checkpoints/trial-{number:05d}.safetensors").write_bytes(content)
                (run / f"artifacts/trial-{number:05d}-curves.npz").unlink(missing_ok=True)

        return harm

    overlapping = safetensors({f"t{i}": _tensor((1 << 18,), (0, 1 << 20)) for i in range(999)}, bytes(1 << 20))
    again = {"curves": [{"__tensor__": "t0"}] * 100_000, "folds": [], "model": {"__tensor__": "t0"}}
    return {
        "checkpoint-pickle": write(pickle.dumps(Pickled(outside))),
        "checkpoint-header": write(struct.pack("<Q", 2**60) + b"{}"),
        "checkpoint-short": write(safetensors({"t0": _tensor((10**6, 10**6), (0, 4 * 10**12))}, b"")),
        "checkpoint-overflow": write(safetensors({"t0": _tensor((2**40, 2**40), (0, 4))}, bytes(4))),
        "checkpoint-overlap": write(overlapping),
        "checkpoint-one-tensor": write(safetensors({"t0": _tensor((1 << 18,), (0, 1 << 20))}, bytes(1 << 20), again)),
        "checkpoint-deep": write(safetensors({}, b"", text='{"curves": ' + "[" * 100_000)),
        "checkpoint-nonsense": write(safetensors({}, b"", {"curves": {"__tensor__": 7}})),
        "checkpoint-no-keys": write(safetensors({}, b"", {"curves": {"__int_keys__": [7]}})),
        "checkpoint-unhashable": write(safetensors({}, b"", {"curves": {"__int_keys__": [[{}, 7]]}})),
        "checkpoint-empty": write(b""),
    }  # fmt: skip


def _tensor(shape: tuple[int, ...], place: tuple[int, int]) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": place}


def safetensors(tensors: dict[str, Any], content: bytes, tree: Any = None, text: str | None = None) -> bytes:
    """A safetensors file as it stands here, whatever is wrong with it; `tree` is that of a checkpoint."""
    metadata = {"__metadata__": {"tree": json.dumps(tree) if text is None else text}}
    header = json.dumps({**metadata, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + content


def _models(outside: Path) -> dict[str, Callable[[Path], object]]:
    """model.json and the weights, each vouching for the other."""

    def describe(**changes: Any) -> Callable[[Path], object]:
        return lambda run: describe_model(run, **changes)

    def reweigh(content: bytes) -> Callable[[Path], None]:
        def harm(run: Path) -> None:
            (run / FILES["weights"]).write_bytes(content)
            describe_model(run, sha256=hashlib.sha256(content).hexdigest())

        return harm

    def bring_code(run: Path) -> None:
        """The network is on top of that of another model, whose plugin lies beside the weights."""
        file = (run / FILES["description"]).with_name("evil.py")
        file.write_bytes((outside / "evil.py").read_bytes())
        recorded = {"name": "mine", "file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        saved = {"architecture": "mine", "architecture_config": {}, "input_shape": [1, 8, 8], "num_outputs": 2}
        config = {"backbone": "saved", "weights": "random", "saved": {**saved, "plugins": [recorded]},
                  "tuning": "all", "dropout": 0.0}  # fmt: skip
        describe_model(run, architecture="transfer", architecture_config=config)

    overlapping = safetensors({f"t{i}": _tensor((1 << 18,), (0, 1 << 20)) for i in range(999)}, bytes(1 << 20))
    wide = {"depth": 1, "width": 10**9, "activation": "relu", "batch_norm": False, "dropout": 0.0}
    nonsense = [None, 7, -1, HUGE, EVIL_TEXT, [], {}, ["x"], {"x": "y"}]
    keys = ["name", "task", "kind", "classes", "conversion", "input_shape", "num_outputs", "architecture",
            "architecture_config", "config", "plugins", "trial", "final", "members", "epochs", "parameters", "format",
            "sha256"]  # fmt: skip
    pixels = {"kind": "pixels", "dtype": "integer", "scale": 1, "highest": 255, "layout": "one channel"}
    return {
        "model-pickle": reweigh(pickle.dumps(Pickled(outside))),
        "model-overlap": reweigh(overlapping),
        "model-overflow": reweigh(safetensors({"t0": _tensor((2**40, 2**40), (0, 4))}, bytes(4))),
        "model-none": reweigh(safetensors({}, b"")),
        "model-members": describe(members=10**9),
        "model-wide": describe(architecture_config=wide),
        "model-deep": describe(architecture_config={**wide, "depth": 10**9, "width": 1}),
        "model-nan": describe(architecture_config={**wide, "dropout": float("nan")}),
        "model-torch": describe(architecture_config={**wide, "activation": "__class__"}),
        "model-huge-sample": describe(input_shape=[1, 12_000, 12_000]),
        "model-evil-plugin": describe(architecture="mine", plugins=[str(outside / "evil.py")]),
        "model-brings-code": bring_code,
        "model-evil-names": describe(name=EVIL_TEXT, classes=[EVIL_TEXT, "-1+1"]),
        "model-scale": describe(conversion={**pixels, "scale": 0}),
        "model-scale-nan": describe(conversion={**pixels, "scale": float("nan")}),
        "model-highest": describe(conversion={**pixels, "highest": -1}),
        "model-brackets": lambda run: (run / FILES["description"]).write_text("[" * 100_000),
        "model-digits": lambda run: (run / FILES["description"]).write_text('{"format": ' + "9" * 1_000_000 + "}"),
        **{f"model-{key}-{number}": describe(**{key: value}) for key in keys for number, value in enumerate(nonsense)},
    }  # fmt: skip


def describe_model(run: Path, **changes: Any) -> None:
    """Changes what the description of a run's model says."""
    about = json.loads((run / FILES["description"]).read_text())
    (run / FILES["description"]).write_text(json.dumps({**about, **changes}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    chosen = Path(sys.argv[1])
    with suppress(FileExistsError):
        chosen.mkdir(parents=True)
    print(f"{len(make(chosen, search_small(chosen)))} hostile runs in {chosen / 'runs'}")
