"""Sides of a data set are found by their names, in any usual spelling."""

import pytest

from automl.data.sides import sides_of


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (["train", "test"], "train test"),
        (["Training", "Testing"], "train test"),
        (["TRAIN", "Valid"], "train val"),
        (["train", "validation", "holdout"], "train val test"),
        (["Train", "hold-out", "Dev"], "train test val"),
        (["training_set", "test_set"], "train test"),
        (["TrainingSet", "ValidationSet"], "train val"),
        (["trainset", "testdata"], "train test"),
        (["train2017", "val2017"], "train val"),
        (["train", "test1"], "train test"),
        ([" train ", "test_02"], "train test"),
        (["train_images", "test-images"], "train test"),
        (["images_train", "images_val"], "train val"),
        (["seg_train", "seg_test", "seg_pred"], "train test -"),
        (["asl_alphabet_train", "asl_alphabet_test"], "train test"),
        (["train", "test", "labels"], "train test -"),
        (["train", "eval"], "train val"),
        (["train_station", "bus_station"], "- -"),
        (["test_tube", "beaker"], "- -"),
        (["trainval", "train_val"], "- -"),
        (["cat", "dog", "contest", "valley", "devon"], "- - - - -"),
        (["train", "plane"], "train -"),
    ],
)  # fmt: skip
def test_sides_are_known_by_their_names(names: list[str], sides: str) -> None:
    found = sides_of(names)
    assert " ".join(found.get(name, "-") for name in names) == sides
