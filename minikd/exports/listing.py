"""The output of `minikd export`: what can be exported, with sizes; or what was written, with its results."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from minikd.console import units
from minikd.console.layout import aligned, paragraph
from minikd.data import Dataset
from minikd.distillation.results import name_of
from minikd.errors import MinikdError
from minikd.exports.c_float import float_source
from minikd.exports.c_int8 import integer_source
from minikd.exports.c_source import Source
from minikd.exports.graph import INT4, OPSET
from minikd.exports.integer import LEVELS
from minikd.exports.quantize import quantize
from minikd.exports.subjects import FILES, Subjects
from minikd.exports.write import Exported, ExportOrder
from minikd.nn import Sequential
from minikd.weights import Card

HEADER = (("", "float32", "", *LEVELS, "whole"), ("", "weights", "memory", *("weights" for _ in LEVELS), "memory"))

EXPLANATION = "Weights: as bytes in flash or in the file. Working memory: the C function's buffers, on its stack."

KINDS = {
    "onnx": "one file, for onnxruntime and others; float32, or whole numbers by --quantize int8",
    "c": "C99, for microcontrollers and up; float32, or whole numbers by --quantize int8",
    "html": "one page that draws and answers, with all the models",
}
"""The kinds of exports."""


class ExportSize(TypedDict):
    """A model's bytes in one kind of numbers, and why it cannot be exported, or "" if it can."""

    model: str
    kind: str
    weights_bytes: int
    working_bytes: int
    refusal: str


def sizes(found: Subjects, data: Dataset) -> list[ExportSize]:
    """Return the bytes of each model in each kind of numbers."""
    made = []
    for name, (model, card) in found.models.items():
        for kind, source in sources(model, card, data).items():
            size = ExportSize(model=name, kind=kind, weights_bytes=0, working_bytes=0, refusal="")
            try:
                written = source()
                size["weights_bytes"], size["working_bytes"] = written.constant_bytes, written.working_bytes
            except MinikdError as error:
                size["refusal"] = str(error)
            made.append(size)
    return made


def listing(found: Sequence[ExportSize]) -> str:
    """Return a line for each model with its bytes, and the reasons of what cannot be exported."""
    by_model: dict[str, list[ExportSize]] = {}
    for one in found:
        by_model.setdefault(one["model"], []).append(one)
    rows = {name: cells(kinds) for name, kinds in by_model.items()}
    refusals = [
        paragraph(f"{shown(one['model'])}, {one['kind']}: {one['refusal']}", hanging=2)
        for one in found
        if one["refusal"]
    ]
    table = aligned(HEADER, [(shown(name), *cells) for name, cells in rows.items()])
    return "\n".join([table, *([""] if refusals else []), *refusals, "", paragraph(EXPLANATION)])


def cells(kinds: Sequence[ExportSize]) -> list[str]:
    """Return a model's bytes of weights and of working memory, in float32 and in each kind of whole numbers."""

    def size(one: ExportSize, what: Literal["weights_bytes", "working_bytes"]) -> str:
        return "–" if one["refusal"] else units.size(one[what])

    first, *whole = kinds
    weights = [size(one, "weights_bytes") for one in whole]
    return [size(first, "weights_bytes"), size(first, "working_bytes"), *weights, size(whole[-1], "working_bytes")]


def shown(name: str) -> str:
    """Return a model's name for a reader. `--model student` is the distilled student."""
    return name_of(FILES[name]) if name in FILES else name


def sources(model: Sequential, card: Card, data: Dataset) -> dict[str, Callable[[], Source]]:
    """Return the commands that write the C files whose sizes the listing shows."""

    def whole(kind: str) -> Callable[[], Source]:
        return lambda: integer_source(quantize(model, card, data.train_images, kind=kind))

    return {"float32": lambda: float_source(model, card), **{kind: whole(kind) for kind in LEVELS}}


def export_report(order: ExportOrder, exported: Exported) -> list[str]:
    """Return what was written, and its results on the test images."""
    return [*(onnx(order, exported) if order.to == "onnx" else c(order, exported)), errors(order, exported)]


def onnx(order: ExportOrder, exported: Exported) -> list[str]:
    """Return the lines of an ONNX file."""
    pixels = "pixels as bytes" if exported.takes_bytes else "pixels as floats in 0-1"
    kind, opset = order.kind or "float32", OPSET if order.kind in ("", "int8") else INT4[0]
    lines = [f"wrote {exported.files[0]}, {units.size(exported.size)}: {kind}, opset {opset}, {pixels}, any batch size"]
    if order.kind:
        lines.append(
            f"in onnxruntime {exported.differing:,} of {exported.logits:,} logits differ from minikd's whole numbers"
        )
    else:
        lines.append(f"in onnxruntime the largest difference of a logit is {exported.difference:.1e}")
    if not exported.right:
        lines.append("WRONG: the file's answers differ from minikd's; please report it, with your processor's name")
    return lines


def c(order: ExportOrder, exported: Exported) -> list[str]:
    """Return the lines of a C export."""
    names = ", ".join(path.name for path in exported.files)
    return [
        f"wrote {names} in {order.path.parent}",
        f"{units.size(exported.size)} of constants, {exported.working_bytes:,} bytes of working memory; "
        "minikd_selftest() checks the weights and two answers where it runs",
    ]


def compile_line(path: Path) -> str:
    """Return the command that compiles an export together with its example, main.c."""
    files = (shlex.quote(str(one)) for one in (path.with_name("main.c"), path))
    return f"cc -std=c99 -O2 {' '.join(files)} -o {shlex.quote(str(path.with_suffix('')))} -lm"


def errors(order: ExportOrder, exported: Exported) -> str:
    """Return the errors of the export and of the package."""
    line = f"errors on {exported.images:,} test images: {exported.errors:,}"
    if order.kind:
        return f"{line} in whole numbers, {exported.package_errors:,} in float32"
    return (
        f"{line}, as many as minikd"
        if exported.errors == exported.package_errors
        else f"{line}, minikd {exported.package_errors:,}"
    )
