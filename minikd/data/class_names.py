"""The names of the classes: texts that differ from one another."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from minikd.data.shown import first_names, is_text, normalized_name
from minikd.errors import DataError
from minikd.storage.reading import excerpt

LONGEST = 255
"""Maximum number of characters of a name, as for the name of a folder."""


def checked_names(names: object, where: str) -> tuple[str, ...]:
    """Return class names, from a list, a tuple or an array of different texts, as a tuple of plain texts.

    Raises `DataError` like `check_names`.
    """
    given = names.tolist() if isinstance(names, np.ndarray) else names
    if not isinstance(given, list | tuple):
        raise DataError(
            f"{where}: class_names is a {type(names).__name__}, but must be a tuple with a text for each class, in the "
            "order of the labels, such as ('cat', 'dog')"
        )
    check_names(given, where)
    return tuple(map(str, given))


def check_names(names: Sequence[object], where: str) -> None:
    """Refuse class names that are not text, are empty, or look alike."""
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        if not isinstance(name, str) or not normalized_name(name) or len(name) > LONGEST or not is_text(name):
            raise DataError(
                f"{where}: class {number} is called {excerpt(ascii(name))}, but a name must be text of 1 to {LONGEST} "
                "characters, without control characters; give it another name"
            )
        first = numbers.setdefault(normalized_name(name), number)
        if first != number:
            raise DataError(
                f"{where}: classes {first} and {number} are both called {name!r}; give each class its own name, or "
                "merge the two"
            )


def names_in(array: npt.NDArray[np.generic], where: str) -> tuple[str, ...]:
    """Return the class names in an array of text, of UTF-8 bytes or of whole numbers, without padding.

    Raises `DataError` if the array has another dtype or shape.
    """
    if array.ndim == 0 or array.size != max(array.shape):
        raise DataError(f"{where}: class_names has shape {array.shape}, but must be (K,), one name for each class")
    if array.dtype.kind not in "USiu":
        raise DataError(f"{where}: class_names is {array.dtype}, but must be text, as np.array(['cat', 'dog'])")
    return tuple(name_in(value, number, where) for number, value in enumerate(array.ravel().tolist()))


def name_in(value: object, number: int, where: str) -> str:
    """Return one name without the spaces and zeros around it."""
    if not isinstance(value, bytes):
        return str(value).strip("\0 \t\r\n")
    try:
        return value.decode().strip("\0 \t\r\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: class name {number} is the bytes {value!r}, which are not UTF-8; give class_names as text"
        ) from error


def check_count(names: Sequence[str], labels: npt.NDArray[np.generic], where: str) -> None:
    """Refuse fewer names than the labels need."""
    if not labels.size or not np.issubdtype(labels.dtype, np.integer):
        return  # other checks refuse these
    highest = int(labels.astype(np.int64).max())
    if highest >= len(names):
        raise DataError(
            f"{where}: class_names has {len(names)} names ({first_names(list(names), 5)}), but labels go up to "
            f"{highest}; give one name for each class, in the order of the labels"
        )
