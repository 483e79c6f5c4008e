from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from automl.data import mapped, resident, shared
from automl.data.images.sizes import affordable_pixels, choose_side
from automl.data.sources import cache
from automl.data.sources.images import check_memory, decode_files, load_folder
from automl.errors import DataError


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(array: np.ndarray, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def folder_of(root: Path, names: dict[str, int], *shape: int) -> Path:
    """`names`: folder below `root` -> number of images; all images differ."""
    seed = 0
    for name, count in names.items():
        for number in range(count):
            save(noise(seed, *(shape or (6, 5, 3))), root / name / f"{number}.png")
            seed += 1
    return root


def one(path: Path) -> np.ndarray:
    """The pixels [h, w] or [h, w, 3] that a single file becomes in a data set, beside a plain one of the same size."""
    with Image.open(path) as image:
        size = image.size
    channels = (decode_files([path], 3, (size[1], size[0])))[0]
    return channels.transpose(1, 2, 0)


# --- layout -----------------------------------------------------------------------------------------------------------


def test_a_sub_folder_is_a_class_and_its_files_are_the_samples_in_order(tmp_path: Path) -> None:
    folder_of(tmp_path / "pets", {"dog": 2, "cat": 3})
    dataset = load_folder(tmp_path / "pets")
    assert dataset.name == "pets"
    assert dataset.classes == ("cat", "dog")
    assert dataset.y.tolist() == [0, 0, 0, 1, 1]
    assert dataset.input_shape == (3, 6, 5)
    assert dataset.num_outputs == 2
    assert dataset.test is None
    assert (dataset.x[3] == noise(0, 6, 5, 3).transpose(2, 0, 1)).all()


def test_train_and_test_folders_set_the_test_samples_apart(tmp_path: Path) -> None:
    folder_of(tmp_path, {"train/a": 3, "train/b": 2, "test/a": 1, "test/b": 1})
    dataset = load_folder(tmp_path)
    assert dataset.test is not None
    assert dataset.test.tolist() == [True, True, False, False, False, False, False]
    assert dataset.classes == ("a", "b")


def test_a_train_folder_alone_has_no_test_set_and_what_stands_beside_it_is_noted(tmp_path: Path) -> None:
    folder_of(tmp_path, {"train/a": 3, "train/b": 2, "extra/a": 1})
    dataset = load_folder(tmp_path)
    assert dataset.test is None
    assert len(dataset) == 5
    assert any("ignored" in note and "extra" in note for note in dataset.notes)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    folder_of(tmp_path, {"train": 2, "plane": 2})
    assert load_folder(tmp_path).classes == ("plane", "train")


def test_hidden_files_are_ignored_and_nested_folders_belong_to_their_class(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 1, "a/deep/er": 2, "b": 1})
    (tmp_path / "a" / ".DS_Store").write_bytes(b"junk")
    (tmp_path / ".git").mkdir()
    dataset = load_folder(tmp_path)
    assert dataset.y.tolist() == [0, 0, 0, 1]


def test_a_class_missing_in_test_is_named_with_the_nearest_name(tmp_path: Path) -> None:
    folder_of(tmp_path, {"train/cats": 2, "train/dog": 2, "test/cat": 1, "test/dog": 1})
    with pytest.raises(DataError, match=r"class 'cats?' is in (train|test)/ but not in (train|test)/; did you mean"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"a": 2}, "at least two classes, found 1, 'a'"),
        ({}, "a sub-folder per class"),
        ({"a": 2, "b": 0}, "class 'b' has no images"),
    ],
)
def test_one_class_no_class_and_an_empty_class_are_refused(tmp_path: Path, names: dict[str, int], message: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    folder_of(tmp_path, names)
    with pytest.raises(DataError, match=message):
        load_folder(tmp_path)


# --- pixels -----------------------------------------------------------------------------------------------------------


def test_grey_images_have_one_channel_and_one_coloured_image_makes_three(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 40, "b": 40}, 6, 5)
    assert load_folder(tmp_path).input_shape == (1, 6, 5)
    save(noise(99, 6, 5, 3), tmp_path / "b" / "7.png")  # not among the files probed first
    dataset = load_folder(tmp_path)
    assert dataset.input_shape == (3, 6, 5)
    assert (dataset.x[0][0] == dataset.x[0][2]).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 32896], [65535, 40000, 300]], dtype=np.uint16)
    expected = np.round(deep / 257).astype(np.uint8)
    for name in ("deep.png", "deep.tif"):
        path = save(deep, tmp_path / name)
        assert (one(path)[..., 0] == expected).all(), name


