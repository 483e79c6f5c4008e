"""Units: samples that belong together, of one group or of identical images, and stand on one side of each split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automl.data.dataset import Dataset

Indices = NDArray[np.int64]


def units_of(dataset: Dataset) -> Indices:
    """int64 [n]: 0..units-1, equal for samples that stay together: one group, or groups tied by a shared image."""
    if dataset.groups is None:
        units: Indices = np.unique(dataset.twins, return_inverse=True)[1]
        return units
    _, group = np.unique(dataset.groups, return_inverse=True)
    # Each copy ties its group to the group of the first copy; a unit is a connected component of these ties.
    ties = np.stack([group, group[dataset.twins]], axis=1)[group != group[dataset.twins]]
    parent = list(range(int(group.max()) + 1))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for a, b in np.unique(ties, axis=0).tolist():
        parent[root(a)] = root(b)
    roots = np.array([root(member) for member in range(len(parent))], dtype=np.int64)
    merged: Indices = np.unique(roots, return_inverse=True)[1][group]
    return merged
