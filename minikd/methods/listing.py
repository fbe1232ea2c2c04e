"""The list of methods and schemes that `minikd methods` prints."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TypedDict

from minikd.console.layout import columns, paragraph
from minikd.methods import METHODS, Pair, build, refusal
from minikd.models import describe
from minikd.settings import default_text

SCHEMES = {
    "--teacher-weights A --ensemble B,C": "several teachers, their probabilities averaged",
    "--assistant 400,400": "a teacher assistant learns first, then teaches the student (Mirzadeh et al. 2020)",
    "--generations 3": "students one after the other; each learns from the one before (Furlanello et al. 2018)",
    "--labelled 1000, --unlabelled DATA": "the student also learns from images without labels",
    "--method-arg final_temperature=1": "a schedule, if the method has the setting; final_weight=0, schedule=cosine",
}
"""Schemes that can be combined with methods, by their flags."""


class Entry(TypedDict):
    """A method: its summary, its paper, the defaults and meanings of its settings, and whether it can be used.

    steps: how a device takes its steps with these settings, see `training.graph`.
    """

    name: str
    summary: str
    paper: str
    needs: list[str]
    settings: dict[str, object]
    help: dict[str, str]
    steps: str
    usable: bool
    reason: str


def methods_for(pair: Pair, only: str | None = None) -> list[Entry]:
    """Return every method, or one, and why it cannot be used on these networks and images, if it cannot."""
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
                steps=f"taken one by one: {kind().eager}" if kind().eager else "CUDA graphs",
                usable=not reason,
                reason=reason,
            )
        )
    return found


def table(pair: Pair, found: Sequence[Entry]) -> str:
    """Return each method with its summary. A dash after a name means that the method cannot be used."""
    wide = max(len(one["name"]) for one in found) + 2
    lines = [networks_line(pair), "─" * columns()]
    for one in found:
        name = one["name"] + ("" if one["usable"] else " –")
        lines.append(paragraph(f"{name:{wide}}  {one['summary']}", hanging=wide + 2))
    if not all(one["usable"] for one in found):
        lines += ["", "–: these networks cannot use it"]
    return "\n".join(lines)


def text(pair: Pair, one: Entry) -> str:
    """Return the description of a method: its paper, its needs, its settings, and the schemes that fit it."""
    lines = [networks_line(pair), ""]
    lines += [paragraph(f"{one['name']}: {one['summary']}", hanging=4), paragraph(one["paper"], 4)]
    lines += [paragraph(f"needs {', '.join(one['needs'])}", 4)]
    lines += [
        paragraph(f"{name}={default_text(one['settings'][name])}: {meaning}", 4, 8)
        for name, meaning in one["help"].items()
    ]
    lines.append(paragraph(f"on a GPU its steps are {one['steps']}", 4))
    lines += [] if one["usable"] else [paragraph(f"cannot be used here: {one['reason']}", 4)]
    return "\n".join([*lines, "", "With it:", *(f"  {flags}\n{paragraph(what, 6)}" for flags, what in SCHEMES.items())])


def networks_line(pair: Pair) -> str:
    """Return the student and the teacher that the list is for."""
    teachers = " and ".join(describe(teacher) for teacher in pair.teachers)
    return paragraph(f"For the teacher {teachers} and the student {describe(pair.student)}:")
