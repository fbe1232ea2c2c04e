"""The methods and schemes as a list: for `minikd methods`."""

from collections.abc import Sequence
from dataclasses import fields
from textwrap import fill
from typing import TypedDict

from minikd.methods import METHODS, Pair, build, refusal
from minikd.models import describe
from minikd.settings import listed, shown

SCHEMES = {
    "--teacher-weights A --ensemble B,C": "several teachers, their probabilities averaged",
    "--assistant 400,400": "a teacher assistant learns first, then teaches the student (Mirzadeh et al. 2020)",
    "--generations 3": "students one after the other, each taught by the one before (Furlanello et al. 2018)",
    "--labelled 1000, --unlabelled DATA": "a transfer set with images that have no label, or more of them",
    "--method-arg final_temperature=1, final_weight=0, course=cosine": "a schedule, where a method has the setting",
}
"""What goes with any method, or with those that have the settings, by its flags."""


class Entry(TypedDict):
    """A method: what it is, where it comes from, its settings' defaults and meanings, and whether it can be used."""

    name: str
    summary: str
    paper: str
    needs: list[str]
    settings: dict[str, object]
    help: dict[str, str]
    usable: bool
    reason: str


def entries(pair: Pair, only: str | None = None) -> list[Entry]:
    """Return every method, or one, with whether it can be used on what is at hand, and if not, why."""
    found = []
    for kind in METHODS.values() if only is None else [type(build(only, {}))]:
        reason = refusal(kind(), pair)
        found.append(
            Entry(
                name=kind.name,
                summary=kind.summary,
                paper=kind.paper,
                needs=list(kind.needs),
                settings={one.name: one.default for one in fields(kind)},
                help={one.name: one.metadata["help"] for one in fields(kind)},
                usable=not reason,
                reason=reason,
            )
        )
    return found


def text(pair: Pair, found: Sequence[Entry]) -> str:
    """Return the entries for a reader; of a single one also what its settings mean, of all also what goes with them."""
    teachers = " and ".join(describe(teacher) for teacher in pair.teachers)
    lines = [f"For {teachers} teaching {describe(pair.student)}:"]
    for one in found:
        lines += ["", f"{one['name']}: {one['summary']}", *indented(one["paper"])]
        lines += indented(f"needs {', '.join(one['needs'])}")
        if len(found) > 1:
            lines += indented(listed(METHODS[one["name"]]))
        else:
            lines += [f"    {name}={shown(one['settings'][name])}: {meaning}" for name, meaning in one["help"].items()]
        lines += [] if one["usable"] else indented(f"cannot be used here: {one['reason']}")
    if len(found) > 1:
        lines += ["", "With them:", *(f"\n{flags}\n    {what}" for flags, what in SCHEMES.items())]
    return "\n".join([*lines, "", "minikd distill --method NAME --method-arg SETTING=VALUE"])


def indented(words: str) -> list[str]:
    """Return the words in lines that fit a terminal, set in from the left."""
    return fill(words, 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False).split("\n")
