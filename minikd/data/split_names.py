"""The usual names of the parts of a data set: training, validation and test."""

import re
import unicodedata
from typing import Literal

Role = Literal["training", "validation", "test"]

ROLES: dict[Role, str] = {
    "training": "trains?|trainings?|trainval|trn",
    "validation": "vals?|valids?|validations?|validat(?:e|ing)|dev|devel|development|evals?|evaluations?|evaluate",
    "test": "tests?|testings?|tst|holdouts?|heldout",
}
FILLING = "sets?|datas?|datasets?|images?|imgs?|pictures?|pics?|photos?|parts?|splits?|samples?|examples?|files?|folder"
WORDS = {role: re.compile(f"(?:the|{FILLING})*(?:{words})(?:{FILLING})*", re.ASCII) for role, words in ROLES.items()}
FILLED = re.compile(f"(?:the|of|{FILLING})+", re.ASCII)


def read_name(name: str) -> tuple[Role, tuple[str, ...]] | None:
    """Return which part a folder's name means and its other words: ("test", ("seg",)) for "seg_test_2000".

    None if the name means no part, or more than one.
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    apart = re.sub(r"(hold|held)[-_ .]out", r"\1out", apart, flags=re.IGNORECASE)
    apart = re.sub(r"train[-_ .]?val\b", "trainval", apart, flags=re.IGNORECASE)
    roles: list[Role] = []
    rest = []
    for word in re.findall(r"[^\W\d_]+", apart.lower()):
        meant = [role for role, pattern in WORDS.items() if pattern.fullmatch(word)]
        roles += meant
        if not meant and not FILLED.fullmatch(word):
            rest.append(word)
    return (roles[0], tuple(rest)) if len(roles) == 1 else None


def parts_among(names: list[str]) -> dict[str, Role]:
    """Return which of these folders, all in one folder, are parts of a data set, and which parts.

    A name with other words, such as "seg_train", counts only if there is a folder with the same words for another part,
    "seg_test".
    """
    read = {name: found for name in names if (found := read_name(name))}
    by_rest: dict[tuple[str, ...], set[Role]] = {}
    for role, rest in read.values():
        by_rest.setdefault(rest, set()).add(role)
    return {
        name: role
        for name, (role, rest) in read.items()
        if not rest or ("training" in by_rest[rest] and len(by_rest[rest]) > 1)
    }
