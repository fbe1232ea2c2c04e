import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image, PngImagePlugin

from minikd.console.notices import Notice
from minikd.data import load_image
from minikd.data.picture_set import read_pictures
from minikd.data.pictures import resized
from minikd.data.trees import SUFFIXES
from minikd.errors import DataError
from tests.data.makers import quietly

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)


def saved(path, pixels, mode=None, **options):
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


@settings(max_examples=20, deadline=None)
@given(pixels=npst.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_grey_picture_is_read_as_it_was_written(tmp_path_factory, pixels):
    path = saved(tmp_path_factory.mktemp("grey") / "grey.png", pixels)
    loaded = load_image(path, (1, *pixels.shape))
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded[0], pixels)
    np.testing.assert_array_equal(load_image(str(path), (1, *pixels.shape), invert=True)[0], 255 - pixels)
    np.testing.assert_array_equal(load_image(path, (3, *pixels.shape)), np.stack([pixels] * 3))


def test_colour_has_channels_first_and_luma_as_grey(tmp_path):
    path = saved(tmp_path / "colour.png", COLOUR)
    np.testing.assert_array_equal(load_image(path, (3, 4, 6)), np.moveaxis(COLOUR, 2, 0))
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(load_image(path, (1, 4, 6))[0], luma, atol=1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_read(tmp_path, suffix):
    flat = np.full((5, 7), 90, np.uint8)
    loaded = load_image(saved(tmp_path / f"flat{suffix}", flat), (1, 5, 7))
    np.testing.assert_allclose(loaded, 90, atol=3)


def test_size_is_height_by_width(tmp_path):
    halves = np.zeros((20, 40), np.uint8)
    halves[:10] = 200  # the upper half is light
    loaded = load_image(saved(tmp_path / "halves.png", halves), (1, 10, 8))
    assert loaded.shape == (1, 10, 8)
    assert loaded[0, :4].min() == 200
    assert loaded[0, 6:].max() == 0


def test_a_picture_made_smaller_keeps_its_mean(tmp_path):
    chequered = np.indices((32, 32)).sum(0) % 2 * np.uint8(200)
    loaded = load_image(saved(tmp_path / "chequered.png", chequered.astype(np.uint8)), (1, 8, 8))
    np.testing.assert_allclose(loaded[0, 1:-1, 1:-1], 100, atol=2)  # plain bilinear sampling would give 0 or 200


def test_transparent_parts_are_white_paper(tmp_path):
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[1, 2, 3] = 255  # one opaque black pixel; the rest is see-through black
    loaded = load_image(saved(tmp_path / "ink.png", ink), (1, 4, 4))
    assert loaded[0, 1, 2] == 0
    assert (np.delete(loaded.ravel(), 6) == 255).all()


def test_sixteen_bit_grey_is_scaled(tmp_path):
    deep = np.array([[0, 257 * 200 - 1, 257 * 200, 65535]], np.uint16)
    np.testing.assert_array_equal(load_image(saved(tmp_path / "deep.png", deep), (1, 1, 4))[0], [[0, 199, 200, 255]])


def test_other_depths_are_refused(tmp_path):
    path = saved(tmp_path / "real.tif", np.array([[0.25, 0.5]], np.float32))
    with pytest.raises(DataError, match=r"real\.tif cannot .* pixels from 0.25 to 0.5 \(mode F\).*save it with 8 bits"):
        load_image(path, (1, 1, 2))


def test_a_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn: shown turned clockwise
    path = saved(tmp_path / "photo.png", GREY, exif=exif)
    np.testing.assert_array_equal(load_image(path, (1, 6, 4))[0], np.rot90(GREY, -1))


def test_bilevel_palette_and_cmyk(tmp_path):
    bits = saved(tmp_path / "bits.png", np.where(GREY > 100, 255, 0).astype(np.uint8), mode="1")
    np.testing.assert_array_equal(load_image(bits, (1, 4, 6))[0], np.where(GREY > 100, 255, 0))
    palette = saved(tmp_path / "palette.png", COLOUR, mode="P")
    assert load_image(palette, (3, 4, 6)).shape == (3, 4, 6)
    print_colours = saved(tmp_path / "print.tif", COLOUR, mode="CMYK")
    np.testing.assert_allclose(load_image(print_colours, (3, 4, 6)), np.moveaxis(COLOUR, 2, 0), atol=2)


def test_grey_saved_as_colour_counts_as_grey(tmp_path):
    path = saved(tmp_path / "grey.png", GREY, mode="RGB")
    np.testing.assert_array_equal(read_pictures("here", [path], None), GREY[None, None])
    assert read_pictures("here", [saved(tmp_path / "colour.png", COLOUR)], None).shape == (1, 3, 4, 6)


SHORT_HEADER = (
    b"\x89PNG\r\n\x1a\n" + (5).to_bytes(4, "big") + b"IHDR12345" + zlib.crc32(b"IHDR12345").to_bytes(4, "big")
)


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x89PNG\r\n\x1a\n", SHORT_HEADER, "truncated"])
def test_unreadable_pictures_are_named_with_the_fix(tmp_path, content):
    path = saved(tmp_path / "bad.png", np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:300] if content == "truncated" else content)
    with pytest.raises(DataError, match=r"bad\.png cannot be read as a picture: .+; give a whole PNG, JPEG"):
        load_image(path, (1, 4, 4))


