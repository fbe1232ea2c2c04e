"""What is wrong with the pictures of a folder is told of all of them."""

import numpy as np
import pytest
from PIL import Image

from minikd import memory
from minikd.data import load_dataset, room
from minikd.data.picture_set import read_pictures
from minikd.errors import DataError, SizeError
from tests.data.makers import fill, load_and_split, plant, quietly


def break_pictures(root, count):
    for number in range(count):
        (root / "cat" / f"bad{number:02}.png").write_bytes(b"broken")


@pytest.mark.parametrize(("count", "listed", "more"), [(2, 2, ""), (10, 10, ""), (13, 10, "and 3 more")])
def test_all_bad_files_are_told_at_once(tmp_path, count, listed, more):
    plant(tmp_path, "cat dog")
    break_pictures(tmp_path, count)
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: {count} of {8 + count} pictures cannot be read: ")
    assert message.count("its content is of no known format, or damaged at its start") == listed
    assert (" more; put whole PNG" in message) == bool(more)
    assert more in message
    assert "\n" not in message


def test_numbers_that_are_no_brightness_are_told_with_the_other_bad_files(tmp_path):
    plant(tmp_path, "cat dog")
    break_pictures(tmp_path, 1)
    Image.fromarray(np.full((4, 5), 0.5, np.float32)).save(tmp_path / "dog" / "real.tif")
    both = r"2 of 10 pictures cannot be read: .*bad00\.png: its.*real\.tif: it holds pixels"
    with pytest.raises(DataError, match=both):
        load_dataset(tmp_path)


def test_bad_files_are_told_before_sizes_that_differ(tmp_path):
    plant(tmp_path, "cat dog")
    fill(tmp_path / "bird", 3, size=(9, 9))
    break_pictures(tmp_path, 1)
    with pytest.raises(DataError, match=r"bad00\.png cannot be read as a picture"):
        load_dataset(tmp_path)


def test_damaged_metadata_of_many_are_one_notice(tmp_path):
    plant(tmp_path, "cat dog")
    for number in range(5):
        path = tmp_path / "cat" / f"{number % 4}.png"
        data = bytearray(path.read_bytes())
        path.write_bytes(data[:33] + b"\0\0\0\1tEXtx\0\0\0\0" + data[33:])
    _, said = quietly(load_dataset, tmp_path)
    assert "the metadata of 4 pictures are damaged; they are used as they are stored" in said[0]
    assert "1.png" in said[0]
    assert len(said) == 2


def test_formats_that_are_not_read_are_counted(tmp_path):
    plant(tmp_path, "cat dog")
    for name in ("1.heic", "2.HEIC", "3.avif", "4.svg", "notes.txt", "list"):
        (tmp_path / "cat" / name).write_bytes(b"")
    _, said = quietly(load_dataset, tmp_path)
    assert said[0] == f"{tmp_path}: left out 2 .heic, 1 .avif, 1 .svg files: save them as PNG or JPEG to include them"


def test_a_class_of_other_files_alone_says_what_it_holds(tmp_path):
    plant(tmp_path, "cat dog bird")
    for path in list((tmp_path / "bird").iterdir()):
        path.rename(path.with_suffix(".heic"))
    (tmp_path / "bird" / "notes.txt").write_text("none")
    with pytest.raises(DataError, match=r"bird holds no picture .*, but 4 \.heic, 1 \.txt files; add some"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("suffix", [".jfif", ".JPG", ".Jpeg", ".PNG", ".JFIF"])
def test_suffixes_count_in_any_case_and_jfif_is_jpeg(tmp_path, suffix):
    for name in ("cat", "dog"):
        fill(tmp_path / name, 3)
        for path in list((tmp_path / name).iterdir()):
            picture = Image.open(path)
            picture.load()
            path.unlink()
            picture.save(path.with_suffix(suffix), "PNG" if suffix == ".PNG" else "JPEG")
    assert len(load_and_split(tmp_path).train_labels) == 5


def test_a_picture_of_another_size_is_not_decoded(tmp_path, monkeypatch):
    fill(tmp_path / "a", 1)
    Image.new("L", (3000, 3000)).save(tmp_path / "a" / "large.png")
    data = (tmp_path / "a" / "large.png").read_bytes()
    (tmp_path / "a" / "large.png").write_bytes(data[: len(data) // 2])  # decoding would find it truncated
    with pytest.raises(DataError, match=r"pictures differ in size: .*0\.png is 4x5, .*large.png is 3000x3000"):
        read_pictures("here", sorted((tmp_path / "a").iterdir()), None)


def test_the_memory_for_all_is_asked_for_once_the_first_header_is_read(tmp_path, monkeypatch):
    plant(tmp_path, "cat dog")
    monkeypatch.setattr(memory, "ASKED_FROM", 0)
    monkeypatch.setattr(memory, "available", lambda: 500)
    (tmp_path / "dog" / "9.png").write_bytes(b"never read")
    with pytest.raises(
        SizeError, match=r"9 images of 4x5 pixels would take 1,800 bytes .* 500 bytes are free; .*--image-size"
    ):
        load_dataset(tmp_path)


def test_images_that_are_large_for_a_network_get_the_advice_at_once(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (800, 600), number * 9).save(tmp_path / name / f"{number}.png")
    _, said = quietly(load_dataset, tmp_path)
    assert "images of 600x800 pixels are large for a network, whose first 32 filters alone would take 61" in said[-1]
    assert "make them smaller with --image-size, such as --image-size 48x64" in said[-1]
    assert len(quietly(load_dataset, tmp_path, image_size=(48, 64))[1]) == 1


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_size_that_no_machine_has_is_refused_before_anything_is_read(tmp_path, size):
    plant(tmp_path, "cat dog")
    (tmp_path / "cat" / "0.png").write_bytes(b"never read")
    message = rf"8 images of {size[0]}x{size[1]} pixels would take .*B of memory, but .* are free; .*--image-size 64x64"
    with pytest.raises(SizeError, match=message):
        load_dataset(tmp_path, size)


def test_the_advised_size_keeps_the_form():
    assert "--image-size 64x64," in room.smaller(500, 500)
    assert "--image-size 48x64," in room.smaller(3000, 4000)
    assert "--image-size 64x1," in room.smaller(100_000, 2)


def test_pixels_are_those_of_the_files_in_their_order(tmp_path):
    fill(tmp_path / "a", 3, value=7)
    fill(tmp_path / "b", 2, value=90, colour=True)
    images = read_pictures("here", [*sorted((tmp_path / "a").iterdir()), *sorted((tmp_path / "b").iterdir())], None)
    assert images.shape == (5, 3, 4, 5)
    np.testing.assert_array_equal(images[:, 1, 0, 0], [7, 8, 9, 90, 91])
    np.testing.assert_array_equal(images[:, 0, 0, 0], [7, 8, 9, 45, 45])
