"""The sections on what the parameters did: their importances, and the score by each of some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from automl.results.report.context import Context, Row
from automl.results.report.formatting import count, percent
from automl.results.report.importance import FEWEST, SHUFFLES, measure_importances
from automl.results.report.page import Html, render
from automl.results.report.scatter import STYLES, Dot, draw_scores, styles
from automl.spaces.parameters import Float, Int, Parameter
from automl.spaces.space import Space

SHOWN = 12  # parameters whose importance is shown
ENOUGH, TOO_FEW = 20, 5  # trials to be compared on one rung
OF_ARCHITECTURES = ("depth", "kernel_size", "dropout")
OF_TRAINING = ("lr", "weight_decay", "optimizer", "schedule")


def importances(context: Context) -> Html | None:
    """Which parameters matter, as far as this can be said."""
    ranked = sorted(context.scored, key=lambda it: (-len(it[1]), context.objective.cost(it[1][-1])))
    found = measure_importances([row["config"] for row, _ in ranked], _space(context))
    if found is None:
        return render("importances", found=None, trials=len(ranked), fewest=FEWEST) if ranked else None
    shown = list(found.shares.items())[:SHOWN]
    rest = [f"{count(len(found.shares) - SHOWN, 'parameter')} with less"] if len(found.shares) > SHOWN else []
    rest += [f"{count(found.left_out, 'parameter')} that fewer than {FEWEST} trials had"] if found.left_out else []
    return render(
        "importances",
        found=found,
        shuffles=SHUFFLES,
        bars=[(name, share, percent(share), name in found.beyond_chance) for name, share in shown],
        not_shown=rest,
    )


def scores_by_parameter(context: Context) -> Html | None:
    """Small pictures of the score by architecture and by each of the parameters that were searched."""
    compared = comparable(context.scored)
    if compared is None:
        return Html("<p>Left out: too few trials have a score.</p>") if context.rows else None
    rung, points = compared
    reached = {row["number"] for row, _ in points}
    # Those that were outpaced on a cheaper rung would be worse on this one: they stand at the bad end, without a score.
    outpaced = [
        (row, None) for row, _ in context.scored if row["number"] not in reached and row["reason"] == "outpaced"
    ]
    families = _families(context.scored)
    space = _space(context)
    pictures = []
    for title, names in wanted(space).items():
        domains = [domain for domain in map(space.parameters().get, names.values()) if isinstance(domain, Parameter)]
        dots = [
            Dot(row["config"][name], score, row["architecture"], row is context.winner)
            for row, score in [*points, *outpaced]
            if (name := names.get(row["architecture"], names.get(""))) in row["config"]
        ]
        if len({dot.value for dot in dots}) > 1 and any(dot.score is not None for dot in dots):
            continuous = any(isinstance(domain, Float) for domain in domains)
            log = any(isinstance(domain, Float | Int) and domain.log for domain in domains)
            picture = draw_scores(dots, title, context.objective, families, continuous=continuous, log=log)
            pictures.append((picture, ""))
    if not pictures:
        return None
    epochs, folds = context.rungs[rung]
    return render(
        "scores",
        objective=context.objective,
        epochs=epochs,
        folds=folds,
        trials=len(points),
        total=len(context.scored),
        outpaced=len(outpaced),
        winner=context.winner is not None,
        key=_key(families),
        pictures=pictures,
    )


def wanted(space: Space) -> dict[str, dict[str, str]]:
    """The parameters to show by their title, as far as they were searched: full names by architecture ("": any)."""
    searched = {name: domain for name, domain in space.parameters().items() if isinstance(domain, Parameter)}
    found = {"architecture": {"": "architecture"}}
    for short in OF_ARCHITECTURES:
        found[short] = {family: f"{family}.{short}" for family in space.architectures}
    for short in OF_TRAINING:
        found[f"train.{short}"] = {"": f"train.{short}"}
    kept = {
        title: {family: name for family, name in names.items() if _varies(searched.get(name))}
        for title, names in found.items()
    }
    return {title: names for title, names in kept.items() if names}


def comparable(scored: Sequence[tuple[Row, list[float]]]) -> tuple[int, list[tuple[Row, float]]] | None:
    """The highest rung that enough trials reached (20, or half where there are fewer than 40), with their scores.

    Scores of different rungs do not compare: a rung higher, every trial is better. None for fewer than 5 trials.
    """
    enough = max(TOO_FEW, min(ENOUGH, math.ceil(len(scored) / 2)))
    for rung in reversed(range(max((len(scores) for _, scores in scored), default=0))):
        reached = [(row, scores[rung]) for row, scores in scored if len(scores) > rung]
        if len(reached) >= enough:
            return rung, reached
    return None


def _key(families: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, colour and letter of the families where there are several; those beyond the palette are one."""
    if len(families) < 2:
        return []
    known = [(name, colour, letter) for name, (colour, _, letter) in styles(families).items()]
    others = [("the others", colour, letter) for _, colour, letter in known[len(STYLES) : len(STYLES) + 1]]
    return [*known[: len(STYLES)], *others]


def _families(scored: Sequence[tuple[Row, list[float]]]) -> list[str]:
    """The architectures, that of the best trial first."""
    return list(dict.fromkeys(str(row["architecture"]) for row, _ in scored if row["architecture"]))


def _space(context: Context) -> Space:
    return context.record.read_space(str(context.folder.record_path))


def _varies(domain: Any) -> bool:
    return isinstance(domain, Parameter) and len(domain.corners()) > 1
