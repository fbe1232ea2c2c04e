"""Bugs of hand-written layers. The first nine are those of the classic kill matrix, on the real convolution."""

import math

import numpy as np

from minikd import nn
from minikd.nn import folding
from tests.mutants.planting import Mutant, attribute, in_backward, in_layer, in_parameter

UNEVEN = "gradient: Conv2d, stride, padding"
DILATED, GROUPED = "gradient: Conv2d, dilation 2", "gradient: Conv2d, groups 2"


def flipped(scene):
    return scene.gradients(params={"weight": scene.layer.params["weight"][..., ::-1, ::-1].copy()})[0]


def other_moves(scene, stride, dilation):
    """Return the weight's gradient from windows that move otherwise, over an image cut so that as many fit."""
    (ph, pw), (R, S), (P, Q) = scene.layer.padding, scene.layer.kernel_size, scene.dy.shape[2:]
    padded = np.pad(scene.x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    rows, columns = ((n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip((P, Q), stride, dilation, (R, S), strict=True))
    cut = padded[:, :, :rows, :columns]
    return scene.gradients(x=cut, stride=stride, dilation=dilation, padding=(0, 0))[1]["weight"]


def wrong_crop(scene):
    (ph, pw), (H, W) = scene.layer.padding, scene.x.shape[2:]
    padded = np.pad(scene.x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    return scene.gradients(x=padded, padding=(0, 0))[0][:, :, :H, :W]


def conv(name, mutate, by=UNEVEN):
    return Mutant("Conv2d", name, in_backward(nn.Conv2d, mutate), by)


def conv_dw(name, mutate, by=UNEVEN):
    return Mutant("Conv2d", name, in_parameter(nn.Conv2d, "weight", mutate), by)


def flipped_both_ways(self, x, training, rng):
    from minikd.nn.conv import conv2d

    w = self.params["weight"][..., ::-1, ::-1].copy()
    return conv2d(x, w, self.params["bias"], self.stride, self.padding, self.dilation, self.groups)


def flipped_both_ways_backward(self, dy, cache):
    from minikd.nn.conv import conv2d_backward

    dx, dw, db = conv2d_backward(dy, cache)
    return dx, {"weight": dw[..., ::-1, ::-1], "bias": db}


CONVOLUTION = [
    conv("kernel not flipped in dx", flipped),
    conv_dw("dW: batch order scrambled", lambda s: s.gradients(dy=s.dy[::-1])[1]["weight"]),
    conv_dw("dW: kernel axes transposed", lambda s: s.grads["weight"].swapaxes(2, 3).reshape(s.grads["weight"].shape)),
    Mutant(
        "Conv2d", "db averaged over the batch", in_parameter(nn.Conv2d, "bias", lambda s: s.grads["bias"] / 2), UNEVEN
    ),
    conv("dx is zero", lambda s: np.zeros_like(s.dx)),
    conv("upstream ignored", lambda s: s.gradients(dy=np.ones_like(s.dy))),
    conv_dw("dW: sample 0 only", lambda s: s.gradients(x=s.x[:1], dy=s.dy[:1])[1]["weight"]),
    conv_dw("dW: stride forgotten", lambda s: other_moves(s, (1, 1), s.layer.dilation)),
    conv("padding cropped on the wrong side", wrong_crop),
    conv_dw("dW: dilation forgotten", lambda s: other_moves(s, s.layer.stride, (1, 1)), DILATED),
    conv_dw("dW: groups in reversed order", lambda s: np.roll(s.grads["weight"], 3, 0), GROUPED),
    conv("dx: groups in reversed order", lambda s: np.roll(s.dx, 2, 1), GROUPED),
    conv_dw(
        "dW: (O, R, S, C) reshaped, not transposed",
        lambda s: s.grads["weight"].transpose(0, 2, 3, 1).reshape(s.grads["weight"].shape),
    ),
    Mutant(
        "Conv2d",
        "kernel flipped in forward and backward",
        in_layer(nn.Conv2d, flipped_both_ways, flipped_both_ways_backward),
        "identity: convolution is the sum over the window",
    ),
]

OVERLAP = "gradient: MaxPool2d, overlapping"
GAPS = "gradient: MaxPool2d, gaps and rest"
NO_PIXEL = "identity: a window of nothing but minus infinity gives its gradient to its first pixel"
FIRST = "identity: of equal pixels the first gets the whole gradient"


def windows(layer, shape, dy):
    """Yield (n, c, p, q) and the slices of the window in the padded image."""
    (R, S), (sy, sx) = layer.kernel_size, layer.stride
    for n, c, p, q in np.ndindex(*dy.shape):
        yield (n, c, p, q), (n, c, slice(p * sy, p * sy + R), slice(q * sx, q * sx + S))


def pooled(scene, share, add=True, value=-np.inf):
    """Return dx by a slow loop: `share(window, dy)` says what each pixel of a window receives."""
    ph, pw = scene.layer.padding
    padded = np.pad(scene.x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)
    dpadded = np.zeros_like(padded)
    for at, window in windows(scene.layer, scene.x.shape, scene.dy):
        part = share(padded[window], scene.dy[at])
        dpadded[window] = dpadded[window] + part if add else np.where(part != 0, part, dpadded[window])
    return dpadded[:, :, ph : ph + scene.x.shape[2], pw : pw + scene.x.shape[3]]


def last_maximum(window, d):
    place = window.size - 1 - int(window[::-1, ::-1].argmax())
    return d * (np.arange(window.size).reshape(window.shape) == place)


def first_maximum(window, d):
    return d * (np.arange(window.size).reshape(window.shape) == int(window.argmax()))


def pool(name, mutate, by, cls=nn.MaxPool2d):
    return Mutant(cls.__name__, name, in_backward(cls, mutate), by)


def zeros_win(self, x, training, rng):
    (ph, pw), whole = self.padding, nn.MaxPool2d(self.kernel_size, self.stride)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    from minikd.nn.pooling import max_pool2d

    return max_pool2d(padded, whole.kernel_size, whole.stride)


def zeros_win_backward(self, dy, cache):
    from minikd.nn.pooling import max_pool2d_backward

    (ph, pw), dpadded = self.padding, max_pool2d_backward(dy, cache)
    return dpadded[:, :, ph : dpadded.shape[2] - ph, pw : dpadded.shape[3] - pw], {}


def of_the_inside(self, x, training, rng):
    """PyTorch's count_include_pad=False."""
    from minikd.nn.pooling import avg_pool2d

    inside, _ = avg_pool2d(np.ones_like(x), self.kernel_size, self.stride, self.padding)
    y, cache = avg_pool2d(x, self.kernel_size, self.stride, self.padding)
    return y / inside, (inside, cache)


def of_the_inside_backward(self, dy, cache):
    from minikd.nn.pooling import avg_pool2d_backward

    return avg_pool2d_backward(dy / cache[0], cache[1]), {}


POOLING = [
    pool("ties: the last maximum", lambda s: pooled(s, last_maximum), FIRST),
    pool(
        "ties: split among the maxima",
        lambda s: pooled(s, lambda w, d: d * (w == w.max()) / (w == w.max()).sum()),
        FIRST,
    ),
    pool("ties: each maximum gets all", lambda s: pooled(s, lambda w, d: d * (w == w.max())), FIRST),
    pool("mask of the wrong window", lambda s: np.roll(s.dx, s.layer.stride, (2, 3)), GAPS),
    pool("overlapping windows overwrite", lambda s: pooled(s, last_maximum, add=False), OVERLAP),
    pool("shared among the window", lambda s: pooled(s, lambda w, d: np.full_like(w, d / w.size), value=0), OVERLAP),
    pool("padding cropped on the wrong side", lambda s: np.roll(s.dx, s.layer.padding, (2, 3)), OVERLAP),
    pool("a window of -∞ gives its gradient to the padding", lambda s: pooled(s, first_maximum), NO_PIXEL),
    Mutant(
        "MaxPool2d",
        "padding's zeros can win",
        in_layer(nn.MaxPool2d, zeros_win, zeros_win_backward),
        "identity: max pooling takes the largest pixel and never the padding",
    ),
    pool(
        "divisor counts one side only",
        lambda s: s.dx * s.layer.kernel_size[0],
        "gradient: AvgPool2d, overlapping",
        nn.AvgPool2d,
    ),
    pool("not divided", lambda s: s.dx * 4, "gradient: AvgPool2d, gaps and rest", nn.AvgPool2d),
    Mutant(
        "AvgPool2d",
        "divided by the pixels inside the image, in both",
        in_layer(nn.AvgPool2d, of_the_inside, of_the_inside_backward),
        "identity: average pooling divides by the whole window",
    ),
    pool("not divided", lambda s: s.dx * s.x[0, 0].size, "gradient: GlobalAvgPool2d", nn.GlobalAvgPool2d),
]


def norm_parts(scene):
    layer, x = scene.layer, scene.x
    axes = (
        layer.axes
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
        else tuple(range(-len(layer.normalized_shape), 0))
    )
    gamma = layer.params["weight"]
    if isinstance(layer, nn.BatchNorm2d):
        gamma = gamma[:, None, None]
    rho = 1 / np.sqrt(x.var(axes, keepdims=True) + layer.eps)
    return gamma * scene.dy, (x - x.mean(axes, keepdims=True)) * rho, rho, lambda a: a.mean(axes, keepdims=True)


def norm_dx(formula):
    """Return a mutation of dx in training: formula(g, xhat, rho, mean)."""
    return lambda scene: formula(*norm_parts(scene)) if scene.training or scene.layer.state == {} else scene.dx


def unbiased(g, xhat, rho, mean):
    m = round(1 / float(mean(np.eye(1, xhat.size).reshape(xhat.shape)).max()))
    return rho * (g - mean(g) - xhat * mean(g * xhat) * m / (m - 1))


NORM = {
    "mean's path forgotten": lambda g, xhat, rho, mean: rho * (g - xhat * mean(g * xhat)),
    "variance's path forgotten": lambda g, xhat, rho, mean: rho * (g - mean(g)),
    "both paths forgotten": lambda g, xhat, rho, mean: rho * g,
    "m - 1 for m in the variance's path": unbiased,
}


def over_everything(self, x, training, rng):
    from minikd.nn.normalization import normalize

    return normalize(x, self.params["weight"], self.params["bias"], tuple(range(x.ndim)), self.eps)


BATCH, LAYER = "gradient: BatchNorm2d, training", "gradient: LayerNorm of images"
NORMALISATION = [
    Mutant(cls.__name__, name, in_backward(cls, norm_dx(formula)), by)
    for cls, by in ((nn.BatchNorm1d, "gradient: BatchNorm1d, training"), (nn.BatchNorm2d, BATCH), (nn.LayerNorm, LAYER))
    for name, formula in NORM.items()
]
NORMALISATION += [
    Mutant(
        cls.__name__,
        "evaluation differentiates the batch's statistics",
        in_backward(cls, lambda s: s.dx if s.training else NORM_RIGHT(*norm_parts(s))),
        f"gradient: {cls.__name__}, evaluation",
    )
    for cls in (nn.BatchNorm1d, nn.BatchNorm2d)
]
NORMALISATION += [
    Mutant(
        "BatchNorm2d",
        "γ forgotten in dx",
        in_backward(
            nn.BatchNorm2d, lambda s: s.gradients(params={"weight": np.ones_like(s.layer.params["weight"])})[0]
        ),
        BATCH,
    ),
    Mutant(
        "BatchNorm2d",
        "dγ from x, not x̂",
        in_parameter(nn.BatchNorm2d, "weight", lambda s: (s.dy * s.x).sum((0, 2, 3))),
        BATCH,
    ),
    Mutant("BatchNorm2d", "dβ averaged", in_parameter(nn.BatchNorm2d, "bias", lambda s: s.dy.mean((0, 2, 3))), BATCH),
    Mutant(
        "BatchNorm2d",
        "evaluation normalises with the batch",
        lambda m: m.setattr(nn.BatchNorm2d, "forward", always_training(nn.BatchNorm2d.forward)),
        "identity: batch norm normalises each channel and evaluates with what it remembers",
    ),
    Mutant(
        "LayerNorm",
        "dγ summed over the features",
        in_parameter(
            nn.LayerNorm, "weight", lambda s: np.broadcast_to(s.grads["weight"].mean(), s.layer.normalized_shape).copy()
        ),
        LAYER,
    ),
    Mutant(
        "LayerNorm",
        "mean and variance over the batch too, in both",
        in_layer(nn.LayerNorm, over_everything, nn.LayerNorm.backward),
        "identity: layer norm normalises each sample",
    ),
]


def NORM_RIGHT(g, xhat, rho, mean):
    return rho * (g - mean(g) - xhat * mean(g * xhat))


def always_training(real):
    return lambda self, x, training=False, rng=None: real(self, x, True, rng)


def elementwise(cls, name, mutate):
    return Mutant(cls.__name__, name, in_backward(cls, mutate), f"gradient: {cls.__name__}")


def separated_vector(real):
    def setstate(self, found):
        real(self, found)
        for layer in self.layers:
            layer.params.exchange({name: value.copy() for name, value in layer.params.items()})

    return setstate


def approximate_gelu(x):
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    t = np.tanh(inner)
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * x * (1 + t), slope


DROP = "gradient: Dropout, training"
MEAN_KEPT = "identity: dropout keeps the mean and scales what it keeps"
ACTIVATIONS = [
    elementwise(nn.ReLU, "no mask", lambda s: s.dy),
    elementwise(nn.ReLU, "mask inverted", lambda s: s.dy * (s.x < 0)),
    elementwise(nn.ReLU, "mask from dy's sign", lambda s: s.dx * (s.dy > 0)),
    elementwise(nn.ReLU, "y in place of dy", lambda s: s.y * (s.x > 0)),
    elementwise(nn.LeakyReLU, "slope forgotten", lambda s: s.dy * (s.x > 0)),
    elementwise(nn.Sigmoid, "x (1 - x) for y (1 - y)", lambda s: s.dy * s.x * (1 - s.x)),
    elementwise(nn.Tanh, "1 - y for 1 - y²", lambda s: s.dy * (1 - s.y)),
    elementwise(nn.GELU, "density's term forgotten", lambda s: s.dy * s.y / s.x),
    elementwise(
        nn.GELU, "tanh approximation in backward", lambda s: s.dy * approximate_gelu(s.x)[1].astype(s.dy.dtype)
    ),
    Mutant(
        "GELU",
        "tanh approximation in both",
        in_layer(nn.GELU, lambda self, x, t, r: approximate_gelu(x), lambda self, dy, slope: (dy * slope, {})),
        "identity: gelu is the exact one",
    ),
    Mutant("Dropout", "scale forgotten in dx", in_backward(nn.Dropout, lambda s: s.dy * (s.y != 0)), DROP),
    Mutant("Dropout", "mask forgotten in dx", in_backward(nn.Dropout, lambda s: s.dy), DROP),
    Mutant("Dropout", "mask drawn again", in_backward(nn.Dropout, lambda s: s.dx[::-1]), DROP),
    Mutant(
        "Dropout",
        "scale forgotten in both",
        in_layer(
            nn.Dropout,
            lambda self, x, training, rng: (
                (x * (m := (rng.random(x.shape) > self.p).astype(x.dtype)), m) if training else (x, 1)
            ),
            lambda self, dy, m: (dy * m, {}),
        ),
        MEAN_KEPT,
    ),
]


def zeros(scene):
    return np.zeros_like(scene.grads["0.weight"])


def last_alone(scene):
    dw = np.zeros_like(scene.grads["weight"])
    dw[scene.x] += scene.dy  # NumPy adds but once for an id, however often it comes
    return dw


def by_count(scene):
    counts = np.bincount(scene.x.ravel(), minlength=len(scene.grads["weight"]))
    return scene.grads["weight"] / np.maximum(counts, 1)[:, None].astype(scene.dy.dtype)


def spread(scene):
    return scene.grads["weight"] - scene.grads["weight"].mean(0)


DENSE, SKIP, TABLE = "gradient: Linear", "gradient: Residual", "gradient: Embedding"
OTHERS = [
    Mutant(
        "Linear",
        "dW transposed",
        in_parameter(nn.Linear, "weight", lambda s: s.grads["weight"].T.reshape(s.grads["weight"].shape)),
        DENSE,
    ),
    Mutant(
        "Linear", "dW: sample 0 only", in_parameter(nn.Linear, "weight", lambda s: np.outer(s.dy[0], s.x[0])), DENSE
    ),
    Mutant(
        "Linear",
        "dW averaged over the batch",
        in_parameter(nn.Linear, "weight", lambda s: s.grads["weight"] / len(s.x)),
        DENSE,
    ),
    Mutant(
        "Linear", "dx: weight flipped", in_backward(nn.Linear, lambda s: s.dy @ s.layer.params["weight"][::-1]), DENSE
    ),
    Mutant("Linear", "db: dy not summed", in_parameter(nn.Linear, "bias", lambda s: s.dy), DENSE),
    Mutant("Linear", "dx in float64", in_backward(nn.Linear, lambda s: s.dx.astype(np.float64)), DENSE),
    Mutant("Embedding", "an id that comes twice counts once", in_parameter(nn.Embedding, "weight", last_alone), TABLE),
    Mutant("Embedding", "an id's sum divided by its count", in_parameter(nn.Embedding, "weight", by_count), TABLE),
    Mutant("Embedding", "rows not looked up get the rest", in_parameter(nn.Embedding, "weight", spread), TABLE),
    Mutant("Residual", "the skip's gradient forgotten", in_backward(nn.Residual, lambda s: s.dx - s.dy), SKIP),
    Mutant("Residual", "the skip's gradient twice", in_backward(nn.Residual, lambda s: s.dx + s.dy), SKIP),
    Mutant("Residual", "the branch's gradient forgotten", in_backward(nn.Residual, lambda s: s.dy), SKIP),
    Mutant(
        "Flatten",
        "order of the axes",
        in_backward(nn.Flatten, lambda s: s.dy.reshape(s.x.shape[::-1]).T),
        "gradient: Flatten",
    ),
    Mutant(
        "Flatten",
        "the memory's order, in both",
        in_layer(
            nn.Flatten,
            lambda self, x, training, rng: (
                x.reshape(len(x), -1, order="A"),
                (x.shape, "C" if x.flags.c_contiguous else "F"),
            ),
            lambda self, dy, cache: (dy.reshape(cache[0], order=cache[1]), {}),
        ),
        "identity: flatten reads rows first",
    ),
    Mutant(
        "Sequential",
        "first layer's gradient left at zero",
        in_parameter(nn.Sequential, "0.weight", zeros),
        "gradient: MLP",
    ),
    Mutant(
        "Sequential",
        "the layers of a copy keep arrays of their own",
        attribute(nn.Sequential, "__setstate__", separated_vector),
        "identity: a copied chain answers by the vector that is trained",
    ),
    Mutant("Sequential", "dx counted twice", in_backward(nn.Sequential, lambda s: 2 * s.dx), "gradient: CNN"),
]


def folding_as(change):
    """Return a plant: the batch norm is changed before it is folded into the dense layer."""

    def replace(real):
        def fold(dense, norm):
            changed = norm.copy()
            change(dense, changed)
            real(dense, changed)

        return fold

    return attribute(folding, "fold", replace)


def unsquare(_, norm):
    norm.state["running_var"][...] = (norm.state["running_var"] + norm.eps) ** 2 - norm.eps


FOLD = "identity: batch norm that is folded away changes no output"
FOLDING = [
    Mutant("fold", "ε left out", folding_as(lambda _, norm: setattr(norm, "eps", 0.0)), FOLD),
    Mutant("fold", "the variance for the deviation", folding_as(unsquare), FOLD),
    Mutant("fold", "μ left out", folding_as(lambda _, norm: norm.state["running_mean"].fill(0)), FOLD),
    Mutant("fold", "β left out", folding_as(lambda _, norm: norm.params["bias"].fill(0)), FOLD),
    Mutant("fold", "γ left out", folding_as(lambda _, norm: norm.params["weight"].fill(1)), FOLD),
    Mutant("fold", "the dense layer's bias left out", folding_as(lambda d, _: d.params["bias"].fill(0)), FOLD),
]

MUTANTS = [*CONVOLUTION, *POOLING, *NORMALISATION, *ACTIVATIONS, *OTHERS, *FOLDING]
