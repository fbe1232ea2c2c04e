"""Pictures of more than 8 bits a channel, as files of each kind hold them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minikd.console.notices import Notice
from minikd.data import load_dataset, load_image
from minikd.errors import DataError
from tests.data.makers import chunk, load_and_split

STEPS = np.arange(16).reshape(4, 4)
EIGHT, TWELVE, SIXTEEN = STEPS * 17, STEPS * 273, STEPS * 4369
"""The same grey steps, from black to white, in so many bits."""


def read(path):
    return load_image(path, (1, 4, 4))[0]


def png(path, values, colour=0, bits=16, sbit=()):
    """Write a PNG of 16 bits a channel; Pillow writes grey ones alone."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    said = chunk(b"sBIT", bytes(sbit)) if sbit else b""
    parts = (chunk(b"IHDR", header), said, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def tiff(path, values, dtype=np.uint16, **tags):
    numbers = {"largest": 281, "largest_of_format": 341}
    Image.fromarray(values.astype(dtype)).save(path, tiffinfo={numbers[name]: value for name, value in tags.items()})
    return path


def tiff_of_12_bits(path):
    """Write a TIFF that packs two samples in three bytes."""
    pairs = TWELVE.ravel().tolist()
    data = b"".join((a << 12 | b).to_bytes(3, "big") for a, b in zip(pairs[::2], pairs[1::2], strict=True))
    tags = {256: 4, 257: 4, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: len(data)}
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    end = struct.pack("<H", len(tags)) + listed + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + end)
    return path


def pgm(path, values):
    path.write_bytes(b"P5 4 4 65535\n" + values.astype(">u2").tobytes())
    return path


def sgi(path, values):
    """Write 16 bits of grey as Silicon Graphics' machines did, which Pillow reads as 8."""
    header = struct.pack(">HBBHHHHII", 474, 0, 2, 2, *values.shape, 1, 0, 65535)
    path.write_bytes(header.ljust(512, b"\0") + values[::-1].astype(">u2").tobytes())
    return path


def tiff_of_cmyk(path, values):
    data = np.stack([values] * 4, 2).astype("<u2").tobytes()
    tags = {256: 4, 257: 4, 258: 8 + len(data), 259: 1, 262: 5, 273: 8, 277: 4, 278: 4, 279: len(data)}
    listed = b"".join(struct.pack("<HHII", tag, 3, 4 if tag == 258 else 1, value) for tag, value in tags.items())
    end = struct.pack("<4H", *[16] * 4) + struct.pack("<H", len(tags)) + listed + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 16 + len(data)) + data + end)
    return path


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: png(folder / "x.png", SIXTEEN),
        lambda folder: pgm(folder / "x.pgm", SIXTEEN),
        lambda folder: sgi(folder / "x.sgi", SIXTEEN),
        lambda folder: tiff(folder / "x.tif", SIXTEEN),
        lambda folder: tiff(folder / "x.tif", SIXTEEN, np.int32),
        lambda folder: tiff(folder / "x.tif", TWELVE, largest=4095),
        lambda folder: tiff(folder / "x.tif", TWELVE, largest=3900),  # the largest that is there, in 12 bits
        lambda folder: tiff(folder / "x.tif", EIGHT, np.int32, largest=255),
        lambda folder: tiff(folder / "x.tif", EIGHT, largest_of_format=255),
        lambda folder: tiff(folder / "x.tif", STEPS / 15, np.float32, largest_of_format=1.0),
        lambda folder: tiff_of_12_bits(folder / "x.tif"),
        lambda folder: png(folder / "x.png", TWELVE << 4 | TWELVE >> 8, sbit=(12,)),  # spread, as the standard says
        lambda folder: png(folder / "x.png", TWELVE, sbit=(12,)),  # as some programs do
        lambda folder: png(folder / "x.png", EIGHT, sbit=(8,)),
        lambda folder: png(folder / "x.png", np.stack([SIXTEEN] * 3, 2), colour=2),
        lambda folder: png(folder / "x.png", np.stack([SIXTEEN, np.full((4, 4), 65535)], 2), colour=4),
    ],
)
def test_white_is_what_the_file_says(tmp_path, write):
    np.testing.assert_array_equal(read(write(tmp_path)), EIGHT)


def test_a_picture_whose_zero_is_white_is_turned_around(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(SIXTEEN.astype(np.uint16)).save(path, tiffinfo={262: 0})
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    data[at : at + 2] = b"\0\0"  # Pillow writes 1 whatever it is told
    path.write_bytes(data)
    np.testing.assert_array_equal(read(path), 255 - EIGHT)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: png(folder / "x.png", EIGHT),
        lambda folder: png(folder / "x.png", np.stack([EIGHT] * 3, 2), colour=2),
        lambda folder: tiff(folder / "x.tif", EIGHT),
        lambda folder: tiff(folder / "x.tif", EIGHT, np.int32),
        lambda folder: tiff(folder / "x.tif", EIGHT, largest=65535),  # what stands there where nobody knew better
        lambda folder: tiff(folder / "x.tif", EIGHT, largest_of_format=65535),
        lambda folder: pgm(folder / "x.pgm", EIGHT),
        lambda folder: sgi(folder / "x.sgi", EIGHT),
        lambda folder: tiff_of_cmyk(folder / "x.tif", EIGHT),
    ],
)
def test_what_would_become_black_unsaid_is_refused(tmp_path, write):
    with pytest.raises(DataError, match=r"no number above 255, and does not say which is white: 65535 makes it black"):
        read(write(tmp_path))


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: png(folder / "x.png", TWELVE),
        lambda folder: png(folder / "x.png", np.stack([TWELVE] * 3, 2), colour=2),
        lambda folder: tiff(folder / "x.tif", TWELVE),
        lambda folder: png(folder / "x.png", EIGHT << 4, sbit=(12,)),  # spread and dark, or not spread
    ],
)
def test_a_dark_picture_that_says_nothing_is_told(tmp_path, write):
    with pytest.warns(Notice, match=r"no number above 40\d\d, .* 65535 makes it dark; if that is wrong, save it"):
        assert read(write(tmp_path)).max() == 15


