"""The scores at one rung, kept in their order."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge


class Board:
    """Who has which score (lower is better) at a rung, within which family.

    Thousands of trials are asked for their best again and again, so they are not sorted anew each time.
    """

    def __init__(self) -> None:
        self._members: dict[str, list[tuple[float, int]]] = {}  # by family: (score, trial), best first
        self._known: dict[int, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def put(self, trial: int, family: str, score: float) -> None:
        """Enters a trial's score, in the place of an earlier one."""
        if self._known.get(trial) != (family, score):
            self.drop(trial)
            self._known[trial] = family, score
            insort(self._members.setdefault(family, []), (score, trial))

    def drop(self, trial: int) -> None:
        """Takes a trial's score away, if it has one."""
        if trial in self._known:
            family, score = self._known.pop(trial)
            members = self._members[family]
            del members[bisect_left(members, (score, trial))]

    def others(self, trial: int, family: str) -> list[float]:
        """The scores of a family without that of the trial, best first."""
        return [score for score, member in self._members.get(family, []) if member != trial]

    def leader(self, fewer_than: float, ahead: float) -> int | None:
        """The trial with the best score of all, if its family has fewer members and it is so far ahead of all other
        families, as a share of the best score there.
        """
        families = sorted(filter(None, self._members.values()), key=lambda members: members[0])
        if len(families) < 2 or len(families[0]) >= fewer_than:
            return None
        (score, trial), (other, _) = families[0][0], families[1][0]
        return trial if score <= other - ahead * abs(other) else None

    def ranked(self) -> Iterator[int]:
        """The trials by their rank within their family, as a share of its size; then by score."""
        return (trial for _, _, trial in merge(*map(_shares, self._members.values())))


def _shares(members: list[tuple[float, int]]) -> Iterator[tuple[float, float, int]]:
    for rank, (score, trial) in enumerate(members, 1):
        yield rank / (len(members) + 1), score, trial
