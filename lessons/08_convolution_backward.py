# %% [markdown]
# # 8. The backward pass of a convolution
#
# **Goal** Derive the three gradients of a convolution with indices, and see why the kernel is flipped in the backward
# pass.
#
# **Needs** lessons 3, 4 and 7.
#
# **You will see** where the gradient of one output pixel goes, and in how many windows each pixel is.
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
# We start from the sum of lesson 7, where $\bar{x}$ is the image x with its padding of zeros:
#
# $$y_{nopq} = b_o + \sum_{c,r,s} \bar{x}_{n,\, c,\, p s_y + r,\, q s_x + s} \, w_{ocrs}$$
#
# The next layer gives the upstream gradient $dy$, of shape (N, O, P, Q). We want $dx$, $dw$ and $db$, which have the
# shapes of x, w and b.
#
# ## Bias and weights
#
# 1. $b_o$ is part of each output of channel o, with the factor 1. So $db_o = \sum_{n,p,q} dy_{nopq}$, of shape (O,).
# 2. $w_{ocrs}$ is also part of each output of channel o. Its factor is the pixel that it was multiplied with:
#    $$dw_{ocrs} = \sum_{n,p,q} dy_{nopq} \, \bar{x}_{n,\, c,\, p s_y + r,\, q s_x + s}$$
#    This is a correlation again: of x with dy, and dy is the kernel.
# 3. As a matrix product: move the channels of dy to the last axis. This gives $g$, of shape (N·P·Q, O). With `cols`
#    (N·P·Q, C·R·S) of lesson 7, $dw = g^\top \mathrm{cols}$, of shape (O, C·R·S). It is the dw of a linear layer over
#    windows.
#
# ## The image
#
# 4. Each window is a sample of that linear layer, so the gradient with respect to its pixels is $dcols = g \, w$, of
#    shape (N·P·Q, C·R·S).
# 5. A pixel is in several windows, and it affects the loss through each of them. By the chain rule, **the gradient of a
#    pixel is the sum over all windows that it is in.**
# 6. In the R·S slices of lesson 7, kernel position $(r, s)$ read rows $r, r + s_y, r + 2 s_y$ and so on. The gradient
#    goes back to the same rows, with `+=` instead of a read.
# 7. This gives $d\bar{x}$. The padding is not part of x, so cut it off.


# %%
def padded(x, padding):
    """x (N, C, H, W) with a border of zeros."""
    py, px = padding
    return np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))


def take(wide, kernel, stride):
    """Return a view of all windows of the padded image, (N, P, Q, C, R, S)."""
    every = np.lib.stride_tricks.sliding_window_view(wide, kernel, axis=(2, 3))
    return every[:, :, :: stride[0], :: stride[1]].transpose(0, 2, 3, 1, 4, 5)


def add_back(dcols, shape, stride):
    """dcols (N, P, Q, C, R, S) -> the gradient of the padded image: add each entry to the pixel that it came from."""
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
# We check as in lesson 4: the loss is the sum of dy·y with a random dy, and each element is changed up and down. One
# thing makes it easier: y is **linear** in x, in w and in b, if the other two are fixed. A linear function has the same
# slope everywhere. So the difference is exact for any step, and the step may be large. The only error is rounding. As
# in lesson 7, rows and columns differ.

# %%
x, w, b = rng.standard_normal((2, 3, 8, 7)), rng.standard_normal((4, 3, 3, 2)), rng.standard_normal(4)
stride, padding = (2, 1), (1, 2)
y, cache = conv2d(x, w, b, stride, padding)  # lesson 7: this is the sum of seven loops
dy = rng.standard_normal(y.shape)


def numeric(f, a, dy, h=0.5):
    """Return the numeric gradient of the sum of dy·f(a) with respect to a."""
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
    lesson.close(f"{name} equals the numeric gradient in all {true.size} elements", ours, true, within=1e-11)
for name, ours, engine in zip(("dx", "dw", "db"), (dx, dw, db), conv2d_backward(dy, cache), strict=True):
    lesson.close(f"the engine's {name} is the same", engine, ours)

# %% [markdown]
# ## The adjoint
#
# `take` is a linear map A: each entry of its result is one pixel. As a matrix, it has a single 1 in each row.
# `add_back` is the same matrix with rows and columns swapped. It is $A^\top$, the **adjoint**. A test of it needs no
# derivative. For any image x, and any u with the shape of the windows,
#
# $$\sum_i (A x)_i \, u_i = \sum_j x_j \, (A^\top u)_j$$
#
# because both sides are the sum of all $u_i A_{ij} x_j$. The backward pass of every linear map is its adjoint.

# %%
wide = padded(x, padding)
windows = take(wide, (3, 2), stride)
u = rng.standard_normal(windows.shape)
lesson.close("take and add_back are adjoint", np.sum(wide * add_back(u, wide.shape, stride)), np.sum(windows * u))

