"""Optimisers: arithmetic on one flat vector.

All parameters of a model are views of one vector, so an optimiser needs no loop over layers. The optimiser object
itself holds only settings. `init` makes the state, a dictionary of arrays, which a checkpoint saves as it is. `step`
changes the parameters and the state in place. On NumPy, a step goes through the vectors block by block. A block stays
in the cache during the dozen operations of the rule. On CuPy, the rule is one kernel.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from minikd.backends import device_kernels, kernels_of, module_of
from minikd.checks import check_float, number
from minikd.errors import CheckpointError, ConfigError, DtypeError, ShapeError
from minikd.memory import require
from minikd.typing import Floats

Vector = npt.NDArray[np.number]
State = dict[str, Vector]
"""An optimiser's state: "step", the number of steps taken (int64, shape (), always on the host), and its vectors."""

BLOCK = 32_768
"""Elements in a block. Adam uses five arrays: 640 KiB in float32, which fits a core's L2 cache of 1 MiB or more."""

FLUSH_EVERY = 64
"""After this many steps, subnormal numbers in the optimiser's vectors are set to 0.

If a gradient stays 0, as for a unit that is never active, its mean or velocity decays towards 0. Below 1.2e-38, a
float32 is subnormal, and the processor needs a hundred cycles for an operation on it. The smallest subnormal numbers
times 0.9 round to themselves, so they would never become 0. Setting them to 0 changes no bit of the weights.
"""

NAMES = ("sgd", "nesterov", "adam", "adamw")


class Numbers(NamedTuple):
    """The numbers that the rule of a step needs in addition to the vectors.

    rate: the learning rate, with Adam's correction. eps: Adam's ε, with its correction. shrink: the factor of every
    weight, for decoupled weight decay. decay: λ of weight decay in the gradient. tiny: smaller numbers in the
    optimiser's vectors are set to 0; it is 0 in most steps, see `FLUSH_EVERY`.
    """

    rate: float
    eps: float
    shrink: float
    decay: float
    tiny: float


