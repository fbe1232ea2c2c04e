"""Turns layers, losses and whole models into functions of named arrays, for the check."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from minikd.evidence.gradcheck.check import check_function
from minikd.evidence.gradcheck.numeric import NamedArrays
from minikd.evidence.gradcheck.report import Finding, GradientReport
from minikd.evidence.gradcheck.trial import Backward, Forward, Stopped, described_value
from minikd.nn.layer import Layer
from minikd.typing import Floats, Scalar

JITTER = 0.2
"""The size of the random change of parameters before a check, because a bias of zeros and a scale of ones hide
mistakes."""

LossOfLogits = Callable[[Floats], tuple[Scalar, Floats]]
"""Takes the logits, returns the value and the gradient with respect to the logits."""


@runtime_checkable
class LayerLike(Protocol):
    """The interface of a layer that can be checked; `params` is a dict of arrays, if it has parameters.

    `forward` may also take `training` and `rng`, and gets them if it does. `backward` returns dx, or dx and a dict with
    the gradient of each parameter.
    """

    @property
    def forward(self) -> Callable[..., tuple[Floats, object]]:
        """forward(x) -> (y, cache)"""

    @property
    def backward(self) -> Callable[..., object]:
        """backward(dy, cache) -> dx, or (dx, gradients)"""


def check_layer(
    layer: LayerLike,
    x: Floats,
    rng: np.random.Generator,
    *,
    training: bool = False,
    full: bool = False,
) -> GradientReport:
    """Check a layer's gradients with respect to its input x and all its parameters, in float64.

    The layer is not changed. The check uses copies of the parameters with small random changes. A layer that draws
    random numbers gets a generator with the same seed in every forward pass.
    """
    try:
        bound = BoundLayer(layer, training, int(rng.integers(2**32)))
    except Stopped as stop:
        return GradientReport(_name(layer), findings=(stop.finding,))
    arrays = {"x": x, **_jittered(bound.params, rng)}
    return check_function(bound.forward, bound.backward, arrays, rng, full=full).named(_name(layer))


def check_loss(
    loss: LossOfLogits,
    logits: Floats,
    rng: np.random.Generator,
    *,
    full: bool = False,
    constants: Mapping[str, float] | None = None,
) -> GradientReport:
    """Check that a loss returns the gradient of its value.

    `loss` gets float64 and float32 logits in turn. Arrays in its closure must follow (`teacher.astype(z.dtype)`).
    """
    forward, backward = loss_as_function(loss)
    report = check_function(forward, backward, {"logits": logits}, rng, full=full, constants=constants)
    return report.named(_name(loss))


def check_model(
    model: LayerLike,
    x: Floats,
    loss: LossOfLogits,
    rng: np.random.Generator,
    *,
    training: bool = False,
    full: bool = False,
) -> GradientReport:
    """Check both passes of a model with a loss at its end, with respect to input and parameters."""
    bound = BoundLayer(model, training, int(rng.integers(2**32)))
    loss_forward, loss_backward = loss_as_function(loss)

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        logits, cache = bound.forward(arrays)
        value, dlogits = loss_forward({"logits": logits})
        return value, (cache, dlogits)

    def backward(dy: Floats, cache: object) -> Mapping[str, Floats]:
        assert isinstance(cache, tuple)
        own, dlogits = cache
        return bound.backward(loss_backward(dy, dlogits)["logits"], own)

    arrays = {"x": x, **_jittered(bound.params, rng)}
    return check_function(forward, backward, arrays, rng, full=full).named(_name(model))


def loss_as_function(loss: LossOfLogits) -> tuple[Forward, Backward]:
    """Return a loss as forward (whose cache is the gradient) and backward (which scales it)."""

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        result: object = loss(arrays["logits"])
        if not isinstance(result, tuple) or len(result) != 2:
            text = f"the loss returned {described_value(result)}; it must return the pair (value, gradient)"
            raise Stopped(Finding("result", "forward", text))
        value, gradient = np.asarray(result[0]), result[1]
        if value.shape != () or not isinstance(gradient, np.ndarray):
            text = (
                f"the loss returned {described_value(result[0])} and {described_value(gradient)}; it must return one "
                "number and the array of its gradient"
            )
            raise Stopped(Finding("result", "forward", text))
        return value, gradient

    def backward(dy: Floats, cache: object) -> Mapping[str, Floats]:
        assert isinstance(cache, np.ndarray)
        return {"logits": dy * cache}

    return forward, backward


class BoundLayer:
    """A layer as a function of its input and parameters together.

    It uses copies of the layer, one for each dtype, and writes the parameters into their arrays before each pass. The
    arrays themselves stay, because those of a chain are views of one vector. So a cache is only valid until the next
    forward pass.
    """

    def __init__(self, layer: LayerLike, training: bool, seed: int) -> None:
        self._layer, self._training, self._seed = layer, training, seed
        self._accepted = frozenset(inspect.signature(layer.forward).parameters)
        self._twins: dict[np.dtype[np.floating], LayerLike] = {}
        self.params = parameters(layer)

    def forward(self, arrays: NamedArrays) -> tuple[Floats, object]:
        """Return the result of the layer's forward pass, unchecked; the trial checks it."""
        x = arrays["x"]
        offered: dict[str, object] = {"training": self._training, "rng": np.random.default_rng(self._seed)}
        return self._at(arrays).forward(x, **{key: offered[key] for key in offered if key in self._accepted})

    def backward(self, dy: Floats, cache: object) -> dict[str, Floats]:
        """Return the layer's gradients by the names of the arrays."""
        result: object = self._twin(dy.dtype).backward(dy, cache)
        dx, grads = result if isinstance(result, tuple) and len(result) == 2 else (result, {})
        if dx is None or isinstance(dx, tuple | list | dict) or not isinstance(grads, Mapping):
            text = (
                f"backward returned {described_value(result)}; it must return dx, or the pair (dx, gradients by name)"
            )
            raise Stopped(Finding("result", "backward", text))
        # Most people write "dw" for the gradient of "w". If a parameter is called "dw", it has priority.
        own = {name if name in self.params else name.removeprefix("d"): g for name, g in grads.items()}
        return {"x": dx, **own}

    def _at(self, arrays: NamedArrays) -> LayerLike:
        """Return the copy of x's dtype, with its parameters set to `arrays`, and read-only if `arrays` are."""
        twin = self._twin(arrays["x"].dtype)
        for name, value in parameters(twin).items():
            value.flags.writeable = True
            value[...] = arrays[name]
            value.flags.writeable = arrays[name].flags.writeable
        return twin

    def _twin(self, dtype: np.dtype[np.floating]) -> LayerLike:
        if dtype not in self._twins:
            self._twins[dtype] = _converted(self._layer, dtype)
        return self._twins[dtype]


def parameters(layer: LayerLike) -> dict[str, Floats]:
    """Return the layer's parameters; empty if it has none."""
    found = getattr(layer, "params", {})
    if not isinstance(found, dict):
        raise Stopped(
            Finding("result", "params", f"params is {described_value(found)}; it must be a dict of arrays by name")
        )
    for name, value in found.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            text = f"params[{name!r}] is {described_value(value)}; it must be an array of floats"
            raise Stopped(Finding("result", "params", text))
    return found


def _converted(layer: LayerLike, dtype: np.dtype[np.floating]) -> LayerLike:
    if isinstance(layer, Layer):
        return layer.astype(str(dtype))
    twin = copy.deepcopy(layer)
    held = parameters(twin)
    held.update({name: value.astype(dtype) for name, value in held.items()})
    return twin


def _jittered(params: Mapping[str, Floats], rng: np.random.Generator) -> dict[str, Floats]:
    return {name: value + rng.normal(0, JITTER, value.shape) for name, value in params.items()}


def _name(thing: object) -> str:
    if isinstance(thing, Layer):
        return thing.in_one_line()
    return getattr(thing, "__name__", type(thing).__name__)
