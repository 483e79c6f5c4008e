"""The sections on photos, of facts that are made up."""

import numpy as np
import pytest
from made_runs import Page, full_run, keep_test, one_line

from automl.models.inspection import Inspection, save_inspection
from automl.models.photos import NearCopies, NearCopy, Neighbour, Neighbours, Photo, PhotoInspection, Seen, Suspects
from automl.models.photos import Suspect as Contradicted
from automl.results.report.context import Context
from automl.results.report.data import data
from automl.results.report.embedded import embed
from automl.results.report.photos import near_copies, sample_photos, suspect_labels
from automl.results.report.test_set import test_set

test_set.__test__ = False  # a section, not a test

EVIL = '<script>alert("1")</script>'


def photo(sample, label="class 0", name=EVIL):
    return {"sample": sample, "name": name, "label": label}


def run_with(path, *, samples=(), given=(), classes=3, **facts):
    """A run whose `samples` have pictures, as have those that a network was `given`; `facts` of them."""
    run = full_run(path, classes=[f"class {i}" for i in range(classes)])
    keep_test(run[2], classes, shape=(3, 6, 5))
    save_inspection(run[2], Inspection(trial=0, photos=PhotoInspection(**facts)))
    index = np.array(samples, dtype=np.int64)
    images = np.random.default_rng(0).integers(0, 255, (len(index), 3, 6, 5)).astype(np.uint8)
    np.savez(run[2].artifacts / "photos.npz", index=index, images=images, seen=np.array(given, dtype=np.uint8))
    return Context(*run)


def text_of(html):
    return " ".join(Page(html).text.split())


def suspects(count, **more):
    found = [
        Contradicted(**photo(n, name=f"{n}.jpg"), predicted="class 1", probability=0.999, own=0.001)
        for n in range(count)
    ]
    facts = {
        "photos": found,
        "found": count,
        "asked": 80,
        "total": 80,
        "folds": 3,
        "epochs": (5, 5),
        "agree": 0.93,
    } | more
    return Suspects(**facts)


def test_suspect_labels_stand_there_with_picture_both_probabilities_and_file(tmp_path):
    html = suspect_labels(run_with(tmp_path, samples=[0, 1], suspects=suspects(3)))
    page, text = Page(html), text_of(html)
    assert "The labels of 3 training photos may be wrong, of 80 that were looked at." in text
    assert "it agrees with 93 % of the labels." in text
    assert "by the network of its fold, which was not trained on it, after 5 epochs." in text
    assert len([link for link in page.links if link.startswith("data:image/png;base64,")]) == 2
    assert "class 0 → class 1 , 99 % 0.jpg" in text
    assert "<td>2.jpg</td><td>class 0</td><td>class 1</td><td>99 %</td><td>0 %</td>" in one_line(html)


def test_it_is_said_on_how_many_photos_and_networks_they_rest(tmp_path):
    few = suspects(100, found=1234, asked=20_000, total=45_000, folds=1, epochs=(3, 3))
    html = one_line(suspect_labels(run_with(tmp_path / "few", suspects=few)))
    assert "The labels of 1,234 training photos may be wrong, of 20,000 that were looked at (of 45,000 in all)." in html
    assert "by the network of the trial's fold" in html.replace("&#39;", "'")
    assert "<details open><summary>As a table, the first 100 of 1,234</summary>" in html
    none = one_line(suspect_labels(run_with(tmp_path / "none", suspects=suspects(0, epochs=(4, 13)))))
    assert "No label of the 80 training photos that were looked at is suspect." in none
    assert "after 4 to 13 epochs" in none
    assert "<details" not in none


def test_the_data_section_says_where_those_of_the_training_part_are(tmp_path):
    html = one_line(data(run_with(tmp_path, suspects=suspects(1))))
    assert "<h3>Suspect labels of the test set</h3>" in html
    assert "predictions for the other samples are not kept" not in html


