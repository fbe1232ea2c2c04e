"""results.json: the numbers of a run, as `report.evidence.Results` says, or the part of them that is there by now."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minikd.errors import CheckpointError
from minikd.files import write_atomically


def read_results(folder: Path) -> Any:
    """Return what results.json holds: `Results`, a part of them after `train`, {} where there is no such file.

    Raises CheckpointError for a broken file.
    """
    path = folder / "results.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSON's and Unicode's errors are both of this kind
        raise CheckpointError(f"{path} is broken ({error}); remove it, and --resume writes it anew") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds no results; remove it, and --resume writes it anew")
    return found


def write_results(folder: Path, results: Mapping[str, object]) -> None:
    """Write results.json."""
    write_atomically(folder / "results.json", (json.dumps(results, indent=2) + "\n").encode())
