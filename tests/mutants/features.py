"""Bugs of the losses of features: those of published code, and the slips of a derivation.

A mutant made by `consistent` has the gradient of its own wrong value, so no gradient check can find it.
"""

import numpy as np

from tests.mutants.planting import Mutant, in_function

PER_SAMPLE = "identity: losses by sample are means over the batch"
ROWS, ZEROS = (
    "identity: unit rows have length one and their direction",
    "identity: a row of zeros stays one and is taught nothing",
)


def formula(name):
    return f"identity: {name.replace('_', ' ')} is the formula"


def mutant(function, name, replace, by=None):
    return Mutant(function, name, in_function(function, replace), by or f"gradient: {function}")


def scaled(loss=lambda N, D: 1.0, gradient=lambda N, D: 1.0, place=None):
    """Return a replacement whose loss, and whose gradients (or the one at `place`), are multiplied by factors."""

    def replace(real):
        def wrong(fs, ft, *rest):
            value, *gradients = real(fs, ft, *rest)
            N, D = len(ft), ft[0].size
            factors = [gradient(N, D) if place in (None, i) else 1.0 for i in range(len(gradients))]
            return value * loss(N, D), *(g * factor for g, factor in zip(gradients, factors, strict=True))

        return wrong

    return replace


def consistent(value):
    """Return a replacement of the loss `value(fs, ft, *rest)`, with its gradients by finite differences in float64."""

    def replace(real):
        def wrong(fs, ft, *rest):
            weights = [a for a in rest if isinstance(a, np.ndarray)]
            settings = [a for a in rest if not isinstance(a, np.ndarray)]
            arrays, teacher = [a.astype(np.float64) for a in (fs, *weights)], ft.astype(np.float64)

            def of(arrays):
                return value(arrays[0], teacher, *arrays[1:], *settings)

            results = of(arrays), *(numeric(of, arrays, i) for i in range(len(arrays)))
            return tuple(np.asarray(result).astype(fs.dtype)[()] for result in results)

        return wrong

    return replace


def numeric(f, arrays, place):
    gradient = np.zeros_like(arrays[place])
    for index in np.ndindex(gradient.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = arrays[place].copy()
            moved[index] += step
            ends.append(f([*arrays[:place], moved, *arrays[place + 1 :]]))
        gradient[index] = (ends[0] - ends[1]) / 2e-5
    return gradient


def flat(f):
    return f.reshape(len(f), -1)


def unit(x, axis=-1):
    return x / np.sqrt((x * x).sum(axis, keepdims=True))


def row_mean(x):
    return x.sum() / len(x)


UNIT_ROWS = [
    mutant(
        "unit_rows_backward",
        "length forgotten",
        lambda real: lambda da, a, n: real(da, a, n) * n,
        "gradient: unit_rows",
    ),
    mutant(
        "unit_rows_backward", "part along the row kept", lambda real: lambda da, a, n: da / n, "gradient: unit_rows"
    ),
    mutant(
        "unit_rows_backward",
        "summed over the batch",
        lambda real: lambda da, a, n: (da - a * (a * da).sum(0, keepdims=True)) / n,
        "gradient: unit_rows",
    ),
    mutant("unit_rows", "columns of length 1", lambda real: lambda x: (unit(x, 0), real(x)[1]), ROWS),
    mutant(
        "unit_rows",
        "absolute sums of 1: normalize(x, 1)",
        lambda real: lambda x: (x / abs(x).sum(-1, keepdims=True), abs(x).sum(-1, keepdims=True)),
        ROWS,
    ),
    mutant("unit_rows", "zeros divided by zero", lambda real: lambda x: (unit(x), real(x)[1]), ZEROS),
    mutant(
        "unit_rows",
        "x/max(‖x‖, 1e-12), whose zeros hand back 10¹² times the gradient",
        lambda real: (
            lambda x: (
                real(x)[0],
                np.minimum(real(x)[1], 1e12) * 0 + np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12),
            )
        ),
        ZEROS,
    ),
]


def regressed(fs, w, b):
    return flat(fs) @ w.T + b


HINT = [
    mutant(
        "hint",
        "averaged over the teacher's values in both",
        scaled(lambda N, D: 1 / D, lambda N, D: 1 / D),
        formula("hint"),
    ),
    mutant("hint", "the half forgotten in both", scaled(lambda N, D: 2, lambda N, D: 2), formula("hint")),
    mutant("hint", "summed over the batch in both", scaled(lambda N, D: N, lambda N, D: N), PER_SAMPLE),
    mutant("hint", "the half forgotten in the gradient", scaled(gradient=lambda N, D: 2)),
    mutant("hint", "the regressor's gradient summed over the batch", scaled(gradient=lambda N, D: N, place=1)),
    mutant("hint", "the bias not trained", scaled(gradient=lambda N, D: 0, place=2)),
    mutant("hint", "target less feature", scaled(gradient=lambda N, D: -1)),
    mutant(
        "hint",
        "ReLU on the regressor, as libraries have it",
        consistent(lambda fs, ft, w, b: row_mean((np.maximum(regressed(fs, w, b), 0) - flat(ft)) ** 2) / 2),
        formula("hint"),
    ),
]
COSINE = [
    mutant("cosine", "length of the student's row forgotten", scaled(gradient=lambda N, D: 2)),
    mutant("cosine", "regressor not trained", scaled(gradient=lambda N, D: 0, place=1)),
    mutant(
        "cosine",
        "the teacher's feature not normalised",
        consistent(lambda fs, ft, w, b: 1 - row_mean(unit(regressed(fs, w, b)) * flat(ft))),
        "identity: the cosine does not see a length",
    ),
    mutant(
        "cosine",
        "rows centred first: a correlation",
        consistent(lambda fs, ft, w, b: 1 - row_mean(unit(centred(regressed(fs, w, b))) * unit(centred(flat(ft))))),
        formula("cosine"),
    ),
    mutant(
        "cosine",
        "of the whole batch as one vector",
        consistent(lambda fs, ft, w, b: 1 - (unit(regressed(fs, w, b).ravel()) * unit(ft.ravel())).sum()),
        formula("cosine"),
    ),
]