@pytest.mark.parametrize(("compared", "words"), [(245, "all 245 training photos"), (90, "90 of 245 training photos")])
def test_neighbours_stand_below_their_mistake_with_labels_that_agree_or_differ(compared, words, tmp_path):
    near = [
        Neighbour(**photo(n, label), similarity=0.9) for n, label in ((1, "class 0"), (2, "class 1"), (3, "class 1"))
    ]
    known = Neighbours(of={100: near}, compared=compared, total=245)
    html = one_line(test_set(run_with(tmp_path, samples=[1, 2], neighbours=known)))
    assert words in html
    assert html.count('<div class="strip">') == 1
    assert '<span class="agrees">class 0</span>' in html
    assert html.count('<span class="differs">class 1</span>') == 1  # of the third there is no picture
    assert EVIL not in html
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;: class 0, cosine 0.90" in html


def test_near_copies_are_named_in_a_sentence_and_those_under_two_labels_are_pointed_out(tmp_path):
    pairs = [
        NearCopy(
            test=Photo(**photo(n, "class 1", f"test/{n}.jpg")),
            training=Photo(**photo(n + 50, "class 0", f"train/{n}.jpg")),
            bits=n,
            similarity=0.987 if n else None,
        )
        for n in range(5)
    ]
    counts = {"test": 40, "training": 9_000, "all_test": 40, "all_training": 10_000}
    context = run_with(tmp_path, samples=[0, 50], near_copies=NearCopies(pairs=pairs, found=5, **counts))
    html = near_copies(context)
    text = text_of(html)
    assert "5 photos of the test set look the same as one of the training part, so that the test flatters:" in text
    assert "test/0.jpg and train/0.jpg under two labels, 'class 1' and 'class 0'" in text
    assert "test/2.jpg and train/2.jpg" in text
    assert "Looked at were 40 of 40 and 9,000 of 10,000 photos." in text
    assert one_line(html).count("<figure>") == 1
    assert "<td>4</td><td>0.987</td>" in one_line(html)
    assert str(html) in str(data(context))


def test_of_many_classes_it_is_said_which_are_shown(tmp_path):
    shown = Seen(photos=[Photo(**photo(n, f"class {n}")) for n in range(10)], shape=(3, 8, 8), changes=("rotation",))
    context = run_with(tmp_path, given=np.zeros((10, 3, 8, 8)), classes=12, seen=shown)
    text = text_of(sample_photos(context))
    assert "of the 10 commonest of 12 classes" in text
    assert "They are changed anew in each epoch, by: rotation." in text
    assert EVIL in text  # as text


def test_what_was_left_out_is_said_and_a_run_of_an_earlier_day_says_nothing(tmp_path):
    left_out = dict.fromkeys(("seen", "suspects", "neighbours", "near_copies"), "the <deadline> left no time for it")
    context = run_with(tmp_path / "a", left_out=left_out)
    for section in (sample_photos, suspect_labels, near_copies, test_set):
        assert "left out: the &lt;deadline&gt; left no time for it." in str(section(context)).replace("Left", "left")
    nothing = Context(*full_run(tmp_path / "b"))
    assert sample_photos(nothing) is suspect_labels(nothing) is near_copies(nothing) is None


def test_pictures_that_are_too_large_or_of_another_shape_are_none(tmp_path):
    context = run_with(tmp_path, suspects=suspects(1))
    for shape in ((1, 3, 97, 8), (1, 2, 8, 8), (1, 3, 0, 8), (1, 64)):
        wrong = np.zeros(shape, dtype=np.uint8)
        np.savez(context.folder.artifacts / "photos.npz", index=np.array([0]), images=wrong, seen=wrong[:0])
        assert "<img" not in suspect_labels(Context(context.summary, context.record, context.folder))


def test_a_large_picture_is_a_jpeg_and_a_small_one_is_kept_to_the_bit():
    assert embed(np.zeros((3, 96, 96), dtype=np.uint8)).startswith("data:image/jpeg;base64,")
    assert embed(np.zeros((1, 28, 28), dtype=np.uint8)).startswith("data:image/png;base64,")
