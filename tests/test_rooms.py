"""The order of the house: one public class for a name, and imports that point one way."""

import ast
from collections import defaultdict
from pathlib import Path

import minikd

PACKAGE = Path(minikd.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}

ORDER = (
    ("typing", "errors", "memory"),
    ("console", "storage", "settings", "outside"),
    ("backends", "checks", "machine", "nn", "losses", "norms", "optim", "schedules", "metrics"),
    ("data",),
    ("training", "models", "weights", "arguments"),
    ("methods",),
    ("distillation", "compression"),
    ("api", "__init__", "exports", "report"),
    ("evidence", "lessons", "experiments"),
    ("cli", "__main__"),
)
"""The rooms, lowest first: a room imports from its own floor and from those below. CONTRIBUTING.md has the picture."""

ALLOWED = {
    ("distillation/run.py", "report"),
    ("machine.py", "training"),
    *((f"compression/{module}.py", "exports") for module in ("layers", "network", "whole")),
}
"""A run writes its report when it ends. The machine's thread count is the one that training takes. A student that
trains with rounding uses the whole numbers of its export."""


def defined(tree):
    """Yield the names of a module's classes and types (`Name = ...` in CamelCase), without type variables."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            variable = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") in (
                "TypeVar",
                "ParamSpec",
            )
            yield from (one.id for one in targets if isinstance(one, ast.Name) and not variable)


def test_no_two_classes_or_types_have_one_name():
    places = defaultdict(list)
    for path, tree in TREES.items():
        for name in defined(tree):
            if name[0].isupper() and not name.isupper():
                places[name].append(path.relative_to(PACKAGE).as_posix())
    assert len(places) > 200
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def imported(path, tree):
    """Yield the rooms that a module imports from, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "minikd":
            names = [node.module] if "." in node.module else [f"minikd.{one.name}" for one in node.names]
            yield from (name.split(".")[1] for name in names)
        elif isinstance(node, ast.Import):
            ours = [one.name for one in node.names if one.name.split(".")[0] == "minikd"]
            yield from (f"{name}.__init__".split(".")[1] for name in ours)


def test_every_room_stands_in_the_order():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in TREES}
    assert rooms == {room for floor in ORDER for room in floor}


def test_imports_point_one_way():
    floor = {room: number for number, rooms in enumerate(ORDER) for room in rooms}
    edges = [(path.relative_to(PACKAGE), room) for path, tree in TREES.items() for room in imported(path, tree)]
    assert len(edges) > 1000
    upwards = {
        (path.as_posix(), room) for path, room in edges if floor.get(room, 0) > floor[path.parts[0].removesuffix(".py")]
    }
    assert upwards == ALLOWED


def test_nobody_but_commands_lessons_and_evidence_imports_the_report():
    inside = ("report/", "cli/", "lessons/", "evidence/", "distillation/run.py")
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path, tree in TREES.items()
        if "report" in imported(path, tree) and not path.relative_to(PACKAGE).as_posix().startswith(inside)
    }
    assert found == set()
