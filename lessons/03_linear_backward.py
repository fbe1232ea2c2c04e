# %% [markdown]
# # 3. The backward pass of a linear layer
#
# **Goal** Derive the three gradients of a linear layer, and check more than their shapes.
#
# **Needs** lesson 2.
#
# **You will see** how a batch of digits changes the weights of each pixel, and a first network that learns.
#
# **Minutes** 1

# %%
import time

import numpy as np

import minikd
from minikd.data import Views, mean_and_std
from minikd.lessons import Lesson
from minikd.losses import cross_entropy
from minikd.nn.linear import linear, linear_backward
from minikd.report.style import blank, new_figure, tidy

lesson = Lesson("03_linear_backward")
rng = np.random.default_rng(3)

# %% [markdown]
# ## The layer
#
# A linear layer computes O outputs from C inputs, in the same way for each of the N samples of a batch. Its
# **parameters** are a weight for each pair of input and output, and a bias for each output:
#
# $$y_{no} = \sum_c x_{nc} w_{oc} + b_o$$
#
# Shapes: x is (N, C), w is (O, C), b is (O,), y is (N, O). The sum over $c$ multiplies a row of x with a row of w. So
# all sums together are one matrix product, $x w^\top$ (⊤ transposes: it swaps rows and columns). In Python that is
# `x @ w.T`.
#
# ## What the backward pass computes
#
# After this layer come other layers, and at the end a loss L, which is one number. Assume that the next layer has
# already computed how L depends on each of our outputs. That is the **upstream gradient** dy. It has the shape of y:
#
# $$dy_{no} = \frac{\partial L}{\partial y_{no}}$$
#
# (The same notation holds for every letter: dx is $\partial L / \partial x$, and so on.)
#
# We must compute three gradients of L: with respect to x (for the layer before this one), and with respect to w and b
# (to train them). A gradient always has the shape of its array: dx is (N, C), dw is (O, C), db is (O,).
#
# ## On paper
#
# 1. **The chain rule.** A number $s$ can affect L through several outputs $y_{no}$. Sum over all of them:
#
#    $$ds = \sum_{n,o} dy_{no} \frac{\partial y_{no}}{\partial s}$$
#
#    So for each number, we need to find the outputs that depend on it.
# 2. **The bias** $b_o$ is part of $y_{no}$ for every sample $n$, with the factor 1. So $db_o = \sum_n dy_{no}$: a sum
#    over the batch.
# 3. **The weight** $w_{oc}$ is part of $y_{no}$ for every sample $n$, with the factor $x_{nc}$. So
#
#    $$dw_{oc} = \sum_n dy_{no} x_{nc}$$
#
# 4. **The input** $x_{nc}$ is part of $y_{no}$ for every output $o$ of the same sample, with the factor $w_{oc}$. So
#
#    $$dx_{nc} = \sum_o dy_{no} w_{oc}$$
#
# 5. Each sum runs over the index that the result does not have. If the two factors share only that index, the sum is a
#    matrix product:
#
#    $$dx = dy \, w \qquad dw = dy^\top x \qquad db = \sum_n dy_n$$
#
# None of them is a mean. The 1/N of the batch belongs to the loss and is already in dy (lesson 2).


# %%
def forward(x, w, b):
    """x (N, C), w (O, C), b (O,) -> y (N, O), and the cache: what the backward pass needs."""
    return x @ w.T + b, (x, w)  # (N, O) = (N, C) @ (C, O)


def backward(dy, cache):
    """dy (N, O) -> dx (N, C), dw (O, C), db (O,)."""
    x, w = cache
    dx = dy @ w  # (N, C) = (N, O) @ (O, C)
    dw = dy.T @ x  # (O, C) = (O, N) @ (N, C)
    return dx, dw, dy.sum(0)


def by_loops(dy, x, w):
    """Compute steps 2 to 4 as they are written."""
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w))
    for n in range(len(x)):
        for o in range(len(w)):
            db[o] += dy[n, o]
            for c in range(x.shape[1]):
                dw[o, c] += dy[n, o] * x[n, c]
                dx[n, c] += dy[n, o] * w[o, c]
    return dx, dw, db


N, C, O = 5, 7, 3
x, w, b, dy = (rng.standard_normal(shape) for shape in ((N, C), (O, C), (O,), (N, O)))
y, cache = forward(x, w, b)
ours, loops = backward(dy, cache), by_loops(dy, x, w)
lesson.close("the sum over c, for one element, is y[2, 1]", y[2, 1], sum(x[2, c] * w[1, c] for c in range(C)) + b[1])
for name, product, loop in zip(("dx", "dw", "db"), ours, loops, strict=True):
    lesson.close(f"{name}: the product equals the loops", product, loop)