# %% [markdown]
# ## The same dx as a convolution
#
# 8. Let the stride be 1. Take one pixel $(i, j)$ of $\bar{x}$. Kernel position $(r, s)$ was multiplied with it in the
#    window with $p + r = i$ and $q + s = j$. So $p = i - r$ and $q = j - s$:
#    $$d\bar{x}_{ncij} = \sum_{o,r,s} dy_{n,\, o,\, i - r,\, j - s} \, w_{ocrs}$$
#    where dy is 0 for windows that do not exist.
# 9. In y, r was **added** to the index. Here it is **subtracted**. So count the kernel's positions from the other end:
#    with $r = R - 1 - r'$ and $s = S - 1 - s'$, the index becomes $i - (R - 1) + r'$, and r' is added.
# 10. So this is the sum of lesson 7 again, with three changes. The image is dy with a padding of R - 1 and S - 1 zeros,
#     which explains the $-(R - 1)$. The kernel is **rotated by 180°**, that is, flipped along both axes. And the sum
#     runs over **o**, so inputs and outputs of w are swapped: (O, C, R, S) becomes (C, O, R, S). This is called a full
#     convolution.
# 11. With a stride of $s_y$, window p begins at row $p s_y$. Put dy into these rows, and zeros between them. This gives
#     $(P - 1) s_y + 1$ rows. Now the stride is 1, and most windows have a gradient of 0. This is dy **dilated** by the
#     stride.
# 12. If the last windows do not reach the end of the image, the rest of $d\bar{x}$ is 0.


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


lesson.close("a full convolution with rotated kernels gives dx", dx_by_convolution(dy, x.shape, w, stride, padding), dx)
y1, cache1 = conv2d(x, w, b)
dy1 = rng.standard_normal(y1.shape)
dx1 = numeric(lambda a: conv2d(a, w, b)[0], x, dy1)
one = {"stride": (1, 1), "padding": (0, 0)}
lesson.close("also at stride 1", dx_by_convolution(dy1, x.shape, w, **one), dx1, within=1e-11)

# %% [markdown]
# ## Four wrong versions
#
# **No rotation**: the kernel is used as it is. **Channels not swapped**: the shapes do not fit, unless there are as
# many inputs as outputs, which is common in the middle of a network. **Padding cut off on the wrong side**: all of it
# is cut off below and on the right. **Stride forgotten**: windows are added back as if they were neighbours. Each gives
# a dx of the right shape. And a network with such a layer may still learn something, because the layers after it are
# right.

# %%
not_turned = dx_by_convolution(dy, x.shape, w[:, :, ::-1, ::-1], stride, padding)
dcols = np.einsum("nopq,ocrs->npqcrs", dy, w)
lesson.caught("kernels not rotated", not_turned, true_dx)
lesson.caught("the border is cut off on the wrong side", add_back(dcols, wide.shape, stride)[:, :, :8, :7], true_dx)
lesson.caught("the stride is forgotten", add_back(dcols, wide.shape, (1, 1))[:, :, 1:9, 2:9], true_dx)
square = rng.standard_normal((3, 3, 3, 2))
dy3 = dy1[:, :3]
right = numeric(lambda a: conv2d(a, square, np.zeros(3))[0], x, dy3)
not_exchanged = dx_by_convolution(dy3, x.shape, square.transpose(1, 0, 2, 3), **one)
lesson.close("as many inputs as outputs: dx", dx_by_convolution(dy3, x.shape, square, **one), right, within=1e-11)
lesson.caught("as many inputs as outputs: channels not exchanged", not_exchanged, right)

# %% [markdown]
# ## Why tests often miss the rotation
#
# A kernel that is the same after a rotation by 180° hides the bug completely. People often test with such kernels: all
# ones, a blur, a Laplace filter. And dw does not depend on the kernel, so it is right in any case. Test with random
# kernels.
#
# <details><summary><b>Guess first:</b> The rotation of the kernel is missing in the backward pass. Does a test with a
# blur find the bug?</summary>
#
# No. A blur is the same after the rotation, so dx agrees to the last digits.
# </details>

# %%
symmetric = (w + w[:, :, ::-1, ::-1]) / 2
lucky = dx_by_convolution(dy, x.shape, symmetric[:, :, ::-1, ::-1], stride, padding)
truth = numeric(lambda a: conv2d(a, symmetric, b, stride, padding)[0], x, dy)
lesson.close("symmetric kernels: dx is right without the rotation too", lucky, truth, within=1e-11)
blur = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1.0]]) / 16
lesson.close("a blur is symmetric", blur[::-1, ::-1], blur, within=0)

