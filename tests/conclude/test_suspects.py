"""Confident learning: which labels are suspect."""

from __future__ import annotations

import numpy as np
import pytest

from automl.conclude.suspects import class_thresholds, find_suspects


def test_a_label_is_suspect_below_its_classs_mean_where_another_class_reaches_its_own():
    labels = np.array([0, 0, 0, 1, 1, 1])
    of_one = np.array([0.1, 0.2, 0.9, 0.9, 0.6, 0.3])
    probabilities = np.stack([1 - of_one, of_one], axis=1)
    assert class_thresholds(probabilities, labels).tolist() == pytest.approx([0.6, 0.6])
    # Sample 2 is called 0 and is 1 with 0.9 >= 0.6; sample 5 is called 1 and is 0 with 0.7 >= 0.6.
    assert find_suspects(probabilities, labels) == [(2, 1), (5, 0)]


def test_what_contradicts_a_label_but_less_surely_than_the_class_is_mostly_predicted_is_not_suspect():
    labels = np.array([0, 0, 0, 1, 1])
    of_one = np.array([0.05, 0.05, 0.7, 0.95, 0.95])
    assert find_suspects(np.stack([1 - of_one, of_one], axis=1), labels) == []


def test_of_classes_that_reach_their_thresholds_the_most_probable_stands_against_the_label():
    sure = np.eye(3) * 0.4 + 0.2  # 0.6 for the label, 0.2 for the others
    torn = np.array([[0.1, 0.25, 0.65]])
    found = find_suspects(np.concatenate([sure, torn]), np.array([0, 1, 2, 0]))
    assert found == [(3, 2)]


def test_a_class_without_samples_stands_against_no_label():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.1, 0.0, 0.9], [0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.2, 0.8, 0.0]])
    assert class_thresholds(probabilities, labels)[2] == np.inf
    assert find_suspects(probabilities, labels) == []


def test_it_finds_the_labels_that_were_changed_as_the_rule_of_the_paper_does_row_by_row():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    logits = rng.normal(size=(400, 4)) + 5 * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = truth.copy()
    labels[:20] = (labels[:20] + 1) % 4
    means = [probabilities[labels == k, k].mean() for k in range(4)]
    expected = set()
    for row, (shares, label) in enumerate(zip(probabilities, labels, strict=True)):
        reaching = [k for k in range(4) if shares[k] >= means[k]]
        best = max(reaching, key=lambda k: shares[k], default=label)
        if best != label and shares[label] < means[label] and shares[best] > shares[label]:
            expected.add((row, int(best)))
    found = find_suspects(probabilities, labels)
    assert set(found) == expected
    assert sum(place < 20 for place, _ in found[:15]) >= 14
    sure = [probabilities[place, predicted] for place, predicted in found]
    assert sure == sorted(sure, reverse=True)
