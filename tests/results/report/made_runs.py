"""Hand-made runs for the report, and a reader of its page."""

import re
from html.parser import HTMLParser

import numpy as np

from automl.data.sources.arrays import from_arrays
from automl.models.mistakes import save_mistakes
from automl.models.test_predictions import Predictions, save_tested
from automl.racing.curves import Curves
from automl.results.report import write_report
from automl.run.folder import RunFolder
from automl.run.run_record import RunRecord
from automl.settings import Settings

FOLDS, EPOCHS = 3, 6
VOID = {"meta", "img", "br", "use", "path"}

SPACE = {
    "architectures": {"mlp": {"depth": {"int": [1, 4]}, "dropout": {"float": [0.0, 0.6]}},
                      "resnet": {"depth": {"int": [1, 4]}, "dropout": 0.1}},
    "optimizers": {"adam": {}, "sgd": {"momentum": {"float": [0.5, 0.95]}}},
    "schedules": {"cosine": {}},
    "augmentations": {"none": {}},
    "training": {"lr": {"float": [0.0001, 0.1], "log": True}, "weight_decay": 0.0, "batch_size": 64},
}  # fmt: skip


def curves_to(epochs, folds, level=1.0, seed=0):
    rng = np.random.default_rng(seed)
    curves = Curves(FOLDS, EPOCHS)
    steps = np.arange(epochs)
    for fold in range(folds):
        train = 2.3 * np.exp(-0.7 * level * steps) + 0.01
        validation = 2.3 * np.exp(-0.5 * level * steps) + 0.03 * steps + rng.uniform(0.01, 0.05)
        curves.values[fold, :epochs] = np.stack([train, train, validation, 1 - validation / 3], axis=1)
    return curves


def config_of(number, architecture):
    """A config of `SPACE`; those with a high learning rate are drawn first."""
    return {
        "architecture": architecture,
        f"{architecture}.depth": 1 + number % 4,
        f"{architecture}.dropout": 0.1 if architecture == "resnet" else 0.05 * (number % 7),
        **({"train.optimizer": "sgd", "train.sgd.momentum": 0.9} if number % 3 == 2 else {"train.optimizer": "adam"}),
        "train.schedule": "cosine",
        "train.augmentation": "none",
        "train.lr": 0.0123456 * 0.9**number,
        "train.weight_decay": 0.0,
        "train.batch_size": 64,
    }


def row(number, state, curves, reason="", architecture="resnet", **more):
    return {
        "number": number,
        "state": state,
        "reason": reason,
        "detail": "",
        "architecture": architecture,
        "config": config_of(number, architecture),
        "score": curves.score() if curves else None,
        "rescored": None,
        "score_std": 0.0123 if state == "COMPLETE" else None,
        "metrics": {"accuracy": 0.9} if curves else {},
        "epochs": curves.epochs() if curves else 0,
        "best_epoch": curves.best_epoch() if curves else None,
        "folds": curves.folds if curves else 0,
        "fold_epochs": curves.fold_epochs if curves else 0,
        "parameters": 12345 if curves else None,
        "seconds": 3.0,
        **more,
    }


