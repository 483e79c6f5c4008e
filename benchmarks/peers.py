"""Ray Tune with ASHA and Optuna on one split, in the same time on the same cores: an optional comparison.

    python -m venv ../peers; ../peers/bin/python -m pip install "ray[tune]" --editable .   # never into .venv
    ../peers/bin/python benchmarks/peers.py DATA [--minutes 10] [--epochs 20] [--seed 0] [--threads 2]

Space, networks, fold and test set, training loop and final fit are those of benchmarks/recipe.py; what differs is who
decides: as many trials at once as there are threads, each on one, stopped by ASHA. The winner is scored on all folds
afterwards. Not run: KerasTuner and AutoKeras search Keras models, so neither space nor networks can be the same, and
AutoKeras 3 took 10.9 GB of memory for one trial of cifar10-6k.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from machine import heading, table


@functools.cache
def make_study(data: str, folds: int, epochs: int, seed: int, minutes: float):
    """The recipe's data and training loop, once in each process."""
    sys.path.insert(0, str(Path(__file__).parent))
    import recipe
    import torch

    torch.set_num_threads(1)
    return recipe.Study(argparse.Namespace(data=data, folds=folds, epochs=epochs, seed=seed, minutes=minutes))


def train(config: dict, about: dict) -> None:
    """One trial: reports every epoch of the first fold; ASHA may stop it after any."""
    from ray import tune

    study = make_study(**about)
    splits = study.context.splits
    losses: list[float] = []
    for loss, _ in study.train(config, splits.train(0), splits.validation(0), about["epochs"], timed=False):
        losses.append(loss)
        tune.report({"loss": loss, "best": min(losses), "curve": losses[: losses.index(min(losses)) + 1]})


def suggest(about: dict, trial) -> dict:
    """What the space gives a trial beside what Optuna has sampled for it; Ray writes the search down with pickle."""
    config = make_study(**about).context.space.suggest(trial)
    return {name: value for name, value in config.items() if name not in trial.params}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    try:
        import ray
        from ray import tune
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search.optuna import OptunaSearch
    except ImportError as error:
        print(f"not measured: {error}; it is an optional comparison, see the head of benchmarks/peers.py")
        return
    path = Path(args.data)
    data = str(path.absolute()) if path.exists() else args.data  # trials run in folders of their own
    about = {"data": data, "folds": args.folds, "epochs": args.epochs, "seed": args.seed, "minutes": 1e9}
    study = make_study(**about)

    ray.init(num_cpus=args.threads, include_dashboard=False, log_to_driver=False,
             runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}})  # fmt: skip
    tuner = tune.Tuner(
        tune.with_resources(functools.partial(train, about=about), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="best", mode="min", num_samples=-1, time_budget_s=60 * args.minutes, reuse_actors=True,
            search_alg=OptunaSearch(functools.partial(suggest, about), metric="best", mode="min", seed=args.seed),
            scheduler=ASHAScheduler(max_t=args.epochs, grace_period=1, reduction_factor=3),
        ),
        run_config=tune.RunConfig(verbose=0),
    )  # fmt: skip
    results = [result for result in tuner.fit() if result.metrics and "best" in result.metrics]
    ray.shutdown()

    best = min(results, key=lambda result: result.metrics["best"])
    curve, splits = best.metrics["curve"], study.context.splits
    cv, _ = study.cross_validate(best.config)
    *_, (_, accuracy) = study.train(best.config, splits.training_part, splits.test, len(curve), timed=False, told=curve)
    spent = sum(result.metrics["training_iteration"] for result in results)
    print(
        heading(threads=args.threads, seeds=[args.seed], note=f"{args.minutes:g} minutes, Ray {ray.__version__}") + "\n"
    )
    columns = ["data", "way", "trials", "fold-epochs", "CV log loss", "test accuracy"]
    print(table(columns, [[path.name, "Ray Tune, ASHA, Optuna, one split", len(results), spent, f"{cv:.4f}",
                           f"{accuracy:.4f}"]]))  # fmt: skip


if __name__ == "__main__":
    import peers  # trials in other processes find their functions by the module's name

    peers.main()
