"""The parts of a picture file: the depth that a PNG states, and PNG, JPEG, TIFF and WebP files without their metadata.

Pillow refuses a file with damaged metadata, even if its pixels are sound. Without the metadata, the pixels can be
read.
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The chunks of a PNG that its pixels need."""

NEEDED = re.compile(b"|".join(PIXELS))

HEAD = 1 << 16
"""Number of first bytes in which a PNG states its depth, before its pixels."""

APP0, APP14, APP15, COMMENT, SCAN = 0xE0, 0xEE, 0xEF, 0xFE, 0xDA
"""JPEG's markers of segments; APP14 says how colours are stored."""


TIFF: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
TIFF_PIXELS = frozenset(
    (
        *(*range(254, 260), 262, 266, 273, *range(277, 282), 284, 292, 293, 317, *range(320, 326), 332),
        *(*range(338, 342), 347, *range(512, 522), *range(529, 533)),
    )
)
"""The tags of a TIFF that its pixels need: sizes, depth, colours, packing, places."""

WEBP_PIXELS = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
WEBP_METADATA = 0x20 | 0x08 | 0x04
"""The flags in VP8X for a profile, EXIF and XMP."""


def significant_bits(path: Path) -> int:
    """Return how many bits of a 16-bit grey PNG are significant, from its sBIT chunk; 0 if there is none."""
    with path.open("rb") as file:
        data = file.read(HEAD)
    for kind, start, end in png_chunks(data):
        if kind == b"sBIT" and end - start == 13 and 8 <= data[start + 8] <= 16:
            return data[start + 8]
        if kind == b"IDAT":
            break
    return 0


def without_metadata(data: bytes) -> bytes:
    """Return a PNG, JPEG, TIFF or WebP with only the parts that its pixels need; other bytes are returned unchanged."""
    if data.startswith(PNG):
        return PNG + b"".join(data[start:end] for kind, start, end in png_chunks(data) if kind in PIXELS)
    if data.startswith(JPEG):
        return JPEG + b"".join(data[start:end] for kind, start, end in jpeg_segments(data) if is_needed_segment(kind))
    if data[:4] in TIFF:
        return tiff_without_metadata(data, TIFF[data[:4]])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp_without_metadata(data)
    return data


def is_needed_segment(marker: int) -> bool:
    """Say whether the pixels of a JPEG need a segment."""
    return marker == APP14 or not (APP0 <= marker <= APP15 or marker == COMMENT)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk, and its start and end. A chunk is a length, the kind, the content and a checksum.

    A damaged chunk that the pixels do not need is skipped. The next chunk is found by its name.
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
    """Yield the marker, start and end of each segment before the pixels.

    The last segment holds the rest of the file.
    """
    at = len(JPEG)
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at, end
        at = end
    yield SCAN, at, len(data)


def tiff_without_metadata(data: bytes, order: Literal["little", "big"]) -> bytes:
    """Return a TIFF with only its first directory, and in it only the tags that the pixels need.

    A directory is the number of its entries, 12 bytes for each entry (the tag first), and the position of the next
    directory.
    """
    at = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[at : at + 2], order)
    entries = [data[start : start + 12] for start in range(at + 2, at + 2 + 12 * count, 12)]
    kept = [entry for entry in entries if int.from_bytes(entry[:2], order) in TIFF_PIXELS]
    directory = len(kept).to_bytes(2, order) + b"".join(kept) + bytes(4)
    return data[:at] + directory + data[at + len(directory) :]


def webp_without_metadata(data: bytes) -> bytes:
    """Return a WebP with only the chunks that the pixels need.

    A chunk is a kind, a length and the content, padded to even.
    """
    body, at = b"WEBP", 12
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        end += end % 2
        piece = bytearray(data[at:end])
        if piece[:4] == b"VP8X" and len(piece) > 8:
            piece[8] &= ~WEBP_METADATA
        if piece[:4] in WEBP_PIXELS:
            body += piece
        at = end
    return b"RIFF" + len(body).to_bytes(4, "little") + body
