"""A PostgreSQL server of its own for a test, from Debian's binaries."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

USER, PASSWORD = "keeper", "sesame-open"


def find_binaries() -> Path | None:
    """The newest server's folder; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def why_not() -> str:
    """Why no server can be started here; empty when it can."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg is missing: {error}"
    if find_binaries() is None:
        return "no PostgreSQL server in /usr/lib/postgresql: apt-get install postgresql"
    return ""


def _own_user() -> dict[str, Any]:
    """Whom the server's processes belong to: initdb refuses to run as root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


@functools.cache
def empty_cluster(binaries: Path) -> Path:
    """The data of a server without databases of anybody's: made once, copied for each server."""
    # Not in tmp_path: nobody else may look into root's.
    folder = Path(tempfile.mkdtemp(prefix="automl-postgresql-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    word = folder / "word"
    word.write_text(PASSWORD)
    if user := _own_user():
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(word, "postgres", "postgres")
    made = subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", USER, f"--pwfile={word}",
         "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
        capture_output=True, text=True, cwd=folder, **user,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return folder / "data"


class Server:
    """A server on a free port of 127.0.0.1 that asks for a password; `url` is its database."""

    def __init__(self) -> None:
        binaries = find_binaries()
        assert binaries is not None
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="automl-postgresql-"))
        self.user = _own_user()
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        subprocess.run(["cp", "-a", empty_cluster(binaries), self.folder / "data"], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, seconds: float = 60.0) -> None:
        """Starts it and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", "",
                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=32MB"],
                stdout=log, stderr=log, cwd=self.folder, **self.user,
            )  # fmt: skip
        end = time.monotonic() + seconds
        while subprocess.run([self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"the server did not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops it; every client loses its connection. SIGQUIT: as a crash does."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def close(self) -> None:
        """Stops it and removes what it has kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
