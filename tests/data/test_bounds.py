"""Files that unpack to far more than they declare, and sizes that no machine has: each within 1 GB and seconds."""

import gzip
import io
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest

from minikd import memory
from minikd.data import load_dataset
from minikd.data.chunks import PNG
from minikd.errors import DataError, SizeError
from tests.data.makers import chunk, idx_bytes, plant, toy_arrays, write_idx_folder

resource = pytest.importorskip("resource", reason="this system has no limits for a process")

SECONDS = 20
LIMIT = 10**9

LOAD = """
import re, resource, sys
from pathlib import Path
from minikd.data import load_dataset, load_images
from minikd.errors import MinikdError
try:
    {load}(sys.argv[1], {size})
except MinikdError as error:
    print(error)
    status = Path("/proc/self/status")  # its peak begins with the process; ru_maxrss begins with that of pytest
    found = re.search("VmHWM: *([0-9]+) kB", status.read_text().replace(chr(9), " ")) if status.exists() else None
    print(found[1] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def refusal(source, size=None, load="load_dataset", limit=None):
    """The error of loading in a process of its own, which must not take 1 GB: its peak is told, or it is limited."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD.format(load=load, size=size), str(source)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))),
    )
    assert ended.stderr == ""
    *message, peak = ended.stdout.splitlines()
    assert int(peak) * (1 if sys.platform == "darwin" else 1024) < LIMIT
    return "\n".join(message)


def zeros(write, count, piece=bytes(1 << 20)):
    for _ in range(count):
        write(piece)


def header(*shape):
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


def idx_folder(root, images, suffix=""):
    write_idx_folder(root, toy_arrays())
    (root / "train-images-idx3-ubyte").unlink()
    (root / f"train-images-idx3-ubyte{suffix}").write_bytes(images)
    return root


def test_a_gzip_that_unpacks_to_more_than_a_gigabyte_is_read_to_where_its_header_ends(tmp_path):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(header(40, 4, 5))
        zeros(file.write, 1200)
    found = refusal(idx_folder(tmp_path / "toy", packed.getvalue(), ".gz"))
    assert "train-images-idx3-ubyte.gz has trailing bytes after the 800 of shape (40, 4, 5)" in found


@pytest.mark.parametrize(
    "shape", [(4_000_000_000, 1000, 250), (2**32 - 1,) * 3, (2**32 - 1,) * 4, (0, 2**32 - 1, 2**32 - 1)]
)
def test_an_idx_header_of_more_than_memory_is_refused(tmp_path, shape):
    found = refusal(idx_folder(tmp_path / "toy", header(*shape) + b"some"))
    assert f"whose header declares shape {shape}, would take" in found
    assert "of memory, but" in found


@pytest.mark.parametrize("count", [0, 5, 64, 65, 255])
def test_an_idx_file_of_impossible_dimensions_is_refused(tmp_path, count):
    found = refusal(idx_folder(tmp_path / "toy", header(*[1] * count) + b"x"))
    assert "not an IDX file" in found or f"declares {count} dimensions, but labels have 1 and images 3 or 4" in found


def npz(path, shape, megabytes, start=None, method=zipfile.ZIP_DEFLATED):
    """Write an .npz whose images declare a shape and hold so many megabytes."""
    declared = io.BytesIO()
    np.lib.format.write_array_header_1_0(declared, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as file:
        with file.open("images.npy", "w", force_zip64=True) as member:
            member.write(declared.getvalue() if start is None else start)
            zeros(member.write, megabytes)
        labels = io.BytesIO()
        np.save(labels, np.arange(40) % 3)
        file.writestr("labels.npy", labels.getvalue())
    return path


def test_an_npz_that_unpacks_to_more_than_a_gigabyte_is_refused_by_its_header(tmp_path):
    found = refusal(npz(tmp_path / "bomb.npz", (40, 4, 5), 1200))
    assert "images declares 800 bytes but has 1,258,291,200" in found


@pytest.mark.parametrize("load", ["load_dataset", "load_images"])
@pytest.mark.parametrize("shape", [(10**12, 4, 5), (40, 10**9, 10**9), (-1, 4, 5), (40, *[1] * 3000)])
def test_an_npz_header_of_more_than_its_file_is_refused(tmp_path, shape, load):
    found = refusal(npz(tmp_path / "bomb.npz", shape, 1), load=load)
    expected = (
        "not as many labels as images",
        "it is not clear which are the images",
        "images declares",
        "an array of uint8 and shape",
        "an array of 3,001 axes",
    )
    assert "bomb.npz" in found
    assert any(words in found for words in expected)
    assert len(found) < 500


def test_an_npz_that_holds_what_it_declares_is_refused_where_memory_is_less(tmp_path):
    found = refusal(npz(tmp_path / "bomb.npz", (40, 2**20, 20), 800), limit=LIMIT)
    assert "images in" in found
    assert "of shape (40, 1048576, 20) and uint8, would take 1.7 GB of memory, but" in found


def test_an_npy_header_of_gigabytes_is_not_read(tmp_path):
    start = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1)
    assert "a header of version (2, 0) and 2147483647 bytes" in refusal(npz(tmp_path / "bomb.npz", (), 600, start))


