"""Whole numbers once more, by the definition: Python's integers, loops, one output at a time."""

import numpy as np

from minikd.exports.integer import QuantizedConv2d, QuantizedFlatten, QuantizedLinear, QuantizedMaxPool2d


def logits(model, pixels):
    """Return the sums (N, K) as Python's integers give them."""
    return np.array([one(model, image) for image in pixels.astype(object)])


def one(model, a):
    for layer in model.layers:
        if isinstance(layer, QuantizedFlatten):
            a = a.ravel()
        elif isinstance(layer, QuantizedLinear):
            a = finished(layer, layer.weight.astype(object) @ a + layer.bias.astype(object))
        elif isinstance(layer, QuantizedConv2d):
            a = finished(layer, convolved(layer, a))
        elif isinstance(layer, QuantizedMaxPool2d):
            a = windows(a, layer.kernel_size, layer.stride, layer.padding, (1, 1), np.full(len(a), -1)).max((3, 4))
    return a.ravel()


def finished(layer, sums):
    if layer.shift is None:
        return sums
    rounded = np.empty(sums.shape, object)
    for place in np.ndindex(sums.shape):
        rounded[place] = byte(sums[place], int(layer.shift[place[0]]))
    return rounded


def byte(total, shift):
    """Round half to even, by remainders."""
    whole, rest = divmod(max(int(total), 0), 2**shift)
    return min(255, whole + (2 * rest > 2**shift or (2 * rest == 2**shift and whole % 2 == 1)))


def windows(a, kernel, stride, padding, dilation, border):
    """Return (C, P, Q, R, S): what each window sees, `border` outside the image."""
    (ph, pw), (C, H, W) = padding, a.shape
    wide = np.empty((C, H + 2 * ph, W + 2 * pw), object)
    wide[...] = np.asarray(border).astype(object)[:, None, None]
    wide[:, ph : ph + H, pw : pw + W] = a
    seen = np.lib.stride_tricks.sliding_window_view(
        wide, [dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1], (1, 2)
    )
    return seen[:, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def convolved(layer, a):
    seen = windows(a, layer.weight.shape[2:], layer.stride, layer.padding, layer.dilation, layer.border)
    O, C = layer.weight.shape[:2]
    sums = []
    for o in range(O):
        first = o // (O // layer.groups) * C
        products = seen[first : first + C] * layer.weight[o].astype(object)[:, None, None]
        sums.append(products.sum((0, 3, 4)) + int(layer.bias[o]))
    return np.array(sums)
