"""Settings: dataclass fields with their help text and their limits, in sections that check their values."""

import difflib
import unicodedata
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from math import inf, isfinite
from typing import Self, TypeVar

import numpy as np

from minikd.console.notices import notice
from minikd.console.terminal import one_line
from minikd.errors import ConfigError
from minikd.storage import reading

ValueT = TypeVar("ValueT")

LARGEST = 2**63 - 1
"""The largest whole number that fits into a TOML file and into an array's index."""

RENAMED = {"weight_limit": "max_norm", "course": "schedule", "softness": "min_uncertainty"}
"""The new names of renamed settings by their old names. Files, flags and results with old names still load."""

RENAMED_VALUES = {
    ("model", "seed"): "original",
    ("--model", "student"): "baseline",
    ("--only", "control"): "baseline",
    ("--only", "seed-teacher"): "original-teacher",
}
"""The new names of renamed values, by the setting or flag and the old value."""

SectionT = TypeVar("SectionT", bound="Section")


def setting(
    default: ValueT,
    text: str,
    least: float | None = None,
    below: float = inf,
    *,
    above: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    items: type = int,
    only_with: Mapping[str, tuple[str, ...]] | None = None,
) -> ValueT:
    """Return a dataclass field with its help text and its limits.

    Numbers are finite: at least `least` or above `above`, and less than `below` or at most `most`. With a default of
    None, a number may be left out. A tuple has `items`: whole numbers above 0, or strings. `only_with` names another
    setting of the section, and its values with which this setting has an effect.
    """
    limits = {"least": least, "below": below, "above": above, "most": most, "choices": choices, "items": items}
    made: ValueT = field(default=default, metadata={"help": text, "only_with": only_with or {}, **limits})
    return made


@dataclass(frozen=True)
class Section:
    """A group of settings, checked when it is made."""

    def __post_init__(self) -> None:
        self.settle()

    def settle(self, apart: Container[str] = ()) -> None:
        """Convert each setting to its type and check it, except for those in `apart`."""
        for one in fields(self):
            if one.name not in apart:
                value = converted(one, getattr(self, one.name))
                if isinstance(value, str):
                    value = with_new_name(one.name, value, one.metadata["choices"])
                check_value(one, value)
                object.__setattr__(self, one.name, value)
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name not in apart and value != one.default and (reason := without_effect(self, one)):
                raise ConfigError(f"{one.name} is {brief(value)}, but {reason}")

    @classmethod
    def of(cls, table: Mapping[str, object], where: str) -> Self:
        """Return the section of a TOML table. Settings that are not in the table keep their defaults."""
        known = {one.name: one for one in fields(cls)}
        table = with_new_names(table, known, f"{where}: ")
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise ConfigError(
                    f"{where}: unknown setting {reading.excerpt(repr(key))}; {hint}known are {listed(cls)}"
                )
        try:
            return cls(**{key: converted(known[key], value) for key, value in table.items()})
        except ConfigError as error:
            raise ConfigError(f"{where}: {reading.excerpt(error)}") from error


def without_effect(section: Section, one: Field[object]) -> str:
    """Return why a section's setting has no effect with the other settings, and what to do, or "" if it has one."""
    for other, values in one.metadata.get("only_with", {}).items():
        if (value := getattr(section, other)) not in values:
            wanted = " or ".join(map(repr, values))
            kept = f"leave {one.name} at its default, {default_text(one.default)}"
            return f"has no effect, because {other} is {value!r}; set {other} to {wanted}, or {kept}"
    return ""