def test_transparency_is_flattened_onto_white(tmp_path: Path) -> None:
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[..., 0] = 200
    rgba[0, :, 3] = 255
    rgba[1, 1, 3] = 51
    pixels = one(save(rgba, tmp_path / "rgba.png"))
    assert pixels[0, 0].tolist() == [200, 0, 0]
    assert pixels[1, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [244, 204, 204]  # a fifth of (200, 0, 0), the rest white


def test_grey_with_alpha_stays_grey(tmp_path: Path) -> None:
    for name in ("a", "b"):
        la = np.stack([np.full((3, 3), 100 + ord(name)), np.eye(3) * 255], axis=-1).astype(np.uint8)
        (tmp_path / name).mkdir()
        Image.fromarray(la, "LA").save(tmp_path / name / "0.png")
    dataset = load_folder(tmp_path)
    assert dataset.input_shape == (1, 3, 3)
    assert dataset.x[0, 0].tolist() == [[197, 255, 255], [255, 197, 255], [255, 255, 197]]


def test_a_palette_becomes_its_colours_and_its_transparent_entry_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "p.png")
    assert one(tmp_path / "p.png").tolist() == [[[10, 20, 30], [40, 50, 60]]]
    image.save(tmp_path / "t.png", transparency=1)
    assert one(tmp_path / "t.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_one_bit_and_cmyk_are_converted(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1").save(tmp_path / "bit.png")
    assert one(tmp_path / "bit.png")[..., 0].tolist() == [[0, 255]]
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.tif")
    assert one(tmp_path / "red.tif")[0, 0].tolist() == [255, 0, 0]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    array = noise(3, 4, 7, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    for name in ("a", "b"):
        save(array if name == "a" else noise(4, 4, 7, 3), tmp_path / name / "0.png", exif=exif)
    dataset = load_folder(tmp_path)
    assert dataset.input_shape == (3, 7, 4)
    assert (dataset.x[0].transpose(1, 2, 0) == np.rot90(array, -1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_of_an_unknown_range_are_refused(tmp_path: Path, dtype: type) -> None:
    path = save(np.ones((4, 4), dtype=dtype), tmp_path / "f.tif")
    with pytest.raises(DataError, match=r"f\.tif: 32-bit (float|integer) pixels have no fixed range"):
        decode_files([path], 1, (4, 4))


def test_only_the_first_frame_of_an_animation_is_used_and_said(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 1, "b": 1}, 6, 5)
    frames = [Image.fromarray(noise(seed, 6, 5)) for seed in (50, 51)]
    frames[0].save(tmp_path / "a" / "moving.gif", save_all=True, append_images=frames[1:])
    dataset = load_folder(tmp_path)
    assert (dataset.x[1, 0] == noise(50, 6, 5)).all()
    assert any("several frames" in note for note in dataset.notes)


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_photos_of_several_sizes_are_brought_to_the_side_nearest_to_their_median(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 3}, 100, 90, 3)
    folder_of(tmp_path, {"b": 2}, 20, 20, 3)
    dataset = load_folder(tmp_path)
    assert dataset.input_shape == (3, 96, 96)
    assert dataset.understood.details == ("2 sizes", "resized to 96 x 96")
    assert dataset.understood.image_size == 96
    assert load_folder(tmp_path).x.tobytes() == dataset.x.tobytes()  # out of the cache


def test_a_chosen_side_overrides_that_of_the_data(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 3}, 40, 30, 3)
    folder_of(tmp_path, {"b": 2}, 20, 20, 3)
    dataset = load_folder(tmp_path, image_size=16)
    assert dataset.input_shape == (3, 16, 16)
    assert dataset.understood.image_size is None
    # Antialiased: noise shrunk to 16 x 16 varies less than the noise itself.
    assert dataset.x[0].std() < 0.8 * noise(0, 40, 30, 3).std()


def test_a_photo_is_resized_to_cover_the_square_and_its_centre_is_kept(tmp_path: Path) -> None:
    wide = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None], 40, axis=0)  # 120 x 40: the middle third is 80 to 158
    path = save(wide, tmp_path / "wide.png")
    pixels = decode_files([path], 1, (40, 40))[0, 0]
    assert (pixels == wide[:, 40:80]).all()
    expected = ImageOps.fit(Image.fromarray(wide), (16, 16), Image.Resampling.BILINEAR)
    assert (decode_files([path], 1, (16, 16))[0, 0] == np.asarray(expected)).all()


def test_large_photos_of_one_size_are_resized_too_and_small_ones_stay_as_they_are(tmp_path: Path) -> None:
    assert load_folder(folder_of(tmp_path / "large", {"a": 1, "b": 1}, 300, 400)).input_shape == (1, 224, 224)
    small = load_folder(folder_of(tmp_path / "small", {"a": 1, "b": 1}, 30, 40))
    assert small.input_shape == (1, 30, 40)
    assert small.understood.image_size is None


