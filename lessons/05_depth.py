# %% [markdown]
# # 5. ReLU, depth and the first weights
#
# **Goal** Stack layers, take a gradient back through all of them in one loop, and choose first weights with which
# signals neither vanish nor explode.
#
# **Needs** lessons 2, 3 and 4.
#
# **You will see** the size of the signal after each of twenty layers, forwards and backwards, for three kinds of first
# weights.
#
# **Minutes** 1

# %%
from itertools import pairwise

import numpy as np

import minikd
from minikd import nn
from minikd.data import Views, mean_and_std
from minikd.evidence.gradcheck import check_function, check_layer, tie_free
from minikd.lessons import Lesson
from minikd.losses import cross_entropy
from minikd.nn.initialization import he
from minikd.nn.linear import linear, linear_backward
from minikd.report.style import BLUE, INK, ORANGE, RED, new_figure, tidy

lesson = Lesson("05_depth")
rng = np.random.default_rng(5)

# %% [markdown]
# ## Why a network needs a nonlinearity
#
# Two linear layers in a row are one linear layer: $W_2 (W_1 x) = (W_2 W_1) x$. So depth would gain nothing. Therefore a
# nonlinear function stands between them. The simplest that works is the **rectified linear unit**. It works on each
# element alone:
#
# $$\mathrm{relu}(x) = \max(0, x)$$
#
# <details><summary><b>Guess first:</b> Two linear layers follow each other, with nothing between them. Can they compute
# anything that one cannot?</summary>
#
# No: $w_2 (w_1 x) = (w_2 w_1) x$. The first row below shows that both give the same. A ReLU between them changes that.
# </details>

# %%
x = rng.standard_normal((4, 6))
w1, w2 = rng.standard_normal((5, 6)), rng.standard_normal((3, 5))
two = (x @ w1.T) @ w2.T  # (N, 3) = ((N, 6) @ (6, 5)) @ (5, 3)
one = x @ (w2 @ w1).T  # (N, 3) = (N, 6) @ ((3, 5) @ (5, 6)).T
lesson.close("two linear layers are one", two, one)
bent = np.maximum(x @ w1.T, 0) @ w2.T  # (N, 3) = (N, 5) @ (5, 3)
lesson.caught("with a ReLU between them they are not", bent, one)

# %% [markdown]
# ## On paper: the backward pass of ReLU
#
# 1. For $x > 0$, $y = x$: the derivative is 1. For $x < 0$, $y = 0$: the derivative is 0.
# 2. At $x = 0$ there is a kink: the slope is 1 on the right and 0 on the left. Any number between them would work.
#    Libraries use 0.
# 3. So $dx = dy$ where $x > 0$, else 0. The cache is a mask of the elements with $x > 0$. $y > 0$ gives the same mask.


# %%
def relu(x):
    """x of any shape -> y, and the cache: the mask."""
    return np.maximum(x, 0), x > 0


def relu_backward(dy, mask):
    """dy -> dx: the gradient passes where x was positive."""
    return dy * mask


x = tie_free((5, 7), rng)  # no element is so near to 0 that a small step crosses the kink
dy = rng.standard_normal(x.shape)
layer = nn.ReLU()
y, cache = layer.forward(x)
lesson.close("the engine's ReLU", y, relu(x)[0])
lesson.close("the engine's dx", layer.backward(dy, cache)[0], relu_backward(dy, relu(x)[1]))
lesson.caught("a mask made from dy, not from x", dy * (dy > 0), relu_backward(dy, x > 0))

# %% [markdown]
# ## On paper: a chain of layers
#
# A network is a chain, $h_0 = x$, $h_1 = f_1(h_0)$, up to $h_L$, the logits. By the chain rule, a change of $h_0$
# changes $h_1$, which changes $h_2$, and so on up to the loss.
#
# 4. Let $dh_l$ be the gradient of the loss with respect to $h_l$. It has the shape of $h_l$. The loss gives $dh_L$
#    (lesson 2).
# 5. Layer $l$ computes $dh_{l-1}$, the gradient with respect to its input, from $dh_l$, the gradient with respect to
#    its output (lesson 3). It also computes the gradient with respect to its parameters.
# 6. So the backward pass is **the forward loop in reverse order**, and each layer gets its own cache. This is all of
#    "backpropagation". No layer needs to know the others.