def make_run(path, trials, final=None, notes=(), classes=("0", "1")):
    """A run of hand-made trials (state, reason, architecture, curves): its summary, record and folder."""
    folder = RunFolder(path)
    folder.artifacts.mkdir(parents=True)
    rows, pruned = [], {}
    for number, (state, reason, architecture, curves) in enumerate(trials):
        if curves is not None:
            np.savez_compressed(folder.curves(number), curves=curves.values)
        rows.append(row(number, state, curves, reason, architecture))
        if state == "PRUNED":
            pruned[reason] = pruned.get(reason, 0) + 1
    spent = sum(r["fold_epochs"] for r in rows)
    summary = {
        "run": str(path),
        "objective": "log_loss",
        "direction": "minimize",
        "best": min(((r["score"], r["number"]) for r in rows if r["state"] == "COMPLETE"), default=(0, None))[1],
        "model": (final or {}).get("model"),
        "test": (final or {}).get("test", {}),
        "guessing": {"by": "the class frequencies", "cross_validated": {"log_loss": 1.0986}, "words": ""},
        "baseline": None,
        "trials": rows,
        "totals": {
            "trials": len(rows),
            "complete": sum(r["state"] == "COMPLETE" for r in rows),
            "waiting": 0,
            "failed": sum(r["state"] == "FAIL" for r in rows),
            "pruned": pruned,
            "fold_epochs": spent,
            "fold_epochs_without_race": FOLDS * EPOCHS * len(rows),
            "seconds": 75.0,
        },
    }
    settings = Settings(
        folds=FOLDS, epochs=EPOCHS, trials=max(1, len(rows)), architectures=("resnet", "mlp"), skip_bad=True
    )
    record = {
        "settings": settings.model_dump(mode="json"),
        "study": "s",
        "objective": "log_loss",
        "metric": "accuracy",
        "data": {
            "name": "digits",
            "kind": "image",
            "task": "classification",
            "samples": 1797,
            "test_samples": 360,
            "input_shape": [1, 8, 8],
            "classes": list(classes),
            "notes": list(notes),
            "fingerprint": "ab" * 32,
        },
        "ladder": ["1x1", "2x1", "4x2", "6x3"],
        "device": "cpu",
        "precision": "float32",
        "versions": {"automl": "0.1.0", "torch": "2.15"},
        "space_fingerprint": "cd" * 32,
        "space": SPACE,
    } | ({"final": final} if final else {})
    return summary, RunRecord.from_mapping(record, "made"), folder


def full_run(path, **more):
    trials = [
        ("COMPLETE", "", "resnet", curves_to(6, 3, 1.2)),
        ("COMPLETE", "early-stopped", "mlp", curves_to(6, 3, 0.9, 1)),
        ("PRUNED", "overfitting", "mlp", curves_to(4, 2, 0.8, 2)),
        ("PRUNED", "outpaced", "mlp", curves_to(2, 1, 0.7, 3)),
        *(("PRUNED", "outpaced", "mlp", curves_to(1, 1, 0.1, seed)) for seed in range(20)),
        ("PRUNED", "infeasible", "vgg", None),
        ("FAIL", "plugin 'x' (x.py:3): ValueError: boom", "x", None),
    ]
    final = {"model": f"{path}/model", "trial": 0, "architecture": "resnet", "epochs": 5, "cut_short": False,
             "stand_in": False, "test": {"log_loss": 0.0911, "accuracy": 0.9722}}  # fmt: skip
    return make_run(path, trials, final, **more)


def keep_test(folder, classes, samples=40, names=(), shape=(1, 6, 5)):
    """Predictions on a test set and their example mistakes: sample i, of class i % classes, is taken for the next class
    when i is a multiple of 5, with a probability of 0.95 or 0.5 in turn."""
    index = np.arange(100, 100 + samples)
    truth = np.arange(samples) % classes
    probabilities = np.full((samples, classes), 0.1 / classes)
    probabilities[np.arange(samples), truth] = 1.0
    wrong = np.arange(0, samples, 5)
    sure = np.where(np.arange(len(wrong)) % 2, 0.5, 0.95)
    probabilities[wrong, truth[wrong]] = 1 - sure
    probabilities[wrong, (truth[wrong] + 1) % classes] = sure + 1e-6
    tested = Predictions(index, truth, probabilities)
    save_tested(folder, tested)
    x = np.random.default_rng(0).integers(0, 255, (100 + samples, *shape)).astype(np.uint8)
    y = np.concatenate([np.arange(100) % classes, truth])
    save_mistakes(folder, tested, from_arrays(x, y, name="made"))
    if names:
        with np.load(folder.artifacts / "mistakes.npz") as file:
            arrays = {**file, "names": np.array(list(names) * len(file["names"]))[: len(file["names"])]}
        np.savez(folder.artifacts / "mistakes.npz", **arrays)
    return tested


class Page(HTMLParser):
    """The page's text, its tags, the addresses in it; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "data", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data.strip())

    @property
    def text(self):
        return " ".join(filter(None, self.words))


def written(run):
    summary, record, folder = run
    path = write_report(summary, record, folder)
    assert path == run[2].report
    return path.read_text(encoding="utf-8")


def one_line(html):
    """A piece of the page without the line breaks of its template, which no browser shows."""
    return re.sub(r">\s+<", "><", " ".join(str(html).split()))
