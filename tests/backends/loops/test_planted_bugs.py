"""The loops' tests, tested: a bug is planted in a loop's source, which runs as plain Python, and must be seen."""

import importlib
import inspect
import re
import types

import numpy as np
import pytest

from tests.backends.loops.compare import needs_loops

pytestmark = [needs_loops, pytest.mark.numpy_only("the loops are for NumPy's arrays")]

LOOPS = "minikd.backends.loops."


def plain(module, *changes):
    """Return a module of loops as plain Python, with these changes of its source; each must change something."""
    source = inspect.getsource(importlib.import_module(LOOPS + module))
    for old, new in changes:
        assert old in source, f"{module} has no {old!r} to plant a bug in"
        source = source.replace(old, new)
    made = types.ModuleType(module)
    head, *rest = re.split(r"\n@kernel(?:_of_sums)?\n", source)
    exec(compile(head + "\n" + "\n".join(rest).replace("wide()", "pass"), module, "exec"), vars(made))
    return made


def adam(module):
    found = []
    for decay in (0.0, 0.1):
        w, g, m, v = np.array([[1.0, 2, 3], [0.1, 0, 0.3], [0.5, 1e-310, -1], [0.2, 1e-310, np.nan]])
        with np.errstate(all="ignore"):
            module._adam(w, g, m, v, 0.9, 0.99, 0.1, 0.01, 1e-2, 1e-8, 0.9, decay, 1e-300)
        found += [w, m, v]
    return found


def losses(module):
    z, v = np.random.default_rng(0).standard_normal((2, 3, 4)) * 50
    z[0, 1] = v[0, 1] = -np.inf
    dz, dy = np.empty((2, 3, 4))
    labels = np.array([0, 3, 2])
    with np.errstate(all="ignore"):
        mixed, both = np.empty((3, 4)), module._distillation_loss
        found = [module._kl_divergence(z, v, 2.0, dz), dz, module._cross_entropy(z, labels, 0.1, dy), dy]
        return [*found, both(z, v, labels, 2.0, 0.75, mixed), mixed]


def dense(module):
    rng, found = np.random.default_rng(0), []
    x, w, b, dy = rng.standard_normal((3, 4)), rng.standard_normal((2, 4)), np.array([0.5, -0.5]), np.ones((3, 2))
    vector = rng.standard_normal(4 * 3 + 3 + 3 * 5 + 5)
    x[2, 0] = dy[1, 1] = np.nan
    for relu in (False, True):
        for count in (1, 3):
            y, dw, db, dx = np.empty((count, 2)), np.empty((2, 4)), np.empty(2), np.empty((count, 4))
            module._dense(x[:count], w, b, relu, y)
            module._dense_backward(dy[:count], x[:count], w, y, relu, dw, db, dx)
            found += [y, dw, db, dx, module._dense_row(x, vector, np.array([4, 3, 5]), relu)]
    return found


