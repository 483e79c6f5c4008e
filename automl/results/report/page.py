"""The page of a report: its frame, its style, and the elements that are filled with escaped text."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Html = str
"""Text that is HTML already; everything else is escaped."""

Cell = str | int

LONGEST_NAME = 20
"""Letters of a class name in a matrix."""

LONG = 40
"""A longer text in a table may break into lines."""

# 'none' forbids the page to load or run anything, should some text ever slip through unescaped; pictures stand inside.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

LIGHT = """--back: #fcfcfb; --ink: #1b1b1a; --muted: #62615e; --grid: #dddcd8; --train: #c2571a; --validation: #2a6fc9;
  --overfitting: #b3261e; --warn: #fdf1d3; --one: #2a6fc9; --two: #c2571a; --three: #1d7f55; --four: #8145b5;
  --five: #a8336b;"""
DARK = """--back: #191918; --ink: #f1f0ee; --muted: #a8a7a2; --grid: #3a3937; --train: #e08a4f; --validation: #6aa5f0;
  --overfitting: #f0776f; --warn: #453813; --one: #6aa5f0; --two: #e08a4f; --three: #55b98c; --four: #b890e0;
  --five: #e07fae;"""

STYLE = (
    f":root {{ color-scheme: light dark; {LIGHT} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}"
    + """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 16px; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-top: 1px solid var(--grid); padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 50rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(185px, 1fr)); gap: 16px; margin: 1rem 0; }
.tiles dt { color: var(--muted); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.35rem; line-height: 1.3; }
small { display: block; color: var(--muted); font-size: .8rem; }
.warning { background: var(--warn); padding: 8px 12px; border-radius: 6px; }
.facts { display: grid; grid-template-columns: minmax(90px, max-content) 1fr; gap: 2px 16px; margin: .5rem 0; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 16px; }
.small.figures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); }
figure { margin: 0; max-width: 620px; }
figcaption, section p, section li { color: var(--muted); }
figcaption { font-size: .9rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.key span { margin-right: 1rem; white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--grid); vertical-align: top;
  white-space: nowrap; }
td.long { white-space: normal; min-width: 16rem; overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: 500; }
.matrix th, .matrix td { padding: 3px 5px; border: 1px solid var(--grid); text-align: right; min-width: 1.9rem; }
.matrix th { vertical-align: bottom; }
.up { writing-mode: vertical-rl; transform: rotate(180deg); }
.matrix tbody th { position: sticky; left: 0; background: var(--back); }
.right, .wrong, .fill { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.right { background: color-mix(in srgb, var(--validation) var(--part), transparent); }
.wrong { background: color-mix(in srgb, var(--train) var(--part), transparent); }
.bars { display: grid; grid-template-columns: minmax(90px, max-content) 3rem minmax(60px, 1fr); gap: 3px 12px;
  align-items: center; max-width: 50rem; font-size: .9rem; }
.bars .track { height: .7rem; }
.fill { height: 100%; min-width: 1px; border-radius: 3px; background: var(--muted); opacity: .55; }
.fill.sure { background: var(--validation); opacity: 1; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(125px, 1fr)); gap: 14px; }
.gallery figure { font-size: .85rem; line-height: 1.35; }
.gallery img { display: block; width: 96px; height: 96px; object-fit: contain; object-position: left;
  image-rendering: pixelated; margin-bottom: 4px; }
pre { overflow-x: auto; padding: 12px; border: 1px solid var(--grid); border-radius: 6px; overflow-wrap: normal; }
"""
    + f"""
@media print {{ :root {{ color-scheme: light; {LIGHT} }}
  body {{ max-width: none; padding: 0; font-size: 11pt; }} p {{ max-width: none; }}
  h2, h3 {{ break-after: avoid; }} figure, tr, .tiles > div {{ break-inside: avoid; }}
  .scroll {{ overflow: visible; }} .matrix tbody th {{ position: static; }} pre {{ white-space: pre-wrap; }} }}
"""
)


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
    body = "".join("<tr>" + "".join(_cell(str(cell)) for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> Html:
    kind = ' class="long"' if len(text) > LONG else ""
    return f"<td{kind}>{escape(text)}</td>"


def definitions(facts: Mapping[str, Any]) -> Html:
    """Names with their values."""
    rows = "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def paragraph(text: str) -> Html:
    """A paragraph of plain text; nothing for none."""
    return f"<p>{escape(text)}</p>" if text else ""


def subsection(title: str, body: Html) -> Html:
    """A part of a section under its smaller heading; nothing where the body is empty."""
    return f"<h3>{escape(title)}</h3>{body}" if body else ""


def bars(rows: Sequence[tuple[str, float, str, bool]]) -> Html:
    """A bar for each (name, length, its text, whether it stands out); the longest fills the width."""
    longest = max((length for _, length, _, _ in rows), default=0.0) or 1.0
    cells = (
        f"<div>{escape(name)}</div><div>{escape(text)}</div>"
        f'<div class="track"><div class="fill{" sure" if sure else ""}" style="width: {100 * length / longest:.1f}%">'
        "</div></div>"
        for name, length, text, sure in rows
    )
    return f'<div class="bars">{"".join(cells)}</div>'


def matrix(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Html:
    """A confusion matrix: a row for each true class, a column for each predicted one, shaded by the row's share."""
    shown = [escape(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…") for name in names]
    upright = max(map(len, names), default=0) > 3  # else the columns would be as wide as their names
    head = "<th></th>" + "".join(f"<th><span{' class=up' * upright}>{name}</span></th>" for name in shown)
    body = ""
    for row, own in enumerate(counts):
        total = max(1, sum(own))
        body += f"<tr><th>{shown[row]}</th>"
        for column, number in enumerate(own):
            kind = "right" if row == column else "wrong"
            # At most half of the colour, so that the figure stays readable on it; a single mistake can be seen.
            part = max(12.0, 50.0 * number / total)
            body += f'<td class="{kind}" style="--part: {part:.0f}%">{number}</td>' if number else "<td></td>"
        body += "</tr>"
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def image(png: bytes, text: str) -> Html:
    """A picture that stands in the page itself; `text` is read to the blind."""
    return f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{escape(text)}">'
