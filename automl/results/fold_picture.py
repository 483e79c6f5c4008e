"""The picture of one trial that stands by itself, in the dashboard: train and validation loss of every fold."""

from __future__ import annotations

import io

import numpy as np

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves

TRAIN, VALIDATION, INK, STOP = "#c2571a", "#2a6fc9", "#1b1b1a", "#b3261e"


def draw_folds(curves: Curves, title: str, stopped: str = "") -> bytes:
    """A PNG: a thin line per fold, a thick one for the fold mean, the score's epoch and the epoch where it stopped.

    `stopped` is why the training ended before its time ("" when it did not). No pyplot: it keeps figures in a global
    state, and pictures are drawn in a thread. Takes about 0.2 s.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    figure = Figure(figsize=(6.4, 4.0), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    losses = curves.values[: curves.folds][:, :, [TRAIN_LOSS, VALIDATION_LOSS]]
    for which, name, colour, style in (
        (TRAIN_LOSS, "train", TRAIN, "--"),
        (VALIDATION_LOSS, "validation", VALIDATION, "-"),
    ):
        for fold in range(curves.folds):
            values = curves.values[fold, :, which]
            epochs = np.flatnonzero(np.isfinite(values))
            marker = "." if len(epochs) == 1 else ""
            axes.plot(epochs + 1, values[epochs], style, color=colour, linewidth=0.9, alpha=0.45, marker=marker)
        mean = curves.mean(which)
        label = f"{name}, mean of {curves.folds}" if curves.folds > 1 else name
        axes.plot(np.arange(1, len(mean) + 1), mean, style, color=colour, linewidth=2.2, label=label)
    if best := curves.best_epoch():
        score = curves.objective.value(curves.score())
        height = curves.mean(VALIDATION_LOSS)[best - 1]
        axes.plot([best], [height], "o", color=INK, label=f"{curves.objective.name} {score:.4g}, epoch {best}")
    if stopped:
        last = int(np.isfinite(losses).all(axis=2).any(axis=0).sum())  # no fold went further
        axes.axvline(last, color=STOP, linestyle=":", linewidth=1.6, label=f"stopped at epoch {last}: {stopped}")
    trained = losses[np.isfinite(losses)]
    if trained.size and (trained > 0).all():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlabel="epoch", xlim=(0.8, curves.values.shape[1] + 0.2))
    axes.set_ylabel(curves.objective.loss, parse_math=False)
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#dddcd8", linewidth=0.7)
    for text in axes.legend(fontsize=8, frameon=False).get_texts():
        text.set_parse_math(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
