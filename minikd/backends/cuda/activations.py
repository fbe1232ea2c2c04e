"""Backward passes of activations."""

import cupy

from minikd.typing import Floats

_relu_backward = cupy.ElementwiseKernel("T dy, T y", "T dx", "dx = y > 0 ? dy : T(0)", "minikd_relu_backward")


def relu_backward(dy: Floats, y: Floats) -> Floats:
    """Return dy where y is positive, 0 elsewhere."""
    dx: Floats = _relu_backward(dy, y)
    return dx
