"""The size of an installation: a package, its declared dependencies, and their dependencies."""

from importlib.metadata import distribution, requires
from pathlib import Path

import minikd


def installed_bytes(*names: str) -> int:
    """Return the bytes on disk of these distributions and all their dependencies, each counted once."""
    return sum(own_bytes(name) for name in with_dependencies(*names))


def with_dependencies(*names: str) -> set[str]:
    """Return the names of these distributions and of all their dependencies on this machine."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in names]
    while waiting:
        name, extras = waiting.pop()
        found.add(canonicalize_name(name))
        for text in requires(name) or []:
            needs = Requirement(text)
            wanted = needs.marker is None or any(needs.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            if wanted and (needs.extras or canonicalize_name(needs.name) not in found):
                waiting.append((needs.name, tuple(needs.extras)))
    return found


def own_bytes(name: str) -> int:
    """Return the bytes of one distribution's files, without Python's compiled files."""
    if name == "minikd":  # an editable installation has it elsewhere
        paths = [path for path in Path(minikd.__file__).parent.rglob("*") if path.is_file()]
    else:
        listed = [Path(str(file.locate())) for file in distribution(name).files or []]
        paths = [path for path in listed if path.is_file()]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc")
