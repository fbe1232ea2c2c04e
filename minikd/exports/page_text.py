"""The words of the page that depend on its networks and its data."""

from collections.abc import Sequence
from typing import NamedTuple

COUNTS = {1: "one network answers", 2: "two networks answer", 3: "three networks answer"}


class Name(NamedTuple):
    """A network's name for a reader, and what it learned from."""

    name: str
    taught: str


NAMES = {
    "teacher": Name("Teacher", "learned from the labels"),
    "student_baseline": Name("Baseline student", "learned from the labels alone"),
    "student_distilled": Name("Distilled student", "learned from the labels and the teacher"),
}
"""The networks of a run, in the page's order."""


def name_of(key: str) -> Name:
    """Return the name of a run's network, or make one of another key."""
    return NAMES.get(key, Name(key.replace("_", " ").capitalize(), ""))


def title(class_names: Sequence[str], draw: bool, networks: int) -> str:
    """Return the page's headline: what the reader does, and what the networks do."""
    answer = COUNTS.get(networks, f"{networks} networks answer")
    if not draw:
        return f"Show a picture, and {answer}"
    digits = all(name.split()[0].isdigit() for name in class_names)
    return f"Draw a {'digit' if digits else 'character'}, and {answer}"


def introduction(names: Sequence[Name]) -> str:
    """Return the sentences below the headline."""
    if list(names) == list(NAMES.values()):
        return (
            "The teacher is large. The students are small and have the same layers: one learned from the labels alone, "
            "the other also from the teacher. See where they agree, and where they do not."
        )
    return "The answer and its probability appear while you draw or choose."


WEIGHTS = {"int8": "8 bits a weight", "int4": "4 bits a weight", "ternary": "weights of -1, 0 and 1"}
"""The name of each kind of whole numbers for a reader."""


def about(networks: int, apart: int, total: int, kind: str) -> str:
    """Return on how many test images the networks disagree, and the kind of whole numbers, if any."""
    who = "They" if networks > 1 else "It"
    split = f"They disagree on {apart:,} of the {total:,} test images. " if networks > 1 else ""
    whole = f"{who} compute{'' if networks > 1 else 's'} in whole numbers, {WEIGHTS[kind]}. " if kind else ""
    return f"{split}{whole}".strip()
