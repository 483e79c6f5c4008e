from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.data.sources import cache
from automl.data.sources.images import Reading
from automl.data.sources.load import load
from automl.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 5, 5), dtype=np.uint8)
LABELS = np.arange(8) % 2


def test_digits_are_embedded_and_fill_the_range() -> None:
    dataset = load("digits")
    assert dataset.name == "digits"
    assert dataset.x.shape == (1797, 1, 8, 8)
    assert dataset.x.dtype == np.uint8
    assert dataset.x.max() == 255
    assert len(np.unique(dataset.x)) == 17
    assert dataset.classes == tuple("0123456789")
    assert load("digits").fingerprint == dataset.fingerprint


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.fromarray(IMAGES[0 if name == "cat" else 1]).save(tmp_path / "pets" / name / "0.png")
    assert load(str(tmp_path / "a.npz")).name == "a"
    assert load(str(tmp_path / "t.csv"), target="b").classes == ("x", "y")
    assert load(str(tmp_path / "pets")).classes == ("cat", "dog")
    (tmp_path / "other.txt").write_text("")
    with pytest.raises(DataError, match=r"other\.txt: cannot tell what this is; DATA is digits, a folder"):
        load(str(tmp_path / "other.txt"))


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mnist10k.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"'digit': .*did you mean 'digits'\?"):
        load("digit")
    with pytest.raises(DataError, match=r"did you mean 'flowers'\?"):
        load("flower", plugin_datasets={"flowers": lambda _: (IMAGES, LABELS)})
    with pytest.raises(DataError, match=r"did you mean '.*mnist10k\.npz'\?"):
        load(str(tmp_path / "mnist10.npz"))
    with pytest.raises(DataError, match="there is no such file"):
        load(str(tmp_path / "no" / "such" / "folder.npz"))


def test_an_option_that_the_data_does_not_have_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    with pytest.raises(DataError, match="target is for a table only"):
        load("digits", target="b")
    with pytest.raises(DataError, match="image_size is for image files only"):
        load(str(tmp_path / "a.npz"), reading=Reading(image_size=32))
    with pytest.raises(DataError, match="image_size is for image files"):
        load(str(tmp_path / "t.csv"), target="b", reading=Reading(image_size=32))
    with pytest.raises(DataError, match="groups is for"):
        load("digits", groups="g")
    with pytest.raises(DataError, match="not 'regresion'"):
        load("digits", task="regresion")
    with pytest.raises(DataError, match="a folder of images is a classification"):
        load(str(tmp_path), task="regression")


def test_a_plugin_data_set_is_loaded_by_name() -> None:
    plugins: dict[str, Any] = {
        "plain": lambda _: (IMAGES, LABELS),
        "named": lambda _: (IMAGES, LABELS, ["off", "on"]),
        "table": lambda _: (IMAGES.reshape(8, -1).astype(float), LABELS * 0.5),
    }
    assert load("plain", plugin_datasets=plugins).classes == ("0", "1")
    assert load("named", plugin_datasets=plugins).classes == ("off", "on")
    assert load("table", plugin_datasets=plugins).task == "regression"


def test_a_plugin_data_set_may_bring_its_test_set_and_groups() -> None:
    made = {"x": IMAGES, "y": LABELS, "groups": np.arange(8) // 2, "x_test": IMAGES[:2], "y_test": LABELS[:2]}
    loaded = load("photos", plugin_datasets={"photos": lambda _: made})
    assert loaded.test is not None
    assert loaded.groups is not None
    assert (int(loaded.test.sum()), len(set(loaded.groups.tolist()))) == (2, 6)


def test_a_plugin_data_set_may_be_a_frame() -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 5, "price": [2.0, 4.0, 6.5, 8.0] * 5})
    loaded = load("prices", target="price", plugin_datasets={"prices": lambda _: frame})
    assert (loaded.task, [column.name for column in loaded.columns]) == ("regression", ["size"])


def test_a_broken_plugin_data_set_is_named() -> None:
    def raises(_: str) -> tuple[Any, ...]:
        raise OSError("no network")

    with pytest.raises(DataError, match="'bad' could not be loaded: OSError: no network"):
        load("bad", plugin_datasets={"bad": raises})
    with pytest.raises(DataError, match=r"'bad' must return \(x, y\) .* not 4 values"):
        load("bad", plugin_datasets={"bad": lambda _: (IMAGES, LABELS, [], [])})
    with pytest.raises(DataError, match="data set 'bad': 'x' has 8 samples, but 'y' has 3"):
        load("bad", plugin_datasets={"bad": lambda _: (IMAGES, LABELS[:3])})


# --- torchvision ------------------------------------------------------------------------------------------------------


def write_mnist(root: Path, kind: str, images: np.ndarray, labels: np.ndarray) -> None:
    root.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">IIII", 2051, *images.shape)
    (root / f"{kind}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    (root / f"{kind}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, len(labels)) + labels.tobytes())


def test_torchvision_sets_come_from_the_private_cache_with_their_own_test_side() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    labels = (np.arange(30) % 10).astype(np.uint8)
    raw = cache.private_folder() / "torchvision" / "MNIST" / "MNIST" / "raw"
    write_mnist(raw, "train", pixels[:20], labels[:20])
    write_mnist(raw, "t10k", pixels[20:], labels[20:])
    dataset = load("torchvision:MNIST")
    assert dataset.name == "mnist"
    assert dataset.x.shape == (30, 1, 28, 28)
    assert (dataset.x[:, 0] == pixels).all()
    assert dataset.y.tolist() == labels.tolist()
    assert dataset.test is not None
    assert dataset.test.tolist() == [False] * 20 + [True] * 10
    assert dataset.classes[0].startswith("0")


def test_an_unknown_torchvision_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"torchvision:FasionMNIST: .*did you mean 'FashionMNIST'\?"):
        load("torchvision:FasionMNIST")


def test_a_download_that_fails_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    before = socket.getdefaulttimeout()
    with pytest.raises(DataError, match=r"torchvision:KMNIST: the download failed .*put torchvision's files into"):
        load("torchvision:KMNIST")
    assert socket.getdefaulttimeout() == before
