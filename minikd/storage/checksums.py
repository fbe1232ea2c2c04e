"""Checksums of a file's contents, stored in the file, so that a changed bit is found.

They cover the values in the file, not its bytes. So a JSON file that was only reformatted still has the right checksum.
"""

import hashlib
import json
from collections.abc import Mapping

from minikd.typing import Array


def of_text(text: str) -> str:
    """Return the SHA-256 of a text. Both kinds of line ends give the same value."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode("utf-8", "surrogatepass")).hexdigest()


def of_table(table: Mapping[str, object]) -> str:
    """Return the SHA-256 of values that JSON can hold. The order of the keys does not matter."""
    return of_text(json.dumps(table, sort_keys=True, separators=(",", ":")))


def of_tensors(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of arrays with their names, dtypes and shapes, and of the metadata."""
    names = sorted(tensors)
    forms = [[name, tensors[name].dtype.name, list(tensors[name].shape)] for name in names]
    found = hashlib.sha256(json.dumps([forms, sorted(metadata.items())]).encode())
    for name in names:
        value = tensors[name]
        found.update(value.astype(value.dtype.newbyteorder("<"), order="C", copy=False).data)
    return found.hexdigest()
