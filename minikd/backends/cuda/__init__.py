"""The engine's own kernels for a device. One launch does what takes NumPy several operations.

For a small network, the launches take most of a step's time on a GPU. Each kernel replaces the NumPy lines of the
function that calls it; the tests compare the two in every case. An elementwise kernel computes one element of its
result, `i`, counted in row order. It reads everything that this element needs, so no two threads write to one place.
`backends.kernels_of` returns this package for CuPy's arrays only, so importing minikd does not import CuPy. CuPy
compiles a kernel at its first use with a dtype, T, and keeps it.
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
