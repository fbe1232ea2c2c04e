"""Checks the weights of a loss's linear maps against the shapes of the features."""

from minikd.checks import check_alike
from minikd.errors import ShapeError
from minikd.typing import Floats


def check_projection(w: Floats, x: Floats, outputs: int, w_name: str, x_name: str) -> None:
    """Refuse a weight that does not map the rows x (N, C) to `outputs` values, in one dtype and array library."""
    check_alike(x, w, x_name, w_name)
    if w.shape != (outputs, x.shape[1]):
        raise ShapeError(
            f"{w_name} has shape {w.shape}, but must be {(outputs, x.shape[1])}, to make {outputs} values of the "
            f"{x.shape[1]} that a sample of {x_name} has"
        )
