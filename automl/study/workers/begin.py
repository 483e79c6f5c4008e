"""How a worker process begins: with an eye on its parent, for the imports of PyTorch take seconds.

    python -m automl.study.workers.begin RUN PARENT     with the worker's `Order` as a line of JSON on stdin

PARENT is the number of the process that started it. A worker whose parent died in that time would go on to the end of
its imports before it could see so.
"""

from __future__ import annotations

import os
import sys
import threading

LOOK_EVERY = 0.2  # seconds


def main() -> int:
    """Imports and runs the worker (`worker.main`); ends the process at once when the parent dies before it runs."""
    begun = threading.Event()
    threading.Thread(target=_watch, args=(int(sys.argv[2]), begun), daemon=True).start()
    from automl.study.workers import worker

    begun.set()  # from here on the worker itself sees the end of its standard input, and gives back what it holds
    return worker.main()


def _watch(parent: int, begun: threading.Event) -> None:
    while not begun.wait(LOOK_EVERY):
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at once: threads of torch and of the storage have nothing left to do
