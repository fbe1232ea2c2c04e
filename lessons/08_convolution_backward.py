# %% [markdown]
# # 8. Convolution, backwards
#
# **Goal** Derive the three gradients of a convolution with indices, and see where the flipped kernel comes from that
# everybody mentions and few explain.
#
# **Needs** lessons 3, 4 and 7.
#
# **You will see** where the gradient of one output pixel goes, and how many windows each pixel was in.
#
# **Minutes** 1

# %%
import time

import numpy as np

from minikd.lessons import Lesson
from minikd.nn.conv import conv2d, conv2d_backward
from minikd.report.style import INK, blank, new_figure, tidy

lesson = Lesson("08_convolution_backward")
rng = np.random.default_rng(8)

# %% [markdown]
# ## What is given
#
# Lesson 7's sum, with $\bar{x}$ the image x in its border of zeros:
#
# $$y_{nopq} = b_o + \sum_{c,r,s} \bar{x}_{n,\, c,\, p s_y + r,\, q s_x + s} \, w_{ocrs}$$
#
# And from above $dy$, of shape (N, O, P, Q): how fast the loss grows with each output. Wanted: $dx$, $dw$, $db$, each
# of the shape of x, w, b.
#
# ## Bias and weights
#
# 1. $b_o$ stands in each output of channel o, with the factor 1. So $db_o = \sum_{n,p,q} dy_{nopq}$, of shape (O,).
# 2. $w_{ocrs}$ stands in each output of channel o as well. Its factor there is the pixel it met:
#    $$dw_{ocrs} = \sum_{n,p,q} dy_{nopq} \, \bar{x}_{n,\, c,\, p s_y + r,\, q s_x + s}$$
#    This is a correlation again: of x with dy, where dy plays the kernel.
# 3. As a matrix product: put dy's channels last, so that it is $g$ of shape (N·P·Q, O). With `cols` (N·P·Q, C·R·S) of
#    lesson 7, $dw = g^\top \mathrm{cols}$, of shape (O, C·R·S). It is the dw of a dense layer over windows.
#
# ## The image
#
# 4. Each window is a sample of that dense layer, so the gradient with respect to its pixels is
#    $dcols = g \, w$, of shape (N·P·Q, C·R·S).
# 5. A pixel lies in several windows, and reaches the loss through each. The chain rule adds:
#    **each pixel gets back from every window that it was in.**
# 6. In lesson 7's R·S slices: what window position $(r, s)$ read from rows $r, r + s_y, r + 2 s_y$ and so on, goes back
#    to the very same rows. A `+=` in place of a read.
# 7. That is $d\bar{x}$. The border is no part of x: cut it off.


# %%
def padded(x, padding):
    """x (N, C, H, W) with a border of zeros."""
    py, px = padding
    return np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))


def take(wide, kernel, stride):
    """All windows of the padded image, a view: (N, P, Q, C, R, S)."""
    every = np.lib.stride_tricks.sliding_window_view(wide, kernel, axis=(2, 3))
    return every[:, :, :: stride[0], :: stride[1]].transpose(0, 2, 3, 1, 4, 5)


def add_back(dcols, shape, stride):
    """dcols (N, P, Q, C, R, S) -> the padded image's gradient: each entry at the pixel that it was read from."""
    dwide, (_, P, Q, _, R, S) = np.zeros(shape), dcols.shape
    for r, s in np.ndindex(R, S):
        rows = slice(r, r + stride[0] * (P - 1) + 1, stride[0])
        columns = slice(s, s + stride[1] * (Q - 1) + 1, stride[1])
        dwide[:, :, rows, columns] += dcols[..., r, s].transpose(0, 3, 1, 2)
    return dwide


def backward(dy, x, w, stride, padding):
    """dy (N, O, P, Q) -> dx, dw, db."""
    (N, O, P, Q), (_, C, R, S), (py, px), wide = dy.shape, w.shape, padding, padded(x, padding)
    g = dy.transpose(0, 2, 3, 1).reshape(-1, O)
    cols = take(wide, (R, S), stride).reshape(-1, C * R * S)
    dw = (g.T @ cols).reshape(w.shape)  # (O, CRS) = (O, NPQ) @ (NPQ, CRS)
    dcols = (g @ w.reshape(O, -1)).reshape(N, P, Q, C, R, S)  # (NPQ, CRS) = (NPQ, O) @ (O, CRS)
    dwide = add_back(dcols, wide.shape, stride)
    return dwide[:, :, py : py + x.shape[2], px : px + x.shape[3]], dw, g.sum(0)


# %% [markdown]
# ## Is it the derivative?
#
# As in lesson 4: the loss is the sum of dy·y with a random dy, and each element is moved up and down. There is a gift
# here. y is **linear** in x, in w and in b, each by itself. A linear function has the same slope everywhere, so the
# difference is exact at any step, and the step may be large. Only rounding is left. And as in lesson 7, rows
# and columns differ.

