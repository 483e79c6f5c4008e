from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from automl.data.atomic import write_atomic
from automl.data.sources import cache

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


def test_it_is_a_folder_of_the_users_own_in_what_may_be_shared(private_cache: Path) -> None:
    private_cache.mkdir()
    private_cache.chmod(0o777)
    assert cache.store("key", PIXELS, {})
    assert private_cache.stat().st_mode & 0o777 == 0o777
    (own,) = private_cache.iterdir()
    assert own == cache.private_folder()
    assert own.stat().st_mode & 0o777 == 0o700


def test_what_another_user_may_have_written_is_not_believed(tmp_path: Path) -> None:
    assert cache.store("key", PIXELS, {})
    own = cache.private_folder()
    own.chmod(0o777)
    assert cache.load("key") is None
    assert not cache.store("key", PIXELS, {})
    assert own.stat().st_mode & 0o777 == 0o777
    own.chmod(0o755)  # others may look into a folder that the user has made
    assert cache.load("key") is not None
    elsewhere = own.rename(tmp_path / "elsewhere")
    own.symlink_to(elsewhere)
    assert cache.load("key") is None
    own.unlink()
    elsewhere.rename(own)
    for name in ("key.npy", "key.json"):
        (own / name).rename(tmp_path / name)
        (own / name).symlink_to(tmp_path / name)
        assert cache.load("key") is None
        (own / name).unlink()
        os.mkfifo(own / name)
        assert cache.load("key") is None  # at once
        (tmp_path / name).rename(own / name)
        assert cache.load("key") is not None
        if os.getuid() == 0:
            os.chown(own / name, 65534, -1)
            assert cache.load("key") is None
            os.chown(own / name, 0, -1)
    if os.getuid() == 0:
        os.chown(own, 65534, -1)
        assert cache.load("key") is None


def test_the_folder_follows_the_xdg_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AUTOML_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "automl"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder() == Path.home() / ".cache" / "automl"


def test_big_pixels_are_stored_without_a_copy_and_known_by_their_files_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BIG", 1)
    array = cache.allocate((2, 3, 2, 2))
    assert array is not None
    assert not array.any()
    array[:] = PIXELS
    assert cache.adopt("key", array, {"bad": []})
    stored = cache.load("key")
    assert stored is not None
    assert (stored[0] == PIXELS).all()
    assert stored[1] == {"bad": []}
    assert {path.name for path in cache.private_folder().iterdir()} == {"key.npy", "key.json"}
    with open(cache.private_folder() / "key.npy", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert cache.load("key") is None


def test_a_disk_without_room_is_found_out_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.allocate((1 << 50,)) is None
    assert not list(cache.private_folder().iterdir())


def test_every_damage_makes_an_entry_absent() -> None:
    def damaged(name: str, content: bytes) -> bool:
        cache.store("key", PIXELS, {})
        (cache.private_folder() / name).write_bytes(content)
        return cache.load("key") is None

    cache.store("key", PIXELS, {})
    whole = (cache.private_folder() / "key.npy").read_bytes()
    facts = (cache.private_folder() / "key.json").read_bytes()
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


def test_pickled_code_in_an_entry_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache.store("key", PIXELS, {})
    for content in (pickle.dumps(Evil()), _object_array()):
        (cache.private_folder() / "key.npy").write_bytes(content)
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
