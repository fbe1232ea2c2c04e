"""Cross-entropy of softmax outputs, with labels as class numbers or as probabilities.

    L = -(1/N) Σ_n Σ_k t_nk log q_nk,   q = softmax(z)

t is one-hot for integer labels, smoothed to (1 - ε)·onehot + ε/K with label smoothing ε (Szegedy et al. 2016, §7), or
given whole. Through log-softmax's backward pass,

    dz = (1/N)·(q Σ_k t_k - t) = (q - t)/N   where the rows of t sum to 1

The gradient is the prediction minus the target, because the Jacobians of the logarithm and of softmax cancel.
"""

import numpy as np

from minikd.backends import kernels_of, module_of
from minikd.checks import number
from minikd.errors import ConfigError, DataError, DtypeError, ShapeError
from minikd.losses.softmax import check_logits, check_pair, log_softmax, zero_where_impossible
from minikd.typing import Floats, Ints, Mask, Scalar


def cross_entropy(logits: Floats, labels: Ints | Floats, label_smoothing: float = 0.0) -> tuple[Scalar, Floats]:
    """Return the mean cross-entropy over the batch and its gradient with respect to the logits (N, K).

    `labels` are class numbers (N,), integers in 0..K-1, or probabilities (N, K) like the logits, whose rows should
    sum to 1, on the logits' device. Class numbers on the host are checked and copied to the logits' device. Class
    numbers on the device are not checked, because the host would have to wait: one out of range makes the loss NaN. A
    class with a logit of -∞ makes the loss infinite, unless its probability in the labels is 0. Raises ShapeError,
    DtypeError, DataError (a label out of range) and ConfigError.
    """
    check_logits(logits)
    smoothing = number(label_smoothing)
    if not 0.0 <= smoothing < 1.0:
        raise ConfigError(f"label_smoothing is {label_smoothing!r}, but must be at least 0 and less than 1")
    if labels.ndim == 2:
        check_pair(logits, labels, "logits", "labels")
    else:
        check_labels(labels, logits.shape)
        if module_of(labels) is not np and module_of(logits) is np:
            raise DtypeError(
                "labels is a cupy array, but logits is a numpy array; move it: minikd.backends.to_host(labels)"
            )
    loss: Scalar
    dlogits: Floats
    if labels.ndim == 1 and (kernels := kernels_of(logits)):
        loss, dlogits = kernels.cross_entropy(logits, labels.astype(np.int64, copy=False), smoothing)
        return loss, dlogits
    logq, target = log_softmax(logits), soft_labels(labels, logits, smoothing)
    loss = (target * zero_where_impossible(target, logq)).sum() / -len(logits)
    dlogits = (module_of(logits).exp(logq) * target.sum(1, keepdims=True) - target) * (1.0 / len(logits))
    return loss, dlogits


def soft_labels(labels: Ints | Floats, logits: Floats, label_smoothing: float) -> Floats:
    """Return the target t (N, K) in the logits' dtype."""
    whole = labels if labels.ndim == 2 else one_hot(labels, logits.shape[1])
    target: Floats = whole.astype(logits.dtype, copy=False)
    if label_smoothing == 0.0:
        return target
    smooth: Floats = target * (1.0 - label_smoothing) + label_smoothing / logits.shape[1]
    return smooth


def one_hot(labels: Ints | Floats, classes: int) -> Mask:
    """Return a mask (N, K) on the labels' device: True at the label of each sample."""
    hot: Mask = labels[:, None] == module_of(labels).arange(classes)
    return hot


def check_labels(labels: Ints | Floats, shape: tuple[int, ...]) -> None:
    """Refuse class numbers that do not fit logits of this shape. On a device they would wrap around silently."""
    N, K = shape
    if labels.shape != (N,):
        raise ShapeError(f"labels has shape {labels.shape}, but logits of shape {shape} need ({N},) or {shape}")
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"labels is {labels.dtype}, but class numbers must be integers; use labels.astype('int64')")
    if module_of(labels) is not np:
        return  # they were checked before the copy; here the host would wait
    bad = np.flatnonzero((labels < 0) | (labels >= K))
    if len(bad):
        raise DataError(
            f"label {labels[bad[0]]} of sample {bad[0]} is out of range: {K} classes have the numbers 0 to {K - 1}"
        )
