"""When the workers of a search are given up: after the race, and only where they show no life or no time is left."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from automl.scheduling.deadline import Budget
from automl.workers.shared_leases import SharedLeases
from automl.workers.supervisor import Workers

GRACE = 0.3
CONTEXT: Any = SimpleNamespace(settings=SimpleNamespace(trial_timeout=None))


@pytest.fixture
def watched():
    """`watched(timeout)`: (the supervision of a worker whose colleague found the race over, that worker's leases)."""
    study = optuna.create_study()
    worker = SharedLeases(study._storage, study.study_name, "slow", GRACE)
    worker.enter()
    unused: Any = None

    def begin(timeout: float | None) -> tuple[Workers, SharedLeases]:
        workers = Workers(CONTEXT, unused, study, unused, Budget.of(1, timeout), unused, GRACE)
        workers.over = time.monotonic() - 2 * GRACE
        launched: Any = SimpleNamespace(name="slow", number=1)
        workers.running = [launched]
        return workers, worker

    return begin


def test_a_worker_that_still_trains_is_waited_for_however_long_the_others_have_ended(watched):
    workers, worker = watched(None)
    for _ in range(8):
        assert not workers._others_hang()
        time.sleep(GRACE / 4)
        worker.beat()


def test_one_that_shows_no_life_for_the_grace_is_not(watched):
    workers, _ = watched(None)
    assert not workers._others_hang()
    time.sleep(1.5 * GRACE)
    assert workers._others_hang()


def test_nor_is_one_beyond_the_deadline(watched):
    workers, _ = watched(0.0)
    assert workers._others_hang()