# %%
x, w, b = rng.standard_normal((2, 3, 8, 7)), rng.standard_normal((4, 3, 3, 2)), rng.standard_normal(4)
stride, padding = (2, 1), (1, 2)
y, cache = conv2d(x, w, b, stride, padding)  # lesson 7: this is the sum of seven loops
dy = rng.standard_normal(y.shape)


def numeric(f, a, dy, h=0.5):
    """The gradient of the sum of dy·f(a), one element of a after the other."""
    gradient = np.empty(a.shape)
    for index in np.ndindex(a.shape):
        up, down = a.copy(), a.copy()
        up[index] += h
        down[index] -= h
        gradient[index] = np.sum(dy * (f(up) - f(down))) / (2 * h)
    return gradient


dx, dw, db = backward(dy, x, w, stride, padding)
true_dx = numeric(lambda a: conv2d(a, w, b, stride, padding)[0], x, dy)
true_dw = numeric(lambda a: conv2d(x, a, b, stride, padding)[0], w, dy)
true_db = numeric(lambda a: conv2d(x, w, a, stride, padding)[0], b, dy)
print(f"x {x.shape}, w {w.shape}, stride {stride}, padding {padding} -> y {y.shape}")
for name, ours, true in (("dx", dx, true_dx), ("dw", dw, true_dw), ("db", db, true_db)):
    lesson.close(f"{name} is the numeric gradient, each of {true.size} elements", ours, true, within=1e-11)
for name, ours, engine in zip(("dx", "dw", "db"), (dx, dw, db), conv2d_backward(dy, cache), strict=True):
    lesson.close(f"the engine's {name} is the same", engine, ours)

# %% [markdown]
# ## The adjoint
#
# "Take windows" is a linear map A: each entry of its result is one pixel. Written as a matrix, each row has a single 1.
# "Add back" has the same ones, with rows and columns exchanged: it is $A^\top$, the **adjoint**. There is a test for it
# that needs no derivative. For any image x and any u of the windows' shape,
#
# $$\sum_i (A x)_i \, u_i = \sum_j x_j \, (A^\top u)_j$$
#
# because both are the same sum of $u_i A_{ij} x_j$. Every backward pass of a linear layer is an adjoint.

# %%
wide = padded(x, padding)
windows = take(wide, (3, 2), stride)
u = rng.standard_normal(windows.shape)
lesson.close("take and add_back are adjoint", np.sum(wide * add_back(u, wide.shape, stride)), np.sum(windows * u))

# %% [markdown]
# ## The same dx as a convolution
#
# 8. Let the stride be 1. Take one pixel $(i, j)$ of $\bar{x}$. Position $(r, s)$ of the kernel met it in the window
#    with $p + r = i$, so $p = i - r$, and $q = j - s$:
#    $$d\bar{x}_{ncij} = \sum_{o,r,s} dy_{n,\, o,\, i - r,\, j - s} \, w_{ocrs}$$
#    where dy counts as 0 outside: there is no such window.
# 9. In y, r was **added** to the place; here it is **subtracted**. Count the kernel from its other end: with
#    $r = R - 1 - r'$ and $s = S - 1 - s'$, the place becomes $i - (R - 1) + r'$, and r' is added.
# 10. So this is lesson 7's sum once more, with three changes. The image is dy in a border of R - 1 and S - 1 zeros,
#     from which the $-(R - 1)$ comes. The kernel is **turned by half a turn**. And the sum runs over **o**, so inputs
#     and outputs of w change places: (O, C, R, S) becomes (C, O, R, S). It is called the full convolution.
# 11. A stride of $s_y$: window p begins at row $p s_y$. Put dy there, and zeros between: $(P - 1) s_y + 1$ rows. Then
#     it is as if the stride were 1 and most windows had a gradient of 0. This is dy **dilated** by the stride.
# 12. If the last windows do not reach the image's end, the rest of $d\bar{x}$ is 0.


# %%
def dx_by_convolution(dy, shape, w, stride, padding):
    """dy (N, O, P, Q) -> dx of the given shape (N, C, H, W), as a convolution of dy."""
    (N, C, H, W), (O, _, R, S), (P, Q), (py, px) = shape, w.shape, dy.shape[2:], padding
    spread = np.zeros((N, O, (P - 1) * stride[0] + 1, (Q - 1) * stride[1] + 1))
    spread[:, :, :: stride[0], :: stride[1]] = dy
    turned = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    reached = conv2d(spread, turned, np.zeros(C), padding=(R - 1, S - 1))[0]
    dwide = np.zeros((N, C, H + 2 * py, W + 2 * px))
    dwide[:, :, : reached.shape[2], : reached.shape[3]] = reached
    return dwide[:, :, py : py + H, px : px + W]


