"""Places at which a search can be killed or frozen, to test what becomes of it. Off unless `AUTOML_FAILPOINT` is set.

`AUTOML_FAILPOINT=checkpoint:3 automl search digits` dies by SIGKILL when it passes `checkpoint` for the third time;
with `ask:1:STOP:FILE` only the one worker is frozen that creates this file, in which its process id stands.
"""

from __future__ import annotations

import os
import signal
from typing import Literal, NamedTuple, get_args

from automl.errors import SettingsError

VARIABLE = "AUTOML_FAILPOINT"

Place = Literal["slot", "ask", "epoch", "checkpoint", "rename", "report", "tell", "told", "final"]
"""Where a process may be killed.

slot: a place of the budget is taken, its trial not yet asked for. ask: the trial is there, nothing is known of it yet.
epoch: trained and not reported. report: reported. checkpoint: before one is written. rename: a file is written under
its temporary name. tell: a trial's facts are written, and Optuna is not told. told: it is. final: before the final fit.
"""

SIGNALS = {"KILL": signal.SIGKILL, "STOP": signal.SIGSTOP}


class Failpoint(NamedTuple):
    """Sends `signal` to this process when it passes `place` for the `nth` time.

    With `once` (a path) only to the first process of all: that which creates this file.
    """

    place: str
    nth: int
    signal: signal.Signals = signal.SIGKILL
    once: str = ""


def parse_failpoint(text: str) -> Failpoint:
    """The failpoint written as PLACE:NTH, PLACE:NTH:SIGNAL or PLACE:NTH:SIGNAL:FILE. Raises `SettingsError`."""
    place, nth, name, once = (*text.split(":", 3), "", "", "")[:4]
    if place not in get_args(Place) or not nth.isdecimal() or int(nth) < 1 or (name or "KILL") not in SIGNALS:
        raise SettingsError(
            f"${VARIABLE} {text}: must be PLACE:NTH[:SIGNAL[:FILE]]; PLACE is one of {', '.join(get_args(Place))}, "
            f"SIGNAL one of {', '.join(SIGNALS)}"
        )
    return Failpoint(place, int(nth), SIGNALS[name or "KILL"], once)


_failpoint = parse_failpoint(text) if (text := os.environ.get(VARIABLE)) else None
_passed = 0


def passing(place: Place) -> None:
    """Says that this place is passed; kills or freezes the process when it was told to."""
    if _failpoint is None or _failpoint.place != place:
        return
    global _passed
    _passed += 1
    if _passed == _failpoint.nth and _is_first(_failpoint.once):
        os.kill(os.getpid(), _failpoint.signal)


def _is_first(once: str) -> bool:
    if not once:
        return True
    try:
        with open(once, "x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True
