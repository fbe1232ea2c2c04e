"""The engine's kernels for NumPy arrays: loops in Python that Numba compiles.

NumPy needs several passes over memory, and a loop needs one. For each function here there is NumPy code, which is the
reference. It is where the function is called (`backends.kernels_of`), and tests compare the two. If a function returns
None, the NumPy code does the work. Only `backends` imports this package, which needs Numba.
"""

from minikd.backends.loops.activations import relu_backward
from minikd.backends.loops.augment import uniform, warped
from minikd.backends.loops.dense import dense, dense_backward, dense_backward_parameters, dense_row
from minikd.backends.loops.groups import block, block_backward, block_backward_parameters
from minikd.backends.loops.losses import cross_entropy, distillation_loss, kl_divergence, log_softmax, mix
from minikd.backends.loops.optimisers import adam, sgd
from minikd.backends.loops.pixels import normalized
from minikd.backends.loops.pooling import window_max, window_max_backward
from minikd.backends.loops.windows import gather_windows
from minikd.backends.moves import Block

__all__ = [
    "Block",
    "adam",
    "block",
    "block_backward",
    "block_backward_parameters",
    "cross_entropy",
    "dense",
    "dense_backward",
    "dense_backward_parameters",
    "dense_row",
    "distillation_loss",
    "gather_windows",
    "kl_divergence",
    "log_softmax",
    "mix",
    "normalized",
    "relu_backward",
    "sgd",
    "uniform",
    "warped",
    "window_max",
    "window_max_backward",
]
