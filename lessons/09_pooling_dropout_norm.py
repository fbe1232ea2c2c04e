# %% [markdown]
# # 9. Pooling, dropout, batch norm
#
# **Goal** Derive the backward pass of three layers, each with its special question: which of several equal maxima gets
# the gradient, which random numbers the cache must hold, and what changes if an output depends on the whole batch.
#
# **Needs** lessons 4, 5 and 7.
#
# **You will see** how max pooling sends a gradient back to a digit, where the pixels of the black background are all
# equal.
#
# **Minutes** 1

# %%
import numpy as np

import minikd
from minikd import nn
from minikd.evidence.gradcheck import check_function, check_layer, tie_free
from minikd.lessons import Lesson
from minikd.nn.dropout import dropout, dropout_backward
from minikd.nn.normalization import normalize, normalize_backward
from minikd.nn.pooling import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from minikd.report.style import ORANGE, blank, new_figure, tidy

lesson = Lesson("09_pooling_dropout_norm")
rng = np.random.default_rng(9)

# %% [markdown]
# ## Max pooling
#
# Max pooling divides images x of shape (N, C, H, W) into windows, here of 2 × 2 pixels without overlap. It keeps only
# the largest pixel of each window. So y has the shape (N, C, H/2, W/2).
#
# 1. On which pixels does $y$ depend? Change the largest a little, and $y$ changes as much. So its derivative is 1.
#    Change another one a little, and $y$ does not change. So its derivative is 0.
# 2. So the winner (the largest pixel) gets **the whole upstream gradient**, and the others get nothing:
#    $dx_{\mathrm{winner}} = dy$. Therefore the sum of dx equals the sum of dy.
# 3. The cache does not need x. It needs only the position of each winner.


