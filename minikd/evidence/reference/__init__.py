"""The same graphs in PyTorch, with its own modules and autograd, for comparison. PyTorch is imported when it is
used."""

from minikd.evidence.reference.build import from_torch_state, to_torch
from minikd.evidence.reference.compare import compare_all
from minikd.evidence.reference.rows import Comparison, table

__all__ = ["Comparison", "compare_all", "from_torch_state", "table", "to_torch"]
