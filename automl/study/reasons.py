"""Why a trial ended as it did, as its record says."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a trial that was pruned, that completed early, or that still races."""

    OUTPACED = "outpaced"  # others are better
    DEADLINE = "deadline"  # it would have gone on, had there been time
    OVERFITTING = "overfitting"  # it memorises
    DIVERGED = "diverged"  # its loss is not finite
    INFEASIBLE = "infeasible"  # it cannot run: shape, memory, size
    EARLY_STOPPED = "early-stopped"  # complete: it began to memorise, and was good enough before
    WAITING = "waiting"  # for its promotion, or on its way


BROKEN = (Reason.DIVERGED, Reason.INFEASIBLE)
"""Configs that cannot be trained: their scores, where they have any, are those of a training that broke off."""

VIOLATION = 1e9
"""The constraint of a broken config: above that of any overfitting one, so that samplers rank it last."""