def test_a_white_of_32_bits_that_nothing_comes_near_is_doubted(tmp_path):
    path = tiff(tmp_path / "x.tif", SIXTEEN, np.int32, largest_of_format=2**32 - 1)
    with pytest.raises(DataError, match=r"no number above 65535, .* 4294967295 makes it black"):
        read(path)


def test_a_dark_picture_of_16_bits_for_three_channels_is_no_picture_of_16_bits_each(tmp_path):
    path = tmp_path / "x.bmp"
    header = struct.pack("<IiiHHIIiiII3I", 40, 4, 4, 1, 16, 3, 32, 0, 0, 0, 0, 0xF800, 0x7E0, 0x1F)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 98, 0, 0, 66) + header + np.full(16, 3, "<u2").tobytes())
    assert read(path).max() <= 3 * 255 // 31


def test_what_is_transparent_in_a_grey_picture_of_16_bits_is_white_paper(tmp_path):
    path = png(tmp_path / "x.png", SIXTEEN)
    data = path.read_bytes()
    at = data.index(b"IDAT") - 4
    path.write_bytes(data[:at] + chunk(b"tRNS", struct.pack(">H", 4369)) + data[at:])
    np.testing.assert_array_equal(read(path), np.where(STEPS == 1, 255, EIGHT))


def test_a_black_picture_is_black(tmp_path):
    assert read(png(tmp_path / "x.png", STEPS * 0)).max() == 0


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        (STEPS / 15, np.float32, r"pixels from 0.0 to 1.0 \(mode F\), but whole numbers from 0 to 65535 are needed"),
        (STEPS * 10_000, np.int32, r"pixels from 0 to 150000 \(mode I\)"),
        (STEPS - 1, np.int32, r"pixels from -1 to 14 \(mode I\)"),
        (STEPS * np.nan, np.float32, r"pixels from nan to nan"),
    ],
)
def test_numbers_that_are_no_brightness_are_refused(tmp_path, values, dtype, message):
    with pytest.raises(DataError, match=message):
        read(tiff(tmp_path / "x.tif", values, dtype))


def test_a_number_above_the_white_that_the_file_says_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"pixels from 0 to 65535 .* from 0 to 4095 are needed"):
        read(tiff(tmp_path / "x.tif", SIXTEEN, largest=4095))


def folder_of(root, *pictures):
    for name in ("a", "b"):
        (root / name).mkdir()
    for number, write in enumerate(pictures):
        write(root / "ab"[number % 2] / f"{number}.x")
    return root


def as_png(values):
    return lambda path: png(path.with_suffix(".png"), values)


def as_tiff(values, **tags):
    return lambda path: tiff(path.with_suffix(".tif"), values, **tags)


def test_the_pictures_of_a_folder_are_scaled_alike_and_as_each_alone(tmp_path):
    dark = np.minimum(TWELVE, 3000)
    dataset = load_and_split(folder_of(tmp_path, *[as_png(SIXTEEN)] * 4, as_png(dark), as_png(STEPS)))
    images = np.concatenate([dataset.train_images, dataset.test_images])[:, 0]
    assert sorted(image.max() for image in images) == [0, 11, 255, 255, 255, 255]
    with pytest.warns(Notice, match="no number above 3000"):
        alone = load_image(tmp_path / "a" / "4.png", (1, 4, 4))[0]
    assert any(np.array_equal(image, alone) for image in images)


@pytest.mark.parametrize("values", [EIGHT, TWELVE, STEPS])
def test_a_folder_of_small_numbers_that_says_nothing_is_refused(tmp_path, values):
    message = (
        rf"4 pictures .* none holds a number above {values.max()}, and the files do not tell which value is white "
        ".*save them"
    )
    with pytest.raises(DataError, match=message):
        load_dataset(folder_of(tmp_path, *[as_png(values)] * 4))


def test_a_folder_that_says_its_white_is_read(tmp_path):
    dataset = load_and_split(folder_of(tmp_path, *[as_tiff(TWELVE, largest=4095)] * 4))
    np.testing.assert_array_equal(dataset.train_images[0, 0], EIGHT)


def test_pictures_that_differ_in_white_are_refused(tmp_path):
    pictures = [as_tiff(TWELVE, largest=4095), as_png(SIXTEEN), as_png(SIXTEEN), as_png(SIXTEEN)]
    with pytest.raises(
        DataError, match=r"have different values for white: 4095 in .*a.0\.tif, 65535 in .*a.2\.png; save"
    ):
        load_dataset(folder_of(tmp_path, *pictures))


@pytest.mark.parametrize(("bits", "white"), [(1, 1), (2, 3), (4, 15)])
def test_few_bits_are_scaled_to_the_whole_range(tmp_path, bits, white):
    row = np.arange(8 // bits) % (white + 1)
    packed = sum(int(value) << (8 - bits * (i + 1)) for i, value in enumerate(row))
    path = tmp_path / "few.png"
    header = struct.pack(">IIBBBBB", len(row), 1, bits, 0, 0, 0, 0)
    data = zlib.compress(bytes([0, packed]))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    np.testing.assert_array_equal(load_image(path, (1, 1, len(row)))[0, 0], row * 255 // white)
