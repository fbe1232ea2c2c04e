"""The smaller tables of the command line: models, and models on a test set."""

from collections.abc import Mapping
from itertools import takewhile
from os.path import abspath
from pathlib import Path

from minikd.distillation.measure import FileResult
from minikd.distillation.results import name_of
from minikd.report.tables import glossary, models_table


def evaluation_table(rows: Mapping[str, FileResult]) -> str:
    """Return a column for each weights file, the meaning of the rows, and which images were used."""
    one = next(iter(rows.values()))
    named = {short: rows[path] for path, short in short_names(list(rows)).items()}
    measured = f"measured on the {one['images']:,} {one['part']} images of {one['data']}"
    return "\n\n".join([models_table(named), glossary(named), measured])


def short_names(paths: list[str]) -> dict[str, str]:
    """Return the name of the model in each file. If names are equal, add the folders in which the paths differ."""
    names = {path: name_of(Path(path).stem) for path in paths}
    if len(set(names.values())) == len(names):
        return names
    folders = {path: Path(abspath(path)).parent.parts for path in paths}
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders.values(), strict=False)))
    found = {path: "/".join((*folders[path][shared:], names[path])) for path in paths}
    return found if len(set(found.values())) == len(found) else {path: path for path in paths}
