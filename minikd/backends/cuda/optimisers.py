"""The optimisers' steps: one launch on the flat vectors.

A step's numbers (`optim.Numbers`) are arguments, or the row of a table on the device (S, 5) with a row for each step.
A counter on the device gives the row, so a step that is a graph reads the next row at each launch. The two kernels of a
rule have the same body, so they give the same bits.
"""

from typing import NamedTuple

import cupy

from minikd.typing import Array, Floats, Ints


class Table(NamedTuple):
    """Each step's numbers (S, 5); the second element of `counter` is the next step's row."""

    rows: Floats
    counter: Ints


NUMBERS = ("rate", "eps", "shrink", "decay", "tiny")


def _both(inputs: str, outputs: str, body: str, name: str) -> tuple[cupy.ElementwiseKernel, cupy.ElementwiseKernel]:
    """Return two kernels of a rule: one takes the numbers as arguments, the other reads them from a table."""
    given = ", ".join(f"T {number}" for number in NUMBERS)
    reading = "".join(f"T {number} = table[row * {len(NUMBERS)} + {i}]; " for i, number in enumerate(NUMBERS))
    by_table = f"long long row = counter[1]; {reading}{body}"
    return (
        cupy.ElementwiseKernel(f"{inputs}, {given}", outputs, body, name),
        cupy.ElementwiseKernel(f"{inputs}, raw T table, raw int64 counter", outputs, by_table, f"{name}_by_table"),
    )


# w ← w − rate · m / (√v + ε), after the running means are updated. Means smaller than `tiny` become 0 before that.
_adam = _both(
    "T g, T beta1, T beta2, T one_less_beta1, T one_less_beta2",
    "T w, T m, T v",
    """
    w *= shrink;
    T gradient = g + decay * w;
    if (m > -tiny && m < tiny) m = 0;
    if (v < tiny) v = 0;
    m = m * beta1 + gradient * one_less_beta1;
    v = v * beta2 + gradient * gradient * one_less_beta2;
    w -= m / (sqrt(v) + eps) * rate;
    """,
    "minikd_adam",
)


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    betas: tuple[float, float],
    rate: float,
    eps: float,
    shrink: float,
    decay: float,
    tiny: float,
) -> None:
    """Take Adam's or AdamW's step on w, m and v in place; `rate` and `eps` include the bias corrections."""
    beta1, beta2 = betas
    _adam[0](g, beta1, beta2, 1 - beta1, 1 - beta2, rate, eps, shrink, decay, tiny, w, m, v)


def adam_by_table(w: Array, g: Array, m: Array, v: Array, betas: tuple[float, float], table: Table) -> None:
    """Take the step of `adam` with the numbers of the table's next row."""
    beta1, beta2 = betas
    _adam[1](g, beta1, beta2, 1 - beta1, 1 - beta2, *table, w, m, v)


# u ← μ u + g;  w ← w − η u, or w ← w − η (g + μ u).
_sgd = _both(
    "T g, T momentum, bool nesterov",
    "T w, T u",
    """
    T gradient = g + decay * w;
    if (u > -tiny && u < tiny) u = 0;
    u = u * momentum + gradient;
    w -= (nesterov ? u * momentum + gradient : u) * rate;
    """,
    "minikd_sgd",
)

_plain_sgd = _both("T g", "T w", "w -= (g + decay * w) * rate;", "minikd_plain_sgd")


def sgd(
    w: Array, g: Array, velocity: Array | None, momentum: float, nesterov: bool, rate: float, decay: float, tiny: float
) -> None:
    """Take a step of gradient descent on w in place; with momentum, on the velocity too."""
    if velocity is None:
        _plain_sgd[0](g, rate, 0.0, 1.0, decay, tiny, w)
    else:
        _sgd[0](g, momentum, nesterov, rate, 0.0, 1.0, decay, tiny, w, velocity)


def sgd_by_table(w: Array, g: Array, velocity: Array | None, momentum: float, nesterov: bool, table: Table) -> None:
    """Take the step of `sgd` with the numbers of the table's next row."""
    if velocity is None:
        _plain_sgd[1](g, *table, w)
    else:
        _sgd[1](g, momentum, nesterov, *table, w, velocity)
