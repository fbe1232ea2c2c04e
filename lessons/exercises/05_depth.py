"""Lesson 5: two other activations, and the first weights for one of them. Check them with `minikd check 05`."""

import numpy as np


def leaky_relu(x, slope=0.1):
    """Return y and the cache: x where it is positive, slope * x elsewhere. Any shape."""
    raise NotImplementedError("write leaky_relu")


def leaky_relu_backward(dy, cache):
    """Return dx, of dy's shape."""
    raise NotImplementedError("write leaky_relu_backward")


def tanh(x):
    """Return y = np.tanh(x) and the cache. Keep as little as possible in the cache: one array is enough."""
    raise NotImplementedError("write tanh")


def tanh_backward(dy, cache):
    """Return dx. The derivative of tanh is 1 - tanh²."""
    raise NotImplementedError("write tanh_backward")


def he_std(fan_in, slope):
    """Return the standard deviation of the first weights, a float, before a leaky ReLU of this slope.

    fan_in: the number of inputs C. The mean square of the signal must stay the same from layer to layer.
    """
    raise NotImplementedError("write he_std")
