"""Checks what the passes of a layer return. A layer may be a user's, and a missing return is a common mistake."""

from typing import TYPE_CHECKING, TypeVar

from minikd.errors import ConfigError, DtypeError
from minikd.typing import Floats

if TYPE_CHECKING:
    from minikd.nn.layer import Layer

CacheT = TypeVar("CacheT")


def pair_of(layer: "Layer", way: str, result: tuple[Floats, CacheT]) -> tuple[Floats, CacheT]:
    """Return what a pass returned, or refuse it if it is not a pair, such as None from a pass without a return."""
    if isinstance(result, tuple) and len(result) == 2 and hasattr(result[0], "shape"):
        return result
    wanted = "(y, cache)" if way == "forward" else "(dx, gradients by name), as in `return dx, {}`"
    raise DtypeError(
        f"{layer.in_one_line()}.{way} returned {_in_words(result)}, but must return {wanted}; "
        "minikd gradcheck FILE.py:NAME checks a layer"
    )


def _in_words(result: object) -> str:
    """Describe what a pass returned."""
    if isinstance(result, tuple):
        return f"({', '.join(map(_in_words, result))})"
    return "None" if result is None else f"one {type(result).__name__}"


def check_grads(layer: "Layer", grads: object) -> None:
    """Refuse gradients that are not a dict with one gradient for each parameter of the layer."""
    found = list(grads) if isinstance(grads, dict) else type(grads).__name__
    if found != [*layer.params] and not (isinstance(grads, dict) and grads.keys() == layer.params.keys()):
        raise ConfigError(
            f"its backward returned the gradients {found}, but its parameters are {[*layer.params]}; return a dict "
            "with a gradient for each of them"
        )
