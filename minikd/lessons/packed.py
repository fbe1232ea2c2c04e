"""Packs minikd for a browser: the package, the lessons' exercises and checks, and a part of MNIST, as one zip file."""

import gzip
import io
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

import minikd
from minikd.data.idx import read_idx
from minikd.lessons.library import LESSONS
from minikd.machine import own_version

TRAINING, TEST = 4_000, 2_000
"""The first images of each part of MNIST are packed, a megabyte in all. No lesson uses more with --quick."""

PACKED_TOO = ("tqdm", "threadpoolctl", "jinja2", "markupsafe")
"""Packages of pure Python that lessons need, so that pages load fewer files and work where Pyodide lacks them."""

NOT_IN_A_BROWSER = ("evidence/bench", "backends/cuda", "cli")
"""Rooms of the package that lessons do not use in a browser."""

PackedFile = tuple[str, bytes]
"""A file's path in the zip file, and its content."""


def pack(lessons: Path) -> bytes:
    """Return the zip file: minikd/, lessons/ and the other packages. The same input gives the same bytes."""
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, content in members(lessons):
            kind = ZIP_STORED if name.endswith(".gz") else ZIP_DEFLATED
            archive.writestr(ZipInfo(name), content, kind)  # a new ZipInfo has a fixed date, so the bytes stay the same
    return packed.getvalue()


def members(lessons: Path) -> Iterator[PackedFile]:
    """Yield the files of the zip file."""
    yield from of_package(Path(minikd.__file__).parent)
    yield f"minikd-{own_version()}.dist-info/METADATA", f"Name: minikd\nVersion: {own_version()}\n".encode()
    for part in ("exercises", "checks"):
        for path in sorted((lessons / part).glob(LESSONS)):
            yield f"lessons/{part}/{path.name}", path.read_bytes()
    for name in PACKED_TOO:
        for file in files(name) or ():
            if file.suffix == ".py" or "licen" in file.name.lower():
                yield file.as_posix(), file.read_binary()


def of_package(package: Path) -> Iterator[PackedFile]:
    """Yield the files of minikd, those of MNIST with fewer images."""
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package).as_posix()
        if path.is_dir() or "__pycache__" in path.parts or name.startswith(NOT_IN_A_BROWSER):
            continue
        content = first_of(path, TRAINING if "train" in name else TEST) if path.suffix == ".gz" else path.read_bytes()
        yield f"minikd/{name}", content


def first_of(path: Path, count: int) -> bytes:
    """Return a gzipped IDX file of uint8 with the first `count` items of another one."""
    kept = read_idx(path)[:count]
    sizes = np.array(kept.shape, ">u4").tobytes()
    return gzip.compress(bytes((0, 0, 8, kept.ndim)) + sizes + kept.tobytes(), mtime=0)
