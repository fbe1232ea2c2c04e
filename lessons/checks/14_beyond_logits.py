"""What lesson 14's exercises must return, and the usual mistakes."""

import numpy as np

from minikd import losses
from minikd.lessons import Work


def check(work: Work) -> None:
    """Check the layer against the engine's unit rows, the loss against the engine's cosine with no regressor."""
    rng = np.random.default_rng(14)
    x, da, ft = (rng.standard_normal((5, 4)) * size for size in (2.0, 1.0, 3.0))
    a, length = losses.unit_rows(x)
    work.same(
        "directions",
        (x,),
        a,
        suspects={
            "divided by the squared length: the square root is missing": x / length**2,
            "divided by the sum of the values, not by the length": x / x.sum(1, keepdims=True),
            "divided by the sum of the absolute values, not by the length": x / np.abs(x).sum(1, keepdims=True),
            "one length for the whole array: take it for each row, axis 1": x / np.linalg.norm(x),
            "this is the length of each column: take it for each row, axis 1": x / np.linalg.norm(x, axis=0),
        },
    )
    dx = losses.unit_rows_backward(da, a, length)
    inner = (a * da).sum(1, keepdims=True)
    work.same(
        "directions_backward",
        (da, x),
        dx,
        suspects={
            "the length was treated as a constant: it depends on every value of the row (step 5)": da / length,
            "the division by the length is missing": dx * length,
            "divided by the squared length": dx / length,
            "to remove the part along the row, use a, the direction, not x": (da - x * (x * da).sum(1, keepdims=True))
            / length,
            "one of the two factors is x: both must be a, the direction": (da - a * (x * da).sum(1, keepdims=True))
            / length,
            "one of the two factors is x; both must be a, the direction": (da - x * inner) / length,
            "the sum runs over the whole array; sum each row, axis 1": (da - a * (a * da).sum()) / length,
            "the part along the row is added: subtract it": (da + a * inner) / length,
        },
    )
    cosine(work, x, ft)


def cosine(work: Work, x: np.ndarray, ft: np.ndarray) -> None:
    """Check the cosine loss's value and gradient."""
    (a, length), (e, _), N = losses.unit_rows(x), losses.unit_rows(ft), len(x)
    value, dx, _, _ = losses.cosine(x, ft, np.eye(x.shape[1]), np.zeros(x.shape[1]))
    work.same(
        "cosine_loss",
        (x, ft),
        value,
        suspects={
            "this is the mean cosine; the loss is 1 minus the mean cosine": 1 - value,
            "the mean runs over all N·D elements; the cosine is a sum over D": 1 - (1 - value) / x.shape[1],
            "this is the sum over the samples, not their mean": value * N,
            "the teacher's feature does not have length 1": 1 - (a * ft).sum() / N,
            "the student's feature does not have length 1": 1 - (x * e).sum() / N,
            "neither feature has length 1": 1 - (x * ft).sum() / N,
        },
    )
    work.same(
        "cosine_gradient",
        (x, ft),
        dx,
        suspects={
            "the sign is reversed: the loss falls if the cosine rises": -dx,
            "the 1/N of the mean is missing": dx * N,
            "this is the gradient with respect to a, the direction; pass it through directions_backward": -e / N,
            "the length was treated as a constant": -e / N / length,
            "the mean runs over all N·D elements; it is a mean over N": dx / x.shape[1],
            "the teacher's feature does not have length 1": losses.unit_rows_backward(-ft / N, a, length),
            "this is the gradient with respect to the teacher's feature, which is fixed": losses.cosine(
                ft, x, np.eye(x.shape[1]), np.zeros(x.shape[1])
            )[1],
        },
    )