def test_an_image_that_has_not_the_size_of_the_others_is_brought_to_theirs_when_it_is_of_the_test_set(
    tmp_path: Path,
) -> None:
    folder_of(tmp_path / "train", {"a": 3, "b": 3}, 12, 10)
    folder_of(tmp_path / "test", {"a": 1, "b": 1}, 25, 21)
    assert load_folder(tmp_path).input_shape == (1, 12, 10)


@pytest.mark.parametrize(
    ("photos", "device", "timeout", "side"),
    [(245, "cpu", 60, 224), (2_000, "cpu", 300, 224), (2_000, "cpu", 60, 96), (20_000, "cpu", None, 96),
     (100_000, "cuda:0", 60, 224), (10**9, "cpu", 1, 32)],
)  # fmt: skip
def test_many_photos_and_a_short_time_make_the_side_smaller(
    photos: int, device: str, timeout: float | None, side: int
) -> None:
    assert choose_side([375, 333, 500], photos, affordable_pixels(device, timeout)) == side


def test_large_jpegs_are_resized_close_to_the_exact_value(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 255, 4000)[None], 4000, axis=0).astype(np.uint8)
    path = save(ramp, tmp_path / "ramp.jpg", quality=95)  # decoded at a quarter of its size
    pixels = decode_files([path], 1, (16, 16))[0, 0].astype(float)
    assert np.abs(pixels - np.linspace(8, 247, 16)).max() < 6


def test_images_that_do_not_fit_in_memory_are_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"would take 1048576\.0 GiB.*pass --image-size"):
        check_memory(tmp_path, 2**50)


def test_photos_that_are_more_than_memory_are_decoded_into_a_file_and_mean_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    (tmp_path / "a" / "3.png").write_bytes(b"no image")
    usual = load_folder(tmp_path, skip_bad=True, image_size=4)
    monkeypatch.setenv("AUTOML_CACHE", str(tmp_path.parent / "another"))
    for module in (cache, mapped, resident, shared):
        monkeypatch.setattr(module, "BIG", 1)
    big = load_folder(tmp_path, skip_bad=True, image_size=4)
    again = load_folder(tmp_path, skip_bad=True, image_size=4)
    assert mapped.mapping_of(big.x) is not None
    assert big.fingerprint == again.fingerprint
    shared.share(big, tmp_path.parent / "share")
    assert not (tmp_path.parent / "share" / "x.npy").exists()
    attached = shared.attach(tmp_path.parent / "share")
    index = torch.tensor([6, 0, 3])
    for dataset in (big, again, attached):
        np.testing.assert_array_equal(dataset.x, usual.x)
        assert dataset.twins.tolist() == usual.twins.tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
        mine, theirs = (resident.Resident(each, torch.device("cpu")) for each in (dataset, usual))
        assert torch.equal(mine.batch(index)[0], theirs.batch(index)[0])
        assert torch.equal(mine._means, theirs._means)


# --- bad files --------------------------------------------------------------------------------------------------------


def with_bad_files(root: Path) -> Path:
    folder_of(root, {"a": 3, "b": 3})
    whole = (root / "a" / "0.png").read_bytes()
    (root / "a" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "empty.png").write_bytes(b"")
    (root / "b" / "notes.txt").write_text("no image at all")
    return root


def test_all_bad_files_are_listed_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_folder(with_bad_files(tmp_path))
    message = str(caught.value)
    assert "3 of 9 files are not usable images" in message
    assert "a/cut.png: " in message
    assert "a/empty.png: the file is empty" in message
    assert "b/notes.txt: not an image of a known format" in message
    assert "--skip-bad" in message


def test_skip_bad_leaves_the_bad_files_out_and_counts_them(tmp_path: Path) -> None:
    dataset = load_folder(with_bad_files(tmp_path), skip_bad=True)
    assert dataset.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert (dataset.x[0] == noise(0, 6, 5, 3).transpose(2, 0, 1)).all()
    assert any("3 of 9 files were skipped" in note and "a/cut.png" in note for note in dataset.notes)
    # From the cache the verdict must be the same.
    with pytest.raises(DataError, match="3 of 9 files"):
        load_folder(tmp_path)


def test_a_file_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    odd = os.fsdecode(os.fsencode(tmp_path / "a") + b"/caf\xe9.png")
    Path(odd).write_bytes(b"")
    with pytest.raises(DataError, match=r"a/caf\\udce9\.png: the file is empty"):
        load_folder(tmp_path)
    assert all(note.encode("utf-8") for note in load_folder(tmp_path, skip_bad=True).notes)


def test_many_bad_files_are_counted_after_the_first_twenty(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    for number in range(30):
        (tmp_path / "b" / f"bad{number:02d}.jpg").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        load_folder(tmp_path)
    assert str(caught.value).count("not an image") == 20
    assert "and 10 more" in str(caught.value)


def test_a_class_left_without_usable_images_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="class 'c' has no sample"):
        load_folder(tmp_path, skip_bad=True)


