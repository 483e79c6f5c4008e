"""Every exception of automl.

`exit_code` is what the command line returns for it: 1 no trial succeeded, 2 bad input (nothing was started, nothing was
written), 3 the machine failed and the run can be resumed, 130 stopped from Python (a signal has 128 and its number).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `name`: the nearest known name, or all of them.

    >>> did_you_mean("widht", ["depth", "width"])
    "; did you mean 'width'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; known: {shown}"


class AutomlError(Exception):
    """Base of all errors that automl raises on purpose."""

    exit_code = 1


class BadInput(AutomlError):
    """A mistake in what the user gave: options, files, data. Raised before anything is started or written."""

    exit_code = 2


class SettingsError(BadInput):
    """An option of the command line or an argument of `automl.search` has a value that cannot be used."""


class SpaceError(BadInput):
    """A search space is wrong. `place` says where, e.g. `space.yaml:4: architectures.lenet.depth`."""

    def __init__(self, place: str, problem: str):
        super().__init__(f"{place}: {problem}" if place else problem)
        self.place = place
        self.problem = problem


class PluginError(BadInput):
    """A plugin is broken. `plugin` is its name, `source` its file, `line` where in it (0: unknown)."""

    def __init__(self, plugin: str, source: str, line: int, problem: str):
        place = f"{source}:{line}" if line else source
        super().__init__(f"plugin '{plugin}' ({place}): {problem}" if place else f"plugin '{plugin}': {problem}")
        self.plugin = plugin
        self.source = source
        self.line = line
        self.problem = problem


class DataError(BadInput):
    """The data cannot be used. The message names the file, array, column, row or class."""


class BadImage(DataError):
    """One image file cannot be used; the message says why, without the file's name."""


class RunError(BadInput):
    """A run folder is missing, damaged, busy, or was made from other settings than those given now."""


class Infeasible(AutomlError):
    """This config cannot run (shape, memory, size). Plugins raise it from `build`; the trial is PRUNED and the search
    goes on."""


class TrialFailed(AutomlError):
    """This trial failed; the search goes on. `reason` is what its record says."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class NonFinite(AutomlError):
    """A loss that is NaN or infinite at `fold` and `epoch` (both from 1): the trial is PRUNED, for it has diverged."""

    def __init__(self, what: str, fold: int, epoch: int):
        super().__init__(f"non-finite at fold {fold}, epoch {epoch} ({what})")
        self.what = what
        self.fold = fold
        self.epoch = epoch


class NoTrialSucceeded(AutomlError):
    """The search ended without a single usable trial. The message shows the cause once."""

    exit_code = 1


class ExportFailed(AutomlError):
    """A model cannot be exported, or its export gives other outputs than the model. Nothing was written."""

    exit_code = 1


class MachineFailed(AutomlError):
    """The machine failed (disk full, storage gone). `run` is the folder of the run to resume, where there is one."""

    exit_code = 3
    run: Path | None = None


class LeaseLost(AutomlError):
    """Another worker has taken this one's climb over, for it seemed dead."""


class Stop(AutomlError):
    """Training stops here; the trial keeps its last checkpoint and goes on waiting."""


class OutOfTime(Stop):
    """The deadline has passed."""


class Interrupted(Stop):
    """Who started the search wants it to stop: a signal, or the `interrupted` of `automl.search`.

    `run` is the folder of the run, to be resumed; None where nothing was begun yet.
    """

    exit_code = 130
    run: Path | None = None

    def __str__(self) -> str:
        if self.run is None:
            return "stopped before the search began"
        return f"the search was stopped; automl.resume({str(self.run)!r}) goes on with it"
