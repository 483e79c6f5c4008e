from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from automl.data import cache
from automl.data.atomic import write_atomic

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)


def test_what_is_stored_comes_back_read_only() -> None:
    assert cache.load("key") is None
    assert cache.store("key", PIXELS, {"bad": []})
    stored = cache.load("key")
    assert stored is not None
    pixels, facts = stored
    assert (pixels == PIXELS).all()
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert facts == {"bad": []}


def test_the_folder_is_closed_to_other_users(private_cache: Path) -> None:
    private_cache.mkdir(mode=0o755)
    cache.store("key", PIXELS, {})
    assert private_cache.stat().st_mode & 0o777 == 0o700


def test_the_folder_follows_the_xdg_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AUTOML_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "automl"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder() == Path.home() / ".cache" / "automl"


def test_every_damage_makes_an_entry_absent(private_cache: Path) -> None:
    def damaged(name: str, content: bytes) -> bool:
        cache.store("key", PIXELS, {})
        (private_cache / name).write_bytes(content)
        return cache.load("key") is None

    cache.store("key", PIXELS, {})
    whole = (private_cache / "key.npy").read_bytes()
    facts = (private_cache / "key.json").read_bytes()
    for length in range(0, len(whole), 8):
        assert damaged("key.npy", whole[:length]), f"cut at byte {length}"
    assert damaged("key.npy", whole[:-1] + b"\xff")
    for length in range(0, len(facts), 8):
        assert damaged("key.json", facts[:length]), f"cut at byte {length}"
    assert damaged("key.json", b"[" * 100_000)
    assert damaged("key.json", json.dumps({"facts": {}}).encode())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("pwned",)


def test_pickled_code_in_an_entry_is_not_run(
    private_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache.store("key", PIXELS, {})
    for content in (pickle.dumps(Evil()), _object_array()):
        (private_cache / "key.npy").write_bytes(content)
        assert cache.load("key") is None
    assert not (tmp_path / "pwned").exists()


def _object_array() -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, lambda file: file.write(b"old"))

    def fail(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
