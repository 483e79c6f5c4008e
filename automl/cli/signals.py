"""Signals: the first one stops a search in an orderly way, a second one at once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


class Signals:
    """Remembers the first SIGINT, SIGTERM or SIGHUP. `interrupted` is what a search asks before each batch."""

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> Signals:
        self._old = {s: signal.signal(s, self._receive) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        print(f"\n{signal.Signals(number).name}: stopping; once more to stop at once", file=sys.stderr, flush=True)

    def interrupted(self) -> bool:
        """Whether a signal has come."""
        return self.received != 0
