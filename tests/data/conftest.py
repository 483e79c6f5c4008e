from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Not in tmp_path, which some tests use as the folder of images itself.
    folder = tmp_path_factory.mktemp("home") / "cache"
    monkeypatch.setenv("AUTOML_CACHE", str(folder))
    return folder
