"""Settings: dataclass fields with their help text and their limits, and sections of them that check themselves."""

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from math import inf, isfinite
from typing import Self, TypeVar

from minikd import reading
from minikd.errors import ConfigError

ValueT = TypeVar("ValueT")


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
) -> ValueT:
    """Return a dataclass field with its help text and its limits.

    Numbers are finite: at least `least` or above `above`, and less than `below` or at most `most`. A default of None
    stands for a number that may be left out. A tuple holds `items`: whole numbers above 0, or texts.
    """
    limits = {"least": least, "below": below, "above": above, "most": most, "choices": choices, "items": items}
    made: ValueT = field(default=default, metadata={"help": text, **limits})
    return made


@dataclass(frozen=True)
class Section:
    """A group of settings, checked when it is made."""

    def __post_init__(self) -> None:
        for one in fields(self):
            check_value(one, getattr(self, one.name))

    @classmethod
    def of(cls, table: Mapping[str, object], where: str) -> Self:
        """Return the section that a TOML table holds; what the table leaves out keeps its default."""
        known = {one.name: one for one in fields(cls)}
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise ConfigError(f"{where}: unknown setting {reading.told(repr(key))}; {hint}known are {listed(cls)}")
        try:
            return cls(**{key: converted(known[key], value) for key, value in table.items()})
        except ConfigError as error:
            raise ConfigError(f"{where}: {reading.told(error)}") from error


def listed(section: type[Section]) -> str:
    """Return a section's settings with their defaults, as "temperature=4.0, alpha=0.9"; "none" where it has none."""
    simple = [one for one in fields(section) if one.default is not MISSING]
    return ", ".join(f"{one.name}={shown(one.default)}" for one in simple) or "none"


def shown(default: object) -> str:
    """Return a default as it is shown: "none" for what is left out."""
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return "none" if default in ("", None) else str(default)


def converted(one: Field[object], value: object) -> object:
    """Return a TOML value in the field's type: a whole number is a fine float, a list a tuple."""
    if isinstance(one.default, float | None) and type(value) is int:
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def check_value(one: Field[object], value: object) -> None:
    """Refuse a value of another type than the default's, outside its limits, or not among the choices."""
    if one.default is None and value is None:
        return
    wanted = float if one.default is None else type(one.default)
    items = one.metadata["items"]
    if type(value) is not wanted or (isinstance(value, tuple) and not all(type(v) is items and good(v) for v in value)):
        kind = "a list of whole numbers above 0" if items is int else "a list of texts"
        kind = kind if wanted is tuple else f"of type {wanted.__name__}"
        raise ConfigError(f"{one.name} is {value!r}, but must be {kind}, such as {one.default!r}")
    limited = one.metadata["least"] is not None or one.metadata["above"] is not None
    if limited and isinstance(value, int | float):
        check_limits(one, value)
    if one.metadata["choices"] and value not in one.metadata["choices"]:
        raise ConfigError(f"{one.name} is {value!r}, but must be one of {', '.join(one.metadata['choices'])}")


def good(item: object) -> bool:
    """True for a whole number above 0, and for a text that is not empty."""
    return item > 0 if isinstance(item, int) else bool(item)


def check_limits(one: Field[object], value: float) -> None:
    """Refuse a number that is not finite, or outside its limits."""
    least, below, above, most = (one.metadata[name] for name in ("least", "below", "above", "most"))
    low = (least is None or value >= least) and (above is None or value > above)
    if isfinite(value) and low and value < below and (most is None or value <= most):
        return
    if least is not None and most is not None:
        raise ConfigError(f"{one.name} is {value!r}, but must lie in {least:g} to {most:g}")
    high = "finite" if below == inf else f"less than {below:g}"
    lowest = "positive" if above == 0 else f"above {above:g}" if least is None else f"at least {least}"
    raise ConfigError(f"{one.name} is {value!r}, but must be {high} and {lowest}")
