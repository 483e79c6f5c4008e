"""Rich's console for tables and the live display: what it shows of others' text does not steer the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from automl.foreign_text import escaped


class Terminal(Console):
    """Standard output; colours and the cursor are rich's, and an escape in a text is shown as `\\x1b`."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of `renderable`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escaped(segment.text), segment.style)
