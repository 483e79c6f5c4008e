"""How the networks for tables take in columns: numbers as they are or embedded, categories one-hot or embedded.

Embeddings of numbers after Gorishniy, Rubachev and Babenko (2022), 'On embeddings for numerical features in tabular
deep learning'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from automl import Choice, Float, InputColumn, Int

NUMBERS = Choice("piecewise", "periodic", "plain")
BINS = Int(8, 128, log=True, when={"numbers": "piecewise"})
EMBEDDING = Int(4, 32, log=True, when={"numbers": ("piecewise", "periodic")})
FREQUENCY = Float(0.01, 1.0, log=True, when={"numbers": "periodic"})
"""What a search may choose of it; the arguments of `Columns`."""

ONE_HOT = 30  # values up to which a category has an input for each; of more it has an embedding
FAR = 3.0
PERIODS = 24  # frequencies of a periodic embedding: half of those of the paper, which a CPU would feel


class PiecewiseLinear(nn.Module):
    """[b, n] -> [b, n, bins]: where in each bin of its column a number lies (the paper's section 3.2), as hats.

    The paper's encoding is 1 for all bins below the number and linear in its own. Here neighbours are subtracted, so
    that a number touches two inputs only, with shares that add up to 1: the same functions, but what is learnt of one
    value is not learnt of all above it too. On `star`, where schools are numbered, that matters.

    Bins end at the quantiles of the training part, or at each distinct value where there are few.
    """

    edges: Tensor
    width: Tensor

    def __init__(self, columns: int, bins: int):
        super().__init__()
        edges = torch.special.ndtri(torch.linspace(0.01, 0.99, bins)).expand(columns, bins).clone()
        self.register_buffer("edges", edges)
        self.register_buffer("width", edges.diff(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """The shares of the edges: [b, n, bins]."""
        share = ((x.unsqueeze(-1) - self.edges[:, :-1]) / self.width).clamp(0, 1)
        first, last = 1 - share[..., :1], share[..., -1:]
        return torch.cat([first, share[..., :-1] - share[..., 1:], last], -1)

    def fit(self, x: Tensor) -> None:
        """Takes the bins from the training part [m, n]. Those that a column does not need are never touched."""
        bins = self.edges.shape[1]
        for place, column in enumerate(x.double().unbind(1)):
            distinct: Tensor = torch.unique(column)
            if len(distinct) > bins:
                ordered = column.sort().values
                ranks = torch.linspace(0, len(ordered) - 1, bins).round().long()
                distinct = torch.unique(ordered[ranks])
            above = distinct[-1] + 1.0 + torch.arange(bins - len(distinct)).double()
            self.edges[place] = torch.cat([distinct, above]).to(self.edges)
        self.width.copy_(self.edges.diff(dim=1).clamp_min(1e-6))


class Periodic(nn.Module):
    """[b, n] -> [b, n, 2 * PERIODS]: sines and cosines of learnt frequencies (the paper's section 3.3)."""

    def __init__(self, columns: int, frequency: float):
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(columns, PERIODS))
        bound = 3 * frequency  # as the authors: a rare very high one would make the column a noise
        nn.init.trunc_normal_(self.frequencies, std=frequency, a=-bound, b=bound)

    def forward(self, x: Tensor) -> Tensor:
        """Sines and cosines, [b, n, 2 * PERIODS]."""
        angles = 2 * math.pi * self.frequencies * x.unsqueeze(-1)
        return torch.cat([angles.cos(), angles.sin()], -1)


class Numbers(nn.Module):
    """[b, n] -> [b, n, size]: each number embedded with weights of its column's own; `plain`: as it is, of size 1.

    A piecewise linear embedding is a line plus what the bins add, which begins as nothing (version B of the authors'
    package `rtdl_num_embeddings`). The line levels off at `FAR` deviations, for what lies far outside of the training
    part is mostly a slip of the pen: a diamond 59 mm wide was priced at ten million. A periodic one ends with ReLU, as
    the paper's PLR does.
    """

    def __init__(self, count: int, numbers: str, bins: int, embedding: int, frequency: float):
        super().__init__()
        self.size = 1 if numbers == "plain" else embedding
        self.encode: PiecewiseLinear | Periodic | None = None
        if numbers == "piecewise":
            self.encode, encoded = PiecewiseLinear(count, bins), bins
        elif numbers == "periodic":
            self.encode, encoded = Periodic(count, frequency), 2 * PERIODS
        if self.encode is not None:
            self.offset = nn.Parameter(torch.empty(count, embedding).uniform_(-1, 1))
            self.weight = nn.Parameter(torch.zeros(count, encoded, embedding))
        if numbers == "piecewise":
            self.slope = nn.Parameter(torch.empty(count, embedding).uniform_(-1, 1))
        elif numbers == "periodic":
            nn.init.uniform_(self.weight, -(encoded**-0.5), encoded**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """The embeddings [b, n, size]."""
        if self.encode is None:
            return x.unsqueeze(-1)
        added = torch.bmm(self.encode(x).transpose(0, 1), self.weight.to(x.dtype)).transpose(0, 1)
        if isinstance(self.encode, Periodic):
            return torch.relu(added + self.offset)
        near = x * torch.rsqrt(1 + (x / FAR) ** 2)
        return torch.addcmul(self.offset, near.unsqueeze(-1), self.slope) + added


class Columns(nn.Module):
    """[b, columns], see `automl.InputColumn`, -> [b, width]: embedded numbers, then categories."""

    def __init__(
        self, columns: Sequence[InputColumn], numbers: str, bins: int = 48, embedding: int = 12, frequency: float = 0.1
    ):
        super().__init__()
        self._numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
        categories = [(place, column.cardinality) for place, column in enumerate(columns) if column.kind != "number"]
        self._one_hot = [(place, size) for place, size in categories if size <= ONE_HOT]
        self._embedded = [place for place, size in categories if size > ONE_HOT]
        self.numbers = Numbers(len(self._numbers), numbers, bins, embedding, frequency)
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, category_width(size)) for _, size in categories if size > ONE_HOT
        )
        self.chunks = [self.numbers.size] * len(self._numbers)
        self.chunks += [size for _, size in self._one_hot]
        self.chunks += [category_width(size) for _, size in categories if size > ONE_HOT]

    @property
    def width(self) -> int:
        """Of the output; `chunks` are the parts of it that come from one column each."""
        return sum(self.chunks)

    def forward(self, x: Tensor) -> Tensor:
        """All columns as one vector, [b, width]."""
        parts = [self.numbers(x[:, self._numbers]).flatten(1)] if self._numbers else []
        for place, size in self._one_hot:
            parts.append((x[:, place : place + 1] == torch.arange(size, device=x.device)).to(x.dtype))
        for place, embedding in zip(self._embedded, self.embeddings, strict=True):
            parts.append(embedding(x[:, place].long()).to(x.dtype))
        return torch.cat(parts, 1)

    def fit(self, x: Tensor) -> None:
        """Takes bins from the training part [m, columns]."""
        if isinstance(self.numbers.encode, PiecewiseLinear):
            self.numbers.encode.fit(x[:, self._numbers])


def category_width(values: int) -> int:
    """Inputs of a category that is embedded: fastai's rule of thumb, 1.6 n^0.56."""
    return int(min(50, 1.6 * values**0.56))
