from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.data.dataset import Dataset
from automl.data.sources.arrays import from_arrays
from automl.data.splits import Splits, deal_again, load_splits, make_splits, save_splits
from automl.errors import DataError, RunError, SettingsError


def images(labels: np.ndarray | list[Any], **options: Any) -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4), dtype=np.uint8)
    return from_arrays(options.pop("x", pixels), np.asarray(labels), **options)


def shares(dataset: Dataset, indices: np.ndarray) -> np.ndarray:
    return np.bincount(dataset.y[indices], minlength=dataset.num_outputs) / len(indices)


def test_every_sample_is_tested_or_validated_exactly_once() -> None:
    dataset = images(np.arange(200) % 4)
    splits = make_splits(dataset, folds=5, seed=1)
    assert splits.folds == 5
    parts = [splits.test, *(splits.validation(fold) for fold in range(5))]
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    assert [len(part) for part in parts] == [40, 32, 32, 32, 32, 32]
    for fold in range(5):
        union = np.concatenate([splits.train(fold), splits.validation(fold)])
        assert sorted(union.tolist()) == splits.training_part.tolist()


def test_the_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    dataset = images(np.arange(100) % 4)
    for groups in (None, np.arange(100) // 3):
        dataset = images(np.arange(100) % 4, groups=groups)
        first, again, other = (make_splits(dataset, folds=3, seed=seed).fold for seed in (7, 7, 8))
        assert (first == again).all()
        assert (first != other).any()


def test_classes_keep_their_shares_in_every_part() -> None:
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    dataset = images(labels)
    splits = make_splits(dataset, folds=5, seed=0)
    for part in [splits.test, *(splits.validation(fold) for fold in range(5))]:
        assert np.allclose(shares(dataset, part), [0.7, 0.25, 0.05], atol=0.01)


def test_groups_stay_whole_and_classes_roughly_keep_their_shares() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [800, 200])
    groups = rng.integers(0, 120, 1000)
    dataset = images(labels, groups=groups)
    splits = make_splits(dataset, folds=5, seed=0)
    for group in range(120):
        assert len(set(splits.fold[groups == group])) == 1
    assert abs(len(splits.test) / 1000 - 0.2) < 0.02
    for fold in range(5):
        assert abs(len(splits.validation(fold)) - 160) < 16
        assert np.allclose(shares(dataset, splits.validation(fold)), [0.8, 0.2], atol=0.04)


def test_identical_images_stay_together() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 4, 4), dtype=np.uint8)
    origin = np.random.default_rng(1).integers(0, 60, 60)
    pixels[60:] = pixels[origin]
    dataset = images(np.arange(120) % 2, x=pixels)
    for seed in range(5):
        splits = make_splits(dataset, folds=4, seed=seed)
        assert (splits.fold[60:] == splits.fold[origin]).all()


def test_groups_that_share_an_image_become_one() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    groups = np.arange(60) // 4
    pixels[0] = pixels[4] = pixels[8]  # ties groups 0, 1 and 2
    dataset = images(np.arange(60) % 2, x=pixels, groups=groups)
    for seed in range(5):
        fold = make_splits(dataset, folds=3, seed=seed).fold
        assert len(set(fold[:12])) == 1


def test_rows_of_a_table_are_distinct_samples() -> None:
    dataset = from_arrays(np.zeros((40, 2)), np.arange(40) % 2)
    assert len(set(make_splits(dataset, folds=4, seed=0).fold)) == 5


def test_regression_is_split_without_strata() -> None:
    dataset = from_arrays(np.arange(100.0)[:, None], np.arange(100.0))
    splits = make_splits(dataset, folds=4, test_fraction=0.25, seed=0)
    assert [len(splits.validation(fold)) for fold in range(4)] == [19, 19, 19, 18]
    assert len(splits.test) == 25


def test_a_given_test_set_is_taken_and_no_other_cut_is_made() -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    dataset = from_arrays(x[:50], np.arange(50) % 2, x_test=x[50:], y_test=np.arange(10) % 2)
    splits = make_splits(dataset, folds=5, test_fraction=0.5, seed=0)
    assert splits.test.tolist() == list(range(50, 60))


def test_a_copy_of_a_given_test_image_stays_in_the_training_part() -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8)
    x[50] = x[0]
    dataset = from_arrays(x[:50], np.arange(50) % 2, x_test=x[50:], y_test=np.arange(10) % 2)
    splits = make_splits(dataset, folds=5, seed=0)
    assert splits.fold[0] >= 0
    assert splits.fold[50] == -1


