"""The sections on photos: samples as the network sees them, labels that may be wrong, and near copies."""

from __future__ import annotations

from automl.models.photos import NearCopy, Photo, Suspect
from automl.results.report.context import Context
from automl.results.report.embedded import embed, embed_sample
from automl.results.report.formatting import percent
from automl.results.report.page import Html, render

LISTED = 3  # pairs of near copies that the sentence names


def sample_photos(context: Context) -> Html | None:
    """Some photos of each class as the network is given them in training."""
    if context.record.data.kind != "image" or context.final is None:
        return None
    seen, pictures = context.photos.seen, context.pictures.seen
    why = context.photos.left_out.get("seen", "")
    if seen is None or len(seen.photos) != len(pictures):
        return render("sample_photos", seen=None, left_out=why) if why else None
    labels = {photo.label for photo in seen.photos}
    return render(
        "sample_photos",
        seen=seen,
        left_out="",
        shown=[(photo, embed(picture)) for photo, picture in zip(seen.photos, pictures, strict=True)],
        classes=len(context.record.data.classes),
        of_classes=len(labels),
    )


def suspect_labels(context: Context) -> Html | None:
    """The training samples whose out-of-fold predictions contradict their labels, or why they are not known."""
    known = context.photos.suspects
    if known is None:
        why = context.photos.left_out.get("suspects", "")
        told = bool(why) and context.record.data.task == "classification"
        return render("suspects", known=None, left_out=why) if told else None
    pictured = [(photo, picture) for photo in known.photos if (picture := embed_sample(context, photo.sample))]
    return render(
        "suspects",
        known=known,
        left_out="",
        pictured=[(photo, picture, _sure(photo.probability)) for photo, picture in pictured],
        headers=["file", "label", "prediction", "its probability", "probability of the label"],
        rows=[_row(photo) for photo in known.photos],
    )


def near_copies(context: Context) -> Html | None:
    """What is known of photos of the test set that also stand in the training part, a little changed."""
    known = context.photos.near_copies
    if known is None:
        why = context.photos.left_out.get("near_copies", "")
        return render("near_copies", known=None, left_out=why) if why else None
    return render(
        "near_copies",
        known=known,
        left_out="",
        named=known.pairs[:LISTED],
        pictured=[
            (pair, pictures) for pair in known.pairs if all(pictures := _both(context, pair.test, pair.training))
        ],
        headers=["test set", "label", "training part", "label", "bits of 64", "cosine"],
        rows=[_pair(pair) for pair in known.pairs],
    )


def _both(context: Context, *photos: Photo) -> list[str]:
    return [embed_sample(context, photo.sample) for photo in photos]


def _row(photo: Suspect) -> tuple[str, ...]:
    return photo.name, photo.label, photo.predicted, percent(photo.probability), percent(photo.own)


def _pair(pair: NearCopy) -> tuple[str, ...]:
    alike = "" if pair.similarity is None else f"{pair.similarity:.3f}"
    return pair.test.name, pair.test.label, pair.training.name, pair.training.label, str(pair.bits), alike


def _sure(share: float) -> str:
    return percent(share).replace(" ", "\N{NO-BREAK SPACE}")
