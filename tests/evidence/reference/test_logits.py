"""Every loss between logits is compared, with each of its gradients, and a small error in any of them shows."""

import numpy as np
import pytest

from minikd import losses
from minikd.evidence.reference import logits, table
from minikd.evidence.reference.rows import DTYPES

PLAIN = (
    "reverse_kl",
    "jensen_shannon",
    "soft_cross_entropy",
    "logit_matching",
    "dkd",
    "dist",
    "standardized_kl",
)
GRADIENTS = {**dict.fromkeys(PLAIN, ("dlogits",)), "kl_with_temperature": ("dlogits", "dtemperature")}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


def compared(seed=0):
    return list(logits.logit_rows(np.random.default_rng(seed)))


def scaled(loss, place):
    def wrong(*arguments):
        results = loss(*arguments)
        return (*results[:place], results[place] * (1 + 1e-3), *results[place + 1 :])

    return wrong


@pytest.mark.parametrize("seed", range(3))
def test_every_loss_and_gradient_is_compared_in_both_dtypes(torch, seed):
    rows = compared(seed)
    assert all(row.ok for row in rows), table(rows)
    for name, gradients in GRADIENTS.items():
        for dtype in DTYPES:
            here = {row.what for row in rows if row.name.startswith(name) and row.dtype == dtype}
            assert here == {"loss", *gradients}


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_planted_error_of_a_thousandth_is_found(torch, monkeypatch, name):
    loss = getattr(losses, name)
    for place, what in enumerate(("loss", *GRADIENTS[name])):
        with monkeypatch.context() as patch:
            patch.setattr(losses, name, scaled(loss, place))
            failed = [row for row in compared() if not row.ok]
        assert {(row.what, row.dtype) for row in failed} == {(what, dtype) for dtype in DTYPES}
        assert {row.name.split(",")[0] for row in failed} == {name}


def test_the_virtual_teacher_is_compared(torch, monkeypatch):
    teacher = losses.virtual_teacher
    monkeypatch.setattr(losses, "virtual_teacher", lambda labels, classes, correct: teacher(labels, classes, 0.91))
    assert {row.name for row in compared() if not row.ok} == {"soft_cross_entropy, T 1, virtual_teacher"}