def huge_png(path: Path, width: int, height: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.parametrize("side", [8_000, 20_000])
def test_an_image_bomb_is_refused_from_its_header(tmp_path: Path, side: int) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    huge_png(tmp_path / "a" / "bomb.png", side, side)
    with pytest.raises(DataError, match=r"a/bomb\.png: .*megapixels, more than the 50 allowed"):
        load_folder(tmp_path, image_size=8)


def test_a_named_pipe_is_refused_and_not_opened(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    os.mkfifo(tmp_path / "a" / "pipe.png")
    with pytest.raises(DataError, match=r"a/pipe\.png: not a regular file"):
        load_folder(tmp_path)


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_out_of_the_folder_are_refused_unless_followed(tmp_path: Path, what: str) -> None:
    root = folder_of(tmp_path / "data", {"a": 2, "b": 2})
    outside = save(noise(77, 6, 5, 3), tmp_path / "secret" / "s.png")
    (root / "a" / "link.png" if what == "file" else root / "c").symlink_to(
        outside if what == "file" else outside.parent
    )
    with pytest.raises(DataError, match=r"leads out of the data folder, to .*secret.*--follow-links"):
        load_folder(root)
    assert len(load_folder(root, follow_links=True)) == 5


def test_links_inside_the_folder_are_fine_but_loops_are_refused(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "data", {"a": 2, "b": 2})
    (root / "a" / "again.png").symlink_to(root / "a" / "0.png")
    assert len(load_folder(root)) == 5
    (root / "a" / "loop").symlink_to(root / "a")
    with pytest.raises(DataError, match="leads back to a folder above it"):
        load_folder(root)


def test_a_link_to_nowhere_is_a_bad_file(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "a" / "nothing.png")
    with pytest.raises(DataError, match=r"a/gone\.png: .*No such file"):
        load_folder(tmp_path)


# --- copies, groups, cache --------------------------------------------------------------------------------------------


def test_copies_are_noted_and_the_same_image_under_two_labels_is_listed(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a": 2, "b": 2})
    save(noise(0, 6, 5, 3), tmp_path / "b" / "copy.png")
    dataset = load_folder(tmp_path)
    assert any(note.startswith("1 of 5 images are copies") for note in dataset.notes)
    assert any("a/0.png ('a') = b/copy.png ('b')" in note for note in dataset.notes)
    assert dataset.twins.tolist() == [0, 1, 2, 3, 0]


def test_copies_across_a_given_test_set_are_noted(tmp_path: Path) -> None:
    folder_of(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    save(noise(0, 6, 5, 3), tmp_path / "test" / "a" / "copy.png")
    assert any(note.startswith("1 images of the given test set") for note in load_folder(tmp_path).notes)


def test_groups_come_from_a_csv_of_files(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "data", {"a": 2, "b": 1})
    listing = tmp_path / "groups.csv"
    listing.write_text("file,group\na/0.png,anna\na/1.png,bert\nb/0.png,anna\n")
    dataset = load_folder(root, groups=listing)
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 1, 0]
    listing.write_text("file,group\na/0.png,anna\nb/0.png,anna\n")
    with pytest.raises(DataError, match=r"1 images have no group, first 'a/1\.png'"):
        load_folder(root, groups=listing)


def test_a_second_load_comes_from_the_cache_and_a_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "data", {"a": 2, "b": 2})
    first = load_folder(root)
    assert isinstance(first.x, np.memmap)
    assert not first.x.flags.writeable
    entries = sorted(cache.private_folder().glob("*"))
    assert entries
    second = load_folder(root)
    assert sorted(cache.private_folder().glob("*")) == entries
    assert second.fingerprint == first.fingerprint
    save(noise(88, 6, 5, 3), root / "a" / "0.png")
    third = load_folder(root)
    assert (third.x[0] == noise(88, 6, 5, 3).transpose(2, 0, 1)).all()
    assert third.fingerprint != first.fingerprint


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("AUTOML_CACHE", str(blocker / "below"))
    assert len(load_folder(folder_of(tmp_path / "data", {"a": 2, "b": 2}))) == 4


def test_decode_files_gives_what_the_model_was_trained_on(tmp_path: Path) -> None:
    path = save(noise(0, 12, 10, 3), tmp_path / "new.png")
    assert decode_files([path, path], 1, (6, 5)).shape == (2, 1, 6, 5)
    assert (decode_files([path], 3, (12, 10))[0].transpose(1, 2, 0) == noise(0, 12, 10, 3)).all()
    with pytest.raises(DataError, match=r"1 of 2 files.*\n.*none\.png"):
        decode_files([path, tmp_path / "none.png"], 3, (6, 5))
