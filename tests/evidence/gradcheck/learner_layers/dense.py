"""A dense layer with matrices (in, out), written rightly and in many wrong ways; each class overrides one thing."""

import numpy as np


class Dense:
    def __init__(self, rng):
        self.params = {"w": rng.normal(size=(7, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}

    def forward(self, x):
        return x @ self.params["w"] + self.params["b"], x

    def backward(self, dy, x):
        return dy @ self.params["w"].T, {"w": x.T @ dy, "b": dy.sum(0)}


class WrongSign(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": -grads["w"], "b": grads["b"]}


class Averaged(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": grads["w"] / len(dy), "b": dy.mean(0)}


class BiasNotSummed(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": grads["w"], "b": dy}


class WeightTransposed(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": dy.T @ x, "b": grads["b"]}


class WeightReshaped(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": (dy.T @ x).reshape(7, 3), "b": grads["b"]}


class ZeroInputGradient(Dense):
    def backward(self, dy, x):
        return np.zeros_like(x), super().backward(dy, x)[1]


class UpstreamIgnored(Dense):
    def backward(self, dy, x):
        return super().backward(np.ones_like(dy), x)


class FirstSampleOnly(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": np.outer(x[0], dy[0]), "b": grads["b"]}


class BatchReversed(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": x.T @ dy[::-1], "b": grads["b"]}


class BatchShuffledBack(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx[[1, 2, 3, 4, 0]], grads


class ParameterForgotten(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": grads["w"]}


class ParameterMisspelt(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"weight": grads["w"], "b": grads["b"]}


class NothingReturned(Dense):
    def backward(self, dy, x):
        super().backward(dy, x)


class TupleReturned(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, grads["w"], grads["b"]


class NoCache(Dense):
    def forward(self, x):
        return super().forward(x)[0]


class CacheIsNone(Dense):
    def forward(self, x):
        return super().forward(x)[0], None


class ShapesClash(Dense):
    def backward(self, dy, x):
        return dy @ self.params["w"], {}


class WritesToInput(Dense):
    def forward(self, x):
        x -= 1
        return super().forward(x)


class WritesToUpstream(Dense):
    def backward(self, dy, x):
        dy *= 2
        return super().backward(dy / 2, x)


class SpoilsItsCache(Dense):
    def forward(self, x):
        y, x = super().forward(x)
        return y, [x]

    def backward(self, dy, cache):
        found = super().backward(dy, cache[0])
        cache[0] = cache[0] * 2
        return found


class KeepsCopy(Dense):
    def __init__(self, rng):
        super().__init__(rng)
        self.w = self.params["w"].copy()

    def forward(self, x):
        return x @ self.w + self.params["b"], x

    def backward(self, dy, x):
        return dy @ self.w.T, {"w": x.T @ dy, "b": dy.sum(0)}


class Float64Inside(Dense):
    def forward(self, x):
        return super().forward(x)[0] + np.zeros(3), x


class NotANumber(Dense):
    def backward(self, dy, x):
        dx, grads = super().backward(dy, x)
        return dx, {"w": grads["w"] / 0.0, "b": grads["b"]}


class DrawsItsOwnNoise(Dense):
    def forward(self, x):
        return super().forward(x + np.random.default_rng().normal(size=x.shape))


class DxOnly:
    example_shape = (4, 3)

    def forward(self, x):
        return 3 * x, None

    def backward(self, dy, cache):
        return 3 * dy


class NeedsSizes:
    def __init__(self, inputs, outputs):
        self.params = {"w": np.ones((inputs, outputs))}

    def forward(self, x):
        return x @ self.params["w"], x

    def backward(self, dy, x):
        return dy @ self.params["w"].T, {"dw": x.T @ dy}


class FailingConstructor:
    def __init__(self):
        raise RuntimeError("no coffee")

    def forward(self, x): ...

    def backward(self, dy, cache): ...


class TakesNothing(Dense):
    def forward(self, x):
        raise ValueError(f"not with {x.shape}")


class Params:
    params = 3

    def forward(self, x): ...

    def backward(self, dy, cache): ...


layer = NeedsSizes(6, 2)
number = 3
