"""How a worker process begins: with an eye on its parent, for the imports of PyTorch take seconds.

    python -m automl.study.workers.begin RUN PARENT [SOCKET]

PARENT is the number of the process that started it. A worker whose parent died in that time would go on to the end of
its imports before it could see so. The worker's `Order` comes as a line of JSON on stdin. With SOCKET, the number of an
open file, this is the fork server of such workers (`study.workers.fork_server`).
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module

LOOK_EVERY = 0.2  # seconds
IMPORTED_LATER = ("torch._dynamo", "torchvision")  # by torch's first optimizer, and by plugins


def main() -> int:
    """Imports and runs the worker (`worker.main`); ends the process at once when the parent dies before it runs."""
    begun = threading.Event()
    watching = threading.Thread(target=_watch, args=(int(sys.argv[2]), begun), daemon=True)
    watching.start()
    from automl.study.workers import worker
    from automl.study.workers.fork_server import serve

    forked = sys.argv[3:]
    for module in IMPORTED_LATER if forked else ():
        with suppress(Exception):  # the trial that needs it tells
            import_module(module)
    begun.set()  # from here on the worker itself sees the end of its standard input, and gives back what it holds
    watching.join()
    if not forked:
        return worker.main()
    serve(socket.socket(fileno=int(forked[0])), worker.main)
    return 0


def _watch(parent: int, begun: threading.Event) -> None:
    while not begun.wait(LOOK_EVERY):
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at once: threads of torch and of the storage have nothing left to do
