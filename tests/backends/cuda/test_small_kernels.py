"""The small kernels of a device against NumPy's lines, of few rows and of several blocks; and bugs planted in them."""

import importlib
import inspect
import types

import numpy as np
import pytest

from minikd import losses, optim
from minikd.backends import Backend, to_host
from minikd.backends.host import numpy_alone
from minikd.data import Augmentation, Views
from minikd.data.augment import motion, noise_strength, smoothing
from minikd.data.draws import keys
from tests import border

DEVICE = Backend("cupy", "")
KERNELS = "minikd.backends.cuda."
EDGE = {"constant_values": -np.inf}
ROWS = (1, 33, 2500)
"""Fewer than a block takes, and enough for three: 1,024 rows each."""


@pytest.fixture(autouse=True)
def on_a_device(backend):
    if backend.name == "numpy":
        pytest.skip("of CuPy alone: pytest --backend cupy")
    with border.closed():
        yield


def module_with(name, *changes):
    """Return a module of kernels with these changes of its source; each must change something."""
    source = inspect.getsource(importlib.import_module(KERNELS + name))
    for old, new in changes:
        assert old in source, f"{name} has no {old!r} to plant a bug in"
        source = source.replace(old, new)
    made = types.ModuleType(name)
    exec(compile(source, name, "exec"), vars(made))
    return made


def put(*arrays):
    return [DEVICE.put(array) for array in arrays]


