"""Checks a file's contents against a declared type before they are used.

Every function here raises ValueError with only the reason. The reader of a format adds the file and the fix.
"""

import json
import math
from typing import TypeVar

ValueT = TypeVar("ValueT")

DEEPEST = 40
"""Maximum depth of nested lists and tables. minikd's own files are far less deep."""

LARGEST = 2**63
"""Bound for whole numbers in a file. A larger number fits no integer of the machine, and sums with it could
overflow."""


def from_json(text: str) -> object:
    """Return the values of a JSON text. NaN and infinities, which JSON lacks but older files may hold, become None.

    Raises ValueError if the text is not JSON, is nested too deeply, or holds a number beyond the bounds.
    """
    try:
        value: object = json.loads(text, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    check_plain(value)
    return value


def check_plain(value: object, deep: int = 0) -> None:
    """Refuse values that are nested too deeply, numbers that are not finite or far too large, and texts with NUL."""
    if deep > DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        for key, one in value.items():
            check_plain(key, deep)
            check_plain(one, deep + 1)
    elif isinstance(value, list):
        for one in value:
            check_plain(one, deep + 1)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"it holds a whole number of {value.bit_length()} bits")
    elif isinstance(value, float) and not (math.isfinite(value) and abs(value) <= 1e300):
        raise ValueError(f"it holds the number {value}")
    elif isinstance(value, str) and "\0" in value:
        raise ValueError(f"it holds the text {value[:40]!r}, with a NUL in it")


def as_type(value: object, kind: type[ValueT]) -> ValueT:
    """Return plain values as the declared type: a dataclass, a TypedDict, a tuple or a number.

    Raises ValueError for values of another type, for missing values, and for keys that the type does not declare.
    """
    import msgspec

    made = msgspec.convert(value, kind)
    check_keys(value, msgspec.to_builtins(made))
    return made


def check_keys(given: object, used: object) -> None:
    """Refuse keys that were given and not used."""
    if isinstance(given, dict) and isinstance(used, dict):
        for key, value in given.items():
            if key not in used:
                raise ValueError(f"it holds {key!r}, which does not belong there")
            check_keys(value, used[key])
    elif isinstance(given, list) and isinstance(used, list | tuple):
        for one, other in zip(given, used, strict=True):
            check_keys(one, other)
