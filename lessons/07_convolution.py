# %% [markdown]
# # 7. Convolution: from seven loops to one matrix product
#
# **Goal** Write a convolution as seven simple loops, then make it hundreds of times faster with the same results.
#
# **Needs** lesson 3.
#
# **You will see** the time and memory of four ways to compute the same convolution, and of the seven loops when they
# are compiled.
#
# **Minutes** 1

# %%
import time
import tracemalloc

import numpy as np

from minikd.lessons import Lesson
from minikd.nn.conv import conv2d
from minikd.nn.geometry import outputs
from minikd.report.style import BLUE, GREEN, GREY, ORANGE, new_figure, tidy

lesson = Lesson("07_convolution")
rng = np.random.default_rng(7)

# %% [markdown]
# ## A small window that slides
#
# In a dense layer, each output has a weight for **every** pixel. A convolution looks at a small window, and uses the
# **same** few weights at every position of the window. So it finds an edge in the same way at the left of the image and
# at the right.
#
# 1. The images are $x$, of shape (N, C, H, W): N images, C channels (colours, or the outputs of the layer before), H
#    rows, W columns.
# 2. The weights are $w$, of shape (O, C, R, S). For each of O outputs there is a **kernel**: R x S weights for each
#    input channel. The bias is $b$, of shape (O,).
# 3. The window moves by the **stride**: $s_y$ rows and $s_x$ columns. Window $(p, q)$ begins at row $p \, s_y$, column
#    $q \, s_x$.
# 4. **Padding** adds $p_y$ rows of zeros above and below, and $p_x$ columns left and right. Call the padded image
#    $\bar{x}$.
# 5. An output is the sum of the products of the kernel's weights and the pixels in the window:
#    $$y_{nopq} = b_o + \sum_{c,r,s} \bar{x}_{n,\, c,\, p s_y + r,\, q s_x + s} \, w_{ocrs}$$
#
# In mathematics this is a **cross-correlation**. A mathematical convolution first rotates the kernel by 180°. The
# weights are learned, so the rotation would only change their order. Deep learning leaves out the rotation and keeps
# the name.
#
# ## How many windows fit?
#
# 1. The padded image has $H + 2 p_y$ rows. A window covers R of them.
# 2. Window $p$ ends at row $p \, s_y + R - 1$. This must be at most the last row, $H + 2 p_y - 1$.
# 3. So $p \le (H + 2 p_y - R)/s_y$. The largest possible $p$ is the quotient, rounded down.
# 4. The count starts at 0, so there is one window more:
#    $$P = \lfloor (H + 2 p_y - R)/s_y \rfloor + 1$$
#    and Q is the same with W, S, $s_x$, $p_x$.


# %%
def fit(size, kernel, stride, padding):
    """Return how many windows fit along one side."""
    return (size + 2 * padding - kernel) // stride + 1


def count(size, kernel, stride, padding):
    """Return the same, by trying every position."""
    return len([start for start in range(0, size + 2 * padding, stride) if start + kernel <= size + 2 * padding])


cases = [
    (h, r, s, p) for h in range(1, 12) for r in range(1, 6) for s in (1, 2, 3) for p in (0, 1, 2) if r <= h + 2 * p
]
lesson.true("the formula gives the number of windows", all(fit(*c) == count(*c) for c in cases), f"{len(cases)} cases")
lesson.true("and so does the engine's", all(fit(*c) == outputs(*c) for c in cases))

# %% [markdown]
# ## Seven loops
#
# This is the sum of step 5 as it is written: four loops over the outputs, and three for the sum.


# %%
def padded(x, padding):
    """x (N, C, H, W) with a border of zeros."""
    (py, px) = padding
    return np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))


def sizes(x, w, stride, padding):
    """(P, Q)."""
    return tuple(fit(x.shape[i], w.shape[i], stride[i - 2], padding[i - 2]) for i in (2, 3))


def by_loops(x, w, b, stride=(1, 1), padding=(0, 0)):
    """x (N, C, H, W), w (O, C, R, S), b (O,) -> y (N, O, P, Q)."""
    (N, C), (O, _, R, S), (P, Q), wide = x.shape[:2], w.shape, sizes(x, w, stride, padding), padded(x, padding)
    y = np.empty((N, O, P, Q))
    for n, o, p, q in np.ndindex(N, O, P, Q):
        total = b[o]
        for c, r, s in np.ndindex(C, R, S):
            total += wide[n, c, p * stride[0] + r, q * stride[1] + s] * w[o, c, r, s]
        y[n, o, p, q] = total
    return y