# %% [markdown]
# ## The engine's version
#
# `minikd.nn.linear` has the same three formulas. (It computes db as a product too, which is faster.) In addition, it
# checks shapes and dtypes. And it can leave out dx, which the first layer does not need.
#
# Why products instead of loops? Python has a cost for every iteration of a loop. A product has this cost once. It runs
# as compiled code, and does the same multiplications in an order that suits the processor.

# %%
y_engine, cache_engine = linear(x, w, b)
lesson.close("the engine's y", y_engine, y)
for name, theirs, mine in zip(("dx", "dw", "db"), linear_backward(dy, cache_engine), ours, strict=True):
    lesson.close(f"the engine's {name}", theirs, mine)


def seconds(function, *arguments):
    """The shortest of three calls."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


large = [rng.standard_normal(shape) for shape in ((32, 10), (32, 100), (10, 100))]  # dy, x, w
ratio = seconds(by_loops, *large) / seconds(backward, large[0], tuple(large[1:]))
print(f"32 samples, 100 inputs, 10 outputs: the products take {ratio:,.0f} times less time than the loops")
lesson.true("products are more than ten times as fast", ratio > 10)

# %% [markdown]
# ## Why "the shapes fit" is not enough
#
# Many people try transposes until NumPy raises no error. But with N = C = O it raises none at all, and it never raises
# one for a mean. Each of these gradients has the right shape and is wrong:
#
# <details><summary><b>Guess first:</b> A layer has as many inputs as outputs and samples. Below are five wrong
# gradients for it. How many of them have a wrong shape?</summary>
#
# None. With $N = C = O$, every wrong gradient has the right shape. Different sizes would show some of these mistakes at
# once.
# </details>

# %%
S = 4
x4, w4, dy4 = (rng.standard_normal(shape) for shape in ((S, S), (S, S), (S, S)))
dx4, dw4, db4 = backward(dy4, (x4, w4))
wrong = {
    "dx with w transposed": (dy4 @ w4.T, dx4),  # (S, S) = (S, S) @ (S, S)
    "dw with the factors exchanged": (x4.T @ dy4, dw4),  # (S, S) = (S, S) @ (S, S)
    "dw without a transpose": (dy4 @ x4, dw4),  # (S, S) = (S, S) @ (S, S)
    "db summed over the outputs": (dy4.sum(1), db4),
    "db averaged over the batch": (dy4.mean(0), db4),
}
lesson.true("all five have the right shape", all(got.shape == want.shape for got, want in wrong.values()))
for bug, (got, want) in wrong.items():
    lesson.caught(bug, got, want)

# %% [markdown]
# ## Two better checks
#
# **Does the gradient predict the change?** Change one number a little, and see whether L changes as the gradient says.
# Keep dy fixed and take $L = \sum dy \cdot y$. Then $\partial L / \partial y$ is dy. Change $w_{oc}$ by $h$ up and
# down. The two values of L differ by $2h \, dw_{oc}$. This is exact, because y is linear in w. (Lesson 4 shows how
# accurate this check is for other functions.)

# %%
h, moved = 1e-5, {}
for sign in (1, -1):
    nudged = w.copy()
    nudged[1, 4] += sign * h
    moved[sign] = np.sum(dy * forward(x, nudged, b)[0])
lesson.close("dw[1, 4] equals the numeric derivative", (moved[1] - moved[-1]) / (2 * h), ours[1][1, 4], within=1e-6)
lesson.caught("dw[1, 4] as a mean instead of a sum", ours[1][1, 4] / N, (moved[1] - moved[-1]) / (2 * h))

# %% [markdown]
# **Do forward and backward pass agree?** Without its bias, the layer is a matrix product. Take any $d$ with the shape
# of x. The forward pass turns it into $d \, w^\top$. The backward pass turns dy into $dy \, w$. Then
#
# $$\sum_{no} dy_{no} (d \, w^\top)_{no} = \sum_{nc} (dy \, w)_{nc} d_{nc}$$
#
# for **every** $d$ and dy: both sides are the sum of $dy_{no} w_{oc} d_{nc}$ over all n, o and c. The backward pass is
# the **adjoint** of the forward pass: the only linear map for which both sides are always equal. One random $d$ and one
# random dy are enough to find a wrong backward pass. This check needs no derivative.

# %%
d = rng.standard_normal((S, S))
there = np.sum(dy4 * (d @ w4.T))  # (S, S) = (S, S) @ (S, S)
lesson.close("the adjoint: both sides are equal", np.sum(dx4 * d), there)
lesson.caught("dx with w transposed: they differ", np.sum((dy4 @ w4.T) * d), there)  # (S, S) = (S, S) @ (S, S)

# %% [markdown]
# ## A network that learns
#
# The network is one linear layer from the pixels to ten classes, followed by the softmax of lesson 1 and the
# cross-entropy of lesson 2. Each step moves the parameters a little **against** their gradient, because the gradient
# points in the direction in which the loss grows.
#
# <details><summary><b>Guess first:</b> All weights start at 0. What is the first loss? What share of the test images is
# classified wrong after one pass over the training images?</summary>
#
# $\log 10 = 2.303$, because all logits are 0. After one pass, 12.7 % are wrong. That is good for a single linear layer.
# </details>

# %%
digits = minikd.load_dataset("mnist")
count, rate = lesson.pick(full=10_000, quick=2_000), 0.1
train = Views(digits.train_images[:count], digits.train_labels[:count], *mean_and_std(digits.train_images[:count]))
test = Views(digits.test_images[:2000], digits.test_labels[:2000], train.mean, train.std)
images, labels = train.clean().reshape(count, 784), train.labels
test_images = test.clean().reshape(-1, 784)

w, b = np.zeros((10, 784), np.float32), np.zeros(10, np.float32)
losses = []
for start in range(0, count, 50):
    logits, cache = forward(images[start : start + 50], w, b)
    loss, dlogits = cross_entropy(logits, labels[start : start + 50])
    _, dw, db = backward(dlogits, cache)
    w, b = w - rate * dw, b - rate * db
    losses.append(float(loss))

wrong_answers = np.mean(forward(test_images, w, b)[0].argmax(1) != test.labels)
print(f"loss of the first step {losses[0]:.3f}, mean of the last ten {np.mean(losses[-10:]):.3f}")
lesson.close("the first loss is log 10: all classes are equally likely", losses[0], np.log(10), within=1e-5)
lesson.true("after one pass over the images: less than a quarter wrong", wrong_answers < 0.25, f"{wrong_answers:.1%}")

# %% [markdown]
# The network has 7,850 parameters. 7,840 are weights, with the gradient $dw = dy^\top x$, and ten are biases, with the
# gradient db. How does a first step on 500 images change the weights? Row o of dw is a sum of images. Each image is
# weighted by how wrong the network was about class o. A step against dw moves row o towards the images of class o and
# away from the others.

# %%
first_logits, first_cache = forward(images[:500], np.zeros((10, 784), np.float32), np.zeros(10, np.float32))
dlogits = cross_entropy(first_logits, labels[:500])[1]
first = -backward(dlogits, first_cache)[1]
fives = np.flatnonzero(labels[:500] == 5)
others = np.flatnonzero(labels[:500] != 5)
by_sum = -dlogits[fives, 5] @ images[fives] - dlogits[others, 5] @ images[others]  # (C,) = (n,) @ (n, C), twice
lesson.close("row 5 of -dw: the fives minus a part of the others", first[5], by_sum, within=1e-4)

# %% tags=["hide-input"]
figure = new_figure(9.6, 2.9, "Each class's weights: the first step on 500 images, and the result of the training")
for row, (what, pictures) in enumerate((("-dw, first step", first), ("w, at the end", w))):
    for k in range(10):
        ax = figure.add_subplot(2, 10, 10 * row + k + 1)
        picture = pictures[k].reshape(28, 28)
        ax.imshow(picture, cmap="cividis", vmin=-np.abs(pictures).max(), vmax=np.abs(pictures).max())
        tidy(ax, str(k), y=what if k == 0 else "", grid=False)
        blank(ax)
lesson.save(figure)

# %% [markdown]
# Where the picture is bright, ink raises the logit of the class. Where it is dark, ink lowers it. The shape of the
# digit is clearest in the upper row. Each row has its own scale.
#
# ## What this does not show
#
# The lesson does not show a deep network. Nothing here needed dx. Lesson 5 stacks layers, and there the dx of one layer
# is the dy of the layer before it. And two checks at a few points are no proof. Lesson 4 shows what they can find.
#
# ## Read on
#
# - Rumelhart, Hinton and Williams 1986, [*Learning representations by back-propagating
#   errors*](https://doi.org/10.1038/323533a0).
# - [`minikd/nn/linear.py`](../minikd/nn/linear.py): the derivation in ten lines, the two functions, and the layer that
#   holds w and b.
# - Lesson 4: when to believe a gradient check.
#
# ## Exercises
#
# The first time, `minikd check 03` creates the skeleton `work/03_linear_backward.py`. After that, it checks your
# solution there. Derive on paper first. Which outputs depend on each number? Over which index do you sum?
#
# 1. `scale_shift`, `scale_shift_backward`: $y_{nc} = g_c x_{nc} + b_c$, one factor and one shift for each feature. What
#    do you sum, and over which index?
# 2. `masked`, `masked_backward`: a linear layer without bias. A mask of True and False, which count as 1 and 0,
#    switches some of its weights off forever. Which weights must not learn?
#
# The solutions are in `lessons/solutions/`.