def dense(module):
    rng, found, wanted = np.random.default_rng(0), [], []
    for rows in ROWS:
        for bias, relu in ((True, True), (True, False), (False, True), (False, False)):
            x, w, b, dy = (rng.standard_normal(shape) for shape in ((rows, 3), (37, 3), 37, (rows, 37)))
            x[rows // 2, 1], dy[0, 36] = np.nan, np.inf
            there = put(x, w, b, dy)
            y, cache = module.dense(*there[:2], there[2] if bias else None, relu)
            found += [y, *module.dense_backward(there[3], cache), *module.dense_backward_parameters(there[3], cache)]
            z = x @ w.T + bias * b  # (N, O) = (N, C) @ (C, O)
            here = np.maximum(z, 0) if relu else z
            dz = np.where(here > 0, dy, 0) if relu else dy
            dw, db = dz.T @ x, dz.sum(0)  # (O, C) = (O, N) @ (N, C)
            wanted += [here, dz @ w, dw, db, dw, db]  # (N, C) = (N, O) @ (O, C)
    return found, wanted


def of_losses(module):
    rng, found, wanted = np.random.default_rng(0), [], []
    for rows in ROWS:
        z, v, labels = rng.standard_normal((rows, 5)) * 20, rng.standard_normal((rows, 5)) * 20, np.arange(rows) % 5
        z[0, 2] = v[0, 2] = -np.inf  # an excluded class: its probability is 0
        there = put(z, v, labels)
        found += [*module.distillation_loss(*there, 2.5, 0.7), *module.kl_divergence(*there[:2], 2.5)]
        found += [module.log_softmax(there[0], 2.5), module.mix(there[1], 0.3, there[1], 0.9)]
        wanted += [*losses.distillation_loss(z, v, labels, 2.5, 0.7), *losses.kl_divergence(z, v, 2.5)]
        wanted += [losses.log_softmax(z, 2.5), 1.2 * v]
        z[0, 2] = -60  # with smoothing, an excluded class costs infinitely much
        found += module.cross_entropy(*put(z, labels), 0.1)
        wanted += losses.cross_entropy(z, labels, 0.1)
        z[rows // 2, 3], labels[0] = np.nan, 5  # no class of five
        loss, dz = module.cross_entropy(*put(z, labels), 0.0)
        found += [loss, dz[0]]
        wanted += [np.nan, np.full(5, np.nan)]
    return found, wanted


def fed(module):
    views = Views(*pictures(), (0.4, 0.2), (0.3, 0.5))
    order, counter = np.random.default_rng(1).permutation(9), np.array([4, 2])
    index, images, labels = module.batch(stored(module, views, order, counter), 3)
    tape, loss_sum, moved = put(np.arange(24.0).reshape(4, 3, 2), np.array(10.0), counter)
    drawn = module.draw(tape, moved, 1)
    module.count(DEVICE.put(np.float32(0.25)), 8, loss_sum, moved)
    found = [index, images, labels, drawn, loss_sum, moved]
    batch = views.batch(0, order[4:7])
    return found, [batch.index, batch.images, batch.labels, [[6, 7], [8, 9], [10, 11]], 12.0, [12, 3]]


def varied(module):
    found, wanted = [], []
    for augmentation in (
        Augmentation(shift=2, rotation=40, scale=0.3),
        Augmentation(shift=1, elastic=1.5, elastic_smoothing=2),
    ):
        views = Views(*pictures(), (0.4, 0.2), (0.3, 0.5), augmentation, seed=3)
        order, counter = np.random.default_rng(1).permutation(9), np.array([4, 2])
        for_motion, for_elastic = keys(3, 5, 2)
        smooth = [smoothing(side, augmentation.elastic_smoothing) for side in (6, 7)]
        there = put(motion(augmentation, for_motion, np.arange(9)), np.array([for_elastic]), *smooth)
        variation = module.Variation(*there, noise_strength(augmentation.elastic))
        found += module.varied_batch(stored(module, views, order, counter), variation, 4)
        batch = views.batch(5, order[4:8])
        wanted += [batch.index, batch.images, batch.labels]
    return found, wanted


def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (9, 2, 6, 7), np.uint8), rng.integers(0, 3, 9)


def stored(module, views, order, counter):
    where = put(views.images, views.labels, order, counter, *views.scale_and_shift)
    return module.Stored(*where)


def steps(module):
    """Two steps each: the running means of the first count in the second. The table's row is said by a counter."""
    found, wanted = [], []
    rules = [optim.SGD(weight_decay=0.2), optim.SGD(0.9), optim.SGD(0.9, True, 0.1), optim.Adam(weight_decay=0.1)]
    rules += [optim.AdamW(weight_decay=0.3)]
    for rule in rules:
        w, g = np.random.default_rng(0).standard_normal((2, 50))
        state = rule.init(w)
        there, by_table = ({name: DEVICE.put(np.array(value)) for name, value in state.items()} for _ in range(2))
        one, other, gradient = put(w, w, g)
        for i in range(2):
            rule.step(w, g, state, 0.1)
            numbers = rule.numbers(i + 1, 0.1, w)
            rows, counter = put(np.stack([np.full(5, 7.0), numbers]), np.array([99, 1]))
            for arrays, vector, given in (
                (there, one, numbers),
                (by_table, other, [module.Table(rows, counter)]),
            ):
                step(module, "_by_table" if arrays is by_table else "", rule, vector, gradient, arrays, given)
        found += [one, other, *(to_host(value) for value in there.values() if value.ndim)]
        wanted += [w, w, *(value for value in state.values() if np.ndim(value))]
    return found, wanted


def step(module, ending, rule, w, g, state, given):
    if isinstance(rule, optim.Adam):
        getattr(module, f"adam{ending}")(w, g, state["m"], state["v"], rule.betas, *given)
    else:
        numbers = given if len(given) == 1 else (given.rate, given.decay, given.tiny)
        getattr(module, f"sgd{ending}")(w, g, state.get("velocity"), rule.momentum, rule.nesterov, *numbers)


def pooled(module):
    """Images come padded, by -inf. A window that is -inf all over is won by its first pixel that is no padding."""
    found, wanted = [], []
    for axis, size, stride, padding in ((2, 3, 2, 1), (3, 2, 2, 0), (3, 4, 1, 2)):
        x = np.random.default_rng(0).integers(-2, 3, (2, 3, 7, 6)).astype(float)
        x[0, 1, 2, 3], x[1, 1] = np.nan, -np.inf
        x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding) if axis == side else (0, 0) for side in (2, 3)], **EDGE)
        windows = (x.shape[axis] - size) // stride + 1
        best, winner = module.window_max(DEVICE.put(x), axis, size, stride, padding, windows)
        lines = np.moveaxis(x, axis, -1)
        starts = range(0, windows * stride, stride)
        largest = np.stack([lines[..., start : start + size].max(-1) for start in starts], -1)
        first = [np.maximum(lines[..., start : start + size].argmax(-1), padding - start) for start in starts]
        known = ~np.isnan(largest)
        dbest = np.random.default_rng(1).standard_normal(best.shape)
        dx = module.window_max_backward(DEVICE.put(dbest), winner, axis, size, stride, x.shape[axis])
        sent = np.zeros(lines.shape)
        for i, (start, place) in enumerate(zip(starts, np.moveaxis(to_host(winner), axis, 0), strict=True)):
            for k in range(size):
                sent[..., start + k] += np.where(place == k, np.moveaxis(dbest, axis, -1)[..., i], 0)
        found += [best, np.moveaxis(to_host(winner), axis, -1) * known, dx]
        wanted += [np.moveaxis(largest, -1, axis), np.stack(first, -1) * known, np.moveaxis(sent, -1, axis)]
    return found, wanted


