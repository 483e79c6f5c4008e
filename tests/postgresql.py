"""A PostgreSQL server of its own for a test, from Debian's binaries."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

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


class Server:
    """A server on a free port of 127.0.0.1 that asks for a password; `url` is its database."""

    def __init__(self) -> None:
        binaries = find_binaries()
        assert binaries is not None
        self.binaries = binaries
        # Not in tmp_path: initdb refuses to run as root, and nobody else may look into root's.
        self.folder = Path(tempfile.mkdtemp(prefix="automl-postgresql-"))
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None
        self._initialise()
        self.start()

    def _initialise(self) -> None:
        word = self.folder / "word"
        word.write_text(PASSWORD)
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(word, "postgres", "postgres")
        made = subprocess.run(
            [self.binaries / "initdb", "-D", self.folder / "data", "-U", USER, f"--pwfile={word}",
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
            capture_output=True, text=True, cwd=self.folder, **self.user,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

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