def test_a_group_on_both_sides_of_a_given_test_set_is_refused() -> None:
    from dataclasses import replace

    dataset = images(np.arange(20) % 2, groups=np.arange(20) // 2)
    apart = np.arange(20) >= 15  # cuts group 7 (samples 14 and 15)
    with pytest.raises(DataError, match=r"1 groups stand in both.*14, 15"):
        make_splits(replace(dataset, test=apart), folds=2, seed=0)


def test_a_class_smaller_than_the_folds_is_named_with_the_largest_possible_k() -> None:
    labels = np.array(["common"] * 50 + ["rare"] * 3)
    with pytest.raises(DataError, match=r"class 'rare' has 3 distinct samples .* 5 folds; use at most 3 folds"):
        make_splits(images(labels), folds=5, seed=0)
    splits = make_splits(images(labels), folds=3, seed=0)
    assert [int((splits.fold[50:] == fold).sum()) for fold in (-1, 0, 1, 2)] == [0, 1, 1, 1]
    with pytest.raises(DataError, match=r"class 'rare' has 1 distinct samples .* no number of folds is possible"):
        make_splits(images(labels[:51]), folds=5, seed=0)


def test_copies_do_not_make_a_class_larger() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    pixels[30:] = pixels[30]
    with pytest.raises(DataError, match="class 'b' has 1 distinct samples"):
        make_splits(images(np.array(["a"] * 30 + ["b"] * 10), x=pixels), folds=3, seed=0)


def test_too_few_groups_are_refused_with_the_largest_possible_k() -> None:
    with pytest.raises(DataError, match="4 groups are too few for 5 folds; use at most 4 folds"):
        make_splits(images(np.arange(40) % 2, groups=np.arange(40) // 10), folds=5, seed=0)
    labels = np.repeat([0, 1], [36, 4])
    with pytest.raises(DataError, match=r"class '1' has 2 groups .* use at most 2 folds"):
        make_splits(images(labels, groups=np.arange(40) // 2), folds=5, seed=0)


def test_no_groups_are_left_for_a_test_set() -> None:
    dataset = images(np.arange(40) % 2, groups=np.arange(40) // 10)
    with pytest.raises(DataError, match="too few for a test set beside 4 folds"):
        make_splits(dataset, folds=4, seed=0)
    assert len(make_splits(dataset, folds=4, test_fraction=0, seed=0).test) == 0


@pytest.mark.parametrize(
    "options", [{"folds": 1}, {"folds": 3, "test_fraction": 1.0}, {"folds": 3, "test_fraction": -0.1}]
)
def test_impossible_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="must be at least"):
        make_splits(images(np.arange(40) % 2), seed=0, **options)


def test_a_class_is_trained_on_in_every_fold_whatever_the_groups() -> None:
    rng = np.random.default_rng(5)
    checked = 0
    for seed in range(30):
        groups = rng.choice(25, 150, p=rng.dirichlet(np.full(25, 0.7)))
        labels = rng.choice(3, 150, p=[0.6, 0.3, 0.1])
        dataset = images(labels, groups=groups)
        try:
            splits = make_splits(dataset, folds=3, seed=seed)
        except DataError:  # too uneven, which is allowed now and then
            continue
        checked += 1
        for fold in range(3):
            assert (shares(dataset, splits.train(fold)) > 0).all()
            assert len(splits.validation(fold)) > 0
    assert checked > 20


def test_splits_come_back_from_disk(tmp_path: Path) -> None:
    splits = make_splits(images(np.arange(40) % 2), folds=4, seed=0)
    save_splits(splits, tmp_path / "splits.npz")
    assert (load_splits(tmp_path / "splits.npz").fold == splits.fold).all()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["splits.npz"]


def test_missing_or_damaged_splits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "splits.npz"
    with pytest.raises(RunError, match="cannot be read"):
        load_splits(path)
    save_splits(Splits(np.array([-1, 0, 1, 0, 1])), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 16):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match="cannot be read"):
            load_splits(path)
    for wrong in (np.array([0.5, 1.0]), np.array([[0, 1]]), np.array([], dtype=int), np.array([-3, 0, 1])):
        np.savez(path, fold=wrong)
        with pytest.raises(RunError, match="its array 'fold'"):
            load_splits(path)
    np.savez(path, fold=np.array([None, {}], dtype=object))
    with pytest.raises(RunError, match="cannot be read"):
        load_splits(path)
    np.savez(path, fold=np.array([-1, 0, 2**63 - 1, 1]))
    with pytest.raises(RunError, match="numbered up to 9223372036854775807, and there are 3"):
        load_splits(path)


def test_many_groups_are_dealt_out_evenly() -> None:
    # scikit-learn's way would take minutes here.
    x = np.arange(40_000, dtype=np.float32)[:, None]
    dataset = from_arrays(x, np.arange(40_000) % 10, groups=np.arange(40_000) // 2)
    splits = make_splits(dataset, folds=5, seed=0)
    sizes = [len(splits.validation(fold)) for fold in range(5)]
    assert max(sizes) - min(sizes) <= 20


class TestDealingAgain:
    def test_the_test_set_stays_and_the_folds_are_others_of_the_same_kind(self) -> None:
        dataset = images(np.repeat([0, 1], [150, 50]))
        splits = make_splits(dataset, folds=4, seed=0)
        fresh = deal_again(dataset, splits, seed=1)
        assert (fresh.test == splits.test).all()
        assert (fresh.fold != splits.fold).any()
        assert (fresh.fold == deal_again(dataset, splits, seed=1).fold).all()
        for fold in range(4):
            assert np.allclose(shares(dataset, fresh.validation(fold)), [0.75, 0.25], atol=0.02)

    def test_groups_and_twins_stay_together(self) -> None:
        rng = np.random.default_rng(0)
        groups = rng.integers(0, 30, 120)
        pixels = rng.integers(0, 256, (120, 4, 4), dtype=np.uint8)
        pixels[5] = pixels[90]
        for given in (groups, None):
            dataset = images(np.arange(120) % 2, x=pixels, groups=given)
            fresh = deal_again(dataset, make_splits(dataset, folds=3, seed=0), seed=1)
            assert fresh.fold[5] == fresh.fold[90]
            if given is not None:
                assert all(len(set(fresh.fold[groups == group])) == 1 for group in set(groups))

    def test_groups_that_all_differ_in_size_are_dealt_otherwise_too(self) -> None:
        groups = np.repeat(np.arange(20), np.arange(5, 25))
        dataset = images(np.arange(len(groups)) % 2, groups=groups)
        splits = make_splits(dataset, folds=3, seed=0)
        partitions = set()
        for seed in range(4):
            fresh = deal_again(dataset, splits, seed=seed)
            partitions.add(frozenset(tuple(np.unique(groups[fresh.validation(fold)])) for fold in range(3)))
            sizes = [len(fresh.validation(fold)) for fold in range(3)]
            assert max(sizes) < 1.3 * min(sizes)
        assert len(partitions) == 4