def test_an_npz_that_is_packed_otherwise_is_refused(tmp_path):
    found = refusal(npz(tmp_path / "bomb.npz", (40, 4, 5), 1, method=zipfile.ZIP_LZMA))
    assert "images is packed in another way than by NumPy" in found


def test_labels_of_another_number_are_told_before_the_images_are_read(tmp_path):
    found = refusal(npz(tmp_path / "bomb.npz", (41, 2**20, 20), 820))
    assert "not as many labels as images" in found


def black_png(path, side, colour, bits):
    """Write a black square of a PNG row by row: this process must stay small, for its peak counts as the other's."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row, pack = bytes(1 + side * channels * bits // 8), zlib.compressobj(1)
    data = b"".join(pack.compress(row) for _ in range(side)) + pack.flush()
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)
    path.write_bytes(PNG + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("colour", "bits", "side"), [(2, 8, 13_000), (6, 8, 8_000), (0, 16, 6_000), (2, 16, 13_000)])
def test_a_small_file_of_a_large_picture_is_refused(tmp_path, colour, bits, side):
    black_png(plant(tmp_path, "cat dog") / "cat" / "0.png", side, colour, bits)
    for size in (None, (8, 8)):
        assert f"its {side}x{side} pixels would take 1." in refusal(tmp_path, size)


@pytest.mark.parametrize(("colour", "bits", "side"), [(2, 8, 8_000), (6, 8, 6_000), (0, 16, 5_000), (0, 8, 13_000)])
def test_a_picture_as_large_as_a_photo_takes_less_than_a_gigabyte(tmp_path, colour, bits, side):
    for name in "ab":
        folder = plant(tmp_path, f"{name}") / name
        black_png(folder / "large.png", side, colour, bits)
    (tmp_path / "a" / "0.png").write_bytes(b"broken, so that there is an end")
    assert "0.png cannot be read as a picture" in refusal(tmp_path, (8, 8))


@pytest.mark.parametrize("load", ["load_dataset", "load_images"])
def test_an_image_size_that_no_machine_has_is_refused(tmp_path, load):
    for source in (plant(tmp_path / "pets", "cat dog"), "mnist"):
        found = refusal(source, (60_000, 60_000), load)
        assert "images of 60000x60000 pixels would take" in found
        assert "--image-size" in found


def test_a_picture_that_is_too_long_to_stretch_is_refused(tmp_path):
    plant(tmp_path, "cat dog")
    row = zlib.compressobj(1)
    data = row.compress(b"\0") + b"".join(row.compress(bytes(10**6)) for _ in range(100)) + row.flush()
    header = struct.pack(">IIBBBBB", 10**8, 1, 8, 0, 0, 0, 0)
    (tmp_path / "cat" / "0.png").write_bytes(PNG + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    assert "0.png cannot be read as a picture: its 1x100000000 pixels would take 1.9 GB" in refusal(tmp_path, (8, 8))


def test_images_whose_network_memory_cannot_hold_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 20 * 10**9)
    plant(tmp_path, "cat dog", count=1)
    for name in ("cat", "dog"):
        black_png(tmp_path / name / "0.png", 13_000, 0, 8)
    with pytest.raises(SizeError, match=r"2 images of 13000x13000 pixels would take 4\d\.\d GB .* --image-size 64x64"):
        load_dataset(tmp_path)


def test_photos_that_memory_cannot_hold_are_refused_by_the_first_of_them(tmp_path):
    from PIL import Image

    for number in range(12):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (4000, 3000), (number, 90, 200)).save(folder / f"{number}.jpg")
    found = refusal(tmp_path, limit=LIMIT)
    assert "12 images of 3000x4000 pixels would take" in found
    assert "are free; make them smaller with --image-size, such as --image-size 48x64" in found


def test_a_limit_does_not_refuse_what_is_small(tmp_path):
    write_idx_folder(tmp_path / "toy", toy_arrays())
    code = "import sys; from minikd.data import load_dataset; print(load_dataset(sys.argv[1]).classes)"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "toy")],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )
    assert ended.stdout.strip() == "3"


def test_idx_bytes_are_read_whole_over_many_pieces(tmp_path):
    from minikd.data.idx import read_idx

    array = np.random.default_rng(0).integers(0, 256, (3, 1000, 1000), dtype=np.uint8)
    (tmp_path / "large").write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(read_idx(tmp_path / "large"), array)
    (tmp_path / "large").write_bytes(idx_bytes(array)[:-1])
    with pytest.raises(DataError, match=r"large is truncated: 2999999 of 3000000 bytes"):
        read_idx(tmp_path / "large")