# %%
def forward(x, weights):
    """x (N, C) -> the logits and the caches: linear, ReLU, linear, ReLU, ..., linear."""
    caches = []
    for number, (w, b) in enumerate(weights):
        x, of_linear = linear(x, w, b)
        x, mask = relu(x) if number < len(weights) - 1 else (x, None)  # no ReLU on the logits
        caches.append((of_linear, mask))
    return x, caches


def backward(dy, caches):
    """dlogits -> dx, and (dw, db) of each layer in the order of the forward pass."""
    grads = []
    for of_linear, mask in reversed(caches):
        dy = dy if mask is None else relu_backward(dy, mask)
        dy, dw, db = linear_backward(dy, of_linear)
        grads.append((dw, db))
    return dy, grads[::-1]


sizes = (6, 9, 8, 4)
weights = [(rng.standard_normal((o, c)), rng.standard_normal(o)) for c, o in pairwise(sizes)]
x, labels = rng.standard_normal((5, 6)), np.array([0, 3, 1, 1, 2])


def whole(arrays):
    """The loss as a function of x and all weights together, for the gradient check."""
    logits, caches = forward(arrays["x"], [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(3)])
    loss, dlogits = cross_entropy(logits, labels)
    return loss, (caches, dlogits)


def whole_backward(dloss, cache):
    """The gradients of the loss with respect to x and to all weights."""
    dx, grads = backward(dloss * cache[1], cache[0])
    return {"x": dx} | {f"{name}{i}": g for i, pair in enumerate(grads) for name, g in zip("wb", pair, strict=True)}


arrays = {"x": x} | {f"{name}{i}": a for i, pair in enumerate(weights) for name, a in zip("wb", pair, strict=True)}
report = check_function(whole, whole_backward, arrays, rng, full=True)
lesson.true("three layers and a loss pass the gradient check", report.ok, f"{report.relative_error:.1e}")

logits, caches = forward(x, weights)
layers = [nn.Flatten()]
for number, (w, _) in enumerate(weights):
    layers += [nn.Linear(w.shape[1], w.shape[0], rng), *([nn.ReLU()] if number < 2 else [])]
model = nn.Sequential(*layers).astype(np.float64)
model.load_state_dict(dict(zip(model.params, [a for pair in weights for a in pair], strict=True)))
engine_logits, engine_cache = model.forward(x)
_, dlogits = cross_entropy(logits, labels)
engine_dx, engine_grads = model.backward(dlogits, engine_cache)
lesson.close("the engine's Sequential: the same logits", engine_logits, logits)
lesson.close("the same gradient with respect to x", engine_dx, backward(dlogits, caches)[0])
ours = [g for pair in backward(dlogits, caches)[1] for g in pair]
for name, mine in zip(engine_grads, ours, strict=True):
    lesson.close(f"the same gradient with respect to {name}", engine_grads[name], mine)

# %% [markdown]
# `Sequential` is this loop. In addition, it keeps all parameters in one vector, so that an optimiser (lesson 6) does
# not need to know the layers.
#
# Two bugs are common. The first is **caches in the wrong order**. With layers of equal sizes it raises no error. The
# second is **an overwritten cache**: a ReLU "in place" saves memory, but it changes an array that another layer keeps
# as its cache.

# %%
square = [(rng.standard_normal((6, 6)), np.zeros(6)) for _ in range(3)]
logits, caches = forward(x, square)
dlogits = rng.standard_normal(logits.shape)
right = backward(dlogits, caches)[0]
shuffled = [(caches[i][0], caches[j][1]) for i, j in ((1, 0), (0, 1), (2, 2))]
lesson.caught("caches in the wrong order", backward(dlogits, shuffled)[0], right)

kept = x.copy()
_, cache = linear(kept, *square[0])  # keeps x for dw, not a copy of it
right = linear_backward(dlogits, cache)[1]
np.maximum(kept, 0, out=kept)  # another layer works in place
lesson.caught("a cache that was overwritten", linear_backward(dlogits, cache)[1], right)

