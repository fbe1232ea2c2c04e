"""Every loss of features is compared, with its gradient by each array, and a small error in any of them shows."""

import numpy as np
import pytest

from minikd import losses
from minikd.evidence.reference import features, table
from minikd.evidence.reference.rows import DTYPES

WEIGHTS = {"hint": ("w", "b"), "cosine": ("w", "b"), "contrastive": ("ws", "wt")}
RELATIONS = ("attention_transfer", "similarity_preserving", "rkd_distance", "rkd_angle", "pkt")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


def compared():
    return list(features.compare_features(np.random.default_rng(0)))


def scaled(loss, place):
    def wrong(*arguments):
        results = loss(*arguments)
        return (*results[:place], results[place] * (1 + 1e-4), *results[place + 1 :])

    return wrong


def test_every_loss_and_gradient_is_compared_in_both_dtypes(torch):
    rows = compared()
    assert all(row.ok for row in rows), table(rows)
    for name in (*WEIGHTS, *RELATIONS):
        wanted = {"loss", "dfs", *(f"d{weight}" for weight in WEIGHTS.get(name, ()))}
        for dtype in DTYPES:
            assert {row.what for row in rows if row.name.startswith(name) and row.dtype == dtype} == wanted


@pytest.mark.parametrize("name", [*WEIGHTS, *RELATIONS])
def test_a_planted_error_of_a_ten_thousandth_is_found(torch, monkeypatch, name):
    loss = getattr(losses, name)
    for place, what in enumerate(("loss", "dfs", *(f"d{weight}" for weight in WEIGHTS.get(name, ())))):
        with monkeypatch.context() as patch:
            patch.setattr(losses, name, scaled(loss, place))
            failed = [row for row in compared() if not row.ok]
        assert {(row.what, row.dtype) for row in failed} == {(what, dtype) for dtype in DTYPES}
        assert {row.name.split(",")[0] for row in failed} == {name}
