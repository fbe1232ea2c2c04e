"""The engine's own kernels for a device: what NumPy does well in several operations, and a device in one launch.

For a small network the launches are what a step costs on a GPU. Each kernel here stands in for the NumPy lines of the
one function that calls it; the suite holds both against each other on every case. An elementwise kernel is written for
one element of its result, `i`, counted in row order; it gathers what that element needs, so no two threads write to one
place. The backend gives this package out for CuPy's arrays alone (`backends.kernels_of`), so CuPy is imported here and
nowhere else beside it. CuPy compiles a kernel when it first meets a dtype, T, and keeps it.
"""

from minikd.backends.cuda.activations import relu_backward
from minikd.backends.cuda.augment import Variation, varied_batch
from minikd.backends.cuda.block import block, block_backward, block_backward_parameters
from minikd.backends.cuda.dense import column_sums, dense, dense_backward, dense_backward_parameters
from minikd.backends.cuda.feed import Stored, batch, count, draw
from minikd.backends.cuda.graphs import captured, free_bytes, own_stream
from minikd.backends.cuda.losses import cross_entropy, distillation_loss, kl_divergence, log_softmax, mix
from minikd.backends.cuda.optimisers import Table, adam, adam_by_table, sgd, sgd_by_table
from minikd.backends.cuda.pooling import window_max, window_max_backward
from minikd.backends.cuda.products import product
from minikd.backends.cuda.windows import gather_windows
from minikd.backends.moves import Block

__all__ = [
    "Block",
    "Stored",
    "Table",
    "Variation",
    "adam",
    "adam_by_table",
    "batch",
    "block",
    "block_backward",
    "block_backward_parameters",
    "captured",
    "column_sums",
    "count",
    "cross_entropy",
    "dense",
    "dense_backward",
    "dense_backward_parameters",
    "distillation_loss",
    "draw",
    "free_bytes",
    "gather_windows",
    "kl_divergence",
    "log_softmax",
    "mix",
    "own_stream",
    "product",
    "relu_backward",
    "sgd",
    "sgd_by_table",
    "varied_batch",
    "window_max",
    "window_max_backward",
]
