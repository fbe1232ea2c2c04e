"""The order of the house: one public class for a name, and imports that point one way."""

import ast
from collections import defaultdict
from pathlib import Path

import minikd

PACKAGE = Path(minikd.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


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
