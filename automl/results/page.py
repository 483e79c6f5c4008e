"""The page of a report: its frame, its style, and the elements that are filled with escaped text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Html = str
"""Text that is HTML already; everything else is escaped."""

Cell = str | int

# 'none' forbids the page to load or run anything, should some text ever slip through unescaped.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --back: #fcfcfb; --ink: #1b1b1a; --muted: #62615e; --grid: #dddcd8;
  --train: #c2571a; --validation: #2a6fc9; --overfitting: #b3261e; --warn: #fdf1d3; }
@media (prefers-color-scheme: dark) { :root { --back: #191918; --ink: #f1f0ee; --muted: #a8a7a2; --grid: #3a3937;
  --train: #e08a4f; --validation: #6aa5f0; --overfitting: #f0776f; --warn: #453813; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 16px; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-top: 1px solid var(--grid); padding-top: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 16px; margin: 1rem 0; }
.tiles dt { color: var(--muted); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.35rem; line-height: 1.3; }
small { display: block; color: var(--muted); font-size: .8rem; }
.warning { background: var(--warn); padding: 8px 12px; border-radius: 6px; }
.facts { display: grid; grid-template-columns: minmax(90px, max-content) 1fr; gap: 2px 16px; margin: .5rem 0; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 16px; }
figure { margin: 0; max-width: 620px; }
figcaption, section p { color: var(--muted); }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { color: var(--muted); font-weight: 500; }
pre { overflow-x: auto; padding: 12px; border: 1px solid var(--grid); border-radius: 6px; overflow-wrap: normal; }
"""


def page(title: str, body: Html) -> Html:
    """A whole document that loads nothing."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def section(title: str, body: Html) -> Html:
    """A section under its heading; nothing at all where the body is empty."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Html:
    """A table that scrolls by itself where the screen is narrow."""
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def definitions(facts: Mapping[str, Any]) -> Html:
    """Names with their values."""
    rows = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>'
