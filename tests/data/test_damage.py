"""Files damaged at random, some hundred times a format: what is read, or one of the package's errors."""

import gzip
import io
import warnings

import numpy as np
import pytest
from PIL import Image

from minikd.console.notices import Notice
from minikd.data import load_dataset, load_image, load_images
from minikd.data.idx import read_idx
from minikd.errors import MinikdError
from tests.data.makers import idx_bytes

TIMES = 250
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
STACK = RNG.integers(0, 256, (24, 4, 5), dtype=np.uint8)


def picture(suffix, pixels=COLOUR, mode=None, **options):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A] = "maker", 6, 72.0
    if suffix in ("png", "jpeg", "tiff", "webp"):
        options = {"exif": exif, **options}
    made, file = Image.fromarray(pixels), io.BytesIO()
    (made.convert(mode) if mode else made).save(file, suffix.upper(), **options)
    return file.getvalue()


def npz(save, names):
    file = io.BytesIO()
    save(file, images=STACK, labels=np.arange(24) % 3, class_names=np.array(names))
    return file.getvalue()


FILES = {
    **{f"x.{suffix}": picture(suffix) for suffix in ("png", "jpeg", "bmp", "gif", "tiff", "webp")},
    "progressive.jpeg": picture("jpeg", progressive=True),
    "palette.png": picture("png", mode="P", transparency=0),
    "deep.png": picture("png", COLOUR[..., 0].astype(np.uint16) * 257),
    "deep.tiff": picture("tiff", COLOUR[..., 0].astype(np.uint16) * 257),
    "idx3-ubyte": idx_bytes(STACK),
    "idx3-ubyte.gz": gzip.compress(idx_bytes(STACK)),
    "packed.npz": npz(np.savez_compressed, ["a", "b", "c"]),
    "plain.npz": npz(np.savez, [b"a", b"b", b"c"]),
}


def damaged(whole, rng):
    """Cut off, put in, take out, or change some bytes, often those of the header."""
    place = int(rng.integers(0, len(whole)))
    kind = rng.integers(0, 5)
    if kind == 0:
        return whole[:place]
    if kind == 1:
        return whole[:place] + rng.bytes(int(rng.integers(1, 9))) + whole[place:]
    if kind == 2:
        return whole[:place] + whole[place + int(rng.integers(1, 20)) :]
    data = bytearray(whole)
    for at in rng.integers(0, len(data) if kind == 3 else min(200, len(data)), int(rng.integers(1, 9))):
        data[at] = rng.choice([0, 255, int(rng.integers(0, 256)), data[at] ^ 1 << int(rng.integers(0, 8))])
    return bytes(data)


def read(path):
    if path.suffix == ".npz":
        load_dataset(path)
        load_images(path)
    elif path.name.startswith("idx"):
        read_idx(path)
    else:
        load_image(path, (3, 8, 8))


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(tmp_path, name):
    rng, refused = np.random.default_rng(1), []
    for _ in range(TIMES):
        path = tmp_path / name
        path.write_bytes(damaged(FILES[name], rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)
            try:
                read(path)
            except MinikdError as error:
                refused.append(str(error))
    assert len(refused) > TIMES / 20
    assert all(path.stem in message for message in refused)