RUNS = {
    "dense": dense,
    "losses": of_losses,
    "feed": fed,
    "augment": varied,
    "optimisers": steps,
    "pooling": pooled,
}

BUGS = {
    "dense: the bias is taken away": ("dense", ("y += b;", "y -= b;")),
    "dense: ReLU hides NaN": ("dense", ("relu && y < 0", "relu && !(y > 0)")),
    "dense: ReLU blocks nothing": ("dense", ("y[n * O + o] > 0 ? value : T(0)", "value")),
    "dense: a block leaves out its last row": ("dense", ("begin + rows);", "begin + rows - 1);")),
    "dense: all blocks write one sum": ("dense", ("sums[blockIdx.y * O + o]", "sums[o]")),
    "dense: half of the lines are added up": ("dense", ("line < 32; ++line", "line < 16; ++line")),
    "dense: the last columns are left out": ("dense", ("-(-O // 32), parts", "max(1, O // 32), parts")),
    "losses: the largest is not taken off": ("losses", ("- largest);\n    return", ");\n    return")),
    "losses: no temperature in the gradient": ("losses", ("soft * temperature * (exp", "soft * (exp")),
    "losses: T once and not twice": ("losses", ("soft * temperature * temperature * p", "soft * temperature * p")),
    "losses: KL the other way round": ("losses", ("* p * (logp - logq)", "* exp(logq) * (logq - logp)")),
    "losses: the hard gradient replaces the soft one": ("losses", ("dz[k] += hard", "dz[k] = hard")),
    "losses: the mean is of a block": ("losses", ("sums[0] / N", "sums[0] / blockDim.x")),
    "losses: blocks overlap": ("losses", ("n = blockIdx.x * blockDim.x + threadIdx.x", "n = threadIdx.x")),
    "losses: one block of several counts": ("losses", ("else losses.sum()", "else losses[0]")),
    "losses: a label that is no class counts for nothing": ("losses", ('T(nan(""))', "T(0)")),
    "losses: smoothing of the label alone": ("losses", (" + smoothing / K)", ")")),
    "losses: log-softmax forgets the temperature": (
        "losses",
        ("z[i * K + k] / temperature - largest - rest", "z[i * K + k] - largest - rest"),
    ),
    "losses: alpha and 1 - alpha exchanged": ("losses", ("Weights(alpha, 1.0 - alpha", "Weights(1.0 - alpha, alpha")),
    "feed: not in the epoch's order": ("feed", ("row = order[counter[0] + sample]", "row = counter[0] + sample")),
    "feed: every batch is the first": ("feed", ("order[counter[0] + sample]", "order[sample]")),
    "feed: one channel's numbers for all": ("feed", ("shift[rest / area]", "shift[0]")),
    "feed: the labels of another sample": ("feed", ("labels[row]", "labels[sample]")),
    "feed: the tape begins with the epoch": ("feed", ("(counter[1] - first)", "counter[1]")),
    "feed: samples counted as batches": ("feed", ("counter[0] += images", "counter[0] += 1")),
    "augment: turned the other way": ("augment", ("middle_x - times(down, sin)", "middle_x + times(down, sin)")),
    "augment: moved the other way": ("augment", ("- middle_y - motion[4 * row]", "- middle_y + motion[4 * row]")),
    "augment: turned about a corner": ("augment", ("middle_y = (H - 1) / 2.0f", "middle_y = 0")),
    "augment: the nearest pixel": ("augment", ("down = y - top, right", "down = y - top > 0.5f, right")),
    "augment: the border is stretched": (
        "augment",
        ("y >= 0 && y < H && x >= 0 && x < W ? float(pixels[image + y * W + x]) : 0.0f",
         "float(pixels[image + min(max(y, 0), H - 1) * W + min(max(x, 0), W - 1)])"),
    ),
    "augment: all samples move alike": ("augment", ("cos = motion[4 * row + 2]", "cos = motion[2]")),
    "augment: noise by the place in the batch": (
        "augment",
        ("row = order[counter[0] + i / (2 * H * W)]", "row = i / (2 * H * W)"),
    ),
    "augment: both halves of a word are one": ("augment", ("at % 2 ? z >> 40 : z << 32 >> 40", "z >> 40")),
    "augment: distorted alike down and right": ("augment", ("(2 * sample + 1) * H", "(2 * sample) * H")),
    "augment: smoothed along one axis": ("augment", ("dy += rows[line * H + r] *", "dy += (line == r) *")),
    "augment: channels of the first image": ("augment", ("first = (row * C + c)", "first = c")),
    "adam: the square is of the mean": ("optimisers", ("gradient * gradient * one", "m * m * one")),
    "adam: epsilon inside the root": ("optimisers", ("(sqrt(v) + eps)", "sqrt(v + eps)")),
    "adam: decay by the new weight": ("optimisers", ("w *= shrink;", "w *= shrink * shrink;")),
    "sgd: no momentum": ("optimisers", ("u = u * momentum + gradient;", "u = gradient;")),
    "sgd: Nesterov looks not ahead": ("optimisers", ("nesterov ? u * momentum + gradient : u", "u")),
    "sgd: no decay": ("optimisers", ("(g + decay * w) * rate", "g * rate")),
    "table: always the first row": ("optimisers", ("row = counter[1]", "row = 0")),
    "pooling: NaN is lost": ("pooling", ("value > best || value != value", "value > best")),
    "pooling: the last of equals wins": ("pooling", ("if (value > best) winner", "if (value >= best) winner")),
    "pooling: the gradient to every pixel": ("pooling", ("&& winner[at] == k", "")),
    "pooling: windows that overlap are left out": ("pooling", ("; k += stride)", "; k += kernel)")),
    "pooling: padding is seen": ("pooling", ("start < padding ? padding - start : 0", "0")),
}  # fmt: skip


def same(found, wanted):
    pairs = zip(found, wanted, strict=True)
    with np.errstate(all="ignore"):
        return all(np.allclose(to_host(a), b, rtol=1e-6, atol=1e-4, equal_nan=True) for a, b in pairs)


def answers(module, run):
    with np.errstate(all="ignore"), numpy_alone():
        return run(module)


@pytest.mark.parametrize("module", RUNS)
def test_a_kernel_is_numpys_lines(module):
    found, wanted = answers(importlib.import_module(KERNELS + module), RUNS[module])
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(to_host(a), b, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug):
    name, *changes = BUGS[bug]
    assert not same(*answers(module_with(name, *changes), RUNS[name]))
