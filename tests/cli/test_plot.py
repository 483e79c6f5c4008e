"""The losses as a picture in text."""

from __future__ import annotations

import pytest

from automl.cli.plot import BEST, TRAIN, VALIDATION, plot_losses

FALLING = [2.0, 1.5, 1.0, 0.5]
VALLEY = [2.0, 1.0, 1.5, 1.8]


def body(lines):
    """The rows of the picture without their labels."""
    return [line.partition("┤")[2] for line in lines if "┤" in line]


@pytest.mark.parametrize("width", [30, 57, 80])
@pytest.mark.parametrize("epochs", [1, 2, 3, 50, 400])
def test_no_line_is_wider_than_the_terminal(width, epochs):
    losses = [1 / (1 + e) for e in range(epochs)]
    lines = plot_losses(losses, losses, epochs, width)
    assert max(len(line) for line in lines) <= width
    assert len(lines) == 1 + 12 + 2


def test_the_curves_begin_and_end_where_they_should():
    rows = body(plot_losses(FALLING, VALLEY, 2, width=41, height=7))
    assert rows[0][0] == VALIDATION  # drawn above the train loss, which begins there too
    assert rows[-1][29] == TRAIN
    assert any(row[29:] == VALIDATION for row in rows[1:3])


def test_the_best_epoch_is_marked_on_the_validation_curve_and_on_the_axis():
    lines = plot_losses(FALLING, VALLEY, 2, width=41, height=7)
    rows = body(lines)
    (marked,) = [i for i, row in enumerate(rows) if BEST in row]
    assert rows[marked].index(BEST) == 10
    assert marked == 4  # a loss of 1.0 between 2.0 in row 0 and 0.5 in row 6
    assert lines[-1].split() == ["epoch", "1", "2", "4"]
    assert lines[-1][11 + 10] == "2"


def test_the_axis_names_the_ends_of_the_scale():
    lines = plot_losses(FALLING, VALLEY, 0)
    assert lines[1].split()[0] == "2"
    assert lines[12].split()[0] == "0.5"
    assert BEST not in "".join(lines[1:])


def test_a_wide_range_is_drawn_on_a_logarithmic_scale():
    lines = plot_losses([100.0, 10.0, 1.0], [100.0, 10.0, 1.0], 3, height=5)
    assert "logarithmic" in lines[0]
    assert body(lines)[2].strip(" ") != ""  # 10 lies in the middle between 1 and 100
    assert "logarithmic" not in plot_losses([100.0, 0.0], [1.0, 0.0], 2)[0]


def test_flat_curves_a_single_epoch_and_no_epoch_can_be_drawn():
    assert VALIDATION in "".join(body(plot_losses([1.0, 1.0], [1.0, 1.0], 0)))
    assert BEST in "".join(body(plot_losses([1.0], [2.0], 1)))
    assert plot_losses([], [], 0) == []
