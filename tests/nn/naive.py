"""The window layers written down a second time: one loop for each index of the formula, and nothing clever."""

import numpy as np


def conv2d(x, w, b, stride, padding, dilation, groups):
    """y[n, o, p, q] = b[o] + Σ_{c,r,s} x̄[n, c, p·sy + r·δy, q·sx + s·δx] w[o, c, r, s]."""
    y = np.zeros((len(x), len(w), *outputs(x.shape, w.shape[2:], stride, padding, dilation))) + b[:, None, None]
    for n, o, p, q, c, r, s, pixel in reads(x.shape, w.shape, stride, padding, dilation, groups):
        if pixel is not None:
            y[n, o, p, q] += x[n, *pixel] * w[o, c, r, s]
    return y


def conv2d_backward(dy, x, w, stride, padding, dilation, groups):
    """Each product x·w of the forward pass gives dx its dy·w and dw its dy·x."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, o, p, q, c, r, s, pixel in reads(x.shape, w.shape, stride, padding, dilation, groups):
        if pixel is not None:
            dx[n, *pixel] += dy[n, o, p, q] * w[o, c, r, s]
            dw[o, c, r, s] += dy[n, o, p, q] * x[n, *pixel]
    return dx, dw, dy.sum((0, 2, 3))


def reads(x_shape, w_shape, stride, padding, dilation, groups):
    """Yield the seven indices of every product, and the pixel (channel, row, column) it reads; None in the border."""
    N, (O, C, R, S) = x_shape[0], w_shape
    P, Q = outputs(x_shape, (R, S), stride, padding, dilation)
    for n in range(N):
        for o in range(O):
            for p in range(P):
                for q in range(Q):
                    for c in range(C):
                        for r in range(R):
                            for s in range(S):
                                channel = o // (O // groups) * C + c
                                i = p * stride[0] + r * dilation[0] - padding[0]
                                j = q * stride[1] + s * dilation[1] - padding[1]
                                inside = 0 <= i < x_shape[2] and 0 <= j < x_shape[3]
                                yield n, o, p, q, c, r, s, (channel, i, j) if inside else None


def outputs(x_shape, kernel, stride, padding, dilation=(1, 1)):
    """Count the places where the whole window lies in the padded image, by trying them."""
    sides = zip(x_shape[2:], kernel, stride, padding, dilation, strict=True)
    return tuple(len(range(0, size + 2 * pad - step * (k - 1), move)) for size, k, move, pad, step in sides)


def windows(x_shape, kernel, stride, padding):
    """Yield (n, c, p, q) and the pixels (row, column) of its window that lie in the image, in row order."""
    P, Q = outputs(x_shape, kernel, stride, padding)
    for n, c, p, q in np.ndindex(*x_shape[:2], P, Q):
        rows = (p * stride[0] + r - padding[0] for r in range(kernel[0]))
        columns = [q * stride[1] + s - padding[1] for s in range(kernel[1])]
        inside = [(i, j) for i in rows for j in columns if 0 <= i < x_shape[2] and 0 <= j < x_shape[3]]
        yield (n, c, p, q), inside


def max_pool2d(x, dy, kernel, stride, padding):
    """Return y, and dx for a dy: the first of the largest pixels, in row order, takes it all."""
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for (n, c, p, q), pixels in windows(x.shape, kernel, stride, padding):
        i, j = max(pixels, key=lambda pixel: x[n, c, *pixel])  # of equals, max keeps the first
        y[n, c, p, q] = x[n, c, i, j]
        dx[n, c, i, j] += dy[n, c, p, q]
    return y, dx


def avg_pool2d(x, dy, kernel, stride, padding):
    """Return y, and dx for a dy: padding counts as zeros, and takes its share of dy with it."""
    y, dx, area = np.zeros(dy.shape), np.zeros(x.shape), kernel[0] * kernel[1]
    for (n, c, p, q), pixels in windows(x.shape, kernel, stride, padding):
        for i, j in pixels:
            y[n, c, p, q] += x[n, c, i, j] / area
            dx[n, c, i, j] += dy[n, c, p, q] / area
    return y, dx
