"""Writes the files of an export, and compares their outputs on the test images with minikd's."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np

from minikd import metrics
from minikd.backends import choose
from minikd.console.notices import notice
from minikd.data import Dataset, Views
from minikd.distillation.networks import LoadedModel, in_order
from minikd.errors import ConfigError, DtypeError
from minikd.exports.c import MARK, CFiles, float_c, integer_c
from minikd.exports.integer import QuantizedModel, UInt8, integer_logits
from minikd.exports.onnx import float_onnx
from minikd.exports.onnx_int8 import integer_onnx
from minikd.exports.quantize import quantize
from minikd.exports.runtime import runtime, runtime_logits
from minikd.models import describe
from minikd.nn import Sequential
from minikd.storage.files import make_folder, write_atomically
from minikd.training.inference import logits_of, named
from minikd.training.parallel import workers
from minikd.typing import Floats, Pixels
from minikd.weights import Card

SUFFIXES = {"onnx": ".onnx", "c": ".c", "html": ".html"}
"""The kinds of exports, and the ends of their file names."""


TOLERANCE = 1e-4
"""The largest allowed difference of a float32 logit from minikd's, relative if the logit is more than 1."""


class ExportOrder(NamedTuple):
    """What to write: "onnx" or "c", and the path.

    kind: of whole numbers, from `integer.LEVELS`, or "" for float32. temperature: of the soft targets, if known.
    """

    to: str
    path: Path
    kind: str
    temperature: float | None


@dataclass(frozen=True)
class Exported:
    """What was written, and its results on the test images.

    size: bytes of the ONNX file, or of the C file's constants. working_bytes: bytes of the C function's buffers.
    takes_bytes: whether the pixels are bytes. images: the number of test images. logits: the number of their logits.
    errors: the export's errors. package_errors: the errors of minikd in float32. An ONNX file is run. A C file is not:
    its outputs are computed with the same arithmetic in NumPy. difference: the largest difference of a logit from
    minikd's, relative if the logit is more than 1. differing: how many logits in whole numbers differ from minikd's.
    """

    files: tuple[Path, ...]
    size: int
    takes_bytes: bool
    images: int
    logits: int
    errors: int
    package_errors: int
    difference: float = 0.0
    differing: int = 0
    working_bytes: int = 0

    @property
    def right(self) -> bool:
        """Whether the export's outputs are those of minikd."""
        return self.difference <= TOLERANCE and not self.differing


class ExportCounts(TypedDict):
    """The part of `Exported` that is the same for all kinds."""

    files: tuple[Path, ...]
    takes_bytes: bool
    images: int
    logits: int
    errors: int
    package_errors: int


class Subject(NamedTuple):
    """The model on the host in float32, its card and data, its logits for the test images, its whole numbers."""

    model: Sequential
    card: Card
    data: Dataset
    logits: Floats
    whole: QuantizedModel | None


def write(order: ExportOrder, model: Sequential, card: Card, data: Dataset) -> Exported:
    """Write the export. `data` has the test images and, for the calibration of whole numbers, the training images.

    Raises ConfigError for a layer that cannot be exported and for a file name that does not fit, DtypeError for pixels
    that must be bytes and are not, and CheckpointError for a model of other data and for a file that cannot be written.
    """
    check_target(order.to, order.path)
    model, card, _ = in_order(LoadedModel(model, card, f"the model {card.name!r}"), data)
    if data.test_images.dtype != np.uint8 and (order.kind or order.to == "c"):
        what = "C" if order.to == "c" else order.kind
        raise DtypeError(
            f"{what} takes pixels as bytes, but {data.name} has {data.test_images.dtype} in 0-1; store its images as "
            "uint8 in 0-255 and train on those, or export --to onnx in float32"
        )
    one = subject(model, card, data, order.kind)
    make_folder(order.path.parent)
    return onnx(order, one) if order.to == "onnx" else c(order, one)


