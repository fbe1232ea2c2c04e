"""The differences between both backends for every case of the gradient suite, in float64 and float32.

The suite checks NumPy's gradients against finite differences. So a gradient on the device is right if it agrees with
NumPy's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple, TypedDict

import numpy as np

from minikd import losses
from minikd.backends import Backend, to_host
from minikd.evidence.differences import largest_difference
from minikd.evidence.gradcheck import suite
from minikd.evidence.gradcheck.features import FeatureCase, feature_cases
from minikd.evidence.gradcheck.numeric import tie_free
from minikd.evidence.gradcheck.subjects import LossOfLogits
from minikd.nn import Embedding, Layer, Sequential
from minikd.typing import Array, Floats, Scalar, Shape

BOUNDS = {"float64": 1e-10, "float32": 1e-4}
"""The largest allowed difference of an array, relative to its largest element. It covers rounding and the order of
sums."""

HOST = Backend("numpy", "to compare with")

NamedResults = Mapping[str, Array | Scalar]


class DeviceCase(NamedTuple):
    """A case: `run(backend, dtype)` returns named arrays, computed on that backend."""

    name: str
    run: Callable[[Backend, str], NamedResults]


class Difference(TypedDict):
    """The largest difference between the device's results of one case and NumPy's, and its array.

    `difference` is None if an array is not finite or has another shape or dtype, or if the case could not be run; then
    `error` says why.
    """

    name: str
    dtype: str
    difference: float | None
    array: str
    bound: float
    ok: bool
    error: str


def differences(device: Backend, dtypes: Sequence[str] = tuple(BOUNDS), seed: int = 0) -> Iterator[Difference]:
    """Yield every case in each dtype. A case that fails also gives a row."""
    for case in cases(np.random.default_rng(seed)):
        for dtype in dtypes:
            bound = BOUNDS[dtype]
            found = Difference(name=case.name, dtype=dtype, difference=None, array="", bound=bound, ok=False, error="")
            try:
                found["array"], largest = largest_relative_difference(case, device, dtype)
            except Exception as error:  # after any error, the other cases must still run
                found["error"] = f"{type(error).__name__}: {error}"
            else:
                found["difference"] = largest if isfinite(largest) else None
                found["ok"] = largest <= bound
            yield found


def largest_relative_difference(case: DeviceCase, device: Backend, dtype: str) -> tuple[str, float]:
    """Return the array of a case with the largest relative difference from NumPy, and this difference."""
    wanted, found = case.run(HOST, dtype), case.run(device, dtype)
    by_name = [(name, relative(on_host(found[name]), on_host(wanted[name]))) for name in wanted]
    return max(by_name, key=lambda pair: pair[1])


def on_host(value: Array | Scalar) -> Array:
    """Return an array or a loss as an array on the host."""
    return np.asarray(value) if isinstance(value, float | np.floating) else to_host(value)


def relative(found: Array, wanted: Array) -> float:
    """Return the largest relative difference of two arrays; infinite if the dtypes differ or a value is not finite.

    A gradient that is 0 except for rounding, such as that of a bias before batch norm, is measured on the scale of 1.
    """
    if found.dtype != wanted.dtype or not np.isfinite(found).all():
        return float("inf")
    return largest_difference(found, wanted, floor=1e-6)


def cases(rng: np.random.Generator) -> Iterator[DeviceCase]:
    """Yield every layer, loss and model of the suite."""
    for name, layer, shape, training in suite.layers(rng):
        yield DeviceCase(name, layer_case(layer, tie_free(shape, rng), training))
    yield DeviceCase("Embedding", embedding_case())
    for name, loss, _ in suite.loss_cases(rng):
        yield DeviceCase(name, loss_case(loss, tie_free((5, 4), rng)))
    yield DeviceCase("kl_with_temperature", temperature_case(tie_free((5, 4), rng), rng.standard_normal((5, 4))))
    for feature_case in feature_cases(rng):
        yield DeviceCase(feature_case.name, feature_loss_case(feature_case))
    yield DeviceCase("unit_rows", unit_rows_case(tie_free((3, 4), rng), rng.standard_normal((3, 4))))
    yield DeviceCase("softmax, T=4", softmax_case(tie_free((3, 4), rng), rng.standard_normal((3, 4))))
    for name, model, shape, training in suite.models(rng):
        yield DeviceCase(name, model_case(model, shape, training, rng))


def layer_case(layer: Layer, x: Floats, training: bool) -> Callable[[Backend, str], NamedResults]:
    """Return a case of both passes of a layer."""

    def run(backend: Backend, dtype: str) -> NamedResults:
        here = layer.astype(dtype).to(backend)
        y, cache = here.forward(backend.put(x.astype(dtype)), training, np.random.default_rng(1))
        dy = np.random.default_rng(2).standard_normal(y.shape)
        dx, grads = here.backward(backend.put(dy.astype(dtype)), cache)
        return {"y": y, "dx": dx, **grads}

    return run


def embedding_case() -> Callable[[Backend, str], NamedResults]:
    """Return a case of both passes of an embedding, whose input is whole numbers."""
    ids, layer = np.array([[0, 4, 0], [2, 0, 4], [1, 1, 0], [5, 2, 2]]), Embedding(7, 2, np.random.default_rng(1))

    def run(backend: Backend, dtype: str) -> NamedResults:
        here = layer.astype(dtype).to(backend)
        y, cache = here.forward(backend.put(ids))
        dy = np.random.default_rng(2).standard_normal(y.shape)
        return {"y": y, **here.parameter_gradients(backend.put(dy.astype(dtype)), cache)}

    return run


def loss_case(loss: LossOfLogits, logits: Floats) -> Callable[[Backend, str], NamedResults]:
    """Return a case of a loss and its gradient."""

    def run(backend: Backend, dtype: str) -> NamedResults:
        value, gradient = loss(backend.put(logits.astype(dtype)))
        return {"loss": value, "dlogits": gradient}

    return run


def temperature_case(logits: Floats, teacher: Floats) -> Callable[[Backend, str], NamedResults]:
    """Return a case of the divergence with its gradients with respect to the logits and the temperature."""

    def run(backend: Backend, dtype: str) -> NamedResults:
        z, v = backend.put(logits.astype(dtype)), backend.put(teacher.astype(dtype))
        loss, dlogits, dtemperature = losses.kl_with_temperature(z, v, 3.3)
        return {"loss": loss, "dlogits": dlogits, "dtemperature": dtemperature}

    return run


def feature_loss_case(case: FeatureCase) -> Callable[[Backend, str], NamedResults]:
    """Return a case of a loss of features and its gradients."""

    def run(backend: Backend, dtype: str) -> NamedResults:
        value, *gradients = case.run({name: backend.put(a.astype(dtype)) for name, a in case.point.items()})
        return {"loss": value, **{f"d{name}": g for name, g in zip(case.point, gradients, strict=True)}}

    return run


def unit_rows_case(x: Floats, upstream: Floats) -> Callable[[Backend, str], NamedResults]:
    """Return a case of rows that are scaled to norm 1, with their backward pass."""

    def run(backend: Backend, dtype: str) -> NamedResults:
        a, length = losses.unit_rows(backend.put(x.astype(dtype)))
        da = backend.put(upstream.astype(dtype))
        return {"a": a, "length": length, "dx": losses.unit_rows_backward(da, a, length)}

    return run


def softmax_case(logits: Floats, upstream: Floats) -> Callable[[Backend, str], NamedResults]:
    """Return a case of softmax, its logarithm, and their backward passes."""

    def run(backend: Backend, dtype: str) -> NamedResults:
        z, dq = backend.put(logits.astype(dtype)), backend.put(upstream.astype(dtype))
        q, logq = losses.softmax(z, 4.0), losses.log_softmax(z, 4.0)
        backward = {"dz": losses.softmax_backward(dq, q, 4.0), "dz of log": losses.log_softmax_backward(dq, logq, 4.0)}
        return {"q": q, "log q": logq, **backward}

    return run


def model_case(
    model: Sequential, shape: Shape, training: bool, rng: np.random.Generator
) -> Callable[[Backend, str], NamedResults]:
    """Return a case of a whole model, from its input to a distillation loss and back."""
    x = tie_free(shape, rng)

    def run(backend: Backend, dtype: str) -> NamedResults:
        here = model.astype(dtype).to(backend)
        logits, cache = here.forward(backend.put(x.astype(dtype)), training, np.random.default_rng(1))
        loss, dlogits = suite.model_loss(logits)
        dx, grads = here.backward(dlogits, cache)
        return {"loss": loss, "dx": dx, **grads}

    return run
