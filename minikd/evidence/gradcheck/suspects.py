"""The suspects: common mistakes in hand-written backward passes, each as a function that can be tested.

A suspect examines the evidence and returns an explanation for the author, or None if the numbers do not fit. It is only
named if it reproduces the wrong gradient to five digits, so it is not a guess.
"""

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np

from minikd.evidence.gradcheck.evidence import WrongGradient, same
from minikd.evidence.gradcheck.numeric import jacobian
from minikd.evidence.gradcheck.report import gradient_name
from minikd.typing import Floats, Shape


def no_influence(e: WrongGradient) -> str | None:
    """The output does not depend on the argument at all."""
    if np.abs(e.numeric).max(initial=0) > 1e-9:
        return None
    if e.name == e.input:
        return "y does not change with this input, so its gradient should be 0"
    return (
        f"y does not change with {e.name}, so its gradient should be 0. Does forward use it? (A layer reads it from "
        "self.params at each call, not from a copy that the constructor made.)"
    )


def all_zeros(e: WrongGradient) -> str | None:
    """The gradient by hand is 0."""
    if np.any(e.by_hand):
        return None
    return "by hand it is 0 everywhere: an array made by zeros_like and never filled, or a path that is cut"


def sign(e: WrongGradient) -> str | None:
    """The right gradient with the wrong sign."""
    if not e.matches(-e.numeric):
        return None
    return "the sign is wrong everywhere: look for a minus that was lost, or predicted − target the other way round"


def upstream_ignored(e: WrongGradient) -> str | None:
    """The gradient for a dy of ones, or one that does not change with dy."""
    ones = np.ones_like(e.dy)
    if e.matches(e.gradient_for(ones)):
        return "this is the gradient for dy = 1 everywhere: the upstream gradient dy is never multiplied in"
    again = e.trial.gradients(e.arrays, 2 * e.dy).get(e.name)
    if again is not None and np.any(e.by_hand) and same(np.asarray(again), e.by_hand):
        return "it stays the same when dy doubles: the upstream gradient dy is never multiplied in"
    return None


def passed_through(e: WrongGradient) -> str | None:
    """dy is returned unchanged, or is added once too often, or is missing."""
    if not e.same_shape:
        return None
    if e.matches(e.dy):
        return "it is dy itself, passed through unchanged: the chain rule multiplies it by the derivative of this layer"
    if same(e.by_hand + e.numeric, e.dy):
        return "dy goes through exactly where it should be stopped, and is stopped elsewhere: the mask is inverted"
    if same(e.by_hand - e.numeric, -e.dy):
        return "exactly dy is missing from it: the path that skips (y = x + f(x)) has its own gradient, dy"
    if same(e.by_hand - e.numeric, e.dy):
        return "it is exactly dy too much: the gradient of a path that is not there was added"
    return None


def factor(e: WrongGradient) -> str | None:
    """A constant multiple of the right gradient."""
    power = float((e.numeric * e.numeric).sum())
    c = float((e.by_hand * e.numeric).sum()) / power if power else 0.0
    if c in (0.0, 1.0) or not e.matches(c * e.numeric):
        return None
    names = list(dict.fromkeys(_factor_names(e, abs(c))))
    text = f"every element is {c:.6g} times what it should be"
    if names:
        text += f": that is {', or '.join(names[:3])}"
    if any(name.startswith("1/") and "," in name for name in names):
        text += ". It is averaged, where the chain rule sums (the 1/N belongs to the loss, once)"
    return text


def _factor_names(e: WrongGradient, c: float) -> Iterator[str]:
    for symbol, value, meaning in e.lengths():
        known = f" ({symbol} = {value:g}{', ' if meaning else ''}{meaning})"
        inverse = f"1/({symbol})" if "·" in symbol or " " in symbol else f"1/{symbol}"
        powers = {1: symbol, -1: inverse} | ({} if meaning else {2: f"{symbol}²", -2: f"1/{symbol}²"})
        for power, text in powers.items():
            if value != 1 and abs(c - value**power) < 1e-4 * c:
                yield text + known
    if abs(c - 2) < 1e-4:
        yield "the 2 of d(x²) = 2x, or a path that is counted twice"
    if abs(c - 0.5) < 1e-4:
        yield "a half, of which the derivative of x²/2 has none"


def missing_array(e: WrongGradient) -> str | None:
    """The factor of some array is missing, or was multiplied twice."""
    for name, a in e.arrays.items():
        for shaped in _aligned(a, e.value.shape):
            if same(e.by_hand * shaped, e.numeric) and np.any(e.by_hand):
                return f"a factor {name} is missing: multiplied by {name}, every element would be right"
            if e.matches(e.numeric * shaped):
                return f"it was multiplied by {name} once too often: divided by {name}, every element would be right"
    return None


def _aligned(a: Floats, shape: Shape) -> Iterator[Floats]:
    """Yield the forms in which `a` broadcasts against an array of this shape: a vector along each axis."""
    ways = [a]
    if a.ndim == 1 and len(shape) > 1:
        ways = [a.reshape([-1 if i == axis else 1 for i in range(len(shape))]) for axis in range(len(shape))]
    for way in ways:
        if way.ndim == len(shape) and all(mine in (1, theirs) for mine, theirs in zip(way.shape, shape, strict=True)):
            yield way