# %% [markdown]
# First we compute a case by hand. A 3x3 image and a 2x2 kernel without padding give four windows. The first output is
# 1·1 + 2·0 + 4·0 + 5·(-2) = -9.

# %%
image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9.0]])[None, None]
kernel = np.array([[1, 0], [0, -2.0]])[None, None]
by_hand = np.array([[1 - 10, 2 - 12], [4 - 16, 5 - 18.0]])[None, None]
print(by_hand[0, 0])
lesson.close("the loops give the result by hand", by_loops(image, kernel, np.zeros(1)), by_hand, within=0)

# %% [markdown]
# From here on, every test uses a case where **rows and columns differ**: in the size of the image and of the kernel, in
# the stride and in the padding. With H = W and R = S, a test would not notice if the two were swapped.

# %%
x, w, b = rng.standard_normal((2, 3, 9, 8)), rng.standard_normal((4, 3, 3, 2)), rng.standard_normal(4)
moves = {"stride": (2, 1), "padding": (1, 2)}
want = by_loops(x, w, b, **moves)
print(f"x {x.shape}, w {w.shape} -> y {want.shape}")
lesson.close("the engine's convolution equals the seven loops", conv2d(x, w, b, **moves)[0], want)

# %% [markdown]
# ## A loop over the kernel only
#
# The loops over n, p, q handle every pixel in Python, one at a time. We can swap the loops and keep $(r, s)$ fixed.
# Which pixels does this **one** position of the kernel multiply? The P rows $r, r + s_y, r + 2 s_y$ and so on, and Q
# columns in the same way. This is a slice of the image. C x O weights multiply it for all outputs at once. So only R·S
# steps remain.


# %%
def by_slices(x, w, b, stride=(1, 1), padding=(0, 0)):
    """As by_loops, in R·S steps."""
    (N, C), (O, _, R, S), (P, Q), wide = x.shape[:2], w.shape, sizes(x, w, stride, padding), padded(x, padding)
    y = np.zeros((N, O, P * Q)) + b[:, None]
    for r, s in np.ndindex(R, S):
        met = wide[:, :, r : r + stride[0] * (P - 1) + 1 : stride[0], s : s + stride[1] * (Q - 1) + 1 : stride[1]]
        y += w[:, :, r, s] @ met.reshape(N, C, P * Q)  # (N, O, PQ) = (O, C) @ (N, C, PQ)
    return y.reshape(N, O, P, Q)


lesson.close("R·S slices equal the seven loops", by_slices(x, w, b, **moves), want)

# %% [markdown]
# ## One matrix product
#
# 1. Write each window as a row of its C·R·S pixels. The N·P·Q windows form a matrix `cols`, of shape (N·P·Q, C·R·S).
# 2. Write each kernel as a row, **in the same order**: w becomes (O, C·R·S). That is a `reshape`.
# 3. The sum over c, r, s is now a sum over one index: $y = \mathrm{cols} \, w^\top + b$. This is the linear layer of
#    lesson 3, with windows as samples.
# 4. Row (n, p, q) of the product is output (n, :, p, q). A reshape and a transpose give y its shape.
#
# NumPy can give a view of all windows without a copy (`sliding_window_view` reads the same memory in another order).
# Only the `reshape` copies.


# %%
def windows_of(x, kernel, stride, padding):
    """Return the windows of x as a view, (N, C, P, Q, R, S)."""
    every = np.lib.stride_tricks.sliding_window_view(padded(x, padding), kernel, axis=(2, 3))
    return every[:, :, :: stride[0], :: stride[1]]


def by_product(x, w, b, stride=(1, 1), padding=(0, 0)):
    """As by_loops, in one product."""
    N, O, (P, Q) = len(x), len(w), sizes(x, w, stride, padding)
    seen = windows_of(x, w.shape[2:], stride, padding).transpose(0, 2, 3, 1, 4, 5)  # (N, P, Q, C, R, S)
    cols = seen.reshape(N * P * Q, -1)
    y = cols @ w.reshape(O, -1).T + b  # (NPQ, O) = (NPQ, CRS) @ (CRS, O)
    return y.reshape(N, P, Q, O).transpose(0, 3, 1, 2)


