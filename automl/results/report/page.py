"""Pages from the templates of `templates/`, which escape every text that is not marked as HTML."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from automl.results.report.formatting import count, percent, sentence, shortened

Html = Markup


def render(template: str, **values: Any) -> Html:
    """The template `NAME.html`, filled with `values`."""
    return Markup(_environment().get_template(f"{template}.html").render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("automl.results.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "percent": percent, "sentence": sentence, "cut": shortened}
    return environment
