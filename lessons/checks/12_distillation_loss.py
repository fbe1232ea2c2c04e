"""What lesson 12's exercises must return, and the usual mistakes."""

import numpy as np

from minikd import losses
from minikd.lessons import Work


def check(work: Work) -> None:
    """Check the three functions against the engine's losses."""
    rng = np.random.default_rng(12)
    z, v, T, alpha = rng.standard_normal((5, 4)), 3 * rng.standard_normal((5, 4)), 3.0, 0.7
    reverse(work, z, v, T)
    labels = np.array([2, -1, 0, -1, 3])
    known = labels >= 0
    some = z[known], v[known], labels[known]
    soft, mixed = losses.kl_divergence(z, v, T)[1], losses.kl_divergence(z, v, T)[1]
    mixed[known] = losses.distillation_loss(*some, T, alpha)[1] * (known.sum() / len(z))
    last = labels.copy()
    last[~known] = 3
    weak, unsplit, hot, apart = alpha * soft, mixed.copy(), mixed.copy(), mixed.copy()
    weak[known] = unsplit[known] = mixed[known]
    unsplit[~known] = losses.distillation_loss(z, v, last, T, alpha)[1][~known]
    hot[known] = alpha * soft[known] + (1 - alpha) * labels_at(z, labels, T)[known]
    apart[known] = losses.distillation_loss(*some, T, alpha)[1]
    work.same(
        "distill_some_labels",
        (z, v, labels, T, alpha),
        mixed,
        suspects={
            "a sample without a label has only the teacher's term, with the weight 1, not alpha": weak,
            "label -1 was used as the last class: Python counts an index of -1 from the end": unsplit,
            "the labels' term has temperature 1, not T": hot,
            "the mean is over all N samples, not over those with a label": apart,
            "the labels' term is a mean over the samples with a label: divide it by all N too": labelled(
                z, v, labels, T, alpha
            ),
            "the softmax runs over the whole batch: each row has its own (axis=1, keepdims=True)": whole_batch(
                z, v, labels, T, alpha
            ),
            "the 1/N of the mean is missing": mixed * len(z),
            "T² is missing: the soft gradient is T (q - p)/N": without_square(z, v, labels, T, alpha),
        },
    )


def reverse(work: Work, z: np.ndarray, v: np.ndarray, T: float) -> None:
    """Check the reverse divergence's value, then its gradient."""
    value, dz = losses.reverse_kl(z, v, T)
    forward, dforward = losses.kl_divergence(z, v, T)
    q, r = losses.softmax(z, T), losses.log_softmax(z, T) - losses.log_softmax(v, T)
    work.same(
        "reverse_kl",
        (z, v, T),
        value,
        suspects={
            "this is KL(p ‖ q), as in the lesson: the student's q must be the factor before the bracket": forward,
            "log p - log q in the bracket: the sign is reversed": -value,
            "T² is missing": value / T**2,
            "this is KL(p ‖ q), as in the lesson, and also a mean over the classes": forward / z.shape[1],
            "the sum over the classes is divided by K: np.mean over all elements": value / z.shape[1],
            "the 1/N of the mean over the batch is missing": value * len(z),
            "the temperature is missing in the softmax": T**2 * losses.reverse_kl(z, v, 1.0)[0],
            "this is in bits: the logarithm is np.log, the natural one, not np.log2": value / np.log(2),
            "the softmax runs over the whole batch: each row has its own (axis=1, keepdims=True)": over_the_batch(
                z, v, T
            ),
        },
    )
    work.same(
        "reverse_kl_gradient",
        (z, v, T),
        dz,
        suspects={
            "this is T (q - p)/N, the gradient of the lesson's KL(p ‖ q)": dforward,
            "softmax's backward pass is missing its sum: the rows must sum to 0": q * r * T / len(z),
            "softmax's backward pass is missing its sum, Σ q dq: the rows must sum to 0": q * (r + 1) * T / len(z),
            "T² is missing: T² times the chain rule's 1/T leaves T": dz / T**2,
            "the chain rule for z/T is missing: T² times 1/T leaves T": dz * T,
            "the factor T is missing: T² times the chain rule's 1/T": dz / T,
            "the 1/N of the mean over the batch is missing": dz * len(z),
            "the sign is reversed": -dz,
        },
    )


def labels_at(z: np.ndarray, labels: np.ndarray, T: float) -> np.ndarray:
    """Return the labels' gradient (q - onehot)/N with the student softened by T: a mistake."""
    return (losses.softmax(z, T) - (labels[:, None] == np.arange(z.shape[1]))) / len(z)


def labelled(z: np.ndarray, v: np.ndarray, labels: np.ndarray, T: float, alpha: float) -> np.ndarray:
    """Return the gradient with the labels' term divided by how many have a label, and the other by N: a mistake."""
    soft, known = losses.kl_divergence(z, v, T)[1], (labels >= 0)[:, None]
    hard = labels_at(z, labels, 1.0) * len(z) / known.sum()
    return np.where(known, alpha * soft + (1 - alpha) * hard, soft)


def whole_batch(z: np.ndarray, v: np.ndarray, labels: np.ndarray, T: float, alpha: float) -> np.ndarray:
    """Return the gradient with each softmax taken over all elements of the batch: a mistake."""
    q, p, q1 = (np.exp(one) / np.exp(one).sum() for one in (z / T, v / T, z))
    soft, known = T * (q - p), (labels >= 0)[:, None]
    hard = q1 - (labels[:, None] == np.arange(z.shape[1]))
    return np.where(known, alpha * soft + (1 - alpha) * hard, soft) / len(z)


def over_the_batch(z: np.ndarray, v: np.ndarray, T: float) -> float:
    """Return the reverse divergence of softmaxes over all elements of the batch: a mistake."""
    logq, logp = (one / T - np.log(np.exp(one / T).sum()) for one in (z, v))
    return float(T**2 * np.sum(np.exp(logq) * (logq - logp)) / len(z))


def without_square(z: np.ndarray, v: np.ndarray, labels: np.ndarray, T: float, alpha: float) -> np.ndarray:
    """Return the gradient without the T²: a mistake."""
    soft, known = losses.kl_divergence(z, v, T)[1] / T**2, (labels >= 0)[:, None]
    return np.where(known, alpha * soft + (1 - alpha) * labels_at(z, labels, 1.0), soft)