def another_argument(e: WrongGradient) -> str | None:
    """The gradient of another argument, returned in the wrong order or under the wrong name."""
    for name, gradient in e.others.items():
        if e.matches(gradient):
            return f"these are the numbers of {gradient_name(name)}: the gradients are returned in the wrong order"
    return None


def axes_swapped(e: WrongGradient) -> str | None:
    """The right numbers, laid out in another order of the axes."""
    n = e.value.ndim
    for order in permutations(range(n)):
        turned = e.numeric.transpose(order)
        if order == tuple(range(n)) or not e.matches(turned.reshape(e.value.shape)):
            continue
        if n == 2:
            return "it is transposed: (a @ b).T = b.T @ a.T, in the wrong order here or with a .T too many"
        how = "its axes are swapped" if turned.shape == e.value.shape else "a reshape runs over the axes"
        return f"the numbers are right, but {how} in the order {order}; transpose before reshape"
    return None


def flipped(e: WrongGradient) -> str | None:
    """The right numbers, reversed along some axes."""
    n = e.value.ndim
    for count in range(1, n + 1):
        for axes in combinations(range(n), count):
            if not e.matches(np.flip(e.numeric, axes)):
                continue
            if axes == (0,) and e.name == e.input:
                return "the samples come out in reversed order (axis 0): the batch was scrambled on the way back"
            what = f"axis {axes[0]}" if count == 1 else f"axes {axes}"
            return f"it is flipped along {what}: an index runs backwards"
    return None


def batch_scrambled(e: WrongGradient) -> str | None:
    """Sample i was combined with the upstream gradient of sample j."""
    n = e.dy.shape[0] if e.dy.ndim else 0
    if not 2 <= n <= 5:
        return None
    for order in permutations(range(n)):
        if order == tuple(range(n)):
            continue
        if e.matches(e.gradient_for(e.dy[list(order)])):
            return (
                f"the batch is scrambled: each sample meets the dy of another one (in the order {order}). "
                "A reshape or transpose moves N away from axis 0 and does not bring it back"
            )
        if e.name == e.input and e.matches(e.numeric[list(order)]):
            return f"the samples come out in another order, {order}: the batch was scrambled on the way back"
    return None


def some_samples(e: WrongGradient) -> str | None:
    """Only part of the batch counts."""
    n = e.dy.shape[0] if e.dy.ndim > 1 else 0
    for k in range(n) if n > 1 else ():
        only = np.zeros_like(e.dy)
        only[k] = e.dy[k]
        if e.matches(e.gradient_for(only)):
            return f"only sample {k} of the batch counts: the sum over the other {n - 1} is missing"
    return None


def diagonal(e: WrongGradient) -> str | None:
    """Only dy_i/dx_i, although every x changes every y."""
    if not e.same_shape:
        return None
    own = np.diagonal(e.jacobian).reshape(e.dy.shape)
    if np.abs(e.jacobian - np.diag(own.ravel())).max() <= 1e-7 * np.abs(e.jacobian).max():
        return None
    if not e.matches(own * e.dy):
        return None
    return (
        "only the diagonal of the Jacobian is there, dy_i/dx_i: each input also moves the other outputs (through a sum "
        "or a mean that forward takes), and those paths are missing"
    )


def statistics(e: WrongGradient) -> str | None:
    """A normalisation whose mean and variance were treated as constants."""
    if e.name != e.input or e.value.ndim < 2:
        return None
    n = e.value.ndim
    for axes in {(0,), (n - 1,), (0, *range(2, n)), tuple(range(1, n))}:
        x = e.value - e.value.mean(axes, keepdims=True)
        error = e.by_hand - e.numeric
        flat = np.broadcast_to(error.mean(axes, keepdims=True), error.shape)
        if np.abs(e.numeric.sum(axes)).max() > 1e-6 * np.abs(e.numeric).max() or same(error, np.zeros_like(error)):
            continue
        along = x * (error * x).sum(axes, keepdims=True) / np.maximum((x * x).sum(axes, keepdims=True), 1e-300)
        which = f"over axes {axes}" if len(axes) > 1 else f"over axis {axes[0]}"
        if same(error, flat):
            return f"the path through the mean {which} is missing: x moves the mean, and the mean moves every output"
        if same(error, along):
            return f"the path through the variance {which} is missing: x moves the variance, and that every output"
        if same(error, flat + along):
            return f"the mean and the variance {which} were treated as constants: x moves both, and they every output"
    return None