lesson.close("one product equals the seven loops", by_product(x, w, b, **moves), want)

# %% [markdown]
# ## Three wrong versions
#
# **A flipped kernel**: `scipy.signal.convolve2d` rotates the kernel, as mathematics does. Then weights from another
# library give nonsense. **Padding on one side**: all rows of zeros are above the image, and none below. The shape is
# right, but the image is shifted. **Channels in another order**: the rows of `cols` have the order (R, S, C), and those
# of w have (C, R, S). The shapes fit, but the sum multiplies the wrong pairs. None of the three raises an error.
#
# <details><summary><b>Guess first:</b> Three wrong convolutions follow: a flipped kernel, padding on one side only, and
# pixels in another order. Which of them have a wrong shape?</summary>
#
# None. Only the values show the mistakes, and only because the kernel is not symmetric.
# </details>

# %%
flipped = by_product(x, w[:, :, ::-1, ::-1], b, **moves)
one_sided = by_product(np.pad(x, ((0, 0), (0, 0), (2, 0), (4, 0))), w, b, moves["stride"])
mixed_up = by_product(x, w.transpose(0, 2, 3, 1).reshape(w.shape), b, **moves)
lesson.true("all three have the right shape", flipped.shape == one_sided.shape == mixed_up.shape == want.shape)
lesson.caught("a flipped kernel", flipped, want)
lesson.caught("padding on one side", one_sided, want)
lesson.caught("pixels in another order than the weights", mixed_up, want)

# %% [markdown]
# ## What it costs
#
# A pixel is in up to R·S windows, and `cols` holds a copy for each of them. At stride 1, with padding that keeps the
# size of the image, `cols` is exactly R·S times as large as x. For a 5x5 kernel this is 25 times.
#
# The engine never holds all of `cols`. It copies the windows of a **few images**, multiplies, and uses the same memory
# again for the next images. A part of 1 MiB stays in the processor's cache, so the product does not wait for memory.
# The code below measures the time and the peak memory, including y, divided by the number of images.
#
# <details><summary><b>Guess first:</b> To compute a convolution as one product, each window is copied into a row. How
# much larger than the image is this matrix, with 3x3 kernels at stride 1?</summary>
#
# Nine times. Each pixel is in nine windows (except at the border).
# </details>

# %%
images = lesson.pick(full=128, quick=32)
big, w2, b2 = rng.standard_normal((images, 8, 14, 14)), rng.standard_normal((16, 8, 3, 3)), rng.standard_normal(16)
same = {"stride": (1, 1), "padding": (1, 1)}
cols = windows_of(big, (3, 3), **same).transpose(0, 2, 3, 1, 4, 5).reshape(-1, 8 * 9)
lesson.true("cols is R·S times as large as x", cols.nbytes == 9 * big.nbytes, f"{cols.nbytes / big.nbytes:g}")
del cols


