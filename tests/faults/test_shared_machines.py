"""A machine with other users on it, and a browser with other pages in it."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from automl.data.sources import cache
from automl.run.folder import RunFolder

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 1, "--threads", 1, "--trials", 1]


class Answered(NamedTuple):
    """A status, headers with small names, and a body."""

    status: int
    headers: Mapping[str, str]
    body: str


class Served:
    """A dashboard that answers on 127.0.0.1."""

    def __init__(self, line: str):
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/dashboard/studies/(\d+))(\?token=\S+)? ", line)
        assert found, line
        self.port, self.page, self.token = int(found[1]), found[2], found[4] or ""
        self.study = f"/api/studies/{found[3]}"
        self.cookie = self.ask(self.page + self.token).headers.get("set-cookie", "").partition(";")[0]

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Answered:
        """Asks as a program would: only with the headers that are given; `Host=""` is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            headers = {"Host": f"127.0.0.1:{self.port}", "Accept-Encoding": "identity", **headers}
            for name, value in headers.items():
                if value:
                    connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Type", "application/json")
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(None if body is None else body.encode())
            answer = connection.getresponse()
            return Answered(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read().decode("utf-8", "replace"),
            )
        finally:
            connection.close()


@pytest.fixture(scope="module")
def run(digits_run: Any) -> Path:
    """A run that is only looked at."""
    return digits_run.path


@contextmanager
def dashboard(run: Path, *options: str) -> Iterator[Served]:
    """`automl dashboard RUN`, a process of its own that must end well on Ctrl-C."""
    command = [sys.executable, "-m", "automl", "dashboard", run, "--port", "0", "--no-browser", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield Served(server.stdout.readline())
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.communicate()


@pytest.fixture(scope="module")
def editable(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with dashboard(shutil.copytree(run, tmp_path_factory.mktemp("edited") / "run"), "--edit") as served:
        yield served


CHANGES = [
    ("POST", "/api/studies", '{"study_name": "mine", "directions": ["minimize"]}'),
    ("POST", "/api/studies/0/rename", '{"study_name": "mine"}'),
    ("PUT", "/api/studies/0/note", '{"version": 99, "body": "mine"}'),
    ("PUT", "/api/studies/0/0/note", '{"version": 99, "body": "mine"}'),
    ("POST", "/api/trials/0/user-attrs", '{"user_attrs": {"mine": 1}}'),
    ("DELETE", "/api/studies/0", "{}"),
]


def test_local_users_nobody_is_let_in_to_the_dashboard_without_the_token(editable: Served):
    for path in (editable.page, "/", editable.study, "/api/studies", "/csv/0", "/static/bundle.js", "/no/such"):
        for wrong in (path, f"{path}?token=", f"{path}?token=x", f"{path}?token={'%C3%A9' * 32}"):
            assert editable.ask(wrong).status == 403, wrong
        assert editable.ask(path, Cookie=f"automl-{editable.port}=x; other").status == 403
    for method, path, body in CHANGES:
        assert editable.ask(path, method, body).status == 403, path
        assert editable.ask(path + editable.token, method, body).status == 403, path  # the token is for looking
    assert "mine" not in editable.ask("/api/studies", Cookie=editable.cookie).body


def test_local_users_the_token_becomes_a_cookie_that_no_other_site_sends_and_no_script_reads(editable: Served):
    first = editable.ask(editable.page + editable.token)
    assert first.status == 200
    attributes = set(first.headers["set-cookie"].split("; ")[1:])
    assert attributes == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert f"url={editable.page}" in first.body  # goes on without the token
    assert "token" not in first.body
    cookies = f'bad cookie="; {editable.cookie}'  # another program's, in front
    assert editable.ask(editable.page, Cookie=cookies).status == 200
    study = editable.ask(editable.study, Cookie=cookies)
    assert len(json.loads(study.body)["trials"]) == 3


def test_local_users_nothing_is_changed_through_the_dashboard_without_edit(run: Path, editable: Served):
    with dashboard(run) as served:
        of_another = editable.cookie.replace(f"{editable.port}", f"{served.port}")
        assert served.ask(served.study, Cookie=of_another).status == 403
        for method, path, body in CHANGES:
            answer = served.ask(path, method, body, Cookie=served.cookie)
            assert answer.status == 403, path
            assert "--edit" in json.loads(answer.body)["reason"]
        (study,) = json.loads(served.ask("/api/studies", Cookie=served.cookie).body)["study_summaries"]
        assert study["study_name"] != "mine"


def test_local_users_with_edit_and_the_token_notes_are_written(editable: Served):
    before = json.loads(editable.ask(editable.study, Cookie=editable.cookie).body)["note"]["version"]
    note = json.dumps({"version": before + 1, "body": "mine"})
    assert editable.ask(f"{editable.study}/note", "PUT", note, Cookie=editable.cookie).status == 204
    assert json.loads(editable.ask(editable.study, Cookie=editable.cookie).body)["note"]["body"] == "mine"


def test_local_users_pages_of_other_sites_get_nothing_from_the_dashboard(editable: Served):
    here, mine = f"127.0.0.1:{editable.port}", {"Cookie": editable.cookie}
    assert editable.ask(editable.study, **mine).status == 200
    for host in ("", "rebound.example", f"{here},rebound.example", f"me@{here}", f"{here}.example", "[", "127.1"):
        assert editable.ask(editable.study, Host=host, **mine).status == 403, host
    for origin in ("null", "http://rebound.example", f"https://{here}", f"http://localhost:{editable.port}"):
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            assert editable.ask(editable.study, method, "{}", Origin=origin, **mine).status == 403, (origin, method)
    assert editable.ask(editable.study, Origin=f"http://{here}", **mine).status == 200
    tunnel = {"Host": "localhost:1", "Origin": "http://localhost:1"}
    study = json.loads(editable.ask(editable.study, **tunnel, **mine).body)
    trial = next(each for each in study["trials"] if each["artifacts"])
    (picture,) = trial["artifacts"]
    answer = editable.ask(f"/artifacts/{trial['study_id']}/{trial['trial_id']}/{picture['artifact_id']}", **mine)
    assert answer.status == 200
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_local_users_a_shared_cache_stays_open_to_others_and_their_entries_are_not_believed(automl, tmp_path: Path):
    rng = np.random.default_rng(0)
    for number in range(24):
        picture = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(picture)
    shared = tmp_path / "cache"
    shared.mkdir()
    shared.chmod(0o777)

    def fingerprint(out: str) -> str:
        assert automl("search", tmp_path / "photos", "--out", out, *SMALL, "--quiet").code == 0
        return RunFolder(out).read_record().data.fingerprint

    decoded = fingerprint("first")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777
    assert stat.S_IMODE(cache.private_folder().stat().st_mode) == 0o700
    (entry,) = cache.private_folder().glob("*.npy")
    pixels, facts = cache.load(entry.stem)
    assert cache.store(entry.stem, 255 - pixels, facts)  # whole, with its right checksum
    assert fingerprint("believed") != decoded  # as an entry of the user's own
    cache.private_folder().chmod(0o777)
    assert fingerprint("refused") == decoded
    assert stat.S_IMODE(cache.private_folder().stat().st_mode) == 0o777