# %% [markdown]
# ## On paper: the first weights
#
# If all weights are 0, all units of a layer are the same, get the same gradient and stay the same. So the first weights
# are random. But how large should they be?
#
# 7. A linear layer adds C products: $y = \sum_c w_c x_c$. Draw the weights independently with mean 0 and variance
#    $\sigma^2$. The variance of a sum of independent terms is the sum of their variances, and for each term
#    $\mathrm{E}[(w x)^2] = \sigma^2 \, \mathrm{E}[x^2]$. So
#
#    $$\mathrm{var}(y) = C \sigma^2 \, \mathrm{E}[x^2]$$
#
# 8. $y$ is positive as often as negative, so ReLU keeps half of its mean square:
#    $\mathrm{E}[\mathrm{relu}(y)^2] = \frac{1}{2} \mathrm{var}(y)$.
# 9. One layer and its ReLU multiply the mean square by $\frac{1}{2} C \sigma^2$. It does not change if
#
#    $$\sigma^2 = \frac{2}{C}$$
#
#    This is **He's rule**. With half of this variance, $2^{-20}$ of the mean square is left after twenty layers. With
#    twice as much, it is multiplied by a million.
# 10. In the backward pass, the sum runs over the O outputs. So the gradient keeps its size if $\sigma^2 = 2/O$. If all
#     layers have the same width, both rules are the same.
#
# <details><summary><b>Guess first:</b> The first weights have half the variance of He's rule. A signal with a mean
# square of 1 goes through twenty layers. About how large is its mean square at the end?</summary>
#
# Each layer halves it. So it is $2^{-20}$, about a millionth. With twice He's variance it is about a million. (The
# numbers printed below are one random draw: $2.2 \cdot 10^{-6}$ and $5.3 \cdot 10^5$.)
# </details>

# %%
DEPTH, WIDTH = 20, 256
scales = {"half of He": 1.0, "He: 2/C": 2.0, "twice He": 4.0}
forwards, backwards = {}, {}
for name, gain in scales.items():
    rows, masks, deep = rng.standard_normal((200, WIDTH)), [], []
    squares = [np.mean(rows**2)]
    for _ in range(DEPTH):
        w = rng.standard_normal((WIDTH, WIDTH)) * np.sqrt(gain / WIDTH)
        rows, mask = relu(rows @ w.T)  # (N, O) = (N, C) @ (C, O)
        masks.append(mask)
        deep.append(w)
        squares.append(np.mean(rows**2))
    dy = rng.standard_normal(rows.shape)
    gradient = [np.mean(dy**2)]
    for w, mask in zip(reversed(deep), reversed(masks), strict=True):
        dy = relu_backward(dy, mask) @ w  # (N, C) = (N, O) @ (O, C)
        gradient.append(np.mean(dy**2))
    forwards[name], backwards[name] = np.array(squares), np.array(gradient)
    print(
        f"{name:10}  after {DEPTH} layers: signal {squares[-1]:10.3g}   gradient {gradient[-1]:10.3g}   (from about 1)"
    )
flat = forwards["He: 2/C"][-1], backwards["He: 2/C"][-1]
lesson.true(
    "He's rule keeps both within a factor of 5", all(0.2 < one < 5 for one in flat), f"{flat[0]:.2f}, {flat[1]:.2f}"
)
for name, gain in scales.items():
    rate = (forwards[name][-1] / forwards[name][0]) ** (1 / DEPTH)
    lesson.close(f"{name}: each layer multiplies the square by {gain / 2:g}", rate, gain / 2, within=0.1)
drawn = he(rng, (400, 300), fan_in=300)
lesson.close("the engine's first weights have the variance 2/C", drawn.var(), 2 / 300, within=0.03)
lesson.caught("σ² used as σ: a standard deviation of 2/C", (drawn * np.sqrt(2 / 300)).var(), 2 / 300)

# %% [markdown]
# ## Two quick checks of a new network
#
# Two checks take a second and may save an hour of training. **The first loss**: a network that knows nothing gives each
# of K classes 1/K, and its loss is $\log K$ (lesson 2). If the first loss is much higher, the weights of the last layer
# are too large. **Twenty images**: a network with a right backward pass can memorise twenty images. If it cannot, do
# not train it on sixty thousand.
#
# <details><summary><b>Guess first:</b> The last layer's first weights are a tenth as large as usual. What is the first
# loss, for ten classes?</summary>
#
# Nearly $\log 10 = 2.30$, because all logits are nearly 0. With weights twenty times too large it is 36.07, because the
# network is sure of its answers, and wrong.
# </details>

# %%
digits = minikd.load_dataset("mnist")
views = Views(digits.train_images[:200], digits.train_labels[:200], *mean_and_std(digits.train_images))
images, labels = views.clean(), views.labels


