"""The engine's own kernels for a device: what NumPy does well in several operations, and a device in one launch.

For a small network the launches are what a step costs on a GPU. Each kernel here stands in for the NumPy lines of the
one function that calls it; the suite holds both against each other on every case. An elementwise kernel is written for
one element of its result, `i`, counted in row order; it gathers what that element needs, so no two threads write to one
place. The backend gives this package out for CuPy's arrays alone (`backends.kernels_of`), so CuPy is imported here and
nowhere else beside it. CuPy compiles a kernel when it first meets a dtype, T, and keeps it.
"""

from minikd.backends.cuda.activations import relu_backward
from minikd.backends.cuda.block import Block, block, block_backward, block_backward_parameters
from minikd.backends.cuda.losses import cross_entropy, kl_divergence, log_softmax, mix
from minikd.backends.cuda.optimisers import adam, sgd
from minikd.backends.cuda.pooling import window_max, window_max_backward
from minikd.backends.cuda.windows import gather_windows

__all__ = [
    "Block",
    "adam",
    "block",
    "block_backward",
    "block_backward_parameters",
    "cross_entropy",
    "gather_windows",
    "kl_divergence",
    "log_softmax",
    "mix",
    "relu_backward",
    "sgd",
    "window_max",
    "window_max_backward",
]
