"""Several columns of a table that are each yes or no are the labels of one multi-label classification."""

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
from automl.data.splits import deal_again, make_splits
from automl.data.strata import by_labels
from automl.data.understood import sentences, summarise
from automl.errors import DataError

COUNT = 24
SICK = ["no", "yes", "yes"] * 8
FIT = [0, 1, 1, 0] * 6


def table(folder: Path, **more: Sequence[object]) -> Path:
    """A csv with the columns size, sick (no and yes), fit (0 and 1) and what else is given."""
    columns: dict[str, Sequence[object]] = {"size": [f"{n / 7:.3f}" for n in range(COUNT)], "sick": SICK, "fit": FIT}
    columns |= more
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path = folder / "t.csv"
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    return path


def labels(count: int = 400, seed: int = 0) -> np.ndarray:
    """Five labels that go together, of which one is rare and one combination occurs once."""
    rng = np.random.default_rng(seed)
    y = (rng.normal(size=(count, 5)) + rng.normal(size=(count, 1)) > [0, 0.5, 1, 1.5, 3]).astype(np.int64)
    y[0] = 1
    return y


def made(y: np.ndarray, **more: object):
    return from_arrays(np.random.default_rng(1).normal(size=(len(y), 3)), y, **more)


def test_columns_of_yes_and_no_are_labels_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    path = table(tmp_path)
    dataset = load_csv(path, target="fit,sick")
    assert (dataset.task, dataset.classes, dataset.y.dtype) == ("multilabel", (), np.int64)
    assert (dataset.num_outputs, dataset.output_names, dataset.deviations) == (2, ("fit", "sick"), None)
    np.testing.assert_array_equal(dataset.y, np.column_stack([FIT, np.array(SICK) == "yes"]))
    frame = pd.read_csv(path)
    for given in (frame, frame.assign(sick=frame["sick"] == "yes"), frame.assign(fit=frame["fit"].astype(float))):
        np.testing.assert_array_equal(take(given, target=["fit", "sick"]).dataset.y, dataset.y)
    np.testing.assert_array_equal(take((frame[["size"]], frame[["fit", "sick"]])).dataset.y, dataset.y)


def test_a_label_keeps_the_commonest_of_its_words_for_no_and_yes(tmp_path: Path) -> None:
    path = table(tmp_path, old=["Ja", "nein", "Ja", "ja"] * 6, new=[1.0, "true", "true", 0.0] * 6)
    conversion = load_csv(path, target="sick,fit,old,new").conversion
    assert isinstance(conversion, Columns)
    words = [label.categories for label in conversion.targets]
    assert words == [("no", "yes"), ("0", "1"), ("nein", "Ja"), ("0", "true")]


def test_it_is_said_what_the_labels_are_and_how_many_rows_have_each(tmp_path: Path) -> None:
    dataset = load_csv(table(tmp_path), target="sick,fit")
    lines = sentences(dataset, 4)
    assert lines[0] == "24 rows; labels sick 16, fit 12; 4 of them are cut off as the test set"
    assert lines[2] == "targets: 'sick', 'fit', each yes or no"
    facts = summarise(dataset, 4)
    assert (facts["task"], facts["target"], facts["classes"]) == ("multilabel", None, [])
    assert facts["targets"] == [{"name": "sick", "deviation": None}, {"name": "fit", "deviation": None}]
    both = load_csv(table(tmp_path, odd=[1, 0] * 12), target="fit,odd")
    assert sentences(both, 4)[2] == "targets: 'fit', 'odd', each yes or no (--task regression predicts them as numbers)"
    assert load_csv(table(tmp_path, odd=[1, 0] * 12), target="fit,odd", task="regression").task == "regression"


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ({"target": "sick,size"}, {}, "target 'sick' is yes or no .a label., and target 'size' is not, and one search "
         "predicts either labels .* or numbers; predict these in searches .* --target sick and --target size"),
        ({"target": "fit,odd,size"}, {"odd": [1, 0] * 12},
         "targets 'fit', 'odd' are yes or no .*, and target 'size' is not.* --target fit,odd and --target size, or say "
         "that all are numbers: --task regression"),
        ({"target": "sick,town"}, {"town": ["york", "bath", "ely"] * 8}, "target 'town' is not"),
        ({"target": "sick,one"}, {"one": ["no"] * COUNT}, "target 'one' is 0 in every sample: .*; leave it out"),
        ({"target": "sick,same"}, {"same": [{"no": 0, "yes": 1}[word] for word in SICK]},
         "target 'same' is equal to target 'sick' in every sample"),
        ({"target": "sick,gap"}, {"gap": [1, "", *[0] * 21, ""]},
         r"column 'gap', row 2 \(line 3\): the value is missing \(and in 1 other rows\); fill it, or drop the row"),
        ({"target": "sick,odd", "task": "multilabel"}, {"odd": [0, 1, "perhaps", *[1] * 21]},
         r"column 'odd', row 3 \(line 4\): 'perhaps' is neither yes nor no; write labels as 0 and 1, no and yes, or"),
        ({"target": "sick", "task": "multilabel"}, {}, "has several targets, each yes or no, and 'sick' is one; leave"),
        ({"target": "sick,fit", "task": "classification"}, {}, "where each is yes or no leave --task out"),
        ({"target": "size,odd"}, {"odd": [1, 2] * 12}, "'odd' is always 1 or 2.* write 0 and 1 where every"),
    ],
)  # fmt: skip
def test_what_are_no_labels_is_refused_with_what_can_be_done(tmp_path: Path, options, more, words) -> None:
    with pytest.raises(DataError, match=words):
        load(str(table(tmp_path, **more)), **options)


