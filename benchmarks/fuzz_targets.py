"""What reads files that somebody else has made, each as a function of bytes: the targets of `fuzz.py` and of tests.

A target returns whether the reader took the bytes, and raises whatever the reader should not have raised: the only
errors that a reader may answer with are those of `automl.errors`.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from automl.errors import AutomlError

Read = Callable[[bytes, Path], bool]


class Target(NamedTuple):
    """`read(bytes, folder)` may write into `folder`. `seeds` are good files; `words` what is worth inserting."""

    read: Read
    seeds: Callable[[], list[bytes]]
    words: Sequence[bytes]


def _answered(read: Callable[[], object]) -> bool:
    try:
        read()
    except AutomlError as error:
        if not str(error):
            raise AssertionError("an error without a message") from error
        return False
    return True


def read_yaml(content: bytes, folder: Path) -> bool:
    """A search space: the reader, and merging over the plugins' spaces."""
    from automl.spaces.merge import merge
    from automl.spaces.yaml_file import read

    path = folder / "space.yaml"
    path.write_bytes(content)
    return _answered(lambda: merge(read(path), _catalogue()))


@functools.cache
def _catalogue() -> Any:
    from automl.hooks.host import load_plugins

    return load_plugins().catalogue()


def yaml_seeds() -> list[bytes]:
    """The built-in spaces, and one with a bit of everything."""
    from automl.spaces.library import find_space, list_spaces

    own = [find_space(name).read_bytes() for name, _, _ in list_spaces()]
    every = (
        b"architectures:\n  lenet: {}\n  resnet:\n    depth: {int: [1, 5]}\n    kernel_size: 3\n"
        b"training:\n  optimizer: [sgd, 'adam', \"adamw\"]\n  lr: {float: [1.0e-4, 1e-1], log: true}\n"
        b"  weight_decay: !!float 0x1F\n  schedule: &a [constant, *a]\n# \xc3\xa9\n---\n? [x]\n: |\n  text\n"
    )
    return [*own, every]


def read_npz(content: bytes, folder: Path) -> bool:
    """Arrays as data."""
    from automl.data.sources.arrays import load_npz

    path = folder / "data.npz"
    path.write_bytes(content)
    return _answered(lambda: load_npz(path))


def npz_seeds() -> list[bytes]:
    """Images and tables, stored and deflated."""
    rng = np.random.default_rng(0)
    y = np.arange(12) % 3
    images, table = rng.integers(0, 256, (12, 4, 4), dtype=np.uint8), rng.normal(size=(12, 3))
    every = [
        {"x": images, "y": y},
        {
            "x": np.repeat(images[..., None], 3, 3),
            "y": y,
            "classes": np.array(["a", "b", "c"]),
            "groups": np.arange(12),
        },
        {"x": table, "y": table[:, 0], "x_test": table[:4], "y_test": table[:4, 0]},
        {"x": images / 255, "y": np.array(["u", "v"] * 6)},
    ]
    seeds = []
    for arrays in every:
        for save in (np.savez, np.savez_compressed):
            file = io.BytesIO()
            save(file, **arrays)
            seeds.append(file.getvalue())
    return seeds


def read_csv(content: bytes, folder: Path) -> bool:
    """A table as data, each time with what could be the target."""
    from automl.data.sources.tables import load_csv

    path = folder / "data.csv"
    path.write_bytes(content)
    target = ("y", "a", "", "b", "a,b")[len(content) % 5]
    return _answered(lambda: load_csv(path, target=target, groups="g" if b"g" in content[:40] else None))


def csv_seeds() -> list[bytes]:
    """Commas, semicolons, quotes, groups, a byte order mark."""
    rows = [(i, f"{i * 0.37:.3f}", "uvw"[i % 3], i % 2) for i in range(12)]
    plain = "\n".join(["a,b,c,y", *(",".join(map(str, row)) for row in rows)])
    quoted = '"a";"b";"g";"y"\r\n' + "".join(
        f'"{a}";"{b}";"{c}, x";"{"yes" if y else "no"}"\r\n' for a, b, c, y in rows
    )
    return [plain.encode(), b"\xef\xbb\xbf" + quoted.encode(), plain.replace(",", "\t").encode()]


def read_journal(content: bytes, folder: Path) -> bool:
    """A journal: repaired, repaired again without effect, opened."""
    import optuna

    from automl.study.storage.journal import repair_journal
    from automl.study.storage.opening import open_storage

    path = folder / "journal.log"
    path.write_bytes(content)
    copy = repair_journal(path)
    whole = path.read_bytes()
    if not content.startswith(whole) or (whole and not whole.endswith(b"\n")):
        raise AssertionError("the repair changed more than the tail")
    if (copy is None) != (whole == content) or (copy is not None and copy.read_bytes() != content):
        raise AssertionError("no copy was kept of what was cut")
    if repair_journal(path) is not None:
        raise AssertionError("a repaired journal was repaired again")
    if copy is not None:
        copy.unlink()

    def opened() -> None:
        storage = open_storage(None, path)
        for study in storage.get_all_studies():
            storage.get_all_trials(study._study_id)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return _answered(opened)


