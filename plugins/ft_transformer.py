"""FT-Transformer: a table's columns as the tokens of a transformer.

Gorishniy, Rubachev, Khrulkov and Babenko (2021), 'Revisiting deep learning models for tabular data', section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl import Architecture, Float, InputColumn, Int, architecture, hookimpl

HEADS = 8


class Tokens(nn.Module):
    """[b, columns] -> [b, 1 + columns, size]: a token that is learnt, and one of each column.

    A number's is its value times a vector, plus its column's; a category's is that of its value, plus its column's.
    """

    def __init__(self, columns: Sequence[InputColumn], size: int):
        super().__init__()
        bound = size**-0.5
        self._numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
        self._categories = [place for place, column in enumerate(columns) if column.kind != "number"]
        self.first = nn.Parameter(torch.empty(1, 1, size).uniform_(-bound, bound))
        self.slope = nn.Parameter(torch.empty(len(self._numbers), size).uniform_(-bound, bound))
        self.offset = nn.Parameter(torch.empty(len(columns), size).uniform_(-bound, bound))
        self.embeddings = nn.ModuleList(nn.Embedding(columns[place].cardinality, size) for place in self._categories)
        for embedding in self.embeddings:
            nn.init.uniform_(embedding.weight, -bound, bound)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """The tokens, the learnt one first."""
        tokens = [x[:, self._numbers].unsqueeze(-1) * self.slope]
        for place, embedding in zip(self._categories, self.embeddings, strict=True):
            tokens.append(embedding(x[:, place].long()).unsqueeze(1).to(x.dtype))
        return torch.cat([self.first.expand(len(x), -1, -1), torch.cat(tokens, 1) + self.offset], 1)


class Block(nn.Module):
    """Attention of the tokens to each other, then a ReGLU layer; each is added to what was there.

    `first`: the attention of the first block has no normalisation before it, which the authors found to matter.
    `last`: only the first token goes on, for it alone is looked at.
    """

    def __init__(self, size: int, attention_dropout: float, dropout: float, first: bool, last: bool):
        super().__init__()
        self.last = last
        self.attention_dropout = attention_dropout
        hidden = 2 * (4 * size // 6)  # 4/3 of the size, even
        self.norm = nn.Identity() if first else nn.LayerNorm(size)
        self.query, self.key_value, self.out = nn.Linear(size, size), nn.Linear(size, 2 * size), nn.Linear(size, size)
        self.norm_hidden = nn.LayerNorm(size)
        self.hidden, self.back = nn.Linear(size, 2 * hidden), nn.Linear(hidden, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[b, tokens, size]; of the last block [b, 1, size]."""
        normal = self.norm(x)
        x, asking = (x[:, :1], normal[:, :1]) if self.last else (x, normal)
        of_all: tuple[Tensor, ...] = self.key_value(normal).chunk(2, -1)
        query, key, value = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in (self.query(asking), *of_all))
        dropped = self.attention_dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, dropout_p=dropped)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        value, gate = self.hidden(self.norm_hidden(x)).chunk(2, -1)
        output: Tensor = x + self.back(self.dropout(value * torch.relu(gate)))
        return output


class FTTransformer(nn.Module):
    """Tokens, `depth` blocks, and a linear layer on the first token: [b, columns] -> [b, outputs]."""

    def __init__(
        self,
        columns: Sequence[InputColumn],
        outputs: int,
        depth: int,
        size: int,
        attention_dropout: float,
        dropout: float,
    ):
        super().__init__()
        self.tokens = Tokens(columns, size)
        self.blocks = nn.Sequential(
            *(Block(size, attention_dropout, dropout, n == 0, n == depth - 1) for n in range(depth))
        )
        self.head = nn.Sequential(nn.LayerNorm(size), nn.ReLU(), nn.Linear(size, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The output, [b, outputs]."""
        output: Tensor = self.head(self.blocks(self.tokens(x))[:, 0])
        return output


@architecture(
    depth=Int(1, 4),
    size=Int(32, 192, step=32),
    attention_dropout=Float(0.0, 0.5),
    dropout=Float(0.0, 0.5),
)
def ft_transformer(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    columns: Sequence[InputColumn],
    depth: int,
    size: int,
    attention_dropout: float,
    dropout: float,
) -> nn.Module:
    """FT-Transformer (Gorishniy et al., 2021) for tables: each column is a token. Slow where there are many."""
    return FTTransformer(columns, num_outputs, depth, size, attention_dropout, dropout)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [ft_transformer]
