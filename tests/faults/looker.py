"""Runs commands of automl, one process each.

Its parent sends a line of JSON for each, `{"arguments": [...], "folder": "...", "environment": {...}}`, and gets one
back: the exit code, the seconds of CPU, the peak of the memory in MiB, and what was printed. All is imported before,
so that a command takes as long as its work. The dashboard is asked for its study and then stopped.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from importlib import import_module
from typing import Any

PATIENCE = 100  # seconds of the clock: on a busy machine a command waits for its turn


def look(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    failpoint: str = "",
    largest: int | None = None,
) -> dict[str, Any]:
    """Runs `automl ARGUMENTS` in the folder, in a process of its own with these variables.

    failpoint: where it dies. largest: bytes that a file may have which it writes, as on a disk that is full.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if process == 0:
            os.environ.update(environment)
            tempfile.tempdir = None  # was found by the parent's
            _become(arguments, folder, out.fileno(), err.fileno(), failpoint, largest)
        answered = _ask_dashboard(process, out.fileno()) if arguments[0] == "dashboard" else ""
        _, status, used = os.wait4(process, 0)
        seconds = used.ru_utime + used.ru_stime
        texts = [os.pread(file.fileno(), 1 << 22, 0).decode(errors="replace") for file in (out, err)]
    code = os.waitstatus_to_exitcode(status)
    megabytes = used.ru_maxrss >> 10
    return {"code": code, "seconds": seconds, "memory": megabytes, "out": texts[0], "err": texts[1], "page": answered}


def _become(arguments: list[str], folder: str, out: int, err: int, failpoint: str, largest: int | None) -> None:
    from automl import failpoints
    from automl.cli import main

    if failpoint:
        failpoints._failpoint = failpoints.parse_failpoint(failpoint)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    signal.alarm(PATIENCE)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(folder)
    in_use = int(re.search(r"VmSize:\s+(\d+)", open("/proc/self/status").read())[1]) << 10  # type: ignore[index]  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (3 << 30),) * 2)  # what is too much is measured; the machine lives
    sys.argv = ["automl", *arguments]
    code = 1
    try:
        main()
        code = 0
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ask_dashboard(process: int, out: int) -> str:
    """What the dashboard answers about its study; "" where the command has ended before."""
    end, found = time.monotonic() + PATIENCE, None
    while not found and time.monotonic() < end:
        found = re.search(r"127\.0\.0\.1:(\d+)/dashboard/studies/(\d+)(\S+)", os.pread(out, 4096, 0).decode())
        if not found and os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return ""
        time.sleep(0.005)
    if not found:
        return ""
    answer = ""
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=PATIENCE)
    try:
        connection.request("GET", f"/api/studies/{found[2]}{found[3]}")
        answer = f"{(response := connection.getresponse()).status} {response.read()[:200]!r}"
    except OSError as error:
        answer = str(error)
    os.kill(process, signal.SIGINT)
    return answer


def preload() -> None:
    """Imports what the commands import when they run."""
    for name in (
        "matplotlib.backends.backend_agg", "optuna_dashboard", "pandas", "scipy.stats", "sklearn.metrics",
        "torch._dynamo", "torch._inductor", "automl.cli", "automl.api", "automl.results.dashboard",
        "automl.models.evaluate", "automl.models.export", "automl.models.predict", "automl.results.report",
    ):  # fmt: skip
        import_module(name)

    import torch
    from PIL import Image

    from automl.hooks.host import load_plugins

    torch.set_num_threads(1)
    Image.init()
    load_plugins()


if __name__ == "__main__":
    preload()
    for line in sys.stdin:
        print(json.dumps(look(**json.loads(line))), flush=True)