def wrong_point(e: WrongGradient) -> str | None:
    """A derivative at the input instead of the output, or at the output instead of the input."""
    if not e.same_shape:
        return None
    x, y = e.value, e.trial.output(e.arrays)
    if e.matches(e.dy * x * (1 - x)):
        return "this is dy·x·(1 − x), but the sigmoid's derivative is y·(1 − y): cache the output, not the input"
    if e.matches(e.dy * (1 - x * x)):
        return "this is dy·(1 − x²), but tanh's derivative is 1 − y²: cache the output, not the input"
    h = 1e-5
    plus, minus = (e.trial.output({**e.arrays, e.name: y + sign * h}) for sign in (1, -1))
    if plus.shape == y.shape and e.matches(e.dy * (plus - minus) / (2 * h)):
        return "it is the derivative at y, but must be the derivative at x: the formula got the output for the input"
    return None


def kernel_not_flipped(e: WrongGradient) -> str | None:
    """The gradient is right for a kernel that is turned by 180°, or for a transposed matrix."""
    rng = np.random.default_rng(0)
    for name, a in e.arrays.items():
        if name == e.name or a.ndim < 2:
            continue
        for turned, text in _turned(a):
            if all(_derivative_fits(e, {**e.arrays, name: turned}, rng) for _ in range(3)):
                return text.format(name=name)
    return None


def _turned(a: Floats) -> Iterator[tuple[Floats, str]]:
    if a.ndim >= 3:
        yield (
            np.flip(a, (-2, -1)),
            "it is right for a {name} turned by 180°: backward slides the kernel the other way, so flip it "
            "([..., ::-1, ::-1]) if it is not flipped now, and leave it if it is",
        )
        if a.shape[-1] == a.shape[-2]:
            yield np.swapaxes(a, -2, -1), "it is right for a {name} whose rows and columns are swapped"
    if a.shape[0] == a.shape[1]:
        yield np.swapaxes(a, 0, 1), "it is right for a transposed {name}: dx = dy @ W needs W as forward had it"


def _derivative_fits(e: WrongGradient, arrays: dict[str, Floats], rng: np.random.Generator) -> bool:
    """True if, along a random direction, the gradient by hand equals the numeric gradient at other `arrays`."""
    d = rng.standard_normal(e.value.shape)
    h = 1e-5
    plus, minus = ({**arrays, e.name: e.value + s * h * d} for s in (1, -1))
    numeric = float(((e.trial.output(plus) - e.trial.output(minus)) * e.dy).sum()) / (2 * h)
    by_hand = float((e.by_hand * d).sum())
    return abs(numeric - by_hand) <= 1e-5 * max(abs(numeric), abs(by_hand), float(np.abs(e.by_hand).max()))


def shifted(e: WrongGradient) -> str | None:
    """The right numbers, moved by some pixels."""
    if e.value.ndim < 3:
        return None
    for down in range(-3, 4):
        for right in range(-3, 4):
            theirs, mine = _overlap(e.by_hand, down, right), _overlap(e.numeric, -down, -right)
            if (down, right) == (0, 0) or theirs.size * 3 < e.by_hand.size or not np.any(mine):
                continue
            if same(theirs, mine):
                return (
                    f"the numbers are right, but {_places(down, right)} of their places: the padding was "
                    "cropped on the wrong side, or an offset is forgotten"
                )
    return None


def _overlap(a: Floats, down: int, right: int) -> Floats:
    rows = slice(max(down, 0), a.shape[-2] + min(down, 0))
    columns = slice(max(right, 0), a.shape[-1] + min(right, 0))
    part: Floats = a[..., rows, columns]
    return part


def _places(down: int, right: int) -> str:
    vertical = f"{abs(down)} below" if down > 0 else f"{abs(down)} above"
    horizontal = f"{abs(right)} to the right" if right > 0 else f"{abs(right)} to the left"
    return " and ".join(text for step, text in ((down, vertical), (right, horizontal)) if step)


def misplaced_numbers(e: WrongGradient) -> str | None:
    """The right numbers in the wrong places, or the right sum distributed wrongly."""
    if same(np.sort(e.by_hand.ravel()), np.sort(e.numeric.ravel())):
        return "all the right numbers are there, but in the wrong places: an index or a reshape goes astray"
    if e.value.ndim == 4 and e.name == e.input:
        total, wanted = e.by_hand.sum((2, 3)), e.numeric.sum((2, 3))
        if same(total, wanted) and np.abs(wanted).max() > 1e-9:
            return (
                "each image's sum is right, but it goes to other pixels: the wrong window, or the wrong place in it "
                "(of a maximum, the winner takes all)"
            )
    return None


def missing_influence(e: WrongGradient) -> str | None:
    """An array of the function has no influence on the gradient by hand, but has one on the true gradient."""
    rng = np.random.default_rng(3)
    for name, array in e.arrays.items():
        elsewhere = {**e.arrays, name: array + 0.1 * rng.standard_normal(array.shape)}
        by_hand = e.trial.gradients(elsewhere, e.dy).get(e.name)
        if by_hand is None or not np.array_equal(by_hand, e.by_hand):
            continue
        numeric = (jacobian(e.trial.output, elsewhere, e.name) @ e.dy.ravel()).reshape(e.value.shape)
        if not same(numeric, e.numeric):
            return (
                f"{name} never enters it: by hand it stays the same when {name} changes, but the true {e.gradient} "
                f"does not. A factor or a whole path with {name} is left out; is {name} in the cache?"
            )
    return None
