import re
import xml.etree.ElementTree as ET

import numpy as np
from made_runs import EPOCHS, FOLDS, curves_to

from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.results.report.context import scores_by_rung
from automl.results.report.pictures import draw_curves, draw_race, loss_limits
from automl.results.report.scatter import Dot, draw_scores, draw_truth
from automl.results.report.svg import fence

OUTPACED = {"state": "PRUNED", "reason": "outpaced"}


def test_a_picture_is_well_formed_and_has_the_colours_of_the_page():
    curves = curves_to(6, 3)
    for svg in (
        draw_curves(curves, "trial 0 & <b> $x$ --", loss_limits([curves])),
        draw_race([("winner", [1.0, 0.5]), ("outpaced", [2.0])], ["1x1", "6x3"], Objective()),
        draw_curves(Curves(FOLDS, EPOCHS), "empty"),
    ):
        ET.fromstring(str(svg).replace("<svg ", '<svg xmlns:xlink="x" ', 1))
        assert "var(--muted)" in svg
        assert not re.search(r"#0[1-6]0[1-6]0[1-6]", svg)


def test_a_loss_of_zero_or_below_is_drawn_on_a_linear_axis():
    curves = curves_to(6, 3)
    curves.values[0, 2] = 0.0
    low, high = loss_limits([curves])
    assert low < 0 < high
    assert draw_curves(curves, "zero", (low, high)).startswith("<svg ")


def test_a_trial_scores_at_the_rungs_it_has_reached_and_no_further():
    rungs = [(1, 1), (2, 1), (4, 2), (6, 3)]
    curves = curves_to(4, 2)
    assert scores_by_rung(curves, rungs, OUTPACED) == [curves.score(1, 1), curves.score(1, 2), curves.score(2, 4)]
    assert scores_by_rung(Curves(FOLDS, EPOCHS), rungs, OUTPACED) == []


def test_a_trial_stopped_for_overfitting_has_reached_the_rung_on_which_it_was_stopped():
    rungs = [(1, 1), (2, 1), (5, 2), (6, 3)]
    curves = curves_to(4, 2)
    stopped = {"state": "PRUNED", "reason": "overfitting"}
    assert scores_by_rung(curves, rungs, stopped) == [curves.score(1, 1), curves.score(1, 2), curves.score(2, 4)]
    every = curves_to(4, 3)
    complete = {"state": "COMPLETE", "reason": "early-stopped"}
    assert len(scores_by_rung(every, rungs, complete)) == 4
    assert len(scores_by_rung(every, rungs, {"state": "PRUNED", "reason": "overfitting"})) == 3


def test_the_epoch_where_a_trial_was_stopped_is_marked_and_the_longest_fold_is_drawn_to_it():
    curves = curves_to(6, 3)
    curves.values[1:, 3:] = np.nan
    svg = draw_curves(curves, "trial 1", stopped=6)
    assert "stopped at epoch 6" in svg
    assert svg.count("<path") > draw_curves(curves_to(3, 3), "trial 1").count("<path")


def test_values_side_by_side_are_named_in_order_and_have_a_median_where_most_have_a_score():
    dots = [Dot(value, 0.1 * value, "mlp") for value in (3, 3, 1, 1, 2, 2)] + [Dot(2, None, "mlp")] * 3
    svg = draw_scores(dots, "depth $x$", Objective(), ["mlp"], continuous=False, log=False)
    ET.fromstring(str(svg).replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    places = [svg.index(f">{value}</text>") for value in (1, 2, 3)]
    assert places == sorted(places)
    medians = draw_scores(dots[:6], "depth $x$", Objective(), ["mlp"], continuous=False, log=False)
    ink = "stroke: var(--ink)"
    assert (svg.count(ink), medians.count(ink)) == (2, 3)


def test_a_few_continuous_numbers_stand_on_an_axis():
    dots = [Dot(value, 0.5, "mlp") for value in (0.0, 0.123456, 0.4)]
    svg = draw_scores(dots, "dropout", Objective(), ["mlp"], continuous=True, log=True)
    assert "0.1235" not in svg
    assert ">0.4</text>" in svg


def test_many_numbers_stand_on_an_axis_logarithmic_where_the_domain_is():
    dots = [Dot(10.0**-i, 0.5, "mlp") for i in range(1, 10)]
    assert ">0.001</text>" in draw_scores(dots, "train.lr", Objective(), ["mlp"], continuous=True, log=True)


def test_names_of_architectures_are_text_in_a_picture():
    svg = draw_scores([Dot("<b>&", 0.5, "<b>&")], "<i>", Objective(), ["<b>&"], continuous=False, log=False)
    assert "<b>" not in svg
    assert "<i>" not in svg


def test_predictions_are_drawn_against_the_truth():
    svg = draw_truth(np.arange(5.0), np.arange(5.0) + 0.1, "target")
    picture = ET.fromstring(str(svg).replace("<svg ", '<svg xmlns:xlink="x" ', 1))
    assert "target" in "".join(picture.itertext())
    assert sum(element.tag.endswith("use") for element in picture.iter()) >= 5  # a mark for each sample


def test_a_few_diverged_trials_do_not_stretch_the_axis():
    ordinary = list(np.linspace(0.1, 0.5, 20))
    assert fence([*ordinary, 1e9], True, log=True) < 1e3
    assert fence([-value for value in [*ordinary, 1e9]], False, log=False) > -10
    assert fence(ordinary, True, log=True) == np.inf
    assert fence([0.5] * 4, True, log=True) == np.inf