# %%
def windows(x):
    """(N, C, H, W) -> (N, C, H/2, W/2, 4): the four pixels of each window, in row order."""
    N, C, H, W = x.shape
    return x.reshape(N, C, H // 2, 2, W // 2, 2).swapaxes(3, 4).reshape(N, C, H // 2, W // 2, 4)


def pixels(cut):
    """(N, C, H/2, W/2, 4) -> (N, C, H, W): the inverse of windows."""
    N, C, P, Q, _ = cut.shape
    return cut.reshape(N, C, P, Q, 2, 2).swapaxes(3, 4).reshape(N, C, 2 * P, 2 * Q)


def max_pool(x):
    """x (N, C, H, W) -> y (N, C, H/2, W/2), and the cache: the number of the winner in each window."""
    cut = windows(x)
    winner = cut.argmax(-1)  # the first of several equal maxima
    return cut.max(-1), winner


def max_pool_backward(dy, winner):
    """dy (N, C, P, Q) -> dx (N, C, H, W): dy at the winner, 0 elsewhere."""
    return pixels(np.where(np.arange(4) == winner[..., None], dy[..., None], 0.0))


x = tie_free((3, 2, 6, 8), rng)
y, winner = max_pool(x)
dy = rng.standard_normal(y.shape)
engine_y, engine_cache = max_pool2d(x, (2, 2), (2, 2))
lesson.close("an image cut into windows and put together again", pixels(windows(x)), x)
lesson.close("the engine's max pooling", engine_y, y)
lesson.close("the engine's dx", max_pool2d_backward(dy, engine_cache), max_pool_backward(dy, winner))
report = check_function(
    lambda arrays: max_pool(arrays["x"]), lambda dy, cache: {"x": max_pool_backward(dy, cache)}, {"x": x}, rng
)
lesson.true("the gradient check of lesson 4", report.ok, f"{report.relative_error:.1e}")
lesson.close("the sum of dx is the sum of dy", max_pool_backward(dy, winner).sum(), dy.sum())

# %% [markdown]
# ## Ties
#
# The test above uses `tie_free`, which makes inputs whose values all differ. If two pixels are both the maximum, an
# increase of either one changes y, but a decrease does not. So the left and the right derivative differ, as at the kink
# of ReLU. There is no right answer, only a choice. On digits, such ties are common:
#
# <details><summary><b>Guess first:</b> In what share of all 2x2 windows on MNIST do several pixels have the
# maximum?</summary>
#
# In 83 %, and 90 % of these are black background. So the rule for ties affects most of the image.
# </details>

# %%
digits = minikd.load_dataset("mnist")
images = digits.train_images[:1000].astype(np.float64) / 255
cut = windows(images)
tied = (cut == cut.max(-1, keepdims=True)).sum(-1) > 1
lesson.true("of the windows on MNIST, more than half are ties", tied.mean() > 0.5, f"{tied.mean():.0%}")
black = (cut.max(-1) == 0) & tied
lesson.true("most of them are the black background", black.sum() > 0.8 * tied.sum(), f"{black.sum() / tied.sum():.0%}")

# %% [markdown]
# Three rules are in use. **First**: the first of the equal pixels, in row order, gets dy (PyTorch does this, and this
# engine on every backend). **All**: each of the equal pixels gets the whole dy. This is easy to write, `dy * (x == y)`,
# but wrong, because four equal pixels get four times dy in sum. **Shared**: the equal pixels share dy. With the first
# and the third rule, the sum of dx is the sum of dy. With the second it is not.


# %%
def everybody(dy, x):
    """Give the whole dy to every pixel that equals the maximum."""
    cut = windows(x)
    return pixels((cut == cut.max(-1, keepdims=True)) * dy[..., None])


def shared(dy, x):
    """Share dy between the pixels that equal the maximum."""
    cut = windows(x)
    winners = cut == cut.max(-1, keepdims=True)
    return pixels(winners * dy[..., None] / winners.sum(-1, keepdims=True))


y, winner = max_pool(images)
dy = rng.standard_normal(y.shape)
first = max_pool_backward(dy, winner)
lesson.close("first: each window passes on its whole dy", windows(first).sum(-1), dy)
lesson.close("shared: each window passes on its whole dy", windows(shared(dy, images)).sum(-1), dy)
lesson.caught("each tied pixel gets the whole dy", windows(everybody(dy, images)).sum(-1), dy)
_, engine_cache = max_pool2d(images, (2, 2), (2, 2))
lesson.close("the engine's dx, with ties: the first pixel gets dy", max_pool2d_backward(dy, engine_cache), first)
no_ties = everybody(rng.standard_normal((3, 2, 3, 4)), x)
print(f"without ties, no bug is seen: {(no_ties != 0).sum()} of {no_ties.size} pixels get a gradient, one a window")

# %% [markdown]
# The engine computes the maximum in two rounds: first along the rows of a window, then over the winners of the rows.
# This needs two comparisons of whole arrays instead of four. And the order of the comparisons makes the first of
# several equal pixels win.
#
# **Average pooling** has no ties: $y = \frac{1}{4} \sum x$, so each pixel gets $dy/4$.

# %%
y, cache = avg_pool2d(x, (2, 2), (2, 2))
dy = rng.standard_normal(y.shape)
lesson.close("average pooling", y, windows(x).mean(-1))
lesson.close("its dx: a quarter for each", avg_pool2d_backward(dy, cache), pixels(np.repeat(dy[..., None] / 4, 4, -1)))

# %% [markdown]
# ## Dropout
#
# In training, dropout sets each activation to 0 with the probability $r$, so that no unit can rely on another one. In
# evaluation nothing is dropped. Then the sums in the next layer would be larger than in training. So in training, the
# activations that are kept are scaled up:
#
# $$y = m x \qquad m = 0 \; \mathrm{or} \; \frac{1}{1 - r}$$
#
# 4. The mean of $m$ is $r \cdot 0 + (1 - r) \cdot \frac{1}{1 - r} = 1$: on average, $y$ is $x$.
# 5. Within one step, $m$ is a constant. So $dx = m \, dy$, **with the same m**. The cache holds m.
#
# <details><summary><b>Guess first:</b> Dropout drops 30 % of the activations, and the code forgets to divide the others
# by 0.7. By how much is the mean of many passes wrong?</summary>
#
# By 30 %. In training this hardly shows. But in evaluation, the inputs of the next layer are larger than those in
# training.
# </details>

# %%
x, rate = rng.standard_normal((200, 500)), 0.3
y, cache = dropout(x, rate, np.random.default_rng(1))
keep = np.random.default_rng(1).random(x.shape, np.float32) >= rate  # the same seed draws the same mask
dy = rng.standard_normal(x.shape)
lesson.close("y = m x", y, x * keep / (1 - rate))
lesson.close("dx = m dy", dropout_backward(dy, cache), dy * keep / (1 - rate))
mean = np.mean([dropout(x, rate, np.random.default_rng(seed))[0] for seed in range(200)], axis=0)
lesson.close("the mean output of many masks is x", np.linalg.norm(mean - x) / np.linalg.norm(x), 0, within=0.1)
layer = nn.Dropout(rate)
lesson.close("in evaluation the layer does nothing", layer.forward(x)[0], x)
fresh = dropout_backward(dy, dropout(x, rate, np.random.default_rng(2))[1])
lesson.caught("a new mask in the backward pass", fresh, dropout_backward(dy, cache))
lesson.caught("kept activations are not scaled up: the mean is wrong", (x * keep).mean(0), y.mean(0))

# %% [markdown]
# ## Batch norm
#
# Batch norm shifts and scales every feature so that it has mean 0 and variance 1 in the batch. Then it applies a
# learned scale and shift. With the mean $\mu$ and the variance $\sigma^2$ over the N samples, and a small $\epsilon$
# that prevents a division by 0:
#
# $$\hat x = \rho (x - \mu) \qquad \rho = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \qquad y = \gamma \hat x + \beta$$
#
# So **the output for one sample depends on the whole batch**, through $\mu$ and $\sigma$. For one feature:
#
# 6. $d\gamma = \sum_n dy_n \hat x_n$ and $d\beta = \sum_n dy_n$, as for any scale and shift. From here on, let
#    $g_n = \gamma \, dy_n$. This is the gradient with respect to $\hat x_n$.
# 7. The mean: $\frac{\partial \mu}{\partial x_j} = \frac{1}{N}$.
# 8. The variance: $\sigma^2 = \frac{1}{N} \sum_n (x_n - \mu)^2$, so
#    $\frac{\partial \sigma^2}{\partial x_j} = \frac{2}{N} (x_j - \mu)$ (the part through $\mu$ is
#    $-\frac{2}{N^2} \sum_n (x_n - \mu) = 0$).
# 9. Then $\frac{\partial \rho}{\partial x_j} = -\frac{1}{2} \rho^3 \cdot \frac{2}{N} (x_j - \mu)$, which is
#    $-\frac{\rho^2}{N} \hat x_j$.
# 10. Together, where $\delta_{nj}$ is 1 if $n = j$, else 0:
#
#     $$\frac{\partial \hat x_n}{\partial x_j} = \rho \left( \delta_{nj} - \frac{1 + \hat x_n \hat x_j}{N} \right)$$
#
# 11. Sum over $n$ with $g_n$:
#
#     $$dx_j = \rho \left( g_j - \mathrm{mean}(g) - \hat x_j \, \mathrm{mean}(g \hat x) \right)$$
#
# In words: the backward pass removes two parts of the gradient, its mean and its part along $\hat x$. The reason is
# that the output does not change if a constant is added to a feature, or if the feature is scaled. So the loss does not
# depend on these two.
#
# <details><summary><b>Guess first:</b> Add 5 to a feature of the whole batch. How does the output of batch norm change?
# What follows for the sum of dx over the batch?</summary>
#
# It does not change, because the mean is subtracted. So the loss does not change in this direction, and the sum of dx
# is 0.
# </details>


# %%
def batch_norm(x, gamma, beta, eps=1e-5):
    """x (N, C), gamma and beta (C,) -> y (N, C) and the cache."""
    rho = 1 / np.sqrt(x.var(0) + eps)
    xhat = (x - x.mean(0)) * rho
    return gamma * xhat + beta, (xhat, rho, gamma)


def batch_norm_backward(dy, cache):
    """dy (N, C) -> dx (N, C), dgamma (C,), dbeta (C,)."""
    xhat, rho, gamma = cache
    g = gamma * dy
    dx = rho * (g - g.mean(0) - xhat * (g * xhat).mean(0))
    return dx, (dy * xhat).sum(0), dy.sum(0)


x, gamma, beta = 3 + 2 * rng.standard_normal((7, 5)), rng.standard_normal(5), rng.standard_normal(5)
y, cache = batch_norm(x, gamma, beta)
dy = rng.standard_normal(y.shape)
dx, dgamma, dbeta = batch_norm_backward(dy, cache)
engine_y, engine_cache = normalize(x, gamma, beta, (0,), 1e-5)
lesson.close("the engine's batch norm", engine_y, y)
for name, ours, engines in zip(
    ("dx", "dγ", "dβ"), (dx, dgamma, dbeta), normalize_backward(dy, engine_cache), strict=True
):
    lesson.close(f"the engine's {name}", engines, ours)
report = check_layer(nn.BatchNorm1d(5), x, rng, training=True)
lesson.true("the gradient check, in training mode", report.ok, f"{report.relative_error:.1e}")
lesson.close("dx sums to 0 over the batch", dx.sum(0) / np.abs(dx).max(), np.zeros(5))
lesson.close("dx is at a right angle to x̂", (dx * cache[0]).sum(0) / np.abs(dx).max(), np.zeros(5), within=1e-5)
lesson.close("a shifted batch gives the same", batch_norm(x + 100, gamma, beta)[0], y, within=1e-9)

# %% [markdown]
# The right angle is exact only to about five digits, because of ε. With ε, scaling x changes the output a little.
#
# ### Bugs
#
# The most common bug forgets that $\mu$ and $\sigma$ depend on x: $dx = \gamma \rho \, dy$. And the problem of lesson 4
# appears again: **with an upstream gradient of ones, the right dx is 0**, and some wrong versions give 0 too.

# %%
ones = np.ones_like(dy)
lesson.caught("mean and deviation treated as constants", gamma * cache[1] * dy, dx)
lesson.caught("the part along x̂ forgotten", cache[1] * (gamma * dy - (gamma * dy).mean(0)), dx)
right, forgotten = batch_norm_backward(ones, cache)[0], cache[1] * (gamma * ones - (gamma * ones).mean(0))
lesson.close("with dy = 1, the right dx is 0", right, np.zeros_like(dx), within=1e-12)
lesson.close("with dy = 1, the second bug's dx is 0, too: not found", forgotten, np.zeros_like(dx), within=1e-12)

# %% [markdown]
# ### Evaluation
#
# In evaluation, the answer to an image must not depend on the other images in the batch. So training keeps running
# averages of $\mu$ and $\sigma^2$, and evaluation uses them. Then they *are* constants, and $dx = \gamma \rho \, dy$ is
# right. If a teacher stays in training mode, its answer to an image depends on the other images
# (`minikd pitfalls teacher-in-training` measures what this costs).

# %%
norm = nn.BatchNorm1d(5)
for _ in range(200):
    _, cache = norm.forward(3 + 2 * rng.standard_normal((64, 5), np.float32), training=True)
    norm.update_state(cache)  # the running averages move a tenth of the way
image = np.full((1, 5), 4, np.float32)
crowd = np.concatenate([image, 50 * rng.standard_normal((7, 5), np.float32)])
lesson.close("evaluation: (4 - 3)/2 is about a half", norm.forward(image)[0], 0.5, within=0.3)
lesson.close(
    "alone and in a batch, an image gets the same output", norm.forward(crowd)[0][0], norm.forward(image)[0][0]
)
lesson.caught(
    "in training mode, it gets another output", norm.forward(crowd, training=True)[0][0], norm.forward(image)[0][0]
)

# %%
sevens = np.flatnonzero(digits.train_labels[:1000] == 7)[:1]
digit = images[sevens]
y, winner = max_pool(digit)
dy = np.ones_like(y)
routes = {
    "the digit, (28, 28)": digit[0, 0],
    "max pooled, (14, 14)": y[0, 0],
    "dx, first: 1 in each window": max_pool_backward(dy, winner)[0, 0],
    "dx, everybody: up to 4 a window": everybody(dy, digit)[0, 0],
}

# %% tags=["hide-input"]
figure = new_figure(9.6, 3.4, "Where a gradient of ones goes: on the background every window is a tie")
for ax, (title, picture) in zip(figure.subplots(1, 4), routes.items(), strict=True):
    ax.imshow(picture, cmap="gray_r", interpolation="nearest")
    tidy(ax, title, grid=False)
    blank(ax)
    if title.startswith("dx"):
        ax.contour(digit[0, 0], levels=[0.5], colors=ORANGE, linewidths=1.5)
lesson.save(figure)

# %% [markdown]
# In the third picture, the background is a regular grid, because the first pixel of each window gets the gradient. In
# the fourth it is solid, so the layers before would get the gradient of the background four times.
#
# ## What this does not show
#
# The lesson does not show that you need these layers. The teacher of lesson 10 has pooling and dropout, but no batch
# norm. It does not show whether the first of several equal pixels is the best choice. On the background it hardly
# matters, because the pixels are 0 there. And it does not show windows that overlap. There a pixel can be the maximum
# of several windows, and its gradients are added.
#
# ## Read on
#
# - Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, [*Dropout: a simple way to prevent neural networks
#   from overfitting*](https://jmlr.org/papers/v15/srivastava14a.html), §4 and §10.
# - Ioffe and Szegedy 2015, [*Batch normalization*](https://arxiv.org/abs/1502.03167), algorithm 1 and §3. Ba, Kiros and
#   Hinton 2016, [*Layer normalization*](https://arxiv.org/abs/1607.06450).
# - [`minikd/nn/pooling.py`](../minikd/nn/pooling.py) (the maximum in two rounds),
#   [`minikd/nn/dropout.py`](../minikd/nn/dropout.py), [`minikd/nn/normalization.py`](../minikd/nn/normalization.py).
# - Lesson 10 puts all layers together.
#
# ## Exercises
#
# The first time, `minikd check 09` creates the skeleton `work/09_pooling_dropout_norm.py`. After that, it checks your
# solution there.
#
# 1. `layer_norm` and `layer_norm_backward`: the mean and the variance are now those of each *sample*, over its
#    features. The derivation above holds if you swap the axes. Which sums change, and which do not?
# 2. `tied_max` and `tied_max_backward`: the maximum of each row. The *last* of several equal maxima gets the gradient.
#
# The solutions are in `lessons/solutions/`.