def test_a_list_of_images_has_labels_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["file,cat,indoors"]
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{number % 2},{'yes' if number % 3 else 'no'}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    dataset = load(str(tmp_path / "list.csv"), target="cat,indoors")
    assert (dataset.kind, dataset.task, dataset.output_names) == ("image", "multilabel", ("cat", "indoors"))


def test_arrays_of_0_and_1_are_labels_unless_they_are_one_hot(tmp_path: Path) -> None:
    y = labels()
    for given in (y, y.astype(bool)):
        assert (made(given).task, made(given).output_names[0]) == ("multilabel", "label 0")
    named = made(y, classes=list("abcde"))
    assert named.output_names == tuple("abcde")
    one_hot = np.eye(3, dtype=int)[np.arange(30) % 3]
    with pytest.raises(DataError, match=r"one-hot labels give y.argmax\(axis=1\), for 0 and 1 .* task 'multilabel'"):
        made(one_hot)
    assert made(one_hot, task="multilabel").task == made(one_hot.astype(float), task="multilabel").task
    assert made(y.astype(float)).task == "regression"
    with pytest.raises(DataError, match=r"a multi-label classification needs 0 and 1 \[n, labels\]"):
        made(y * 2, task="multilabel")
    with pytest.raises(DataError, match="'classes' has 2 names for 5 labels"):
        made(y, classes=["a", "b"])
    kept = take({"x": named.x, "y": y, "classes": np.array(list("abcde"))}).keep(tmp_path / "data")
    assert (load(str(kept)).fingerprint, load(str(kept)).output_names) == (named.fingerprint, named.output_names)


def test_every_fold_and_the_test_set_have_about_the_same_share_of_each_label() -> None:
    y = labels()
    splits = make_splits(made(y), folds=5, seed=0)
    assert 70 <= len(splits.test) <= 85
    for part in (splits.test, *map(splits.validation, range(5))):
        assert np.abs(y[part].mean(axis=0) - y.mean(axis=0)).max() < 0.03
    again = deal_again(made(y), splits, seed=1)
    assert (again.fold != splits.fold).any()
    assert (again.test == splits.test).all()


def test_rare_combinations_are_dealt_out_by_the_rarest_of_their_labels_and_no_stratum_is_small() -> None:
    y = np.repeat([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]], [40, 30, 20, 6, 5], axis=0)
    of = by_labels(y, 10)
    assert np.bincount(of).tolist() == [40, 30, 20, 11]  # both with the third label, the rarest, are one
    assert np.bincount(by_labels(y, 12)).tolist() == [51, 30, 20]
    assert set(by_labels(y, 1000)) == {0}


def test_groups_stay_together_and_folds_and_times_of_the_data_stand(tmp_path: Path) -> None:
    y = labels(120)
    groups = np.arange(120) // 3
    splits = make_splits(made(y, groups=groups), folds=3, seed=0)
    assert all(len(set(splits.fold[groups == group])) == 1 for group in range(40))
    assert 20 <= len(splits.test) <= 28
    own = load_csv(table(tmp_path, fold=[0, 1, 2, 2] * 6), target="sick,fit")
    assert make_splits(own, folds=3, test_fraction=0, seed=0).fold.tolist() == [0, 1, 2, 2] * 6
    dated = load(str(table(tmp_path, day=range(COUNT))), target="sick,fit", time="day")
    assert make_splits(dated, folds=3, seed=0).test.tolist() == list(range(20, 24))


def test_rows_that_are_copies_of_each_other_leave_strata_that_can_be_dealt() -> None:
    x = np.repeat(np.random.default_rng(0).integers(0, 256, (8, 4, 4), dtype=np.uint8), 5, axis=0)
    y = np.repeat(np.array([[0, 0], [1, 0], [0, 1], [1, 1]] * 2), 5, axis=0)
    splits = make_splits(from_arrays(x, y), folds=4, test_fraction=0, seed=0)
    assert sorted(np.bincount(splits.fold)) == [10, 10, 10, 10]
