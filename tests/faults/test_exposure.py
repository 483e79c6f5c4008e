"""What must not get out: a dashboard on a network, and the password of a storage."""

from __future__ import annotations

import importlib.util
import re
import shutil
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 1, "--threads", 1, "--trials", 2]


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "bars.npz", x=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), y=np.arange(60) % 2)
    return tmp_path / "bars.npz"


@pytest.fixture
def run(digits_run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_run.path, tmp_path / "run"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org", socket.gethostname()])
def test_dashboard_exposure_an_address_that_others_reach_is_refused(automl, run, host):
    answer = automl("dashboard", run, "--host", host)
    assert answer.code == 2
    assert f"--host {host}: others can reach this address" in answer.err
    assert "--no-login-i-know" in answer.err
    assert answer.out == ""


def listening_on(port: int) -> list[str]:
    """The local addresses, in the kernel's hexadecimal, of all sockets that listen on a port."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return [line[1].rpartition(":")[0] for line in lines if line[3] == "0A" and line[1].endswith(f":{port:04X}")]


def ask(port: int, host: str) -> int:
    """The status with which a request for this `Host` is answered."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/studies", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("options", "addresses", "numbers"),
    [
        (["--no-login-i-know"], ["0100007F"], 403),
        pytest.param(["--host", "localhost", "--no-login-i-know"], ["0100007F"], 403, marks=pytest.mark.slow),
        pytest.param(["--host", "0.0.0.0", "--no-login-i-know"], ["00000000"], 200, marks=pytest.mark.slow),
    ],
)
def test_dashboard_exposure_it_listens_on_loopback_unless_told_twice(start, run, options, addresses, numbers):
    server = start("dashboard", run, "--port", 0, "--no-browser", *options)
    try:
        line = server.stdout.readline()
        found = re.search(r"http://[^:/]+:(\d+)", line)
        assert found, line + server.communicate()[1]
        port = int(found[1])
        assert listening_on(port) == addresses
        assert ask(port, f"127.0.0.1:{port}") == ask(port, f"localhost:{port}") == 200
        assert ask(port, "192.0.2.7") == numbers  # by its number, as from another machine
        assert ask(port, "rebound.example") == 403  # a page on the internet, whose name points here
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.communicate()


SECRET = "s3cret%2Fsesame"
SHOWN = ("s3cret", "sesame")  # its parts: a half of a password is too much


def assert_hidden(*texts: str | bytes) -> None:
    for text in texts:
        raw = text.encode() if isinstance(text, str) else text
        assert [part for part in SHOWN if part.encode() in raw] == []


BAD_URLS = {
    "no driver of this name": f"nosuch://me:{SECRET}@127.0.0.1/db",
    "a driver that is not installed": f"mysql+mysqldb://me:{SECRET}@127.0.0.1/db",
    "a port that is no number": f"postgresql://me:{SECRET}@127.0.0.1:port/db",
    "an @ in the password": f"postgresql://me:{SECRET.replace('%2F', '@')}@127.0.0.1/db",
    "a / in the password": f"nosuch://me:{SECRET.replace('%2F', '/')}@127.0.0.1/db",
    "a # in the password": f"nosuch://me:{SECRET.replace('%2F', '#')}@127.0.0.1/db",
    "one slash": f"postgresql:/me:{SECRET}@127.0.0.1/db",
    "no scheme": f"me:{SECRET}@127.0.0.1/db",
    "a password as an option": f"nosuch://127.0.0.1/db?password={SECRET}",
    "an option of the wrong kind": f"sqlite:///study.db?timeout=soon&password={SECRET}",
    "SQLite with a login": f"sqlite://me:{SECRET}@127.0.0.1/study.db",
}


@pytest.mark.parametrize("given", ["option", "environment"])
@pytest.mark.parametrize("wrong", BAD_URLS)
def test_secret_leak_a_url_that_is_no_good_is_refused_without_its_password(
    automl, bars, empty_folder, monkeypatch, wrong, given
):
    if given == "environment":
        monkeypatch.setenv("AUTOML_STORAGE", BAD_URLS[wrong])
    storage = ["--storage", BAD_URLS[wrong]] if given == "option" else []
    answer = automl("search", bars, "--out", "run", *SMALL, *storage)
    assert answer.code == 2, answer.err
    assert "--storage" in answer.err
    assert "Traceback" not in answer.err
    assert_hidden(answer.err, answer.out)
    assert not list(empty_folder.iterdir())


def test_secret_leak_a_storage_that_does_not_answer_is_told_without_its_password(automl, bars, empty_folder, tmp_path):
    urls = [f"sqlite:///file:{tmp_path}/nowhere/study.db?uri=true&password={SECRET}"]
    if importlib.util.find_spec("psycopg"):
        urls.append(f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db")
    for url in urls:
        answer = automl("search", bars, "--out", "run", *SMALL, "--storage", url)
        assert answer.code == 3, answer.err
        assert "does not answer" in answer.err
        assert "Traceback" not in answer.err
        assert_hidden(answer.err, answer.out)
        assert not list(empty_folder.iterdir())


@pytest.mark.parametrize("given", ["option", "environment"])
def test_secret_leak_a_whole_search_leaves_the_password_nowhere(automl, bars, tmp_path, monkeypatch, given):
    # SQLite lets an option pass that it does not know: a database with a password, for which no server is needed.
    url = f"sqlite:///file:{tmp_path}/study.db?uri=true&password={SECRET}"
    run = tmp_path / "run"
    monkeypatch.setenv("AUTOML_STORAGE", url)
    storage = []
    if given == "option":
        monkeypatch.delenv("AUTOML_STORAGE")
        storage = ["--storage", url]
    answer = automl("search", bars, "--out", run, *SMALL, *storage)
    assert answer.code == 0, answer.err
    monkeypatch.delenv("AUTOML_STORAGE", raising=False)
    refused = automl("resume", run)  # without the password
    assert refused.code == 2
    assert "passwords are not kept" in refused.err
    assert_hidden(answer.out, answer.err, refused.out, refused.err)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.yaml", "report.html", "model.json"} <= {path.name for path in files}
    assert_hidden(*(path.read_bytes() for path in files))
    assert "password=***" in (run / "run.yaml").read_text()


TOKENS = ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "DATABASE_URL", "MY_TOKEN")


@pytest.mark.slow
def test_secret_leak_tokens_in_the_environment_stand_nowhere_in_a_run(automl, bars, tmp_path, monkeypatch):
    tokens = {name: f"tok3n-{name.lower()}-0f9a" for name in TOKENS}
    for name, token in tokens.items():
        monkeypatch.setenv(name, token)
    answer = automl("search", bars, "--out", tmp_path / "run", "--workers", 2, *SMALL)
    assert answer.code == 0, answer.err
    again = automl("report", tmp_path / "run", "--out", tmp_path / "report.html")
    assert again.code == 0, again.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    written = {str(path): path.read_bytes() for path in files}
    written |= {"what was printed": (answer.out + answer.err + again.out + again.err).encode()}
    assert not [(name, place) for place, text in written.items() for name in TOKENS if tokens[name].encode() in text]