def network(init_last):
    """784-64-64-10."""
    rng = np.random.default_rng(1)
    hidden = [nn.Linear(784, 64, rng), nn.ReLU(), nn.Linear(64, 64, rng), nn.ReLU()]
    last = nn.Linear(64, 10, rng, init="glorot")
    last.params["weight"] *= init_last
    return nn.Sequential(nn.Flatten(), *hidden, last)


quiet, usual, loud = (float(cross_entropy(network(scale)(images), labels)[0]) for scale in (0.1, 1.0, 20.0))
print(f"first loss, last layer a tenth as large: {quiet:.2f}   as it is: {usual:.2f}   twenty times: {loud:.2f}")
lesson.close("a small last layer: the first loss is log 10 = 2.30", quiet, np.log(10), within=0.05)
lesson.true("the usual last layer: within a factor of 2", usual < 2 * np.log(10), f"{usual:.2f}")
lesson.caught("a last layer that starts twenty times too large", loud, np.log(10), beyond=1.0)

model, losses = network(1.0), []
for _ in range(lesson.pick(full=400, quick=300)):
    logits, cache = model.forward(images[:20], training=True)
    loss, dlogits = cross_entropy(logits, labels[:20])
    model.vector -= 0.1 * model.flat_gradient(model.parameter_gradients(dlogits, cache))
    losses.append(float(loss))
lesson.true("twenty digits are memorised: loss below 0.01", losses[-1] < 0.01, f"{losses[-1]:.4f}")
report = check_layer(network(1.0).astype(np.float64), rng.standard_normal((3, 1, 28, 28)), rng)
lesson.true("and all of its 55,050 gradients are right", report.ok, f"{report.relative_error:.1e}")

# %% tags=["hide-input"]
figure = new_figure(9.6, 4.0, "Twenty layers: only one of three starts keeps the signal's size")
left, right = figure.subplots(1, 2)
tidy(left, "Forwards: the signal's mean square", "layer", "mean square")
tidy(right, "Backwards: the gradient's mean square", "layer, from the last to the first", "mean square")
for name, colour, line, marker in zip(scales, (ORANGE, BLUE, RED), ("--", "-", ":"), "^os", strict=True):
    for ax, sizes in ((left, forwards), (right, backwards)):
        ax.semilogy(sizes[name], color=colour, linestyle=line, marker=marker, markersize=4, label=name)
for ax in (left, right):
    ax.axhline(1, color=INK, linewidth=0.6)
    ax.set_xticks(range(0, DEPTH + 1, 5))
left.legend(frameon=False, fontsize=9)
right.set_xticks(range(0, DEPTH + 1, 5), [str(DEPTH - k) for k in range(0, DEPTH + 1, 5)])
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show that depth helps. (The students of this package have one or two hidden layers.) And it does
# not show what happens during training. He's rule is only about the first step. Batch norm (lesson 9) keeps the size of
# the signals during training too. Other activations than ReLU need other factors. `minikd/nn/activations.py` has five
# of them.
#
# ## Read on
#
# - Rumelhart, Hinton and Williams 1986, [*Learning representations by back-propagating
#   errors*](https://doi.org/10.1038/323533a0).
# - Glorot and Bengio 2010, [*Understanding the difficulty of training deep feedforward neural
#   networks*](https://proceedings.mlr.press/v9/glorot10a.html), equation 16.
# - He, Zhang, Ren and Sun 2015, [*Delving deep into rectifiers*](https://arxiv.org/abs/1502.01852), §2.2, equation 10.
# - [`minikd/nn/activations.py`](../minikd/nn/activations.py),
#   [`minikd/nn/initialization.py`](../minikd/nn/initialization.py), and
#   [`minikd/nn/container.py`](../minikd/nn/container.py) for the loop.
# - Lesson 6: how an optimiser uses the gradient.
#
# ## Exercises
#
# The first time, `minikd check 05` creates the skeleton `work/05_depth.py`. After that, it checks your solution there.
#
# 1. `leaky_relu`, `leaky_relu_backward`: a ReLU with a small slope for negative inputs, so that no unit stops learning.
# 2. `tanh`, `tanh_backward`: the activation of the 1980s. Its derivative depends only on its output. What is the cache?
# 3. `he_std`: the standard deviation of the first weights before a *leaky* ReLU. Do step 8 again for it.
#
# The solutions are in `lessons/solutions/`.
