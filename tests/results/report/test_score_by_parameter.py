import numpy as np
from made_runs import SPACE, Page, config_of, curves_to, full_run, make_run, written

from automl.results.report.context import Context
from automl.results.report.importance import measure_importances
from automl.results.report.parameters import comparable, importances, scores_by_parameter, wanted
from automl.spaces.space import Space

DECIDED = Space.from_json(
    {
        "architectures": {"mlp": {"depth": {"int": [1, 4]}}, "resnet": {"width": {"int": [1, 64]}}},
        "optimizers": {"adam": {}},
        "schedules": {"cosine": {}},
        "augmentations": {"none": {}},
        "training": {"lr": {"float": [0.0, 1.0]}, "weight_decay": {"float": [0.0, 1.0]}, "batch_size": 64},
    }
)


def ranked_by_lr(trials, seed=0):
    """Configs of `DECIDED`, best first, where nothing matters but the learning rate: the higher the better."""
    import random

    rng = random.Random(seed)
    return sorted((DECIDED.sample(rng) for _ in range(trials)), key=lambda config: -config["train.lr"])


def test_the_parameter_that_decides_is_the_most_important_and_beyond_chance():
    found = measure_importances(ranked_by_lr(60), DECIDED)
    assert next(iter(found.shares)) == "train.lr"
    assert found.shares["train.lr"] > 0.5
    assert "train.lr" in found.beyond_chance
    assert (found.trials, found.good) == (60, 12)
    assert np.isclose(sum(found.shares.values()), 1)


def test_without_a_cause_few_parameters_are_beyond_chance():
    rng = np.random.default_rng(0)
    beyond = 0
    for seed in range(5):
        configs = ranked_by_lr(30, seed)
        rng.shuffle(configs)
        found = measure_importances(configs, DECIDED)
        beyond += len(found.beyond_chance)
    assert beyond <= 4  # of 25, where a twentieth is to be expected


def test_fewer_than_twenty_trials_have_no_importances_and_the_report_says_so(tmp_path):
    assert measure_importances(ranked_by_lr(19), DECIDED) is None
    run = make_run(tmp_path, [("COMPLETE", "", "mlp", curves_to(6, 3, 1.0, seed)) for seed in range(6)])
    assert "6 trials with a score are too few" in importances(Context(*run))


def test_a_config_that_is_not_of_the_space_is_left_out_of_the_importances():
    configs = ranked_by_lr(25)
    configs[3] = {"architecture": "gone"}
    assert measure_importances(configs, DECIDED).trials == 24


def test_the_evaluator_and_the_number_of_trials_are_named(tmp_path):
    html = importances(Context(*full_run(tmp_path)))
    assert "PedAnovaImportanceEvaluator" in html
    assert "best 5 of 24 trials" in html
    assert [name for name in Space.from_json(SPACE).parameters() if f"<div>{name}</div>" in html] == [
        "architecture", "mlp.depth", "mlp.dropout", "train.optimizer", "train.lr"
    ]  # fmt: skip
    assert "Not shown: 2 parameters that fewer than 20 trials had." in html


def scored(*reached):
    return [({"number": number, "reason": "outpaced"}, [0.5] * rungs) for number, rungs in enumerate(reached)]


def test_trials_are_compared_on_the_highest_rung_that_enough_of_them_reached():
    assert comparable(scored(*[1] * 30, *[2] * 15, *[3] * 5))[0] == 1
    assert len(comparable(scored(*[1] * 30, *[2] * 15, *[3] * 5))[1]) == 20
    assert comparable(scored(*[1] * 10, *[3] * 9))[0] == 0  # half of 19 are 10
    assert comparable(scored(*[1] * 4, *[2] * 5))[0] == 1
    assert comparable(scored(1, 2, 3, 3)) is None


def test_only_parameters_that_were_searched_are_shown():
    assert wanted(Space.from_json(SPACE)) == {
        "architecture": {"": "architecture"},
        "depth": {"mlp": "mlp.depth", "resnet": "resnet.depth"},
        "dropout": {"mlp": "mlp.dropout"},
        "train.lr": {"": "train.lr"},
        "train.optimizer": {"": "train.optimizer"},
    }


def test_the_scores_by_parameter_say_where_they_were_measured(tmp_path):
    trials = [("COMPLETE", "", "mlp", curves_to(6, 3, 1.0, seed)) for seed in range(6)]
    trials += [("PRUNED", "outpaced", "resnet", curves_to(2, 1, 0.3, seed)) for seed in range(4)]
    context = Context(*make_run(tmp_path, trials))
    html = scores_by_parameter(context)
    assert "after 6 epochs on 3 folds" in html
    assert "6 of 10 trials" in html
    assert "a trial that was outpaced on a cheaper rung (4)" in html
    assert html.count("<svg") == 5
    assert html.count("●") == html.count("■") == 1  # the key to the architectures


def test_a_run_with_few_trials_says_that_it_compares_nothing(tmp_path):
    run = make_run(tmp_path, [("COMPLETE", "", "mlp", curves_to(6, 3))])
    assert "too few trials have a score" in Page(written(run)).text


def test_the_made_configs_are_of_the_made_space():
    space = Space.from_json(SPACE)
    assert space.parameters().keys() >= config_of(0, "mlp").keys() - {"train.weight_decay"}
