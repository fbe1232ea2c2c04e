"""The parts of a PNG or JPEG file: what a PNG says of its depth, and files without their metadata.

Damaged metadata makes Pillow refuse a file whose pixels are sound. Read without them, only the metadata are lost.
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The chunks of a PNG that its pixels need."""

NEEDED = re.compile(b"|".join(PIXELS))

HEAD = 1 << 16
"""Bytes within which a PNG says its depth, before its pixels."""

APP0, APP14, APP15, COMMENT, SCAN = 0xE0, 0xEE, 0xEF, 0xFE, 0xDA
"""JPEG's markers of segments; APP14 says how colours are stored."""


def significant_bits(path: Path) -> int:
    """Return how many bits of a 16-bit grey PNG are significant, as its sBIT chunk says; 0 where it says nothing."""
    with path.open("rb") as file:
        data = file.read(HEAD)
    for kind, start, end in png_chunks(data):
        if kind == b"sBIT" and end - start == 13 and 8 <= data[start + 8] <= 16:
            return data[start + 8]
        if kind == b"IDAT":
            break
    return 0


def without_metadata(data: bytes) -> bytes:
    """Return the bytes of a PNG or JPEG without what its pixels do not need; other bytes as they are."""
    if data.startswith(PNG):
        return PNG + b"".join(data[start:end] for kind, start, end in png_chunks(data) if kind in PIXELS)
    if data.startswith(JPEG):
        return JPEG + b"".join(data[start:end] for kind, start, end in jpeg_segments(data) if needed(kind))
    return data


def needed(marker: int) -> bool:
    """Say whether the pixels of a JPEG need a segment."""
    return marker == APP14 or not (APP0 <= marker <= APP15 or marker == COMMENT)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk, where it starts and where it ends: a length, the kind, the content, a checksum.

    A damaged chunk that the pixels do not need is left out; the next is found by its name.
    """
    at = len(PNG)
    while at + 12 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if kind in PIXELS or zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big"):
            yield kind, at, end
            at = end
        elif found := NEEDED.search(data, at + 8):
            at = found.start() - 4
        else:
            return


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment before the pixels, where it starts and ends; the last holds all that follows."""
    at = len(JPEG)
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at, end
        at = end
    yield SCAN, at, len(data)