lesson.close("a full convolution with turned kernels gives dx", dx_by_convolution(dy, x.shape, w, stride, padding), dx)
y1, cache1 = conv2d(x, w, b)
dy1 = rng.standard_normal(y1.shape)
dx1 = numeric(lambda a: conv2d(a, w, b)[0], x, dy1)
one = {"stride": (1, 1), "padding": (0, 0)}
lesson.close("at stride 1, too", dx_by_convolution(dy1, x.shape, w, **one), dx1, within=1e-11)

# %% [markdown]
# ## Four wrong versions
#
# **No turn**: the kernel goes in as it is. **Channels not exchanged**: shapes refuse it, unless there are as many
# inputs as outputs, as in the middle of most networks. **The border cut off on the wrong side**: all of it below and
# right. **The stride forgotten** on the way back: windows are added back as if they were neighbours. Each gives a dx of
# the right shape. And a network with such a layer may well learn something, for the layers above it are right.

# %%
not_turned = dx_by_convolution(dy, x.shape, w[:, :, ::-1, ::-1], stride, padding)
dcols = np.einsum("nopq,ocrs->npqcrs", dy, w)
lesson.caught("no turn", not_turned, true_dx)
lesson.caught("the border is cut off on the wrong side", add_back(dcols, wide.shape, stride)[:, :, :8, :7], true_dx)
lesson.caught("the stride is forgotten", add_back(dcols, wide.shape, (1, 1))[:, :, 1:9, 2:9], true_dx)
square = rng.standard_normal((3, 3, 3, 2))
dy3 = dy1[:, :3]
right = numeric(lambda a: conv2d(a, square, np.zeros(3))[0], x, dy3)
not_exchanged = dx_by_convolution(dy3, x.shape, square.transpose(1, 0, 2, 3), **one)
lesson.close("as many inputs as outputs: dx", dx_by_convolution(dy3, x.shape, square, **one), right, within=1e-11)
lesson.caught("as many inputs as outputs: channels not exchanged", not_exchanged, right)

# %% [markdown]
# ## Why the missing turn survives tests
#
# A kernel that looks the same after half a turn hides it completely. Such kernels are what one writes down for a test:
# all ones, a blur, a Laplace filter. And dw does not contain the kernel at all, so it is right in any case. Test with
# random kernels.
#
# <details><summary><b>Guess first:</b> Somebody forgets to turn the kernel on the way back, and tests with a blur. Is
# the bug found?</summary>
#
# No. A blur looks the same turned: dx agrees to the last digits. Test with random kernels.
# </details>

# %%
symmetric = (w + w[:, :, ::-1, ::-1]) / 2
lucky = dx_by_convolution(dy, x.shape, symmetric[:, :, ::-1, ::-1], stride, padding)
truth = numeric(lambda a: conv2d(a, symmetric, b, stride, padding)[0], x, dy)
lesson.close("symmetric kernels: without the turn dx is right as well", lucky, truth, within=1e-11)
blur = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1.0]]) / 16
lesson.close("a blur is symmetric", blur[::-1, ::-1], blur, within=0)

# %% [markdown]
# ## Two ways, and when each is better
#
# At stride 1 the convolution reads dy's windows and writes each pixel of dx **once**. Adding back goes over dx R·S
# times. With a stride, the spread dy is mostly zeros, and multiplying them is wasted. So the engine convolves at stride
# 1, and adds back otherwise. It also keeps no `cols` for the backward pass: that would be R·S times the image in
# memory.

# %%
images = lesson.pick(full=64, quick=16)
big, w2 = rng.standard_normal((images, 16, 14, 14)), rng.standard_normal((32, 16, 3, 3))
y2, cache2 = conv2d(big, w2, np.zeros(32), padding=(1, 1))
dy2 = rng.standard_normal(y2.shape)