def centred(x):
    return x - x.mean(1, keepdims=True)


def attention(f, p):
    return unit(flat((abs(f) ** p).sum(1)))


def attended(value):
    return consistent(lambda fs, ft, p=2.0: value(fs, ft, p))


AT = "attention_transfer"
ATTENTION = [
    mutant(
        AT,
        "a power without the absolute value",
        attended(lambda fs, ft, p: row_mean((unit(flat((fs**p).sum(1))) - unit(flat((ft**p).sum(1)))) ** 2)),
        "identity: attention does not see signs scales or the order of channels",
    ),
    mutant(
        AT,
        "maps not normalised",
        attended(lambda fs, ft, p: row_mean(flat((abs(fs) ** p).mean(1) - (abs(ft) ** p).mean(1)) ** 2)),
        "identity: attention does not see signs scales or the order of channels",
    ),
    mutant(
        AT,
        "averaged over the places too, as the authors' code",
        attended(lambda fs, ft, p: ((attention(fs, p) - attention(ft, p)) ** 2).mean()),
        formula(AT),
    ),
    mutant(
        AT,
        "distance not squared",
        attended(lambda fs, ft, p: np.sqrt(((attention(fs, p) - attention(ft, p)) ** 2).sum(1)).mean()),
        formula(AT),
    ),
    mutant(
        AT,
        "normalised over the batch",
        attended(lambda fs, ft, p: row_mean((over_batch(fs, p) - over_batch(ft, p)) ** 2)),
        formula(AT),
    ),
    mutant(
        AT,
        "the sign forgotten in the gradient",
        lambda real: lambda fs, ft, p=2.0: (real(fs, ft, p)[0], real(fs, ft, p)[1] * np.sign(fs)),
        f"gradient: {AT}, p=3",
    ),
    mutant(
        AT,
        "p forgotten in the gradient",
        lambda real: lambda fs, ft, p=2.0: (real(fs, ft, p)[0], real(fs, ft, p)[1] / p),
        f"gradient: {AT}, p=3",
    ),
    mutant(
        AT,
        "|A|^p for |A|^(p-1) in the gradient",
        lambda real: lambda fs, ft, p=2.0: (real(fs, ft, p)[0], real(fs, ft, p)[1] * abs(fs)),
        f"gradient: {AT}, p=1",
    ),
]


def over_batch(f, p):
    return unit(flat((abs(f) ** p).sum(1)), 0)


def scores(fs, ft, ws, wt, temperature=0.1, normalize=unit):
    return np.exp(normalize(flat(fs) @ ws.T) @ normalize(flat(ft) @ wt.T).T / temperature)


def contrastive_loss(*arguments, among=lambda s: s.sum(1), normalize=unit):
    s = scores(*arguments, normalize=normalize)
    return -np.log(np.diag(s) / among(s)).mean()


INFO = "contrastive"
CONTRASTIVE = [
    mutant(INFO, "temperature forgotten in the gradient", scaled(gradient=lambda N, D: 0.1)),
    mutant(INFO, "gradient summed over the batch", scaled(gradient=lambda N, D: N)),
    mutant(INFO, "the teacher's map not trained", scaled(gradient=lambda N, D: 0, place=2)),
    mutant(INFO, "the student's map not trained", scaled(gradient=lambda N, D: 0, place=1)),
    mutant(
        INFO,
        "softmax over the students",
        consistent(lambda *arguments: contrastive_loss(*arguments, among=lambda s: s.sum(0))),
        formula(INFO),
    ),
    mutant(
        INFO,
        "the pair itself not among the N",
        consistent(lambda *arguments: contrastive_loss(*arguments, among=lambda s: s.sum(1) - np.diag(s))),
        formula(INFO),
    ),
    mutant(
        INFO,
        "maps not of length 1",
        consistent(lambda *arguments: contrastive_loss(*arguments, normalize=lambda x: x)),
        "identity: each sample has a scale of its own where only directions count",
    ),
    mutant(
        INFO,
        "summed over the batch in both",
        scaled(*[lambda N, D: N] * 2),
        "identity: finding among strangers costs the logarithm of their number",
    ),
]

MUTANTS = [*UNIT_ROWS, *HINT, *COSINE, *ATTENTION, *CONTRASTIVE]
