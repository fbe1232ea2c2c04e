"""Functions beside their _backward, right and wrong."""

import numpy as np


def my_relu(x):
    return np.maximum(x, 0), x


def my_relu_backward(dy, x):
    return dy * (x > 0)


def mask_forgotten(x):
    return my_relu(x)


def mask_forgotten_backward(dy, x):
    return dy


def mask_on_the_wrong_side(x):
    return my_relu(x)


def mask_on_the_wrong_side_backward(dy, x):
    return dy * (x < 0)


def leaky(x):
    return np.where(x > 0, x, 0.1 * x), x


def leaky_backward(dy, x):
    return np.where(x > 0, dy, 0)


def sigmoid_of_input(x):
    return 1 / (1 + np.exp(-x)), x


def sigmoid_of_input_backward(dy, x):
    return dy * x * (1 - x)


def tanh_of_input(x):
    return np.tanh(x), x


def tanh_of_input_backward(dy, x):
    return dy * (1 - x * x)


def square_at_y(x):
    return x * x, x


def square_at_y_backward(dy, x):
    return dy * 2 * (x * x)


def skip(x):
    return x + np.sin(x), x


def skip_backward(dy, x):
    return dy * np.cos(x)


def doubled(x):
    return np.sin(x), x


def doubled_backward(dy, x):
    return 2 * dy * np.cos(x)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    q = e / e.sum(-1, keepdims=True)
    return q, q


def softmax_backward(dy, q):
    return q * (1 - q) * dy


def jump(x):
    return np.floor(50 * x), x


def jump_backward(dy, x):
    return dy


def alone(x):
    return x, None


def whiten(x):
    rho = 1 / np.sqrt(x.var(0) + 1e-5)
    xhat = (x - x.mean(0)) * rho
    return xhat, (xhat, rho)


def whiten_backward(dy, cache):
    xhat, rho = cache
    return rho * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0))


def mean_path_lost(x):
    return whiten(x)


def mean_path_lost_backward(dy, cache):
    xhat, rho = cache
    return rho * (dy - xhat * (dy * xhat).mean(0))


def variance_path_lost(x):
    return whiten(x)


def variance_path_lost_backward(dy, cache):
    return cache[1] * (dy - dy.mean(0))


def both_paths_lost(x):
    return whiten(x)


def both_paths_lost_backward(dy, cache):
    return cache[1] * dy