class Optimizer(Protocol):
    """The methods that the training loop calls."""

    def init(self, params: Floats) -> State:
        """Return the state before the first step, on the device and in the dtype of `params`."""
        ...

    def step(self, params: Floats, grads: Floats, state: State, lr: float) -> None:
        """Take one step of size `lr`: `params` and `state` change in place, `grads` does not."""
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with Polyak's momentum (1964), Nesterov's or none; as torch.optim.SGD.

        g ← ∂L/∂w + λ w                  weight decay λ as the gradient of λ/2 |w|²
        u ← μ u + g                      the velocity; u = 0 at first, so the first velocity is the gradient
        w ← w − η u                      Polyak: "Some methods of speeding up the convergence of iteration methods"
        w ← w − η (g + μ u)              Nesterov: the gradient at the look-ahead point

    Nesterov (1983) takes the gradient at the look-ahead point, w − η μ u. The rule above is the same method, but stores
    the look-ahead point instead of w: Sutskever et al. (2013, "On the importance of initialization and momentum in deep
    learning", equations 3 and 4), with the change of variable of Bengio et al. (2013, "Advances in optimizing recurrent
    networks", section 3.5).

    Raises `ConfigError` for a momentum outside [0, 1), a negative weight decay, and Nesterov without momentum.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_fraction("SGD: momentum", self.momentum)
        _check_decay("SGD", self.weight_decay)
        if self.nesterov and self.momentum == 0:
            raise ConfigError("SGD: nesterov needs momentum, but momentum is 0; use momentum=0.9 or nesterov=False")

    def init(self, params: Floats) -> State:
        """Return the step count and, with momentum, the velocity."""
        return _state(params, ("velocity",) if self.momentum else ())

    def step_by_table(self, params: Floats, grads: Floats, state: State, table: object) -> None:
        """Take the step, on a device, whose `numbers` are a table's next row; `state["step"]` stays as it is."""
        device_kernels().sgd_by_table(params, grads, state.get("velocity"), float(self.momentum), self.nesterov, table)

    def numbers(self, t: int, lr: float, params: Floats) -> Numbers:
        """Return the numbers of step t = 1, 2, …."""
        return Numbers(lr, 0.0, 1.0, float(self.weight_decay), _tiny_at(t, params))

    def step(self, params: Floats, grads: Floats, state: State, lr: float) -> None:
        """Take one step of size `lr`; see `Optimizer.step`."""
        vectors = [state[name] for name in _check_step(self, params, grads, state, lr)]
        xp, lr, momentum = module_of(params), float(lr), float(self.momentum)
        state["step"] += 1
        numbers = self.numbers(int(state["step"]), lr, params)
        if kernels := kernels_of(params):
            kernels.sgd(params, grads, state.get("velocity"), momentum, self.nesterov, lr, numbers.decay, numbers.tiny)
            return
        for (p, g, *velocity), (decayed, s) in _blocks([params, grads, *vectors], scratch=2):
            g = _add_decay(g, p, self.weight_decay, out=decayed)
            for u in velocity:  # one velocity, or none without momentum
                if numbers.tiny:
                    _flush(u, s)
                xp.multiply(u, momentum, out=u)  # u ← μ u + g
                xp.add(u, g, out=u)
                if self.nesterov:
                    xp.multiply(u, momentum, out=s)  # g ← g + μ u
                    g = xp.add(s, g, out=s)
                else:
                    g = u
            xp.multiply(g, lr, out=s)  # w ← w − η g
            xp.subtract(p, s, out=p)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, "Adam: a method for stochastic optimization", Algorithm 1); as torch.optim.Adam.

        g ← ∂L/∂w + λ w                  weight decay λ as the gradient of λ/2 |w|²
        m ← β₁ m + (1 − β₁) g            running mean of the gradient, m = 0 at first
        v ← β₂ v + (1 − β₂) g²           running mean of its square, v = 0 at first
        m̂ = m / (1 − β₁ᵗ)                both means start at 0, so they are too small by exactly these factors
        v̂ = v / (1 − β₂ᵗ)                at step t = 1, 2, …
        w ← w − η m̂ / (√v̂ + ε)           ε outside the root

    The first step is η g / (|g| + ε): the sign of the gradient times η, whatever the gradient's size. To save two
    passes over the vector, c = √(1 − β₂ᵗ) is moved out of the root, as at the end of the paper's section 2:

        η m̂ / (√v̂ + ε) = η c / (1 − β₁ᵗ) · m / (√v + ε c)

    Raises `ConfigError` for a beta outside [0, 1), ε ≤ 0, and a negative weight decay.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    decoupled: ClassVar[bool] = False
    """True if weight decay shrinks the weights directly and is not part of the gradient's means."""

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not isinstance(self.betas, Sequence) or len(self.betas) != 2:
            raise ConfigError(f"{name}: betas is {self.betas!r}, but must be two numbers such as (0.9, 0.999)")
        for i, beta in enumerate(self.betas):
            _check_fraction(f"{name}: betas[{i}]", beta)
        if not 0 < number(self.eps) < math.inf:
            raise ConfigError(f"{name}: eps is {self.eps!r}, but must be above 0, such as 1e-8")
        _check_decay(name, self.weight_decay)

    def init(self, params: Floats) -> State:
        """Return the step count and the two running means, `m` and `v`."""
        return _state(params, ("m", "v"))

    def step_by_table(self, params: Floats, grads: Floats, state: State, table: object) -> None:
        """Take the step, on a device, whose `numbers` are a table's next row; `state["step"]` stays as it is."""
        device_kernels().adam_by_table(params, grads, state["m"], state["v"], tuple(map(float, self.betas)), table)

    def numbers(self, t: int, lr: float, params: Floats) -> Numbers:
        """Return the numbers of step t = 1, 2, …; rate and ε include the corrections."""
        beta1, beta2 = map(float, self.betas)
        c = math.sqrt(1 - beta2**t)
        rate, eps = lr * c / (1 - beta1**t), float(self.eps) * c
        shrink = 1 - lr * float(self.weight_decay) if self.decoupled else 1.0
        return Numbers(rate, eps, shrink, 0.0 if self.decoupled else float(self.weight_decay), _tiny_at(t, params))

    def step(self, params: Floats, grads: Floats, state: State, lr: float) -> None:
        """Take one step of size `lr`; see `Optimizer.step`."""
        vectors = [state[name] for name in _check_step(self, params, grads, state, lr)]
        xp, lr = module_of(params), float(lr)
        state["step"] += 1
        numbers = self.numbers(int(state["step"]), lr, params)
        (beta1, beta2), (rate, eps, shrink, decay, tiny) = map(float, self.betas), numbers
        if kernels := kernels_of(params):
            kernels.adam(params, grads, *vectors, (beta1, beta2), *numbers)
            return
        for (p, g, m, v), (decayed, s) in _blocks([params, grads, *vectors], scratch=2):
            if shrink != 1.0:
                xp.multiply(p, shrink, out=p)  # w ← (1 − η λ) w
            g = _add_decay(g, p, decay, out=decayed)
            if tiny:
                _flush(m, s)
                _flush(v, s)
            xp.multiply(m, beta1, out=m)  # m ← β₁ m + (1 − β₁) g
            xp.multiply(g, 1 - beta1, out=s)
            xp.add(m, s, out=m)
            xp.multiply(v, beta2, out=v)  # v ← β₂ v + (1 − β₂) g²
            xp.multiply(g, g, out=s)
            xp.multiply(s, 1 - beta2, out=s)
            xp.add(v, s, out=v)
            xp.sqrt(v, out=s)  # w ← w − rate · m / (√v + ε c)
            xp.add(s, eps, out=s)
            xp.divide(m, s, out=s)
            xp.multiply(s, rate, out=s)
            xp.subtract(p, s, out=p)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, Algorithm 2); as torch.optim.AdamW.

        w ← (1 − η λ) w                  before Adam's step, which sees the plain gradient

    In Adam, the decay λ w is divided by √v̂ like the rest of the gradient, so the weights with the largest gradients
    decay least. Here every weight decays by the same factor.
    """

    weight_decay: float = 0.01

    decoupled: ClassVar[bool] = True


def build(name: str, weight_decay: float = 0.0, momentum: float = 0.9) -> Optimizer:
    """Return the optimiser that a recipe names: one of `NAMES`. `momentum` is for "sgd" and "nesterov" only.

    Raises `ConfigError` for any other name, and for values the optimiser refuses.
    """
    if name in ("sgd", "nesterov"):
        return SGD(momentum, nesterov=name == "nesterov", weight_decay=weight_decay)
    if name in ("adam", "adamw"):
        return (AdamW if name == "adamw" else Adam)(weight_decay=weight_decay)
    raise ConfigError(f"optimizer is {name!r}, but must be one of {', '.join(NAMES)}")


def _state(params: Floats, names: tuple[str, ...]) -> State:
    """Return a step count of 0 and a vector of zeros for each name.

    Raises `DtypeError`, because in float16 Adam's ε is 0. Raises `SizeError` if the memory is too small for these
    vectors and for the gradient, which is stored twice: by layer and as a vector.
    """
    check_float(params, "params")
    if module_of(params) is np:
        what = f"training {params.size:,} parameters, with their gradients and the optimiser's state,"
        require((2 + len(names)) * params.nbytes, what, "make the model smaller")
    state: State = {"step": np.zeros((), np.int64)}
    return state | {name: module_of(params).zeros_like(params) for name in names}


def _blocks(vectors: list[Vector], scratch: int) -> Iterator[tuple[list[Vector], list[Vector]]]:
    """Yield the same block of every vector, with `scratch` scratch arrays of its length, block after block.

    The operations are elementwise, so the length of a block cannot change a bit of the result.
    """
    xp, size = module_of(vectors[0]), vectors[0].size
    length = max(1, min(size, BLOCK) if xp is np else size)
    spare = [xp.empty_like(vectors[0][:length]) for _ in range(scratch)]
    for start in range(0, size, length):
        stretch = [vector[start : start + length] for vector in vectors]
        yield stretch, [array[: stretch[0].size] for array in spare]


def _add_decay(g: Vector, p: Vector, weight_decay: float, out: Vector) -> Vector:
    """Return g + λ w in `out`, or `g` itself if λ is 0."""
    if weight_decay == 0:
        return g
    xp = module_of(g)
    xp.multiply(p, float(weight_decay), out=out)
    decayed: Vector = xp.add(out, g, out=out)
    return decayed


def _flush(vector: Vector, s: Vector) -> None:
    """Set subnormal elements to 0; `s` is scratch."""
    xp = module_of(vector)
    xp.abs(vector, out=s)
    xp.greater_equal(s, _tiny(vector), out=s)  # 1 or 0
    xp.multiply(vector, s, out=vector)


def _tiny_at(t: int, vector: Vector) -> float:
    """Return the number below which the optimiser's vectors are set to 0 in step t."""
    return _tiny(vector) if t % FLUSH_EVERY == 0 else 0.0