def test_a_missing_picture_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png cannot be read as a picture: there is no such file"):
        load_image(tmp_path / "gone.png", (1, 4, 4))
    with pytest.raises(DataError, match="cannot be read as a picture"):
        load_image(tmp_path, (1, 4, 4))


def with_exif(path, edit):
    """A JPEG that its metadata turn; `edit` changes the bytes of the metadata."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A] = "maker", 6, 72.0
    saved(path, GREY, exif=exif, quality=95)
    whole = path.read_bytes()
    start, size = whole.index(b"Exif\0\0") + 6, len(exif.tobytes()) - 6
    path.write_bytes(whole[:start] + bytes(edit(bytearray(whole[start : start + size]))) + whole[start + size :])
    return path


def wrong_type(data):
    place = data.index(bytes([0x1A, 0x01]) if data[:2] == b"II" else bytes([0x01, 0x1A]))
    data[place + 2 : place + 4] = b"\0\7" if data[:2] == b"MM" else b"\7\0"
    return data


def no_directory(data):
    data[4:8] = b"\xff" * 4
    return data


def far_directory(data):
    return data[:4] + b"\0\0\xff\x00" + data[8:]


@pytest.mark.parametrize("edit", [wrong_type, no_directory, far_directory, lambda data: b"\xff" * len(data)])
def test_damaged_metadata_cost_the_rotation_alone_and_it_is_said(tmp_path, edit):
    path = with_exif(tmp_path / "photo.jpg", edit)
    with pytest.warns(Notice, match=r"photo\.jpg: its metadata are damaged; it is used as it is stored"):
        loaded = load_image(path, (1, 4, 6))[0]
    np.testing.assert_allclose(loaded.astype(int), GREY, atol=8)


def test_metadata_may_be_anything_at_all(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "photo.jpg"
    for _ in range(150):

        def edit(data):
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.integers(0, 256)
            return data

        loaded, said = quietly(load_image, with_exif(path, edit), image_shape=(1, 4, 6))
        if said:
            np.testing.assert_allclose(loaded[0].astype(int), GREY, atol=8)


def wrong_start(data):
    return b"XX" + data[2:]


def impossible_turn(data):
    at = data.index(b"\x01\x12\x00\x03" if data[:2] == b"MM" else b"\x12\x01\x03\x00") + 8
    data[at : at + 2] = b"cc"
    return data


@pytest.mark.parametrize("edit", [wrong_start, wrong_type, no_directory, impossible_turn])
def test_damaged_metadata_of_a_webp_cost_the_rotation_alone_and_it_is_said(tmp_path, edit):
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    path = saved(tmp_path / "photo.webp", GREY, exif=exif, lossless=True)
    whole = path.read_bytes()
    at = whole.index(b"EXIF") + 8
    path.write_bytes(whole[:at] + bytes(edit(bytearray(whole[at:]))))
    with pytest.warns(Notice, match=r"photo\.webp: its metadata are damaged; it is used as it is stored"):
        np.testing.assert_array_equal(load_image(path, (1, 4, 6))[0], GREY)


@pytest.mark.parametrize("tag", [270, 271, 700])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_damaged_metadata_of_a_tiff_cost_nothing_else_and_it_is_said(tmp_path, tag, compression):
    path = saved(tmp_path / "scan.tif", GREY, compression=compression, tiffinfo={tag: b"somebody" * 4})
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<H", tag), struct.unpack_from("<I", data, 4)[0])
    data[at + 8 : at + 12] = struct.pack("<I", 10**9)  # where it lies
    path.write_bytes(data)
    with pytest.warns(Notice, match=r"scan\.tif: its metadata are damaged"):
        np.testing.assert_array_equal(load_image(path, (1, 4, 6))[0], GREY)


def test_a_huge_file_that_is_no_picture_is_not_read_whole(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(2**33)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("read"))
    with pytest.raises(DataError, match=r"huge\.png cannot be read as a picture: its content is of no known format"):
        load_image(path, (1, 4, 6))


@pytest.mark.parametrize("place", range(0, 140, 7))
def test_a_damaged_chunk_of_a_png_beside_its_pixels_costs_nothing_else(tmp_path, place):
    info = PngImagePlugin.PngInfo()
    info.add_text("author", "somebody" * 4)
    path = saved(tmp_path / "noted.png", GREY, pnginfo=info, dpi=(72, 72), exif=Image.Exif())
    data = bytearray(path.read_bytes())
    start, end = 33, data.index(b"IDAT") - 4
    data[start + place % (end - start)] ^= 0x55
    path.write_bytes(data)
    with pytest.warns(Notice, match="its metadata are damaged"):
        np.testing.assert_array_equal(load_image(path, (1, 4, 6))[0], GREY)


def test_damage_of_the_pixels_is_not_taken_for_damage_of_metadata(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    for name in ("bad.png", "bad.jpg", "bad.tif"):
        path = saved(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[:400])
        with pytest.raises(DataError, match=f"{name} cannot be read as a picture"):
            load_image(path, (1, 4, 4))


@pytest.mark.parametrize(
    "error",
    [
        *(struct.error("short"), KeyError("mode"), IndexError("end"), TypeError("kind"), AttributeError("name")),
        *(RecursionError("deep"), zlib.error("data"), OverflowError("large"), MemoryError(), AssertionError()),
        *(SyntaxError("broken"), Image.DecompressionBombError("bomb"), UnicodeDecodeError("utf-8", b"", 0, 1, "x")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_picture_library_raises_is_told_with_the_name(tmp_path, monkeypatch, error):
    def opened(*_):
        raise error

    path = saved(tmp_path / "odd.png", GREY)
    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(DataError, match=r"odd\.png cannot be read as a picture: .+; give a whole PNG"):
        load_image(path, (1, 4, 4))


def test_a_picture_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def opened(*_):
        raise PermissionError(13, "Permission denied")

    path = saved(tmp_path / "closed.png", GREY)
    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(DataError, match=r"closed\.png cannot be read .* permission denied; allow reading it"):
        load_image(path, (1, 4, 4))


def test_the_name_of_a_picture_need_not_be_text(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        saved(path, GREY)
    except OSError:
        pytest.skip("this file system takes names of UTF-8 alone")
    np.testing.assert_array_equal(load_image(path, (1, 4, 6))[0], GREY)
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"caf\\xe9\.png cannot be read as a picture") as caught:
        load_image(path, (1, 4, 6))
    assert str(caught.value).encode()


def test_lab_is_read(tmp_path):
    Image.new("LAB", (6, 4), (128, 128, 128)).save(tmp_path / "lab.tif")
    np.testing.assert_allclose(load_image(tmp_path / "lab.tif", (3, 4, 6)), 119, atol=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_arrays_keeps_dtype_order_and_range(dtype, channels):
    images = np.zeros((2, channels, 4, 6), dtype)
    for n in range(2):
        for c in range(channels):
            images[n, c] = (n * 3 + c + 1) * 0.125 if dtype == np.float32 else n * 3 + c + 1
    out = resized(images, (8, 3))
    assert (out.shape, out.dtype) == ((2, channels, 8, 3), dtype)
    np.testing.assert_array_equal(out, np.broadcast_to(images[:, :, :1, :1], out.shape))