def with_effect(kind: type[Section], table: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a section without those that have no effect, which earlier versions of minikd wrote."""
    known = {one.name: one for one in fields(kind)}

    def has_effect(key: str) -> bool:
        pairs = known[key].metadata.get("only_with", {}).items() if key in known else ()
        return all(table.get(other, known[other].default) in values for other, values in pairs)

    return {key: value for key, value in table.items() if has_effect(key)}


def with_new_names(table: Mapping[str, object], known: Container[str], where: str = "") -> dict[str, object]:
    """Return settings under their new names, and say which ones had an old name. `known` are the new names.

    where: what an error begins with.

    Raises ConfigError if a setting is given under both names.
    """
    for old, new in RENAMED.items():
        if old in table and old not in known and new in known:
            if new in table:
                raise ConfigError(f"{where}{old} and {new} are the same setting; leave out {old}, its old name")
            notice(f"the setting {old} is called {new} now")
    return {new_name(key) if key not in known else key: value for key, value in table.items()}


def new_name(name: str) -> str:
    """Return the new name of a setting: "teacher.max_norm" for "teacher.weight_limit"."""
    place, dot, last = name.rpartition(".")
    return f"{place}{dot}{RENAMED.get(last, last)}"


def new_value(name: str, value: object) -> object:
    """Return the new name of a setting's value: "original" for the "seed" of "teacher.model"."""
    return RENAMED_VALUES.get((name.rpartition(".")[2], value), value) if isinstance(value, str) else value


def with_new_name(name: str, value: str, choices: Container[str]) -> str:
    """Return the value of a setting or a flag under its new name. If it had the old name, say so."""
    new = RENAMED_VALUES.get((name, value), value)
    if new == value or new not in choices:
        return value
    notice(f"{name} {value} is called {new} now")
    return new


def with_values(section: SectionT, values: Mapping[str, object]) -> SectionT:
    """Return the section with new values for some of its settings."""
    return replace(section, **values)


def listed(section: type[Section]) -> str:
    """Return a section's settings with their defaults, as "temperature=4.0, alpha=0.9", or "none" without settings."""
    simple = [one for one in fields(section) if one.default is not MISSING]
    return ", ".join(f"{one.name}={default_text(one.default)}" for one in simple) or "none"


def default_text(default: object) -> str:
    """Return a default as text, or "none" for one that is left out."""
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return "none" if default in ("", None) else str(default)


def to_python_value(value: object) -> object:
    """Return NumPy's numbers and strings as Python's, a list or an array as a tuple, and other values unchanged.

    A NumPy number would turn float32 arrays into float64, and JSON and TOML cannot express it.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.floating):  # long double too: its item() is not a Python number
        return float(value)
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(to_python_value, value)) if isinstance(value, list | tuple) else value


def converted(one: Field[object], value: object) -> object:
    """Return a value in the field's type, with a whole number as a float if the field is a float."""
    value = to_python_value(value)
    if isinstance(one.default, float | None) and type(value) is int:
        with suppress(OverflowError):  # the check refuses it later
            return float(value)
    return value


def check_value(one: Field[object], value: object) -> None:
    """Refuse a value of another type than the default's, outside the limits, or not among the choices."""
    if one.default is None and value is None:
        return
    wanted = float if one.default is None else type(one.default)
    items = one.metadata["items"]
    if type(value) is not wanted or (
        isinstance(value, tuple) and not all(type(v) is items and is_valid_item(v) for v in value)
    ):
        kind = "a list of whole numbers above 0" if items is int else "a list of texts"
        kind = kind if wanted is tuple else f"of type {wanted.__name__}"
        raise ConfigError(f"{one.name} is {brief(value)}, but must be {kind}, such as {one.default!r}")
    for part in value if isinstance(value, tuple) else (value,):
        check_part(one.name, part)
    limited = one.metadata["least"] is not None or one.metadata["above"] is not None
    if limited and isinstance(value, int | float):
        check_limits(one, value)
    if one.metadata["choices"] and value not in one.metadata["choices"]:
        raise ConfigError(f"{one.name} is {brief(value)}, but must be one of {', '.join(one.metadata['choices'])}")


def check_part(name: str, part: object) -> None:
    """Refuse a whole number or a string that a file cannot hold."""
    if isinstance(part, int) and abs(part) > LARGEST:
        raise ConfigError(f"{name} is {brief(part)}, but must be at most {LARGEST:,}")
    if isinstance(part, str) and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in part):
        raise ConfigError(
            f"{name} is '{one_line(part)}', which has control characters, or bytes that are not UTF-8 (each is shown "
            "by its number); rename the file or folder"
        )


def brief(value: object) -> str:
    """Return a value as text for an error. A long one is cut off."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write a number with so many digits
        return "a number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:60]}..."


def is_valid_item(item: object) -> bool:
    """True for a whole number above 0, and for a string that is not empty."""
    return item > 0 if isinstance(item, int) else bool(item)


def check_limits(one: Field[object], value: float) -> None:
    """Refuse a number that is not finite, or is outside its limits."""
    least, below, above, most = (one.metadata[name] for name in ("least", "below", "above", "most"))
    low = (least is None or value >= least) and (above is None or value > above)
    if isfinite(value) and low and value < below and (most is None or value <= most):
        return
    if least is not None and most is not None:
        raise ConfigError(f"{one.name} is {brief(value)}, but must lie in {least:g} to {most:g}")
    high = "finite" if below == inf else f"less than {below:g}"
    lowest = "positive" if above == 0 else f"above {above:g}" if least is None else f"at least {least}"
    raise ConfigError(f"{one.name} is {brief(value)}, but must be {high} and {lowest}")
