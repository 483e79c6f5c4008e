"""`report.html`: what a search came to, in one file that loads nothing from anywhere."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from automl.data.atomic import write_atomic
from automl.errors import MachineFailed
from automl.racing.objective import Objective
from automl.results.page import Cell, Html, definitions, page, section, table
from automl.results.pictures import draw_curves, draw_race, loss_limits, scores_by_rung
from automl.settings import Settings, option_name
from automl.study.folder import RunFolder
from automl.study.records import load_curves

Row = Mapping[str, Any]

TOP = 20  # trials in the table
PICTURED = 4  # trials whose curves are drawn
RACERS = 300  # trials in the picture of the race, the best ones


def write_report(summary: Mapping[str, Any], record: Mapping[str, Any], folder: RunFolder) -> Path:
    """Writes the report of a run and returns its path. A run without a model or a complete trial has one too.

    `summary` is what `automl leaderboard --json` prints, `record` the run's `run.yaml`. Raises `MachineFailed` when the
    disk does.
    """
    name = f"{record['data'].get('name', '')}: automl report"
    text = page(name, "\n".join(_sections(summary, record, folder)))
    try:
        write_atomic(folder.report, lambda file: file.write(text.encode()))
    except OSError as error:
        raise MachineFailed(f"the disk failed: {error.strerror or error} ({folder.report})") from error
    return folder.report


def _sections(summary: Mapping[str, Any], record: Mapping[str, Any], folder: RunFolder) -> list[Html]:
    rows: list[Row] = summary["trials"]
    winner = _winner(rows, record)
    return [
        _answer(summary, record, winner),
        section("Race", _race(rows, winner, record, folder)),
        section("Learning curves of the best trials", _curves(rows, record, folder)),
        section("Leaderboard", _leaderboard(rows, summary["totals"], record)),
        section("What failed", _failures(rows)),
        section("Data", _data(record["data"])),
        section("Run it again", _commands(summary["run"], record["settings"])),
        section("Settings", _settings(record["settings"])),
        section("Versions", _versions(record)),
    ]


def _winner(rows: Sequence[Row], record: Mapping[str, Any]) -> Row | None:
    """The trial behind the model; without a model, the best complete one."""
    number = (record.get("final") or {}).get("trial")
    for row in rows:
        if row["number"] == number or (number is None and row["state"] == "COMPLETE"):
            return row
    return None


def _answer(summary: Mapping[str, Any], record: Mapping[str, Any], winner: Row | None) -> Html:
    """The first screen: which network, how good, at what price; and what must be known about these numbers."""
    totals, final = summary["totals"], record.get("final") or {}
    objective, settings = summary["objective"], record["settings"]
    spent, without = totals["fold_epochs"], totals["fold_epochs_without_race"]
    tiles: list[tuple[str, str, str]] = []
    warnings = []
    if winner is not None:
        tiles += [(f"{objective}, cross-validated", _spread(winner), f"mean ± spread over {winner['folds']} folds")]
        tiles += [(f"{name}, cross-validated", _number(value), "") for name, value in winner["metrics"].items()]
    tiles += [(f"{name}, test set", _number(value), "data no trial saw") for name, value in summary["test"].items()]
    ratio = f"{without / spent:.1f}x less than the {without:,} without the race" if 0 < spent < without else ""
    tiles += [("fold-epochs", f"{spent:,}", ratio), ("time", duration(totals["seconds"]), f"{totals['trials']} trials")]
    if summary["best"] is None:
        warnings.append("No trial is complete: no score here is over all folds and epochs.")
    if final.get("stand_in") and winner is not None:
        warnings.append(
            f"The model has the config of trial {winner['number']}, which was stopped after {winner['epochs']} of "
            f"{settings['epochs']} epochs on {winner['folds']} of {settings['folds']} folds."
        )
    if final.get("cut_short"):
        warnings.append(f"The deadline cut the final fit short after {final['epochs']} epochs.")
    if summary["model"] is None:
        warnings.append("No final model was fitted.")
    best = f"{winner['architecture']} (trial {winner['number']})" if winner else "no network yet"
    body = f"<h1>{escape(record['data'].get('name', ''))}: {escape(best)}</h1>"
    body += "".join(f'<p class="warning">{escape(text)}</p>' for text in warnings)
    shown = (f"<div><dt>{escape(a)}</dt><dd>{escape(b)}<small>{escape(c)}</small></dd></div>" for a, b, c in tiles)
    body += f'<dl class="tiles">{"".join(shown)}</dl>'
    if winner is not None:
        config = {name: _plain(value) for name, value in winner["config"].items()}
        body += f"<details open><summary>Its config</summary>{definitions(config)}</details>"
    if summary["model"] is not None:
        body += f"<p>The model: <code>{escape(str(summary['model']))}</code></p>"
    return f"<header>{body}</header>"


def _race(rows: Sequence[Row], winner: Row | None, record: Mapping[str, Any], folder: RunFolder) -> Html:
    ladder = list(record["ladder"])
    rungs = [(int(epochs), int(folds)) for epochs, _, folds in (rung.partition("x") for rung in ladder)]
    objective = Objective.named(record["objective"], record["metric"])
    lines = []
    for row in rows[:RACERS]:
        curves = load_curves(folder, row["number"], objective)
        scores = scores_by_rung(curves, rungs) if curves is not None else []
        if scores and row["state"] != "FAIL":
            kind = "winner" if row is winner else "complete" if row["state"] == "COMPLETE" else row["reason"]
            lines.append((kind, scores))
    if not lines:
        return ""
    left_out = f" The best {RACERS} of {len(rows)} trials are shown." if len(rows) > RACERS else ""
    caption = f"Each line is a trial, from the cheapest rung up; few earn all {record['settings']['folds']} folds."
    caption += f" {'Lower' if objective.direction == 'minimize' else 'Higher'} is better.{left_out}"
    return f"<figure>{draw_race(lines, ladder, objective)}<figcaption>{caption}</figcaption></figure>"


def _curves(rows: Sequence[Row], record: Mapping[str, Any], folder: RunFolder) -> Html:
    found = []
    objective = Objective.named(record["objective"], record["metric"])
    for row in rows:
        curves = load_curves(folder, row["number"], objective) if row["state"] != "FAIL" else None
        if curves is not None and curves.folds:
            found.append((row, curves))
        if len(found) == PICTURED:
            break
    limits = loss_limits([curves for _, curves in found])
    pictures = (draw_curves(curves, f"trial {row['number']}, {row['architecture']}", limits) for row, curves in found)
    figures = "".join(f"<figure>{picture}</figure>" for picture in pictures)
    note = "<p>The mean over the folds; the band reaches from the lowest fold to the highest.</p>"
    return f'{note}<div class="figures">{figures}</div>' if found else ""


def _leaderboard(rows: Sequence[Row], totals: Mapping[str, Any], record: Mapping[str, Any]) -> Html:
    states = {"complete": totals["complete"], "waiting": totals.get("waiting", 0), "failed": totals["failed"]}
    states |= {f"pruned, {reason}": count for reason, count in totals["pruned"].items()}
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    headers = ("trial", "architecture", "state", record["objective"], record["metric"], "epochs x folds", "fold-epochs",
               "parameters", "time")  # fmt: skip
    cells: list[Sequence[Cell]] = [
        (
            row["number"],
            row["architecture"] or "",
            " ".join(filter(None, (row["state"].lower(), row["reason"][:80]))),
            _spread(row),
            _number(row["metrics"].get(record["metric"])),
            f"{row['epochs']}x{row['folds']}",
            row["fold_epochs"],
            f"{row['parameters']:,}" if row["parameters"] is not None else "",
            duration(row["seconds"] or 0),
        )
        for row in rows[:TOP]
    ]
    shown = f"<p>{totals['trials']} trials: {escape(counts or 'none ended')}."
    shown += f" The first {TOP}:</p>" if len(rows) > TOP else "</p>"
    return shown + (table(headers, cells) if cells else "")


def _failures(rows: Sequence[Row]) -> Html:
    """Each cause once, with how many trials it cost."""
    failed = [row for row in rows if row["state"] == "FAIL" or row["reason"] == "infeasible"]
    causes = Counter(row.get("detail") or row["reason"] for row in failed).most_common(10)
    return table(("trials", "cause"), [(count, cause[:1000]) for cause, count in causes]) if causes else ""


def _data(data: Mapping[str, Any]) -> Html:
    classes = list(data.get("classes", ()))
    names = ", ".join(str(name)[:60] for name in classes[:20]) + (", ..." if len(classes) > 20 else "")
    facts = {
        "name": data.get("name"),
        "task": f"{data.get('task')} of {data.get('kind')}s",
        "samples": f"{data.get('samples', 0):,}, of which {data.get('test_samples', 0):,} are the test set",
        "one sample": " x ".join(str(n) for n in data.get("input_shape", ())),
        "classes": f"{len(classes)}: {names}" if classes else "",
        "fingerprint": str(data.get("fingerprint", ""))[:16],
    }
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in data.get("notes", ()))
    return definitions({k: v for k, v in facts.items() if v}) + (f"<ul>{notes}</ul>" if notes else "")


def _commands(run: str, settings: Mapping[str, Any]) -> Html:
    lines = f"automl resume {shlex.quote(run)}\n{search_command(settings)}"
    return (
        f"<p>Go on with this run (with a larger <code>--trials</code>), or begin it anew:</p><pre>{escape(lines)}</pre>"
    )


def search_command(settings: Mapping[str, Any]) -> str:
    """The `automl search` that has these settings; those at their default are left out, the budget's are not."""
    words = ["automl", "search", str(settings.get("data", ""))]
    for name, field in Settings.model_fields.items():
        value = settings.get(name)
        if name in ("data", "storage", "study") or not _given(value):
            continue
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        if value == default and name not in ("trials", "folds", "epochs", "seed"):
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [option_name(name)] if each is True else [option_name(name), f"{each}"]
    return shlex.join(words)


def _settings(settings: Mapping[str, Any]) -> Html:
    return definitions({option_name(name): _plain(value) for name, value in settings.items() if _given(value)})


def _versions(record: Mapping[str, Any]) -> Html:
    facts = dict(record.get("versions", {})) | {k: record[k] for k in ("device", "precision") if k in record}
    return definitions({**facts, "search space": str(record.get("space_fingerprint", ""))[:16]})


def duration(seconds: float) -> str:
    """`0.4 s`, `59 s`, `12 min 5 s` or `1 h 2 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes} min {second} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4g}"


def _spread(row: Row) -> str:
    std = row.get("score_std")
    return _number(row["score"]) + (f" ± {std:.2g}" if std is not None else "")


def _given(value: Any) -> bool:
    return value is not None and value is not False and value != [] and value != ()


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
