"""A network as C99: NAME.h, NAME.c and an example, main.c. It needs <stdint.h>, and no heap and no global variables.

The file can test itself on its machine: it contains a hash of its weights, two test images and minikd's outputs.
"""

from string import Template
from typing import NamedTuple

import numpy as np

from minikd.exports.c_float import NEEDS_MATH, float_source
from minikd.exports.c_int8 import integer_source
from minikd.exports.c_source import LOGITS, Source, array_definition, c_float, part
from minikd.exports.integer import Int32, QuantizedModel, UInt8, integer_logits
from minikd.machine import own_version
from minikd.models import describe
from minikd.nn import Sequential
from minikd.typing import Floats
from minikd.weights import Card

TESTS = 2
"""The number of test images in the file."""

MARK = "/* main.c - minikd's example."
"""The beginning of a main.c that the user has not edited."""


class CFiles(NamedTuple):
    """The texts of the three files, the bytes of the constants, and the bytes of working memory."""

    header: str
    source: str
    main: str
    constant_bytes: int
    working_bytes: int


class Words(NamedTuple):
    """The parts of the files that differ between float32 and whole numbers. logit_scale: the line that defines it."""

    kind: str
    description: str
    number: str
    logits: str
    format: str
    tolerance: str
    logit_scale: str = ""


class Tests(NamedTuple):
    """The file's test images as raw pixels, and minikd's outputs for them."""

    images: UInt8
    logits: Floats | Int32


FLOAT = Words("float", "float32", "float", "logits", r'"\t%.9g", (double)logits[k]', " by more than 1e-4 of its size")
WHOLE = Words("int8", "", "int32_t", "logits as sums, in units of MINIKD_LOGIT_SCALE", r'"\t%ld", (long)logits[k]', "")


def float_c(model: Sequential, card: Card, name: str, images: UInt8, logits: Floats) -> CFiles:
    """Return a network in float32 as C. `images` are raw test pixels, and `logits` minikd's outputs for them.

    Raises ConfigError for an unknown layer.
    """
    tests = Tests(images[:TESTS], logits[:TESTS].astype(np.float32))
    return files(float_source(model, card), card, name, describe(model), FLOAT, tests)


def integer_c(model: QuantizedModel, card: Card, name: str, network: str, images: UInt8) -> CFiles:
    """Return a network in whole numbers as C, with raw test pixels for its self-test. network: its shape in words."""
    tests = Tests(images[:TESTS], integer_logits(model, images[:TESTS]))
    scale = f"#define MINIKD_LOGIT_SCALE {c_float(2.0**-model.logit_bits)} /* a logit is its sum times this */\n"
    words = WHOLE._replace(description=f"whole numbers, {model.kind} weights and uint8 activations", logit_scale=scale)
    return files(integer_source(model), card, name, network, words, tests)


def files(source: Source, card: Card, name: str, network: str, words: Words, tests: Tests) -> CFiles:
    """Return the files of a network. `source` has its calls."""
    needs_math = bool(set(NEEDS_MATH) & source.parts.keys())
    shared = {
        "name": name,
        "version": own_version(),
        "pixels": str(tests.images[0].size),
        "number": words.number,
    }
    header = filled("template.h", **shared, **facts(source, card, network, words))
    text = filled("template.c", **shared, **functions(source, card, words), **selftest(source, words, tests))
    main = filled("main.c", **shared, format=words.format, libraries=" -lm" if needs_math else "")
    return CFiles(header, text, main, source.constant_bytes, source.working_bytes)


def facts(source: Source, card: Card, network: str, words: Words) -> dict[str, str]:
    """Return the header's comment about the network."""
    C, H, W = card.image
    planes = "rows" if C == 1 else f"{C} planes, one channel after the other, each in rows"
    return {
        "description": words.description,
        "network": f"{card.name}: {network} for images of {H}x{W}, {len(card.class_names)} classes.",
        "layout": f"{planes} from the top, each row from the left",
        "classes": str(len(card.class_names)),
        "constant_bytes": str(source.constant_bytes),
        "working_bytes": str(source.working_bytes),
        "hash": f"0x{source.hash:08X}",
        "logits": words.logits,
        "tolerance": words.tolerance,
        "logit_scale": words.logit_scale,
    }


def functions(source: Source, card: Card, words: Words) -> dict[str, str]:
    """Return the network's part of the source: constants, functions, calls and classes."""
    parts = [*source.parts, f"{words.kind}_largest", f"{words.kind}_softmax"]
    calls = [*source.declared_buffers(), *source.calls, f"return largest({LOGITS});"]
    names = [f'case {k}: return "{escaped(name)}";' for k, name in enumerate(card.class_names)]
    return {
        "math": "#include <math.h>\n" if set(NEEDS_MATH) & source.parts.keys() else "",
        "constants": source.constants(),
        "parts": "\n".join(map(part, parts)),
        "body": indented(calls),
        "names": indented(names),
    }


def selftest(source: Source, words: Words, tests: Tests) -> dict[str, str]:
    """Return the self-test's part of the source."""
    word = "    union { float number; uint32_t bits; } word;\n" if words is FLOAT else ""
    return {
        "tests": array_definition("test_images", tests.images.ravel())
        + "\n"
        + array_definition("test_logits", tests.logits.ravel()),
        "hash_functions": part("hash"),
        "differs": part(f"{words.kind}_differs"),
        "word": word,
        "hash_loops": indented(source.hash_loops()),
        "count": str(len(tests.images)),
    }


def filled(template: str, **values: str) -> str:
    """Return a file of `c_parts/` with its placeholders filled in."""
    return Template(part(template)).substitute(values)


def indented(lines: list[str]) -> str:
    """Return lines of a function's body."""
    return "\n".join(f"    {line}" for line in lines)


def escaped(text: str) -> str:
    """Return a text as C has it between quotes: UTF-8, with octal codes for all but plain characters."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode())