def check_target(to: str, path: Path) -> None:
    """Refuse an unknown kind of export, and a file name that does not fit it. Raises ConfigError."""
    if to not in SUFFIXES:
        raise ConfigError(f"to is {to!r}, but must be one of {', '.join(SUFFIXES)}")
    if path.suffix != SUFFIXES[to]:
        raise ConfigError(f"the file is {str(path)!r}, but an export to {to} ends in {SUFFIXES[to]}")
    if to == "c" and (path.name == "main.c" or not re.fullmatch(r"[\w.-]+", path.name, re.ASCII)):
        raise ConfigError(
            f"the file is {path.name!r}, but the example next to it is main.c and includes its header; choose another "
            "name of letters, digits, - and _, such as student.c"
        )


def subject(model: Sequential, card: Card, data: Dataset, kind: str) -> Subject:
    """Return the model with its outputs."""
    model = model.to(choose("numpy")).astype("float32")
    for name, value in model.state_dict().items():
        if not np.isfinite(value).all():
            raise ConfigError(f"{name} holds NaN or infinity in float32, so no answer can be right; train again")
    with named(f"the model {card.name!r}"), workers() as map_:
        logits = logits_of(model, Views(data.test_images, data.test_labels, card.mean, card.std), map_)
    whole = quantize(model, card, data.train_images, kind=kind) if kind else None
    return Subject(model, card, data, logits, whole)


def onnx(order: ExportOrder, one: Subject) -> Exported:
    """Write an ONNX file, and run it in onnxruntime on the test images."""
    runtime()  # before anything is written, because without it nothing can be checked
    notes = {} if order.temperature is None else {"temperature": repr(order.temperature)}
    pixels = np.uint8 if one.data.test_images.dtype == np.uint8 else np.float32
    whole = one.whole
    file = integer_onnx(whole, one.card, notes) if whole else float_onnx(one.model, one.card, pixels, notes)
    write_atomically(order.path, file)
    found, differing, right = runtime_logits(file, one.data.test_images), 0, one.logits
    if whole:
        right = np.ldexp(
            integer_logits(whole, as_bytes(one.data.test_images)).astype(np.float32), -whole.logit_bits
        )  # exact
        differing = int((found != right).sum())
    return Exported(
        **export_counts(one, (order.path,), found),
        size=len(file),
        difference=float((np.abs(found - right) / np.maximum(1, np.abs(right))).max()),
        differing=differing,
    )


def as_bytes(images: Pixels) -> UInt8:
    """Return images as bytes. Pixels that are floats in 0-1 are scaled to 0-255 and rounded."""
    pixels: UInt8 = (images if images.dtype == np.uint8 else np.rint(images * 255)).astype(np.uint8, copy=False)
    return pixels


def export_counts(one: Subject, files: tuple[Path, ...], logits: Floats) -> ExportCounts:
    """Return the counts that every export has, from its logits for the test images."""
    return ExportCounts(
        files=files,
        takes_bytes=one.data.test_images.dtype == np.uint8,
        images=len(logits),
        logits=logits.size,
        errors=metrics.errors(logits, one.data.test_labels),
        package_errors=metrics.errors(one.logits, one.data.test_labels),
    )


def c(order: ExportOrder, one: Subject) -> Exported:
    """Write NAME.h, NAME.c and main.c."""
    name, images = order.path.stem, as_bytes(one.data.test_images)
    answers = one.logits
    if one.whole:
        files = integer_c(one.whole, one.card, name, describe(one.model), images)
        answers = integer_logits(one.whole, images).astype(np.float32)  # exact: below 2^24
    else:
        files = float_c(one.model, one.card, name, images, one.logits)
    return Exported(
        **export_counts(one, write_c(order.path, files), answers),
        size=files.constant_bytes,
        working_bytes=files.working_bytes,
    )


def write_c(path: Path, files: CFiles) -> tuple[Path, ...]:
    """Write the three files, but do not overwrite a main.c that the user has edited."""
    header, main = path.with_suffix(".h"), path.with_name("main.c")
    write_atomically(header, files.header.encode())
    write_atomically(path, files.source.encode())
    if main.exists() and not main.read_bytes().startswith(MARK.encode()):
        notice(f"{main} is not minikd's example any more and stays as it is; move it away to get the example again")
        return header, path
    write_atomically(main, files.main.encode())
    return header, path, main
