"""The names of the IDX files of MNIST and similar data sets."""

import re
from typing import NamedTuple

FILE_NAME = re.compile(
    r"(?:(?P<set>emnist-[a-z]+|qmnist)-)?(?P<part>train|t10k|test)-(?P<kind>images|labels)"
    r"[-.]idx\d-(?:ubyte|int)(?:\.gz)?",
    re.IGNORECASE,
)
NAMES_HELP = (
    "train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the test, t10k-images-idx3-ubyte, "
    "t10k-labels-idx1-ubyte (or with . before idx, or with .gz after it)"
)


class FileName(NamedTuple):
    """What a file's name says: the set, if it names one; "train" or "test"; "images" or "labels"."""

    set: str
    part: str
    kind: str


def parse(name: str) -> FileName | None:
    """Return what a file's name says; None if it is not such a name."""
    match = FILE_NAME.fullmatch(name)
    if not match:
        return None
    part = "train" if match["part"].lower() == "train" else "test"
    return FileName((match["set"] or "").lower(), part, match["kind"].lower())
