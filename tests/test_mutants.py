"""The tests, tested: bugs are planted in the real engine one at a time, and each must be found by a named check.

`python -m tests.test_mutants` prints the kill table: which kind of check finds which bug. A right shape finds hardly
any; a random direction finds what full differences find, for a few forward passes; and what is wrong in the value and
the gradient alike is found by an identity only.
"""

import warnings

import numpy as np
import pytest

from minikd.backends.host import numpy_alone
from minikd.evidence.gradcheck import suite
from tests.mutants import (
    compression,
    features,
    layers,
    losses,
    losses_divergences,
    losses_rescaled,
    relations,
    teaching,
)
from tests.mutants.checks import CHECKS, fails, suite_check

pytestmark = pytest.mark.numpy_only("the tests are tested once")

OF_LOGITS = [*losses.MUTANTS, *losses_divergences.MUTANTS, *losses_rescaled.MUTANTS]
MUTANTS = [*layers.MUTANTS, *OF_LOGITS, *features.MUTANTS, *relations.MUTANTS, *teaching.MUTANTS, *compression.MUTANTS]
SHAPES = {"shape", "dtype", "float32", "missing", "result"}


@pytest.fixture(autouse=True)
def numpys_lines():
    """Bugs are planted in NumPy's lines, so those must run; tests/backends/loops plants its own in the loops."""
    with numpy_alone():
        yield


def label(mutant):
    return f"{mutant.group}: {mutant.name}"


@pytest.mark.parametrize("name", sorted({mutant.by for mutant in MUTANTS}))
def test_the_check_passes_where_nothing_is_planted(name):
    CHECKS[name]()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=label)
def test_the_mutant_is_found(mutant, monkeypatch):
    mutant.plant(monkeypatch)
    assert fails(mutant.by), f"{label(mutant)} survives {mutant.by!r}"


def test_each_bug_is_planted_once_and_taken_out_again():
    labels = [label(mutant) for mutant in MUTANTS]
    assert len(labels) == len(set(labels)) >= 15 + 10
    assert not [name for name in CHECKS if fails(name)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_check_can_fail():
    """Most are named by a bug above; each of the others must find one, too."""
    silent = CHECKS.keys() - {mutant.by for mutant in MUTANTS}
    for mutant in MUTANTS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            mutant.plant(monkeypatch)
            silent = {name for name in silent if not finds(name)}
    assert not silent


def finds(name):
    """True where the check asserts; a mutant that it cannot run at all has not been found by it."""
    try:
        return fails(name)
    except Exception:
        return False


def row(mutant):
    """Say which kinds of check find the mutant: shapes, one direction, every element, identities."""
    names = [check.name for check in suite.checks(np.random.default_rng(0))]
    family = [name for name in names if name.split(",")[0].split(" ")[0] == mutant.group.removesuffix("_backward")]
    wanted = mutant.by.removeprefix("gradient: ")
    with pytest.MonkeyPatch.context() as monkeypatch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mutant.plant(monkeypatch)
        reports = [suite_check(name)(full=True) for name in {*family, wanted} & {*names}]
        identity = any(fails(name) for name in CHECKS if name.startswith("identity"))
    kinds = {finding.kind for report in reports for finding in report.findings}
    return bool(kinds & SHAPES), "direction" in kinds, "element" in kinds, identity


def kill_table():
    """Return the table as text, with the number that each kind finds at its foot."""
    wide = max(len(label(mutant)) for mutant in MUTANTS)
    lines, rows = [f"{'':{wide}}  shapes  direction  elements  identity  found by"], [row(mutant) for mutant in MUTANTS]
    for mutant, found in zip(MUTANTS, rows, strict=True):
        lines.append(f"{label(mutant):{wide}}  {cells('x' if mark else '.' for mark in found)}  {mutant.by}")
    lines.append(
        f"{f'found, of {len(rows)}':{wide}}  {cells(sum(column) for column in zip(*rows, strict=True))}".rstrip()
    )
    return "\n".join(lines)


def cells(values):
    return "  ".join(f"{value:^{width}}" for value, width in zip(values, (6, 9, 8, 8), strict=True))


if __name__ == "__main__":
    print(kill_table())
