"""A data set on which networks overfit: 700 samples, 8 of 40 features mean something, every tenth label is wrong."""

from sklearn.datasets import make_classification

from automl import dataset, hookimpl


@dataset
def noisy():
    """Three classes of 60, 28 and 12 %, so that the balanced accuracy is not the accuracy."""
    return make_classification(
        700,
        40,
        n_informative=8,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=2,
        weights=[0.6, 0.28],
        flip_y=0.1,
        random_state=0,
    )


@hookimpl
def automl_datasets():
    return [noisy]