def milliseconds(work):
    """The best of five runs."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return min(times)


lesson.close("dx of a larger layer", conv2d_backward(dy2, cache2)[0], backward(dy2, big, w2, (1, 1), (1, 1))[0])
ours = milliseconds(lambda: backward(dy2, big, w2, (1, 1), (1, 1)))
engine = milliseconds(lambda: conv2d_backward(dy2, cache2))
print(f"dx, dw, db of {images} images: ours {ours:.1f} ms, the engine {engine:.1f} ms, {ours / engine:.1f} times less")

# %% [markdown]
# ## Two footprints
#
# Give **one output** the gradient 1, and all others 0: dx then shows the kernel **as it is**, laid down where the
# window stood. Now look from **one pixel**: with which weights does it collect from the outputs? That is the kernel
# **turned**. Both are the same sum, read from its two ends. So the turn is no extra rule; it is what the pixel sees.
#
# With dcols all ones, each pixel gets the number of windows that it was in. At stride 1 that is R·S in the middle, and
# 1 in the corners without padding. At stride 2 with a 3x3 kernel it is 4, 2 or 1, in a checkerboard: neighbouring
# pixels hear from different numbers of windows.
#
# <details><summary><b>Guess first:</b> A 3x3 kernel. In how many windows lies a pixel in the middle at stride 1, one in
# the corner, and one anywhere at stride 2?</summary>
#
# 9 in the middle, 1 in the corner; 1, 2 or 4 at stride 2. So a gradient with stride 2 has a pattern of a chessboard in
# it.
# </details>

# %%
kernel = np.arange(1, 10.0).reshape(1, 1, 3, 3)
small, alone = (1, 1, 7, 7), np.zeros((1, 1, 5, 5))
alone[0, 0, 1, 2] = 1
laid_down = dx_by_convolution(alone, small, kernel, **one)[0, 0]
collected = np.array([dx_by_convolution(e.reshape(1, 1, 5, 5), small, kernel, **one)[0, 0, 3, 4] for e in np.eye(25)])
collected = collected.reshape(5, 5)
lesson.close("output (1, 2) lays down the kernel as it is", laid_down[1:4, 2:5], kernel[0, 0])
lesson.close("and nothing elsewhere", np.abs(laid_down).sum(), np.abs(kernel).sum())
lesson.close("pixel (3, 4) collects with the kernel turned", collected[1:4, 2:5], kernel[0, 0, ::-1, ::-1])
many, few = (add_back(np.ones((1, p, p, 1, 3, 3)), small, (s, s))[0, 0] for p, s in ((5, 1), (3, 2)))
lesson.true("stride 1: 9 windows in the middle, 1 in a corner", many[3, 3] == 9 and many[0, 0] == 1)
lesson.true("stride 2: 1, 2 or 4 windows", set(few[1:6, 1:6].ravel()) == {1, 2, 4})

# %% tags=["hide-input"]
panels = {
    "the kernel": (kernel[0, 0], "Oranges"),
    "dx of output (1, 2):\nthe kernel as it is": (laid_down, "Oranges"),
    "what pixel (3, 4) collects\nfrom dy: turned": (collected, "Oranges"),
    "windows a pixel is in,\n3x3, stride 1": (many, "Blues"),
    "windows a pixel is in,\n3x3, stride 2": (few, "Blues"),
}
figure = new_figure(12, 3.0, "One output lays the kernel down; one pixel collects with the kernel turned")
for ax, (title, (numbers, colours)) in zip(figure.subplots(1, 5), panels.items(), strict=True):
    ax.imshow(numbers, cmap=colours, vmin=0, vmax=16)  # pale enough to read the numbers
    for (i, j), value in np.ndenumerate(numbers):
        if value:
            ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=9, color=INK)
    tidy(ax, title, grid=False)
    blank(ax)
    ax.set_xticks(np.arange(-0.5, len(numbers)), minor=True)
    ax.set_yticks(np.arange(-0.5, len(numbers)), minor=True)
    ax.grid(which="minor", color="#C8C8C8", linewidth=0.7)
    ax.tick_params(which="minor", length=0)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# - Dilation and groups, which add nothing new: each place $p s_y + r$ becomes $p s_y + r \delta_y$, and each group is a
#   convolution by itself. The engine has both.
# - That the fast way is always the one product. On a graphics card each pixel collects from its windows by itself, so
#   that no two write to the same place (`minikd/backends/cuda`, lesson 15).
# - What happens at the checkerboard in a trained network. It is where to look when generated images have a grid.
#
# ## Read on
#
# - V. Dumoulin and F. Visin, [*A guide to convolution arithmetic for deep learning*](https://arxiv.org/abs/1603.07285),
#   2016, on transposed convolution: the full convolution, and the stride as zeros between, in pictures.
# - A. Odena, V. Dumoulin and C. Olah, [*Deconvolution and Checkerboard
#   Artifacts*](https://distill.pub/2016/deconv-checkerboard/), Distill, 2016.
# - [`minikd/nn/conv.py`](../minikd/nn/conv.py): `_convolved` and `_added_back` are the two ways. Lesson 9 takes what
#   stands between convolutions.
#
# ## Exercises
#
# `minikd check 08` puts the skeleton into `work/08_convolution_backward.py` the first time, and checks it from then on.
#
# 1. `conv1d_dw`: the weights' gradient of a convolution along one axis, as for sound. Its forward pass is given.
# 2. `conv1d_dx`: the input's. It has a stride, and the last elements may be in no window.
#
# The solutions are in `lessons/solutions/`.
