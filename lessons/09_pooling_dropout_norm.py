# %% [markdown]
# # 9. Pooling and its ties, dropout, batch norm
#
# **Goal** Three layers with hardly a weight among them, whose backward passes each hold one surprise: who gets the
# gradient when two are equal, which random numbers to remember, and what happens when a batch looks at itself.
#
# **Needs** lessons 4, 5 and 7.
#
# **You will see** the way of a gradient through max pooling on a digit, where the black background is one large tie.
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
# Images x of shape (N, C, H, W) are cut into windows, here of 2 × 2 pixels that do not overlap, and of each window
# only the largest pixel is kept: y has the shape (N, C, H/2, W/2).
#
# 1. Which pixels move $y$? Move the largest a little: $y$ moves as much, its derivative is 1. Move another a little:
#    $y$ stays, derivative 0.
# 2. So the upstream gradient goes **whole to the winner**, and the rest gets nothing:
#    $dx_{\mathrm{winner}} = dy$. What was added up in other layers is here only sent on, so the sum of dx is the sum of
#    dy.
# 3. What has to be remembered is not x, but who won.


# %%
def windows(x):
    """(N, C, H, W) -> (N, C, H/2, W/2, 4): the four pixels of each window, in the order of reading."""
    N, C, H, W = x.shape
    return x.reshape(N, C, H // 2, 2, W // 2, 2).swapaxes(3, 4).reshape(N, C, H // 2, W // 2, 4)


def pixels(cut):
    """(N, C, H/2, W/2, 4) -> (N, C, H, W): the windows, put back."""
    N, C, P, Q, _ = cut.shape
    return cut.reshape(N, C, P, Q, 2, 2).swapaxes(3, 4).reshape(N, C, 2 * P, 2 * Q)


def max_pool(x):
    """x (N, C, H, W) -> y (N, C, H/2, W/2), and the cache: the number of the winner in each window."""
    cut = windows(x)
    winner = cut.argmax(-1)  # of several largest, the first
    return cut.max(-1), winner


def max_pool_backward(dy, winner):
    """dy (N, C, P, Q) -> dx (N, C, H, W): dy at the winner, 0 elsewhere."""
    return pixels(np.where(np.arange(4) == winner[..., None], dy[..., None], 0.0))


x = tie_free((3, 2, 6, 8), rng)
y, winner = max_pool(x)
dy = rng.standard_normal(y.shape)
engine_y, engine_cache = max_pool2d(x, (2, 2), (2, 2))
lesson.close("cut into windows and put back, an image is the same", pixels(windows(x)), x)
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
# `tie_free` above is no accident: it makes inputs whose values all differ. Where two pixels share the maximum, moving
# either one **up** moves y, moving it down does not: left and right derivative differ, as at ReLU's kink. There is no
# right answer, only a choice. On digits that is no rare case:
#
# <details><summary><b>Guess first:</b> In how many of all 2x2 windows on MNIST is the largest pixel not the only
# largest?</summary>
#
# In 83 %, and 90 % of these are black background. Whoever gives the gradient to all of the tied pixels changes most of
# the picture.
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
# Three rules are in use. **The first** pixel in reading order gets all (PyTorch, and this engine on every backend).
# **All winners** get all of dy: easy to write, `dy * (x == y)`, and wrong, because a tie of four hands out four times
# what came in. **Shared**: each winner gets its part. The first and the last keep the sum; the second does not.


# %%
def everybody(dy, x):
    """The easy line: every pixel equal to the maximum gets dy whole."""
    cut = windows(x)
    return pixels((cut == cut.max(-1, keepdims=True)) * dy[..., None])


def shared(dy, x):
    """Every pixel equal to the maximum gets its part of dy."""
    cut = windows(x)
    winners = cut == cut.max(-1, keepdims=True)
    return pixels(winners * dy[..., None] / winners.sum(-1, keepdims=True))


y, winner = max_pool(images)
dy = rng.standard_normal(y.shape)
first = max_pool_backward(dy, winner)
lesson.close("first: each window hands on what it got", windows(first).sum(-1), dy)
lesson.close("shared: so does this", windows(shared(dy, images)).sum(-1), dy)
lesson.caught("everybody gets all, where there are ties", windows(everybody(dy, images)).sum(-1), dy)
_, engine_cache = max_pool2d(images, (2, 2), (2, 2))
lesson.close("the engine gives it to the first, ties and all", max_pool2d_backward(dy, engine_cache), first)
no_ties = everybody(rng.standard_normal((3, 2, 3, 4)), x)
print(f"without ties that bug is not seen: {(no_ties != 0).sum()} of {no_ties.size} pixels get something, one a window")

# %% [markdown]
# The engine takes the maximum as a tournament, first along the rows of a window and then down the column of their
# winners: four comparisons of whole arrays become two, and the order settles ties to the first pixel by itself.
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
# In training, each activation is set to 0 with the probability $r$; no unit can rely on another one. In evaluation
# nothing is dropped, and then the sums would be larger than those that the next layer has learned from. So in training
# what is kept is made larger:
#
# $$y = m x \qquad m = 0 \; \mathrm{or} \; \frac{1}{1 - r}$$
#
# 4. The mean of $m$ is $r \cdot 0 + (1 - r) \cdot \frac{1}{1 - r} = 1$: on average, $y$ is $x$.
# 5. For one step, $m$ is a constant. So $dx = m \, dy$, **with the same m**: it is what the cache holds.
#
# <details><summary><b>Guess first:</b> Dropout drops 30 % of the activations, and somebody forgets to divide the kept
# ones by 0.7. By how much is the mean of many passes off?</summary>
#
# By 30 %. In training that hardly shows; in evaluation the next layer gets other sizes than it has learned.
# </details>

# %%
x, rate = rng.standard_normal((200, 500)), 0.3
y, cache = dropout(x, rate, np.random.default_rng(1))
keep = np.random.default_rng(1).random(x.shape, np.float32) >= rate  # the same seed draws the same mask
dy = rng.standard_normal(x.shape)
lesson.close("y = m x", y, x * keep / (1 - rate))
lesson.close("dx = m dy", dropout_backward(dy, cache), dy * keep / (1 - rate))
mean = np.mean([dropout(x, rate, np.random.default_rng(seed))[0] for seed in range(200)], axis=0)
lesson.close("the mean of many masks is x", np.linalg.norm(mean - x) / np.linalg.norm(x), 0, within=0.1)
layer = nn.Dropout(rate)
lesson.close("in evaluation the layer does nothing", layer.forward(x)[0], x)
fresh = dropout_backward(dy, dropout(x, rate, np.random.default_rng(2))[1])
lesson.caught("a new mask in the backward pass", fresh, dropout_backward(dy, cache))
lesson.caught("kept activations that are not made larger: the mean is off", (x * keep).mean(0), y.mean(0))

# %% [markdown]
# ## Batch norm
#
# Every feature of a batch is shifted to mean 0 and stretched to variance 1, and then gets a scale and a shift that are
# learned. With the mean $\mu$ and variance $\sigma^2$ over the N samples, and a small $\epsilon$ against division by 0:
#
# $$\hat x = \rho (x - \mu) \qquad \rho = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \qquad y = \gamma \hat x + \beta$$
#
# The surprise: **a sample's output depends on the whole batch**, through $\mu$ and $\sigma$. For one feature:
#
# 6. $d\gamma = \sum_n dy_n \hat x_n$ and $d\beta = \sum_n dy_n$, as for any scale and shift. From here on
#    $g_n = \gamma \, dy_n$ is the gradient with respect to $\hat x_n$.
# 7. The mean: $\frac{\partial \mu}{\partial x_j} = \frac{1}{N}$.
# 8. The variance: $\sigma^2 = \frac{1}{N} \sum_n (x_n - \mu)^2$, so
#    $\frac{\partial \sigma^2}{\partial x_j} = \frac{2}{N} (x_j - \mu)$ (the part through $\mu$ is
#    $-\frac{2}{N^2} \sum_n (x_n - \mu) = 0$).
# 9. Then $\frac{\partial \rho}{\partial x_j} = -\frac{1}{2} \rho^3 \cdot \frac{2}{N} (x_j - \mu)$, which is
#    $-\frac{\rho^2}{N} \hat x_j$.
# 10. Together, with $\delta_{nj}$ 1 where $n = j$ and else 0:
#
#     $$\frac{\partial \hat x_n}{\partial x_j} = \rho \left( \delta_{nj} - \frac{1 + \hat x_n \hat x_j}{N} \right)$$
#
# 11. Sum over $n$ with $g_n$:
#
#     $$dx_j = \rho \left( g_j - \mathrm{mean}(g) - \hat x_j \, \mathrm{mean}(g \hat x) \right)$$
#
# In words: the gradient loses its mean, and its part along $\hat x$. It has to: adding a constant to a feature, or
# stretching it, changes nothing behind the layer, so the loss cannot ask for it.
#
# <details><summary><b>Guess first:</b> Add 5 to a feature of the whole batch. What does batch norm's output do? What
# does that say of the sum of dx over the batch?</summary>
#
# Nothing at all: the mean is taken off. So the loss does not change along that direction, and the sum of dx is 0.
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
# ε is why the right angle is one to some five digits only: with it, stretching x changes a trifle after all.
#
# ### Bugs
#
# The commonest forgets that $\mu$ and $\sigma$ depend on x: $dx = \gamma \rho \, dy$. And here is the trap of lesson 4
# once more: **with an upstream gradient of ones, the right dx is 0**, and so is many a wrong one's check.

# %%
ones = np.ones_like(dy)
lesson.caught("mean and deviation taken for constants", gamma * cache[1] * dy, dx)
lesson.caught("the part along x̂ forgotten", cache[1] * (gamma * dy - (gamma * dy).mean(0)), dx)
right, forgotten = batch_norm_backward(ones, cache)[0], cache[1] * (gamma * ones - (gamma * ones).mean(0))
lesson.close("with dy = 1, the right dx is 0", right, np.zeros_like(dx), within=1e-12)
lesson.close("with dy = 1, the second bug's dx is 0, too: not found", forgotten, np.zeros_like(dx), within=1e-12)

# %% [markdown]
# ### Evaluation
#
# One image must not depend on whom it came with. So training keeps running averages of $\mu$ and $\sigma^2$, and
# evaluation uses these. Then they *are* constants, and $dx = \gamma \rho \, dy$ is right. A teacher that is left in
# training mode answers each image by its neighbours (`minikd pitfalls teacher-in-training` says what that costs).

# %%
norm = nn.BatchNorm1d(5)
for _ in range(200):
    _, cache = norm.forward(3 + 2 * rng.standard_normal((64, 5), np.float32), training=True)
    norm.update_state(cache)  # the running averages move a tenth of the way
image = np.full((1, 5), 4, np.float32)
crowd = np.concatenate([image, 50 * rng.standard_normal((7, 5), np.float32)])
lesson.close("evaluation: (4 - 3)/2 is about a half, whoever stands by", norm.forward(image)[0], 0.5, within=0.3)
lesson.close("alone and in a crowd, an image is answered alike", norm.forward(crowd)[0][0], norm.forward(image)[0][0])
lesson.caught("in training mode it is not", norm.forward(crowd, training=True)[0][0], norm.forward(image)[0][0])

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
# In the third picture the background is a regular grid: the first pixel of each tie. In the fourth it is solid, and the
# layers below would hear the background four times.
#
# ## What this does not show
#
# That you need these layers: the teacher of lesson 10 pools and drops out, and has no batch norm. Whether the first
# winner of a tie is the best choice: on the background it hardly matters, because what comes before is 0 there, too.
# Windows that overlap: then a pixel can win several times, and its gradients add up.
#
# ## Read on
#
# - Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, [*Dropout: a simple way to prevent neural networks
#   from overfitting*](https://jmlr.org/papers/v15/srivastava14a.html), §4 and §10.
# - Ioffe and Szegedy 2015, [*Batch normalization*](https://arxiv.org/abs/1502.03167), algorithm 1 and §3. Ba, Kiros and
#   Hinton 2016, [*Layer normalization*](https://arxiv.org/abs/1607.06450).
# - [`minikd/nn/pooling.py`](../minikd/nn/pooling.py) (the tournament),
#   [`minikd/nn/dropout.py`](../minikd/nn/dropout.py), [`minikd/nn/normalization.py`](../minikd/nn/normalization.py).
# - Lesson 10 puts all layers together.
#
# ## Exercises
#
# `minikd check 09` puts the skeleton into `work/09_pooling_dropout_norm.py` the first time and checks it from then on.
#
# 1. `layer_norm` and `layer_norm_backward`: the mean and variance are now each *sample's*, over its features. The
#    derivation above holds with the roles of the axes swapped; which sums change, and which do not?
# 2. `tied_max` and `tied_max_backward`: the maximum of each row, where the *last* of several largest gets the gradient.
#
# The solutions are in `lessons/solutions/`.
