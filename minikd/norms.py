"""Limits on norms: of a gradient before the step, and of each unit's incoming weights after it."""

import math

import numpy as np

from minikd.backends import module_of
from minikd.checks import check_float, number
from minikd.errors import ConfigError, ShapeError
from minikd.nn.products import product
from minikd.typing import Floats, Scalar


def clip_by_norm(grads: Floats, max_norm: float) -> tuple[Floats, Scalar]:
    """Return `grads` scaled to an Euclidean norm of at most `max_norm`, and the norm that it had.

        ĝ = g · min(1, max_norm / (|g| + 10⁻⁶))

    Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", Algorithm 1; as
    torch.nn.utils.clip_grad_norm_. `grads` is the flat gradient (P,), so the norm is that of the whole model, and the
    direction stays. It is not changed: the result is `grads` itself where NumPy finds nothing to clip, else a copy.
    The norm is a 0-d value of the gradient's dtype. On CuPy it stays on the device and the copy is always made, since
    asking whether to clip would make the host wait. A norm of NaN or infinity gives NaN or 0, as in PyTorch.

    Raises `ConfigError` for `max_norm` ≤ 0 (infinity only measures), `ShapeError` and `DtypeError`.
    """
    if not number(max_norm) > 0:
        raise ConfigError(f"clip_by_norm: max_norm is {max_norm!r}, but must be above 0; for no clipping, leave it out")
    check_float(grads, "clip_by_norm: grads")
    if grads.ndim != 1:
        raise ShapeError(f"clip_by_norm: grads has shape {grads.shape}, but must be the flat gradient (P,)")
    xp = module_of(grads)
    norm: Scalar = xp.sqrt(product(grads, grads))  # () = (P,) @ (P,)
    scale = xp.minimum(float(max_norm) / (norm + 1e-6), 1.0)
    if xp is np and scale == 1.0:
        return grads, norm
    clipped: Floats = grads * scale
    return clipped, norm


def limit_weights(weight: Floats, max_norm: float) -> None:
    """Scale down, in place, each unit's incoming weights, a row of `weight` (O, ...), to a norm of at most `max_norm`.

        w_o ← w_o · min(1, max_norm / |w_o|)

    These are the nearest weights that satisfy the constraint, so a step followed by this is projected gradient descent.
    Hinton, Srivastava, Krizhevsky, Sutskever & Salakhutdinov 2012 (arXiv:1207.0580) use it with dropout: it allows
    large learning rates without weights that grow without bound. As torch.renorm over dimension 0. A row of zeros
    stays. Raises `ConfigError` for a norm that is not above 0 and finite, `ShapeError` for a weight without rows, and
    `DtypeError`.
    """
    if not 0 < number(max_norm) < math.inf:
        raise ConfigError(
            f"limit_weights: max_norm is {max_norm!r}, but must be finite and above 0; for no limit, leave it out"
        )
    if weight.ndim < 2 or weight.size == 0:
        raise ShapeError(f"limit_weights: weight has shape {weight.shape}, but must be (O, ...), a row for each unit")
    check_float(weight, "limit_weights: weight")
    xp, limit = module_of(weight), float(max_norm)
    rows = weight.reshape(len(weight), -1)
    lengths = xp.sqrt((rows * rows).sum(axis=1))
    scale = limit / xp.maximum(lengths, limit)
    weight *= scale.reshape(-1, *[1] * (weight.ndim - 1))  # not rows, which is a copy where weight is transposed
