"""Networks whose answers are known, as those of a fold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from automl.conclude.out_of_fold import FoldNetwork
from automl.data.table_columns import TableColumn
from automl.data.table_inputs import TableInputs
from automl.data.tables.features import numbers
from automl.models.modules import Standardised


class Known(nn.Module):
    """A network that computes `of` of its inputs [b, columns]."""

    def __init__(self, of: Callable[[Tensor], Tensor]):
        super().__init__()
        self.of = of

    def forward(self, x: Tensor) -> Tensor:
        return self.of(x)


def fold_of(of: Callable[[Tensor], Tensor], x: np.ndarray, y: np.ndarray, number: int = 0) -> FoldNetwork:
    """A fold whose network is given rows as they are; a regression where `y` is [n, 1]."""
    scale = (torch.zeros(1, 1), torch.ones(1, 1)) if y.ndim == 2 else ()
    module = Standardised(Known(of), TableInputs(numbers(x.shape[1])), *scale).eval()
    return FoldNetwork(number, module, x, y)


def columns_of(names: str) -> list[TableColumn]:
    """A column of numbers for each letter."""
    return [TableColumn(name, "number", (place,)) for place, name in enumerate(names)]
