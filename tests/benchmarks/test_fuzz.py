"""A few hundred of the inputs that `make fuzz` has a million of, chosen by hypothesis, and how they are counted."""

from __future__ import annotations

import functools
import json
import random
import tempfile
import time
from pathlib import Path

import pytest
from fuzz import Hang, add, fuzz, limited
from fuzz_targets import SPLIT, TARGETS, Target, mutate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@functools.cache
def seeds(name: str) -> list[bytes]:
    return TARGETS[name].seeds()


def damaged(name: str) -> st.SearchStrategy[bytes]:
    return st.randoms(use_true_random=False).map(lambda draw: mutate(TARGETS[name], seeds(name), draw))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
DOMAINS = TREES | st.dictionaries(
    st.sampled_from(["int", "float", "choice", "log", "when", "step"]), TREES | st.lists(st.integers() | st.floats())
)
PARAMETERS = st.dictionaries(st.sampled_from(["lr", "optimizer", "depth", "width", "epochs", "x"]), DOMAINS, max_size=4)
SPACES = st.fixed_dictionaries(
    {},
    optional={
        "description": TREES,
        "architectures": TREES | st.dictionaries(st.sampled_from(["lenet", "mlp", "resnet", "x"]), PARAMETERS),
        "training": TREES | PARAMETERS,
        "first": TREES | st.lists(PARAMETERS, max_size=2),
    },
)
CELLS = st.sampled_from(["", "1", "2", "0.5", "nan", "x", '"', '"a', "1e999", "\0", "\r", " "]) | st.text(max_size=4)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=12)
RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["op_code", "worker_id", "study_id", "trial_id", "state", "values", "step"]), TREES
    ),
    max_size=5,
)


def described(changes: dict[str, object]) -> bytes:
    """A model with other values in its description; of even length it does not vouch for its weights again."""
    text, _, weights = seeds("model")[0].partition(SPLIT)
    made = json.dumps(json.loads(text) | changes).encode() + SPLIT + weights
    return made if len(made) % 2 else b" " + made


DESCRIBED = ["classes", "conversion", "input_shape", "num_outputs", "architecture", "architecture_config", "plugins"]
STRUCTURED = {
    "yaml": SPACES.map(lambda space: json.dumps(space).encode()),
    "csv": ROWS.map(lambda rows: "\n".join([b"a,b,y".decode(), *map(",".join, rows)]).encode("utf-8", "replace")),
    "journal": RECORDS.map(lambda records: b"".join(json.dumps(record).encode() + b"\n" for record in records)),
    "model": st.dictionaries(st.sampled_from([*DESCRIBED, "members", "format", "x"]), TREES).map(described),
    "npz": st.nothing(),
    "inspection": TREES.map(
        lambda tree: json.dumps({"trial": 0, "importances": tree, "drift": tree, "photos": tree}).encode()
    ),
}


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_reader_takes_a_damaged_file_or_refuses_it_with_an_error_of_automl(name, data):
    content = data.draw(damaged(name) | STRUCTURED[name] | st.binary(max_size=100))
    with tempfile.TemporaryDirectory() as folder, limited(30):
        TARGETS[name].read(content, Path(folder))


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_not_damaged_is_read(name, tmp_path):
    # The first yaml seeds are the built-in spaces; the others are made to be refused, or cut.
    assert TARGETS[name].read(seeds(name)[0], tmp_path)


def test_the_same_number_is_always_the_same_input_and_another_one_another():
    def made(number: int) -> bytes:
        return mutate(TARGETS["csv"], seeds("csv"), random.Random(f"csv {number}"))

    assert made(7) == made(7)
    assert len({made(number) for number in range(100)}) > 90


def test_a_failure_is_counted_and_kept_and_the_fuzzing_goes_on(tmp_path, monkeypatch):
    def read(content: bytes, folder: Path) -> bool:
        if len(content) % 3 == 0 and content not in seeds("csv"):
            raise KeyError("this is no error of automl")
        return len(content) % 3 == 1 or content in seeds("csv")

    monkeypatch.setitem(TARGETS, "csv", Target(read, TARGETS["csv"].seeds, (b"x",)))
    tally = fuzz("csv", 10, 50, float("inf"), tmp_path)
    assert tally["inputs"] == tally["accepted"] + tally["refused"] + tally["failures"] == 50
    assert tally["failures"] == len(list(tmp_path.glob("csv-*.bin"))) > 0
    assert "this is no error of automl" in next(tmp_path.glob("csv-*.txt")).read_text()
    both = add(tally, fuzz("csv", 60, 50, float("inf"), tmp_path))
    assert both["inputs"] == 100
    assert both["slowest"] >= tally["slowest"]


def test_a_hang_is_broken_off():
    def work() -> None:
        while True:
            time.process_time()

    with pytest.raises(Hang), limited(0.05):
        work()