def _tiny(vector: Vector) -> float:
    """Return the smallest normal number of the vector's dtype."""
    return float(np.finfo(vector.dtype.name).tiny)


def _check_step(optimizer: Optimizer, params: Floats, grads: Floats, state: State, lr: float) -> list[str]:
    """Refuse arguments that do not fit each other. Return the names of the state's vectors."""
    where = f"{type(optimizer).__name__}.step"
    if not 0 <= number(lr) < math.inf:
        raise ConfigError(f"{where}: the learning rate is {lr!r}, but must be finite and not below 0")
    if params.ndim != 1:
        raise ShapeError(f"{where}: params has shape {params.shape}, but must be one flat vector such as model.vector")
    expected = optimizer.init(params[:0])
    if set(state) != set(expected):
        raise CheckpointError(
            f"{where}: the state holds {sorted(state)}, but this optimiser needs {sorted(expected)}; "
            "it comes from another optimiser: start again from optimizer.init(params)"
        )
    names = [name for name in expected if name != "step"]
    for name, array in [("grads", grads), *((f"state[{name!r}]", state[name]) for name in names)]:
        if array.shape != params.shape:
            raise ShapeError(f"{where}: {name} has shape {array.shape}, but params has shape {params.shape}")
        if module_of(array) is not module_of(params):
            raise DtypeError(
                f"{where}: {name} is a {module_of(array).__name__} array, but params is a "
                f"{module_of(params).__name__} array; move it: backend.put(...)"
            )
        if array.dtype != params.dtype:
            raise DtypeError(f"{where}: {name} is {array.dtype}, but params is {params.dtype}")
    return names


def _check_fraction(what: str, value: float) -> None:
    if not 0 <= number(value) < 1:
        raise ConfigError(f"{what} is {value!r}, but must be at least 0 and below 1")


def _check_decay(name: str, value: float) -> None:
    if not 0 <= number(value) < math.inf:
        raise ConfigError(f"{name}: weight_decay is {value!r}, but must be finite and not below 0")
