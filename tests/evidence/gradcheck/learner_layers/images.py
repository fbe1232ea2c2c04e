"""A convolution and a pooling, right and wrong, for images (N, C, H, W)."""

import numpy as np


class Conv:
    example_shape = (2, 3, 7, 6)
    pad = 1

    def __init__(self, rng):
        self.params = {"w": rng.normal(size=(4, 3, 3, 3)), "b": np.zeros(4)}

    def forward(self, x):
        w, p = self.params["w"], self.pad
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        y = sum(np.einsum("nchw,oc->nohw", v, w[:, :, r, s]) for r, s, v in self.windows(padded))
        return y + self.params["b"][:, None, None], padded

    def windows(self, padded):
        H, W = padded.shape[2] - 2, padded.shape[3] - 2
        return [(r, s, padded[:, :, r : r + H, s : s + W]) for r in range(3) for s in range(3)]

    def backward(self, dy, padded):
        w, p = self.params["w"], self.pad
        dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
        for (r, s, v), (_, _, dv) in zip(self.windows(padded), self.windows(dpadded), strict=True):
            dw[:, :, r, s] = np.einsum("nohw,nchw->oc", dy, v)
            dv += np.einsum("nohw,oc->nchw", dy, self.kernel(w)[:, :, r, s])
        return self.cropped(dpadded, p), {"w": self.turned(dw), "b": self.summed(dy)}

    def kernel(self, w):
        return w

    def turned(self, dw):
        return dw

    def summed(self, dy):
        return dy.sum((0, 2, 3))

    def cropped(self, dpadded, p):
        return dpadded[:, :, p:-p, p:-p]


class KernelFlipped(Conv):
    def kernel(self, w):
        return w[:, :, ::-1, ::-1]


class KernelRowsAndColumns(Conv):
    def turned(self, dw):
        return dw.swapaxes(2, 3)


class CroppedWrongly(Conv):
    def cropped(self, dpadded, p):
        return dpadded[:, :, : -2 * p, : -2 * p]


class BiasOverPixels(Conv):
    def summed(self, dy):
        return dy.mean((0, 2, 3))


class BorderLost(Conv):
    def cropped(self, dpadded, p):
        dx = super().cropped(dpadded, p).copy()
        dx[:, :, 0] = dx[:, :, -1] = dx[:, :, :, 0] = dx[:, :, :, -1] = 0
        return dx


class Pool:
    example_shape = (2, 3, 6, 4)

    def forward(self, x):
        N, C, H, W = x.shape
        tiles = x.reshape(N, C, H // 2, 2, W // 2, 2)
        y = tiles.max((3, 5))
        return y, tiles == y[:, :, :, None, :, None]

    def backward(self, dy, winners):
        N, C, P, _, Q, _ = winners.shape
        return (winners * dy[:, :, :, None, :, None]).reshape(N, C, 2 * P, 2 * Q)


class WrongWindow(Pool):
    def backward(self, dy, winners):
        return super().backward(dy[:, :, ::-1], winners)


class SharedOut(Pool):
    def backward(self, dy, winners):
        return super().backward(dy / 4, np.ones_like(winners))


class AcrossTheWindow(Pool):
    def backward(self, dy, winners):
        return super().backward(dy, winners[:, :, :, ::-1])


class ScaleChannels:
    """Its forward pass broadcasts with rows of 3 features as well, its backward pass does not."""

    def __init__(self):
        self.params = {"gamma": np.ones(3), "beta": np.zeros(3)}

    def forward(self, x):
        gamma, beta = (self.params[name][:, None, None] for name in ("gamma", "beta"))
        return x * gamma + beta, (x, gamma)

    def backward(self, dy, cache):
        x, gamma = cache
        return dy * gamma, {"gamma": (dy * x).sum((0, 2, 3)), "beta": dy.sum((0, 2, 3))}
