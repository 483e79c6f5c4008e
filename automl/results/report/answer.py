"""The first screen of the report: which network, how good, at what price; and what to know about these numbers."""

from __future__ import annotations

from html import escape

from automl.results.leaderboard import ENOUGH, basis
from automl.results.report.material import Material
from automl.results.report.page import Html, definitions
from automl.results.report.words import duration, number, plain

Tile = tuple[str, str, str]
"""A name, its value, and a line below it."""


def answer(material: Material) -> Html:
    """The answer first."""
    winner, model = material.winner, material.summary["model"]
    best = f"{winner['architecture']} (trial {winner['number']})" if winner else "no network yet"
    body = f"<h1>{escape(str(material.record['data'].get('name', '')))}: {escape(best)}</h1>"
    body += "".join(f'<p class="warning">{escape(text)}</p>' for text in _warnings(material))
    shown = (
        f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in _tiles(material)
    )
    body += f'<dl class="tiles">{"".join(shown)}</dl>'
    gap = (material.final.get("test_details") or {}).get("gap") or {}
    if gap.get("words"):
        body += f"<p>{escape(gap['words'][:1].upper() + gap['words'][1:])}.</p>"
    if winner is not None:
        config = {name: plain(value) for name, value in winner["config"].items()}
        body += f"<details open><summary>Its config</summary>{definitions(config)}</details>"
    if model is not None:
        body += f"<p>The model: <code>{escape(str(model))}</code></p>"
    return f"<header>{body}</header>"


def _tiles(material: Material) -> list[Tile]:
    summary, winner, totals = material.summary, material.winner, material.summary["totals"]
    spent, without = totals["fold_epochs"], totals["fold_epochs_without_race"]
    tiles: list[Tile] = []
    if winner is not None:
        score, std, how = basis(winner)
        value = number(score) + (f" ± {std:.2g}" if std is not None else "")
        said = "cross-validated" if winner["folds"] > 1 else "one fold"
        tiles += [(f"{summary['objective']}, {said}", value, how)]
        tiles += [(f"{name}, {said}", number(value), "") for name, value in winner["metrics"].items()]
    guessing = summary["guessing"]
    if (guessed := guessing["cross_validated"].get(summary["objective"])) is not None:
        tiles.append((f"{summary['objective']} of guessing", number(guessed), f"by {guessing['by']}, same folds"))
    intervals = (material.final.get("test_details") or {}).get("intervals") or {}
    for name, value in summary["test"].items():
        ends = intervals.get(name)
        below = f"95 % interval {number(ends[0])} to {number(ends[1])}" if ends else "data no trial saw"
        tiles.append((f"{name}, test set", number(value), below))
    told = totals["complete"] >= ENOUGH and 0 < spent < without
    ratio = f"{without / spent:.1f}x less than the {without:,} without the race" if told else ""
    return [
        *tiles,
        ("fold-epochs", f"{spent:,}", ratio),
        ("time", duration(totals["seconds"]), f"{totals['trials']} trials"),
    ]


def _warnings(material: Material) -> list[str]:
    winner, final, settings = material.winner, material.final, material.settings
    found = []
    if words := material.summary["guessing"]["words"]:
        found.append(f"{words[0].upper()}{words[1:]}.")
    if material.summary["best"] is None:
        found.append("No trial is complete: no score here is over all folds and epochs.")
    if final.get("stand_in") and winner is not None:
        found.append(
            f"The model has the config of trial {winner['number']}, which was stopped after {winner['epochs']} of "
            f"{settings['epochs']} epochs on {winner['folds']} of {settings['folds']} folds."
        )
    if words := final.get("words"):
        found.append(f"{words[0].upper()}{words[1:]}.")
    if material.summary["model"] is None:
        found.append("No final model was fitted.")
    return found
