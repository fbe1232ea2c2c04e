"""`minikd compare`: compares every layer, loss, optimiser and schedule with PyTorch's."""

import argparse
from dataclasses import asdict

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, print_next
from minikd.cli.shared_flags import add_json, check_least


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the seed."""
    to.add_argument("--seed", type=int, default=0, help="seed of inputs and weights (default: 0)")
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Print the differences from PyTorch. Return 1 if one is larger than its bound."""
    import numpy as np

    from minikd.evidence import reference

    check_least("--seed", arguments.seed, 0)
    rows = reference.compare_all(np.random.default_rng(arguments.seed))
    ok = all(row.ok for row in rows)
    if arguments.json:
        print(json_text({"ok": ok, "rows": [{"ok": row.ok, **asdict(row)} for row in rows]}))
        return 0 if ok else 1
    print(reference.table(rows))
    print_next({f"{as_typed()} bench --quick": "how fast it is, compared with PyTorch"})
    return 0 if ok else 1
