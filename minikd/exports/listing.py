"""What `minikd export` prints: what can be exported with sizes, and what was written and found."""

import textwrap
from collections.abc import Callable

from minikd.data import Dataset
from minikd.errors import MinikdError
from minikd.exports.c_float import float_source
from minikd.exports.c_int8 import integer_source
from minikd.exports.c_source import Source
from minikd.exports.graph import OPSET
from minikd.exports.quantize import quantize
from minikd.exports.subjects import Subjects
from minikd.exports.write import Exported, Order
from minikd.nn import Sequential
from minikd.report import units
from minikd.report.tables import aligned
from minikd.weights import Card

WIDTH = 80
"""Columns of a terminal."""

HEADER = (("", "float32", "working", "int8", "working"), ("", "weights", "memory", "weights", "memory"))

EXPLANATION = """
--to onnx   one file, for onnxruntime and others; float32, or with --int8
--to c      C99, for microcontrollers and up; float32, or with --int8
--to html   one page that draws and answers, with all the models

Weights: as bytes in flash or in the file. Working memory: the C function's
buffers, on its stack."""


def listing(found: Subjects, data: Dataset) -> str:
    """Return a line for each model with its bytes, what cannot be exported and why, and how to export the rest."""
    rows, refusals = [], []
    for name, (model, card) in found.models.items():
        row = [name]
        for kind, source in sources(model, card, data).items():
            try:
                made = source()
                row += [units.size(made.constant_bytes), units.size(made.working_bytes)]
            except MinikdError as error:
                row += ["–", "–"]
                refusals.append(f"{name}, {kind}: {error}")
        rows.append(tuple(row))
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in refusals]
    return "\n".join([aligned(HEADER, rows), *([""] if wrapped else []), *wrapped, EXPLANATION])


def sources(model: Sequential, card: Card, data: Dataset) -> dict[str, Callable[[], Source]]:
    """Return how to make each kind's C, whose sizes the listing shows."""
    return {
        "float32": lambda: float_source(model, card),
        "int8": lambda: integer_source(quantize(model, card, data.train_images)),
    }


def told(order: Order, exported: Exported) -> list[str]:
    """Return what was written, and what it does on the test images."""
    return [*(onnx(order, exported) if order.to == "onnx" else c(order, exported)), errors(order, exported)]


def onnx(order: Order, exported: Exported) -> list[str]:
    """Return the lines of an ONNX file."""
    pixels = "pixels as bytes" if exported.takes_bytes else "pixels as floats in 0-1"
    kind = "int8" if order.int8 else "float32"
    lines = [f"wrote {exported.files[0]}, {units.size(exported.size)}: {kind}, opset {OPSET}, {pixels}, any batch size"]
    if order.int8:
        lines.append(
            f"in onnxruntime {exported.differing:,} of {exported.logits:,} logits differ from minikd's whole numbers"
        )
    else:
        lines.append(f"in onnxruntime the largest difference of a logit is {exported.difference:.1e}")
    if not exported.right:
        lines.append("WRONG: the file does not answer as minikd does; please report it, with your processor's name")
    return lines


def c(order: Order, exported: Exported) -> list[str]:
    """Return the lines of a C export."""
    names = ", ".join(path.name for path in exported.files)
    return [
        f"wrote {names} in {order.path.parent}",
        f"{units.size(exported.size)} of constants, {exported.working_bytes:,} bytes of working memory; "
        "minikd_selftest() checks the weights and two answers where it runs",
    ]


def errors(order: Order, exported: Exported) -> str:
    """Return the errors of the export and of the package."""
    line = f"errors on {exported.images:,} test images: {exported.errors:,}"
    if order.int8:
        return f"{line} in whole numbers, {exported.package_errors:,} in float32"
    return (
        f"{line}, as many as minikd"
        if exported.errors == exported.package_errors
        else f"{line}, minikd {exported.package_errors:,}"
    )
