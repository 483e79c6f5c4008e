"""A data set handed to the workers of one machine: written once, mapped into the memory of each, copied by none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from automl.data.atomic import write_atomic
from automl.data.conversion import conversion_of
from automl.data.dataset import Dataset
from automl.data.mapped import BIG

ARRAYS = ("y", "test", "groups", "folds", "twins")


def share(dataset: Dataset, folder: Path) -> None:
    """Writes `dataset` into `folder`, images in the order in which batches need them. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    x = dataset.x.transpose(0, 2, 3, 1) if dataset.kind == "image" else dataset.x
    # What is mapped from a file of the cache as it is needs no second file of that size.
    file = str(x.filename) if isinstance(x, np.memmap) and x.nbytes >= BIG and x.flags.c_contiguous else ""
    if not file:
        write_atomic(folder / "x.npy", lambda out: np.save(out, np.ascontiguousarray(x), allow_pickle=False))
    arrays = {name: value for name in ARRAYS if (value := getattr(dataset, name)) is not None}
    write_atomic(folder / "arrays.npz", lambda file: np.savez(file, **arrays))
    facts: dict[str, Any] = {
        name: getattr(dataset, name) for name in ("name", "kind", "task", "classes", "notes", "fingerprint")
    }
    facts["conversion"] = dataset.conversion.model_dump()
    facts["x"] = file
    text = json.dumps(facts)
    write_atomic(folder / "facts.json", lambda file: file.write(text.encode()))


def attach(folder: Path) -> Dataset:
    """The data set that `share` wrote. Its samples stay in the file, whose pages all processes have in common."""
    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    # Copy on write: torch asks for a writable array, and nobody writes.
    x = np.load(facts["x"] or folder / "x.npy", mmap_mode="c", allow_pickle=False)
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    dataset = Dataset(
        name=facts["name"],
        kind=facts["kind"],
        task=facts["task"],
        x=x.transpose(0, 3, 1, 2) if facts["kind"] == "image" else x,
        y=arrays["y"],
        classes=tuple(facts["classes"]),
        test=arrays.get("test"),
        groups=arrays.get("groups"),
        folds=arrays.get("folds"),
        conversion=conversion_of(facts["conversion"]),
        notes=tuple(facts["notes"]),
        fingerprint=facts["fingerprint"],
    )
    dataset.__dict__["twins"] = arrays["twins"]
    return dataset