@functools.cache
def _journal() -> bytes:
    import tempfile

    import optuna

    from automl.study.storage.opening import open_storage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.log"
        study = optuna.create_study(storage=open_storage(None, path), study_name="fuzz")
        for _ in range(2):
            trial = study.ask()
            trial.suggest_float("lr", 1e-4, 1e-1, log=True)
            trial.suggest_categorical("architecture", ["mlp", "lenet"])
            trial.report(0.5, 1)
            trial.set_user_attr("race_standing", "{}")
            study.tell(trial, 0.25)
        return path.read_bytes()


def journal_seeds() -> list[bytes]:
    """A short study, whole and cut."""
    whole = _journal()
    return [whole, whole[:-7], whole[: len(whole) // 2]]


SPLIT = b"\0\0--model.safetensors--\0\0"


def read_model(content: bytes, folder: Path) -> bool:
    """A model: what stands before `SPLIT` is the description, what follows the weights.

    Both are mutated, so half of the descriptions vouch for the weights again: else nothing would come past SHA-256.
    """
    from automl.models.model import load_model

    text, _, weights = content.partition(SPLIT)
    if len(content) % 2:
        try:
            about = json.loads(text)
            about["sha256"] = hashlib.sha256(weights).hexdigest()
            text = json.dumps(about).encode()
        except (ValueError, TypeError, RecursionError):
            pass
    (folder / "model.json").write_bytes(text)
    (folder / "model.safetensors").write_bytes(weights)
    return _answered(lambda: load_model(folder))


@functools.cache
def model_seeds() -> list[bytes]:
    """Two small networks."""
    import tempfile

    import torch

    from automl.data.resident import PixelInputs
    from automl.models.building import build_network
    from automl.models.description import ModelDescription
    from automl.models.model import Model, save_model
    from automl.models.modules import Standardised

    configs: dict[str, dict[str, Any]] = {
        "linear": {"dropout": 0.0},
        "mlp": {"depth": 1, "width": 4, "activation": "relu", "batch_norm": True, "dropout": 0.1},
    }
    seeds = []
    for name, config in configs.items():
        about: dict[str, Any] = {
            "name": "fuzz", "task": "classification", "kind": "image", "classes": ["a", "b"],
            "conversion": {"kind": "pixels"},
            "input_shape": [1, 4, 4], "num_outputs": 2, "architecture": name, "architecture_config": config,
            "config": {}, "plugins": [], "trial": 0, "final": "refit", "members": 0, "epochs": 1, "cut_short": False,
            "parameters": 34,
        }  # fmt: skip
        one = torch.ones(1, 1, 1, 1)
        module = Standardised(build_network(about), PixelInputs(one, one), torch.zeros(2), torch.ones(2))
        with tempfile.TemporaryDirectory() as folder:
            save_model(Model(module, ModelDescription.model_validate(about)), Path(folder))
            files = (Path(folder) / "model.json", Path(folder) / "model.safetensors")
            seeds.append(SPLIT.join(path.read_bytes() for path in files))
    return seeds


def read_inspection(content: bytes, folder: Path) -> bool:
    """What a run keeps of a table's columns."""
    from automl.models.inspection import load_inspection
    from automl.run.folder import RunFolder

    run = RunFolder(folder)
    run.artifacts.mkdir(exist_ok=True)
    run.inspection.write_bytes(content)
    return load_inspection(run) is not None


def inspection_seeds() -> list[bytes]:
    """Of a regression and of a classification."""
    curve = {"name": "a", "kind": "number", "values": [1.0, 2.0], "outputs": ["y"], "means": [[[1.0, 2.0], [3.0, 4.0]]]}
    whole = {
        "trial": 0, "metric": "rmse", "score": 0.5, "folds": 2, "epochs": 3, "rows": 60, "repeats": 5, "columns": 2,
        "importances": [{"name": "a", "mean": 1.0, "ends": [0.5, 1.5], "by_fold": [0.9, 1.1]}],
        "dependences": [curve, {**curve, "kind": "category", "names": ["b", "c"]}],
        "summaries": [
            {"name": "a", "kind": "number", "missing": 0.1, "distinct": 3, "quantiles": [0, 1, 2, 3, 4]},
            {"name": "b", "kind": "category", "distinct": 2, "frequent": [["b", 0.75], ["c", 0.25]]},
        ],
        "drift": [{"name": "a", "measure": "Kolmogorov-Smirnov", "statistic": 0.5, "p": 0.01}],
    }  # fmt: skip
    bins = [{"count": 3, "predicted": 0.5, "observed": 1.0, "low": 0.4, "high": 1.0}]
    made = [
        {**whole, "residuals": {"target": "y", "truth": [1.0, 2.0], "predicted": [1.5, 2.5]}},
        {**whole, "calibration": {"of": "yes", "bins": bins, "error": 0.5}},
        {"trial": 1, "left_out": "the deadline left no time for it"},
    ]
    return [json.dumps(each).encode() for each in made]


JSON_WORDS = (
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'""',
    b'"\\ud800"',
    b"[" * 2000,
    b'{"a":' * 2000,
)
NPY = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (12,), }"

TARGETS: dict[str, Target] = {
    "yaml": Target(
        read_yaml, yaml_seeds,
        (b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system ", b"---\n", b"\t", b"{", b"[" * 60, b": ", b"- ",
         b"? ", b"1e999", b".nan", b"0x", b"1_0", b"\xff", b"\xef\xbb\xbf", b"\0", b"|\n", b">-\n", b"%YAML 9.9\n",
         b"int: [", b"9" * 30, b"float: [", b"log: true", b"when: {", b"choice: [", b"architectures:\n", b"training:\n",
         b"first:\n"),
    ),
    "npz": Target(
        read_npz, npz_seeds,
        (NPY, b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\xff\xff\xff\xff", b"(99999999999999,)", b"(-1,)",
         b"(4,4,4)", b"'<f8'", b"'|O'", b"'<U9'", b"'>c16'", b"'<M8[ns]'", b"True", b"x.npy", b"y.npy", b"\0\0\0\0"),
    ),
    "csv": Target(
        read_csv, csv_seeds,
        (b'"', b'""', b",", b";", b"\t", b"\r", b"\n", b"\r\n", b"\0", b"nan", b"inf", b"-inf", b"1e999", b"1e39",
         b"1_0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"0x10", b"\xd9\xa3", b"a,a\n", b"9" * 400, b"x" * 140_000),
    ),
    "journal": Target(
        read_journal, journal_seeds,
        (*JSON_WORDS, b"\n", b"\r\n", b"\xff", b'{"op_code":', b'"op_code":99', b'"trial_id":7', b'"study_id":9',
         b'"worker_id":""', b'"state":', b'"distribution":"{}"'),
    ),
    "model": Target(
        read_model, model_seeds,
        (*JSON_WORDS, SPLIT, b'"members":2,', b'"format":2', b'"dtype":"F64"', b'"shape":[4]', b'"data_offsets":[0,8]',
         b'"architecture":"resnet",', b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x04\x95", b"PK\x03\x04"),
    ),
    "inspection": Target(
        read_inspection, inspection_seeds,
        (*JSON_WORDS, b'"means":[[[1.0]]],', b'"kind":"date",', b'"folds":99999999999999999999,', b"1e300", b"\xff"),
    ),
}  # fmt: skip


def mutate(target: Target, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """One of the seeds, changed in one to eight places; now and then nothing but noise."""
    if draw.random() < 0.02:
        return draw.randbytes(draw.randrange(200))
    content = bytearray(draw.choice(seeds))
    for _ in range(1 + int(min(draw.expovariate(0.5), 7))):
        at = draw.randrange(len(content) + 1)
        length = draw.choice((1, 1, 2, 4, 16, 100))
        change = draw.randrange(8)
        if change == 0 and at < len(content):
            content[at] ^= 1 << draw.randrange(8)
        elif change == 1 and at < len(content):
            content[at] = draw.randrange(256)
        elif change == 2:
            del content[at : at + length]
        elif change == 3:
            content[at:at] = content[at : at + length] * draw.choice((1, 2, 50))
        elif change == 4:
            content[at:at] = draw.choice(target.words)
        elif change == 5:
            content[at : at + length] = draw.choice(target.words)
        elif change == 6:
            other = draw.choice(seeds)
            start = draw.randrange(len(other))
            content[at : at + length] = other[start : start + draw.choice((length, 10 * length))]
        else:
            digits = [i for i in range(max(0, at - 50), min(len(content), at + 50)) if 48 <= content[i] < 58]
            if digits:
                content[draw.choice(digits)] = 48 + draw.randrange(10)
    if target.read is read_npz and draw.random() < 0.5:
        return _with_right_checksums(bytes(content))
    return bytes(content)


def _with_right_checksums(content: bytes) -> bytes:
    """The members of a damaged .npz in a sound zip, so that what is damaged is what numpy reads."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for place, member in enumerate(content.split(b"\x93NUMPY")[1:5]):
            archive.writestr(("x.npy", "y.npy", "groups.npy", "classes.npy")[place], b"\x93NUMPY" + member)
    return file.getvalue()
