"""Lesson 7: gaps in the kernel, and a kernel for each channel. Check it with `minikd check 07`. It needs numpy."""


def output_size(size, kernel, stride, padding, dilation):
    """Return how many windows fit along one side, a whole number. All five arguments are whole numbers.

    The kernel's pixels are `dilation` apart: at dilation 1 they are neighbours, at dilation 2 there is one pixel
    between two of them. First count the pixels from the kernel's first to its last, including both.
    """
    raise NotImplementedError("write output_size")


def depthwise(x, w, b, padding):
    """Return y (N, C, P, Q): a convolution of each channel of x with its own kernel, at stride 1.

    x: (N, C, H, W), w: (C, R, S), b: (C,). padding: how many zeros to put on each of the four sides, a whole number.
    y[n, c, p, q] = b[c] + the sum over r, s of padded x[n, c, p + r, q + s] * w[c, r, s]: there is no sum over c. A
    loop over the kernel's positions is fast enough.
    """
    raise NotImplementedError("write depthwise")