def cost(way, x, repeat):
    """Return milliseconds (the best of a few runs) and KiB (the peak of another run) for each image."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        way(x, w2, b2, **same)
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    way(x, w2, b2, **same)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times) * 1e3 / len(x), peak / 1024 / len(x)


ways = {"seven loops": by_loops, "R·S slices": by_slices, "one product": by_product, "the engine": conv2d}
costs = {
    name: cost(way, big[:1] if way is by_loops else big, 1 if way is by_loops else 5) for name, way in ways.items()
}
slowest = costs["seven loops"][0]
for name, (milliseconds, kib) in costs.items():
    print(
        f"{name:12s} {milliseconds:9.4f} ms an image, {slowest / milliseconds:7.0f} x the loops' speed, {kib:6.0f} KiB"
    )
lesson.true("no loop over pixels: more than 10 times as fast", costs["one product"][0] < slowest / 10)
lesson.true("the engine needs less memory than one product", costs["the engine"][1] < costs["one product"][1])

# %% tags=["hide-input"]
figure = new_figure(8.6, 3.6, "The same convolution, four ways")
axes = ("Time for an image", "ms (each line: ten times the one before)"), ("Peak memory for an image", "KiB")
for index, (title, unit) in enumerate(axes):
    ax = tidy(figure.add_subplot(1, 2, index + 1), title, unit)
    numbers = [costs[name][index] for name in ways]
    bars = ax.barh(list(ways), numbers, color=[GREY, ORANGE, GREEN, BLUE], edgecolor="black", linewidth=0.6)
    for bar, hatch in zip(bars, ("", "//", "..", ""), strict=True):
        bar.set_hatch(hatch)
    ax.bar_label(bars, [f"{number:.3g}" for number in numbers], padding=3, fontsize=9)
    ax.set_xscale("linear" if index else "log")
    ax.set_xlim(0 if index else min(numbers) / 3, max(numbers) * (1.2 if index else 5))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
lesson.save(figure)

# %% [markdown]
# ## The seven loops, compiled
#
# The loops themselves are not slow. Python is slow, because it looks up names, checks types and creates objects for
# every product. [Numba](https://numba.pydata.org) compiles a Python function to machine code at its first call. Then a
# product takes one instruction. The extra `fast` installs Numba: `pip install '.[fast]'`.
#
# Here are the seven loops three times, for stride 1. The padded image is called `wide`.
#
# 1. **As they are.** Each output is a sum of C·R·S products. Each addition must wait for the one before it.
# 2. **Outputs innermost.** The O sums of a window are computed together, so no addition waits. The sums are next to
#    each other in memory: y is (N, P, Q, O), `wide` is (N, H, W, C) and w is (R, S, C, O). A processor can multiply 4,
#    8 or 16 neighbours with one instruction.
# 3. **The kernel in one line.** Version 2 reads and writes a sum for each product. Version 3 has the nine positions of
#    a 3x3 kernel in one expression. So it reads and writes a sum once for nine products.
#
# <details><summary><b>Guess first:</b> Once compiled, which of the three is clearly faster than one matrix
# product?</summary>
#
# The third. The matrix product needs `cols`, which is nine times as large as x and must be written and read. The loops
# read x itself.
# </details>

# %%
try:
    from numba import njit
except ImportError:
    njit = None


def as_they_stand(wide, w, b, y):
    """wide (N, C, H, W), w (O, C, R, S), b (O,); fills y (N, O, P, Q)."""
    (N, O, P, Q), (_, C, R, S) = y.shape, w.shape
    for n in range(N):
        for o in range(O):
            for p in range(P):
                for q in range(Q):
                    total = b[o]
                    for c in range(C):
                        for r in range(R):
                            for s in range(S):
                                total += wide[n, c, p + r, q + s] * w[o, c, r, s]
                    y[n, o, p, q] = total


def outputs_innermost(wide, w, b, y):
    """wide (N, H, W, C), w (R, S, C, O), b (O,); fills y (N, P, Q, O)."""
    (N, P, Q, O), (R, S, C, _) = y.shape, w.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for o in range(O):
                    y[n, p, q, o] = b[o]
                for r in range(R):
                    for s in range(S):
                        for c in range(C):
                            for o in range(O):
                                y[n, p, q, o] += wide[n, p + r, q + s, c] * w[r, s, c, o]


def kernel_in_one_line(wide, w, b, y):
    """As outputs_innermost, for R = S = 3."""
    (N, P, Q, O), (_, _, C, _) = y.shape, w.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for o in range(O):
                    y[n, p, q, o] = b[o]
                for c in range(C):
                    x0, x1, x2 = wide[n, p, q, c], wide[n, p, q + 1, c], wide[n, p, q + 2, c]
                    x3, x4, x5 = wide[n, p + 1, q, c], wide[n, p + 1, q + 1, c], wide[n, p + 1, q + 2, c]
                    x6, x7, x8 = wide[n, p + 2, q, c], wide[n, p + 2, q + 1, c], wide[n, p + 2, q + 2, c]
                    for o in range(O):
                        upper = x0 * w[0, 0, c, o] + x1 * w[0, 1, c, o] + x2 * w[0, 2, c, o]
                        middle = x3 * w[1, 0, c, o] + x4 * w[1, 1, c, o] + x5 * w[1, 2, c, o]
                        lower = x6 * w[2, 0, c, o] + x7 * w[2, 1, c, o] + x8 * w[2, 2, c, o]
                        y[n, p, q, o] += upper + middle + lower


def arrays_for(version, x):
    """Return the arguments of a version for images x, in its memory order, with an empty y."""
    wide, y = padded(x, (1, 1)), np.empty((len(x), 16, 14, 14))
    if version is as_they_stand:
        return wide, w2, b2, y
    last = np.ascontiguousarray(wide.transpose(0, 2, 3, 1)), np.ascontiguousarray(w2.transpose(2, 3, 1, 0))
    return *last, b2, np.empty((len(x), 14, 14, 16))


RECORDED = """\
Numba is not installed here. With it, on one thread of an AMD EPYC (Zen 5):
as_they_stand         0.1440 ms an image
outputs_innermost     0.0437 ms an image
kernel_in_one_line    0.0173 ms an image
one product           0.0483 ms an image"""

versions = as_they_stand, outputs_innermost, kernel_in_one_line
for version in versions:
    arrays = arrays_for(version, big[:1])
    version(*arrays)  # plain Python, so it also runs without Numba
    y = arrays[-1] if version is as_they_stand else arrays[-1].transpose(0, 3, 1, 2)
    lesson.close(f"{version.__name__} equals the engine's convolution", y, conv2d(big[:1], w2, b2, **same)[0])

if njit is None:
    print(RECORDED)
else:
    compiled = {}
    for version in versions:
        machine_code, arrays = njit(version, fastmath={"contract"}), arrays_for(version, big)
        machine_code(*arrays)  # compiles
        times = []
        for _ in range(5):
            start = time.perf_counter()
            machine_code(*arrays)
            times.append(time.perf_counter() - start)
        compiled[version.__name__] = min(times) * 1e3 / len(big)
        print(f"{version.__name__:18s} {compiled[version.__name__]:9.4f} ms an image")
    print(f"{'one product':18s} {costs['one product'][0]:9.4f} ms an image")
    lesson.true(
        "in the right order, plain loops are faster than one product",
        compiled["kernel_in_one_line"] < costs["one product"][0],
        f"{costs['one product'][0] / compiled['kernel_in_one_line']:.1f} times as fast as one product",
    )

# %% [markdown]
# The engine's compiled loops (`minikd/backends/loops`) do more. They compute the pooling and the ReLU after a
# convolution while the image is still in the processor's cache. And for 3x3 kernels they need 16 products where windows
# need 36 (Winograd).

# %% [markdown]
# ## What this does not show
#
# - The gradient. Lesson 8 derives it.
# - **Dilation** (gaps between the kernel's pixels) and **groups** (each output depends on some channels only). The
#   engine has both, and the exercises are about them.
# - Algorithms with fewer multiplications: the fast Fourier transform and Winograd's. They help with large kernels, or
#   where multiplications are expensive. The engine also has a special treatment of thin matrices, in
#   `minikd/nn/products.py`.
# - Other times. These are for one machine, float64 and small arrays. Slices and one product are almost equally fast.
#   The sizes decide which is faster: with few channels, the products of the slices are too thin. The largest gain is
#   that no loop runs over pixels. The second is that the data stay in the cache.
#
# ## Read on
#
# - V. Dumoulin and F. Visin, [*A guide to convolution arithmetic for deep learning*](https://arxiv.org/abs/1603.07285),
#   2016: all sizes, in pictures.
# - K. Chellapilla, S. Puri and P. Simard, [*High Performance Convolutional Neural Networks for Document
#   Processing*](https://inria.hal.science/inria-00112631), 2006: the one matrix product.
# - [`minikd/nn/conv.py`](../minikd/nn/conv.py) and [`minikd/nn/windows.py`](../minikd/nn/windows.py): the engine's
#   version. Lesson 8 derives the backward pass.
#
# ## Exercises
#
# The first time, `minikd check 07` creates the skeleton `work/07_convolution.py`. After that, it checks your solution
# there.
#
# 1. `output_size`: how many windows fit if the kernel's pixels are `dilation` apart.
# 2. `depthwise`: each channel has its own kernel, and the channels are not summed. Small networks use this often,
#    because it needs C times fewer multiplications than a convolution from C channels to C.
#
# The solutions are in `lessons/solutions/`.