# %% [markdown]
# ## Two ways, and when each is better
#
# At stride 1, the convolution reads the windows of dy and writes each pixel of dx **once**. Adding back goes over dx
# R·S times. With a larger stride, the dilated dy is mostly zeros, and their products are wasted work. So the engine
# convolves at stride 1 and adds back otherwise. It does not keep `cols` for the backward pass, because `cols` needs R·S
# times the memory of the image.

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
print(f"dx, dw, db of {images} images: ours {ours:.1f} ms, the engine {engine:.1f} ms, a factor of {ours / engine:.1f}")

# %% [markdown]
# ## Two footprints
#
# Give **one output** the gradient 1, and all others 0. Then dx is the kernel **as it is**, at the position of the
# window. Now take **one pixel**. With which weights does it sum the gradients of the outputs? With the **rotated**
# kernel. Both are the same sum, once from the output and once from the pixel. So the rotation is not an extra rule. It
# is the same kernel as the pixel sees it.
#
# If all elements of dcols are 1, each pixel gets the number of windows that it is in. At stride 1 this is R·S in the
# middle and, without padding, 1 in the corners. At stride 2 with a 3x3 kernel it is 4, 2 or 1, in a checkerboard
# pattern. So neighbouring pixels get gradients from different numbers of windows.
#
# <details><summary><b>Guess first:</b> Take a 3x3 kernel. At stride 1, in how many windows is a pixel in the middle?
# And a pixel in the corner? How many is it at stride 2?</summary>
#
# At stride 1, it is 9 in the middle and 1 in the corner. At stride 2, it is 1, 2 or 4. So the gradient has a
# checkerboard pattern at stride 2.
# </details>

# %%
kernel = np.arange(1, 10.0).reshape(1, 1, 3, 3)
small, alone = (1, 1, 7, 7), np.zeros((1, 1, 5, 5))
alone[0, 0, 1, 2] = 1
laid_down = dx_by_convolution(alone, small, kernel, **one)[0, 0]
collected = np.array([dx_by_convolution(e.reshape(1, 1, 5, 5), small, kernel, **one)[0, 0, 3, 4] for e in np.eye(25)])
collected = collected.reshape(5, 5)
lesson.close("dx of output (1, 2) is the kernel as it is", laid_down[1:4, 2:5], kernel[0, 0])
lesson.close("and 0 elsewhere", np.abs(laid_down).sum(), np.abs(kernel).sum())
lesson.close("pixel (3, 4) sums with the rotated kernel", collected[1:4, 2:5], kernel[0, 0, ::-1, ::-1])
many, few = (add_back(np.ones((1, p, p, 1, 3, 3)), small, (s, s))[0, 0] for p, s in ((5, 1), (3, 2)))
lesson.true("stride 1: 9 windows in the middle, 1 in a corner", many[3, 3] == 9 and many[0, 0] == 1)
lesson.true("stride 2: 1, 2 or 4 windows", set(few[1:6, 1:6].ravel()) == {1, 2, 4})

# %% tags=["hide-input"]
panels = {
    "the kernel": (kernel[0, 0], "Oranges"),
    "dx of output (1, 2):\nthe kernel as it is": (laid_down, "Oranges"),
    "weights of pixel (3, 4):\nthe kernel rotated": (collected, "Oranges"),
    "windows that read a pixel,\n3x3, stride 1": (many, "Blues"),
    "windows that read a pixel,\n3x3, stride 2": (few, "Blues"),
}
figure = new_figure(12, 3.0, "One output gives the kernel as it is; one pixel sums with the rotated kernel")
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
# - Dilation and groups. With dilation, each index $p s_y + r$ becomes $p s_y + r \delta_y$. Each group is a separate
#   convolution. The engine has both.
# - The fastest way on other machines. On a GPU, each pixel sums over its windows, so that no two threads write to the
#   same place (`minikd/backends/cuda`, lesson 15).
# - The effect of the checkerboard in a trained network. If generated images show a grid, look there first.
#
# ## Read on
#
# - V. Dumoulin and F. Visin, [*A guide to convolution arithmetic for deep learning*](https://arxiv.org/abs/1603.07285),
#   2016, on transposed convolution: the full convolution and the stride as inserted zeros, in pictures.
# - A. Odena, V. Dumoulin and C. Olah, [*Deconvolution and Checkerboard
#   Artifacts*](https://distill.pub/2016/deconv-checkerboard/), Distill, 2016.
# - [`minikd/nn/conv.py`](../minikd/nn/conv.py): `_convolved` and `_scatter_windows` are the two ways. Lesson 9 is about
#   the layers between convolutions.
#
# ## Exercises
#
# The first time, `minikd check 08` creates the skeleton `work/08_convolution_backward.py`. After that, it checks your
# solution there.
#
# 1. `conv1d_dw`: the gradient of the weights, for a convolution along one axis (as for sound). The forward pass is
#    given.
# 2. `conv1d_dx`: the gradient of the input. There is a stride, and the last elements may be in no window.
#
# The solutions are in `lessons/solutions/`.