def pooled(module):
    z = np.random.default_rng(0).integers(-2, 2, (4, 6, 3)).astype(float)
    z[0, 0, 0] = z[1, 4, 1] = np.nan
    found = []
    for rows, columns in ((2, 2), (2, 3)):
        y, winner = np.empty((2, 6 // columns, 3)), np.empty((2, 6 // columns, 3), np.uint8)
        module.pool_relu(z, np.array([0.5, 0, -0.5]), y, winner, rows, columns, True)
        dz, db = np.empty((4, 6, 3)), np.zeros(3)
        module.unpool(np.arange(1.0, y.size + 1).reshape(y.shape), winner, dz, db, rows, columns)
        found += [y, winner, dz, db]
    return found


def tiles(module):
    rng = np.random.default_rng(0)
    V, z, dM = np.empty((16, 1, 4, 2)), np.empty((4, 4, 2)), np.empty((16, 1, 4, 2))
    module.to_tiles(rng.standard_normal((6, 6, 2)), V, 0)
    module.from_tiles(V, z, 0)
    module.gradient_to_tiles(z, dM, 0)
    return [V, z, dM, module.transformed(rng.standard_normal((3, 2, 3, 3)))]


def windows(module):
    rng, moves = np.random.default_rng(0), ((2, 3), (2, 1), (2, 2))
    padded, cols, back = rng.standard_normal((9, 9, 2)), np.empty((8, 12)), np.zeros((9, 9, 2))
    module.take_windows(padded, cols, 1, 4, moves)
    module.send_back(rng.standard_normal((2, 4, 3)), rng.standard_normal((3, 12)), cols.copy().ravel(), back, 1, moves)
    planes = np.empty((6, 2, 4))
    module.take_planes(padded[:, :, 0], planes, 1, moves)
    return [cols, back, planes]


def augmented(module):
    rng = np.random.default_rng(0)
    images, motion = rng.random((3, 2, 5, 6)).astype("f"), rng.standard_normal((3, 4)).astype("f")
    out, drawn, (dy, dx) = np.empty((3, 2, 5, 6), "f"), np.empty((3, 5), "f"), rng.standard_normal((2, 3, 5, 6), "f")
    with np.errstate(over="ignore"):
        module._uniform(np.uint64(2**63 + 7), np.array([0, 5, 9]), drawn)
    module._warped(images, motion, dy, dx, out)
    return [out, drawn]


BUGS = {
    "augment: the image is not framed": ("augment", augmented, ("(p + 1) * row + q + 1]", "p * row + q]")),
    "augment: moved the other way": ("augment", augmented, ("middle_y - down", "middle_y + down")),
    "augment: turned the other way": ("augment", augmented, ("middle_x - v * sin", "middle_x + v * sin")),
    "augment: the nearest pixel": ("augment", augmented, ("(lower - upper) * below[q]", "0")),
    "augment: displaced alike": ("augment", augmented, ("x + dx[n, p, q]", "x + dy[n, p, q]")),
    "augment: the first image's motion": ("augment", augmented, ("= motion[n]", "= motion[0]")),
    "uniform: both halves are one": (
        "augment",
        augmented,
        ("(z & np.uint64(0xFFFFFFFF)) >> np.uint64(8)", "z >> np.uint64(40)"),
    ),
    "uniform: samples overlap": ("augment", augmented, ("* np.uint64(pairs)", "* np.uint64(1)")),
    "adam: the mean forgets (1 - beta)": ("optimisers", adam, ("gradient * c1", "gradient")),
    "adam: the square is of the mean": ("optimisers", adam, ("gradient * gradient * c2", "mean * mean * c2")),
    "adam: epsilon inside the root": ("optimisers", adam, ("np.sqrt(square) + least", "np.sqrt(square + least)")),
    "adam: no flush": ("optimisers", adam, ("zero if v[i] < small else v[i]", "v[i]")),
    "adam: NaN is flushed": ("optimisers", adam, ("zero if v[i] < small else v[i]", "v[i] if v[i] >= small else zero")),
    "adam: decay by the old weight": ("optimisers", adam, ("pull * p if", "pull * w[i] if")),
    "softmax: the largest not taken off": ("losses", losses, ("np.exp(z[k] / T - largest)", "np.exp(z[k] / T)")),
    "softmax: not normalized": ("losses", losses, ("q[k] /= total", "pass")),
    "kl: excluded classes count": ("losses", losses, ("if p[k] != zero:", "if True:")),
    "kl: no temperature in the gradient": ("losses", losses, ("number(temperature / N)", "number(1 / N)")),
    "cross-entropy: no mean": ("losses", losses, ("number(1 / N)", "number(1)")),
    "cross-entropy: smoothing of the label alone": ("losses", losses, ("number(smoothing / K)", "number(0)")),
    "distillation: the labels have the teacher's share": ("losses", losses, ("rest * dhard", "a * dhard")),
    "distillation: the loss has no shares": ("losses", losses, ("alpha * soft +", "soft +")),
    "dense: no bias for a single row": ("dense", dense, ("    bias_relu(y, b, relu)", "    bias_relu(y[1:], b, relu)")),
    "dense: a single row's last input is left out": ("dense", dense, ("range(x.size)", "range(x.size - 1)")),
    "dense: ReLU loses NaN": (
        "dense",
        dense,
        ("zero if relu and value < zero else value", "value if value > zero or not relu else zero"),
    ),
    "dense: ReLU also where none is": ("dense", dense, ("zero if relu and", "zero if")),
    "dense: ReLU lets every gradient through": ("dense", dense, ("y[n, o] > zero or not relu", "True")),
    "dense: db before ReLU": ("dense", dense, ("db[o] += dz[n, o]", "db[o] += dy[n, o]")),
    "dense: db is not emptied": ("dense", dense, ("db[:] = zero", "db += 1.0")),
    "dense: dx of dy": ("dense", dense, ("np.dot(dz, w, dx)", "np.dot(dy, w, dx)")),
    "row: ReLU behind the last": ("dense", dense, ("relu or layer < last", "True")),
    "row: no ReLU between": ("dense", dense, ("relu or layer < last", "relu")),
    "row: the bias is no part of the layer": ("dense", dense, ("y, end + O", "y, end")),
    "pool: the last of equals wins": ("pool_relu", pooled, ("value > best else winner", "value >= best else winner")),
    "pool 2x2: the last of equals wins": (
        "pool_relu",
        pooled,
        ("np.uint8(3) if value > best", "np.uint8(3) if value >= best"),
    ),
    "pool: NaN is lost": ("pool_relu", pooled, ("b > a or b != b", "b > a")),
    "relu: NaN is lost": ("pool_relu", pooled, ("passes or value != value", "passes")),
    "relu: blocks nothing": ("pool_relu", pooled, ("number if passes else BLOCKED", "number")),
    "unpool: the bias takes what is blocked": ("pool_relu", pooled, ("winner[p, q, o] != BLOCKED", "True")),
    "winograd: a sign of B": ("winograd", tiles, ("d2 - d1", "d1 - d2")),
    "winograd: a line of B": ("winograd", tiles, ("(8, 2, 1, -one)", "(8, 1, 2, -one)")),
    "winograd: a sign of A": ("winograd", tiles, ("m1 - m2 - m3", "m1 - m2 + m3")),
    "winograd: A's lower line": ("winograd", tiles, ("= -right", "= right")),
    "winograd: a half of G": ("winograd", tiles, ("[0.5, -0.5, 0.5]", "[0.5, 0.5, 0.5]")),
    "windows: no stride": ("any_convolution", windows, ("p * stride[0]", "p")),
    "windows: no dilation": ("any_convolution", windows, ("r * dilation[0]", "r")),
    "windows: written, not added": ("any_convolution", windows, ("pixels[k] += back[k]", "pixels[k] = back[k]")),
    "planes: rows and columns exchanged": (
        "any_convolution",
        windows,
        ("k // S * dy, k % S * dx", "k % S * dy, k // S * dx"),
    ),
}


def same(one, other):
    pairs = zip(one, other, strict=True)
    return all(np.allclose(a, b, 1e-4 if np.asarray(a).dtype == "f" else 1e-12, 0, equal_nan=True) for a, b in pairs)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bug", BUGS)
def test_the_bug_is_found(bug):
    module, run, *changes = BUGS[bug]
    assert not same(run(plain(module, *changes)), run(importlib.import_module(LOOPS + module)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "module", ["optimisers", "losses", "dense", "pool_relu", "winograd", "any_convolution", "augment"]
)
def test_a_loop_is_the_same_in_plain_python(module):
    for run in {run for name, run, *_ in BUGS.values() if name == module}:
        assert same(run(plain(module)), run(importlib.import_module(LOOPS + module)))
