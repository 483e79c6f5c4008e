"""Several columns of a table are predicted as the numbers of one regression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.data.conversion import Columns
from automl.data.sources.arrays import from_arrays
from automl.data.sources.given import take
from automl.data.sources.load import load
from automl.data.sources.tables import load_csv
from automl.data.sources.targets import split_names
from automl.data.understood import sentences, summarise
from automl.errors import DataError

COUNT = 24


def table(folder: Path, **more: Sequence[object]) -> Path:
    """A csv with the columns size, price, rate, rooms and what else is given."""
    size = np.arange(COUNT) / 7
    columns: dict[str, Sequence[object]] = {
        "size": [f"{value:.3f}" for value in size],
        "price": [f"{100_000 + 5_000 * value:.0f}" for value in size],
        "rate": [f"{value % 1:.2f}" for value in size**2],
        "rooms": [1 + number % 4 for number in range(COUNT)],
    }
    columns |= more
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path = folder / "t.csv"
    header = ",".join(f'"{name}"' if "," in name else name for name in columns)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (None, ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" b , a ", ("b", "a")),
        (["a", "b"], ("a", "b")),
        (("a,b", "c, d"), ("a", "b", "c, d")),  # a column that is called so goes before two columns
        ("c, d", ("c, d",)),
        ("a,x", ("a", "x")),
    ],
)
def test_targets_are_named_one_by_one_or_with_commas_between(target, names) -> None:
    assert split_names(target, ["a", "b", "c, d", "c", "d"]) == names


def test_several_targets_are_the_numbers_of_a_regression_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    path = table(tmp_path)
    dataset, frame = load_csv(path, target="rate,price"), pd.read_csv(path)
    assert (dataset.task, dataset.y.dtype, dataset.output_names) == ("regression", np.float64, ("rate", "price"))
    np.testing.assert_array_equal(dataset.y, frame[["rate", "price"]].to_numpy())
    assert [column.name for column in dataset.columns] == ["size", "rooms"]
    assert isinstance(dataset.conversion, Columns)
    assert [column.name for column in dataset.conversion.targets] == ["rate", "price"]
    assert load(str(path), target=["rate", "price"]).fingerprint == dataset.fingerprint
    assert take(frame, target="rate,price").dataset.fingerprint == dataset.fingerprint


def test_a_column_with_a_comma_in_its_name_can_be_predicted(tmp_path: Path) -> None:
    path = table(tmp_path, **{"price, net": [number / 3 for number in range(COUNT)]})
    assert load_csv(path, target="price, net").output_names == ("price, net",)
    assert load_csv(path, target=["price, net", "rate"]).output_names == ("price, net", "rate")


def test_few_whole_numbers_are_classes_alone_and_numbers_among_several(tmp_path: Path) -> None:
    assert load_csv(table(tmp_path), target="rooms").task == "classification"
    np.testing.assert_array_equal(load_csv(table(tmp_path), target="rooms,price").y[:, 0], 1 + np.arange(COUNT) % 4)


def test_it_is_said_what_the_targets_are_and_in_which_units_their_scores_are(tmp_path: Path) -> None:
    dataset = load_csv(table(tmp_path), target="price,rooms")
    deviations = dataset.y.std(0)
    assert sentences(dataset, 4)[2:] == (
        "targets: 'price' (24 whole numbers from 100000 to 116429), 'rooms' (4 whole numbers from 1 to 4), predicted "
        "as numbers",
        "scores: rmse and mae are means over the targets, each in standard deviations of its own (price "
        f"{deviations[0]:.4g}, rooms {deviations[1]:.4g})",
    )
    facts = summarise(dataset, 4)
    assert facts["target"] is None
    assert facts["targets"] == [
        {"name": "price", "deviation": pytest.approx(deviations[0])},
        {"name": "rooms", "deviation": pytest.approx(deviations[1])},
    ]
    assert summarise(load_csv(table(tmp_path), target="price"), 4)["targets"] == [{"name": "price", "deviation": None}]


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ({"target": "price,ratte"}, {}, r"there is no target column 'ratte'; did you mean 'rate'\?"),
        ({"target": "price,price"}, {}, "column 'price' is named 2 times as a target; name it once"),
        ({"target": ["price", "rate,price"]}, {}, "column 'price' is named 2 times"),
        ({"target": "price,rate", "groups": "rate"}, {}, "'rate' cannot be both the target and the groups"),
        ({"target": "price,rate", "time": "rate"}, {}, "--time orders the rows, and does not go with the target"),
        ({"target": "size,price,rate,rooms"}, {}, "no column beside the target 'size', 'price', 'rate', 'rooms'"),
        ({"target": "price,copy"}, {"copy": [f"{100_000 + 5_000 * n / 7:.0f}" for n in range(COUNT)]},
         "target 'copy' is equal to target 'price' in every sample"),
        ({"target": "price,same"}, {"same": [5] * COUNT}, "target 'same' is 5 in every sample: nothing to learn"),
        ({"target": "price,colour"}, {"colour": ["red", "blue"] * 12},
         r"column 'colour', row 1 \(line 2\): 'red' is not read as a number, .* search of its own: --target colour"),
        ({"target": "price,sick"}, {"sick": ["no", "yes"] * 12},
         "target 'sick' is yes or no .*, and target 'price' is not, .*own, --target sick and --target price$"),
        ({"target": "price,sick"}, {"sick": [0, 1] * 12},
         "target 'sick' is yes or no .*, and target 'price' is not, .* --task regression"),
        ({"target": "price,rate", "task": "classification"}, {}, "a classification has one target, not 2 .price, rate"),
        ({"target": "rate,gap"}, {"gap": [1, 2, "", *range(3, COUNT)]},
         r"column 'gap', row 3 \(line 4\): the value is missing; fill it, or drop the row"),
        ({"target": "rate,gap"}, {"gap": [*range(COUNT - 1), "n/a"]}, r"column 'gap', row 24 .* the value is missing"),
        ({"target": "rate,odd"}, {"odd": [*range(COUNT - 1), "many"]}, r"column 'odd', row 24 .*'many' is not"),
    ],
)  # fmt: skip
def test_targets_that_cannot_be_predicted_together_are_refused(tmp_path: Path, options, more, words) -> None:
    with pytest.raises(DataError, match=words):
        load(str(table(tmp_path, **more)), **options)


def test_yes_and_no_as_0_and_1_are_numbers_where_the_task_says_so(tmp_path: Path) -> None:
    path = table(tmp_path, sick=[0, 1] * 12)
    assert load_csv(path, target="price,sick", task="regression").y[:, 1].tolist() == [0, 1] * 12


def test_answers_beside_a_frame_may_be_several_named_or_not(tmp_path: Path) -> None:
    frame = pd.read_csv(table(tmp_path))
    whole = take(frame, target=["price", "rate"]).dataset
    apart = take((frame[["size", "rooms"]], frame[["price", "rate"]]))
    assert (apart.target, apart.dataset.fingerprint) == (("price", "rate"), whole.fingerprint)
    bare = frame[["size", "rooms"]], frame[["price", "rate"]].to_numpy()
    assert take(bare).dataset.output_names == ("target_0", "target_1")
    assert take(bare, target="one,two").dataset.output_names == ("one", "two")
    with pytest.raises(DataError, match="target= names 3 columns"):
        take(bare, target="one,two,three")


def test_what_a_run_keeps_of_a_frame_with_several_targets_reads_back_as_the_same_data_set(tmp_path: Path) -> None:
    taken = take(pd.read_csv(table(tmp_path)), target="price,rate")
    kept = taken.keep(tmp_path / "data")
    assert load(str(kept), target=taken.target).fingerprint == taken.dataset.fingerprint


def test_a_list_of_images_has_several_numbers_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["file,left,top,note"]
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{number / 2},{100 - number * number},n{number}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    dataset = load(str(tmp_path / "list.csv"), target="left,top")
    assert (dataset.kind, dataset.output_names, dataset.y.shape) == ("image", ("left", "top"), (12, 2))
    assert any("Not used" in note and "note" in note and "top" not in note for note in dataset.notes)


def test_the_outputs_of_arrays_are_under_the_same_law() -> None:
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    assert from_arrays(x, np.column_stack([y, y**2])).deviations == pytest.approx([y.std(), (y**2).std()])
    assert from_arrays(x, y).deviations is None
    with pytest.raises(DataError, match="output 1 is equal to output 0 in every sample"):
        from_arrays(x, np.column_stack([y, y]))
    with pytest.raises(DataError, match="for several numbers task 'regression'"):
        from_arrays(x, np.column_stack([y, y**2]).astype(int))


def test_the_deviations_are_those_outside_of_a_test_set_that_the_table_brings(tmp_path: Path) -> None:
    path = table(tmp_path, split=["train"] * 16 + ["test"] * 8)
    dataset, frame = load_csv(path, target="price,rate"), pd.read_csv(path)
    assert dataset.test is not None
    assert dataset.deviations == pytest.approx(frame[:16][["price", "rate"]].to_numpy().std(0))
    assert [column.name for column in dataset.columns] == ["size", "rooms"]
