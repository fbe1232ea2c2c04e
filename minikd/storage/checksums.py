"""Checksums of what a file holds, kept inside the file: one flipped bit, and it is damage and not another number.

They tell of what is read, and not of the bytes on the disk: a JSON file that was set out again is still right.
"""

import hashlib
import json
from collections.abc import Mapping

from minikd.typing import Array


def of_text(text: str) -> str:
    """Return the SHA-256 of a text, whichever of the two ends its lines have."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode("utf-8", "surrogatepass")).hexdigest()


def of_table(table: Mapping[str, object]) -> str:
    """Return the SHA-256 of plain values, as JSON holds them, in whatever order the keys stand."""
    return of_text(json.dumps(table, sort_keys=True, separators=(",", ":")))


def of_tensors(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of arrays with their names, dtypes and shapes, and of the texts beside them."""
    names = sorted(tensors)
    forms = [[name, tensors[name].dtype.name, list(tensors[name].shape)] for name in names]
    found = hashlib.sha256(json.dumps([forms, sorted(metadata.items())]).encode())
    for name in names:
        value = tensors[name]
        found.update(value.astype(value.dtype.newbyteorder("<"), order="C", copy=False).data)
    return found.hexdigest()
