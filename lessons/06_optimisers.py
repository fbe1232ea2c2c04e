# %% [markdown]
# # 6. Optimisers
#
# **Goal** Understand how an optimiser turns a gradient into new weights, with momentum, Adam, weight decay and a
# schedule, and predict how fast it converges.
#
# **Needs** lesson 5. One paragraph uses eigenvalues.
#
# **You will see** the paths of three optimisers in a long, narrow bowl, and their distance from the minimum after each
# step.
#
# **Minutes** 1

# %%
import numpy as np

import minikd
from minikd.data import Views, mean_and_std
from minikd.lessons import Lesson
from minikd.losses import cross_entropy
from minikd.models import mlp
from minikd.optim import SGD, Adam, AdamW
from minikd.report.style import BLUE, GREEN, GREY, INK, ORANGE, new_figure, tidy
from minikd.schedules import cosine

lesson = Lesson("06_optimisers")
rng = np.random.default_rng(6)

# %% [markdown]
# ## On paper: plain gradient descent
#
# All weights of a network are in one long vector $w$ of shape (P,). Their gradient $g$ has the same shape. The simplest
# step is
#
# $$w \leftarrow w - \eta g$$
#
# with the learning rate $\eta$. How fast does it converge? Take the simplest loss, a bowl with its minimum at 0 and the
# **curvature** $\lambda_i$ along weight $i$:
#
# $$L(w) = \frac{1}{2} \sum_i \lambda_i w_i^2 \qquad g_i = \lambda_i w_i$$
#
# 1. Insert $g$ into the step: $w_i \leftarrow (1 - \eta \lambda_i) w_i$. So each step multiplies every weight by its
#    own factor. The absolute value of the factor, $|1 - \eta \lambda_i|$, is the **convergence rate**. With 0.9, each
#    step removes a tenth of the distance to the minimum.
# 2. The rate is below 1 if $\eta < 2 / \lambda_i$. So **the steepest direction limits the learning rate**. Then the
#    weights in flat directions hardly move.
# 3. Let $a$ be the smallest curvature and $b$ the largest. At the best learning rate, both rates are equal,
#    $1 - \eta a = \eta b - 1$, so $\eta = 2 / (a + b)$, and
#
#    $$\mathrm{rate} = \frac{b - a}{b + a}$$
#
#    For $b = 25 a$ this is 0.92. In the loss of a network, $b/a$ is often in the thousands.
#
# <details><summary><b>Guess first:</b> The steepest direction has the curvature b. The learning rate is 2.02/b, one
# percent above the limit. Does the weight still converge, only more slowly?</summary>
#
# No. Each step multiplies it by $1 - 2.02 = -1.02$. It jumps from side to side, and farther each time. After 60 steps
# it is 3.3 times as far away as at the start.
# </details>

# %%
curvature = np.array([1.0, 25.0])
start = np.array([10.0, 1.0])


def walk(optimizer, lr, steps, gradient=lambda w: curvature * w):
    """Return the weights before the first step and after each step (steps + 1, P), with an optimiser of the engine."""
    w = start.copy()
    state, path = optimizer.init(w), [w.copy()]
    for t in range(steps):
        optimizer.step(w, gradient(w), state, lr(t) if callable(lr) else lr)
        path.append(w.copy())
    return np.array(path)


def rate(path, last=20):
    """The factor by which the distance to 0 shrinks in one step, as a mean over the last steps."""
    distance = np.linalg.norm(path, axis=1)
    return (distance[-1] / distance[-1 - last]) ** (1 / last)


a, b = curvature
plain = walk(SGD(), 2 / (a + b), 60)
lesson.close("gradient descent: each weight shrinks by 1 - ηλ", plain[7], start * (1 - 2 / (a + b) * curvature) ** 7)
lesson.close("its rate is (b - a)/(b + a)", rate(plain), (b - a) / (b + a), within=1e-9)
too_fast = walk(SGD(), 2.02 / b, 60)
lesson.true(
    "above 2/b the weight of curvature b diverges", abs(too_fast[-1, 1]) > abs(start[1]), f"{too_fast[-1, 1]:.1f}"
)

# %% [markdown]
# ## On paper: momentum
#
# A rolling ball keeps its velocity. Momentum does the same with a **velocity** $u$, which starts at 0:
#
# $$u \leftarrow \mu u + g \qquad w \leftarrow w - \eta u$$
#
# 4. If the gradient is always $g$, the velocity grows to $g + \mu g + \mu^2 g + \dots = g / (1 - \mu)$. With
#    $\mu = 0.9$ this is ten times the step. If the gradient changes its sign at every step, most of it cancels. Both
#    help in a narrow bowl.
# 5. Along one weight, $w_{t+1} = w_t - \eta u_{t+1}$ and $\eta u_t = w_{t-1} - w_t$, so
#    $w_{t+1} = (1 - \eta \lambda + \mu) w_t - \mu w_{t-1}$. As a matrix, with the last two weights as a column,
#
#    $$A = \left( 1 - \eta \lambda + \mu, \; -\mu \; ; \; 1, \; 0 \right)$$
#
#    (the semicolon separates the rows). The convergence rate is the largest absolute value of its eigenvalues.
# 6. The product of the two eigenvalues is the determinant, $\mu$. If they are a complex pair, both have the absolute
#    value $\sqrt{\mu}$, **for any curvature**. They are a complex pair for all curvatures from $a$ to $b$ if $\sqrt\mu$
#    is at least $(\sqrt{b} - \sqrt{a}) / (\sqrt{b} + \sqrt{a})$, with $\eta = 4 / (\sqrt{a} + \sqrt{b})^2$ at the
#    limit.
#
# So the rate depends on the square root of $b/a$. For $b = 25 a$ it is $4/6 = 0.67$ instead of 0.92. One step does the
# work of four or five.

# %%
best_mu = ((np.sqrt(b) - np.sqrt(a)) / (np.sqrt(b) + np.sqrt(a))) ** 2
best_lr = 4 / (np.sqrt(a) + np.sqrt(b)) ** 2


def step_matrix(lr, mu, curve):
    """Return the matrix A of step 5, which one step of momentum applies to the last two weights, (2, 2)."""
    return np.array([[1 - lr * curve + mu, -mu], [1.0, 0.0]])


sizes = {curve: np.abs(np.linalg.eigvals(step_matrix(0.04, 0.8, curve))) for curve in (1.0, 7.0, 25.0)}
for curve, size in sizes.items():
    lesson.close(f"curvature {curve:g}: both eigenvalues have magnitude √μ", size, np.sqrt(0.8))
heavy = walk(SGD(0.8), 0.04, 120)
lesson.close("the engine's walk with μ = 0.8 has the rate √μ", rate(heavy, 60), np.sqrt(0.8), within=0.01)
fastest = walk(SGD(best_mu), best_lr, 60)
lesson.true("at its best, momentum has a rate below 0.7", rate(fastest) < 0.7, f"{rate(fastest):.3f}")

# %% [markdown]
# **Nesterov's** version computes the gradient at the point that the velocity is about to reach, $w - \eta \mu u$,
# instead of at $w$. So it slows down earlier. Libraries, and this engine, store the point ahead instead of $w$ itself.
# Then the step is $w \leftarrow w - \eta (g + \mu u)$. Both give the same path:

# %%
ball, velocity, ahead = start.copy(), np.zeros(2), []
for _ in range(30):
    point = ball - 0.03 * 0.8 * velocity  # the point that it is about to reach
    ahead.append(point)
    velocity = 0.8 * velocity + curvature * point
    ball = ball - 0.03 * velocity
lesson.close("the engine stores Nesterov's point ahead", walk(SGD(0.8, nesterov=True), 0.03, 29), np.array(ahead))

# %% [markdown]
# ## On paper: Adam
#
# Some weights have gradients of 100, others of 0.01. Adam chooses the size of the step for each weight. It keeps two
# running means, one of the gradient and one of its square (all operations are elementwise):
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2$$
#
# 7. Both start at 0, so at first they are too small. By how much? If $g$ is always the same, then after $t$ steps
#    $m = (1 - \beta_1^t) g$, because $(1 - \beta_1)(1 + \beta_1 + \dots + \beta_1^{t-1}) = 1 - \beta_1^t$. So divide:
#
#    $$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t}$$
#
# 8. The step is the mean gradient, divided by its usual size:
#
#    $$w \leftarrow w - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# 9. At $t = 1$ this is $\eta g / (|g| + \epsilon)$. So **the first step has the length $\eta$ for every weight**,
#    whatever the gradient is. If you multiply the loss by 1000, Adam makes the same steps. (So Adam hides a missing
#    1/N.)
#
# The table shows three steps computed by hand, with $\beta_1 = 0.5$, $\beta_2 = 0.75$, $\eta = 0.1$ and the gradients
# 0.5, -1, 2:
#
# | t | m | v | m̂ | v̂ | step |
# |---|---|---|---|---|---|
# | 1 | 0.25 | 0.0625 | 0.5 | 0.25 | 0.1 |
# | 2 | -0.375 | 0.296875 | -0.5 | 0.678571 | -0.060698 |
# | 3 | 0.8125 | 1.222656 | 0.928571 | 2.114865 | 0.063852 |
#
# <details><summary><b>Guess first:</b> Two weights have the gradients 100 and 0.01. How much longer is Adam's first
# step for the first weight?</summary>
#
# It is not longer. Both steps are as long as the learning rate.
# </details>


# %%
def adam(gradients, lr, beta1, beta2, eps=1e-8, corrected=True):
    """Gradients (steps, P) -> the steps (steps, P), which are subtracted from the weights."""
    m, v, steps = np.zeros(gradients.shape[1]), np.zeros(gradients.shape[1]), []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = (m / (1 - beta1**t), v / (1 - beta2**t)) if corrected else (m, v)
        steps.append(lr * m_hat / (np.sqrt(v_hat) + eps))
    return np.array(steps)


by_hand = adam(np.array([[0.5], [-1.0], [2.0]]), 0.1, 0.5, 0.75)
lesson.close("by hand: the steps of the table above", by_hand[:, 0], [0.1, -0.060698, 0.063852], within=1e-5)

gradients = rng.standard_normal((50, 4)) * [100, 1, 0.01, 1]
w, engine = np.zeros(4), Adam()
state = engine.init(w)
for g in gradients:
    engine.step(w, g, state, 1e-3)
ours = -adam(gradients, 1e-3, 0.9, 0.999).sum(0)
lesson.close("fifty steps of the engine's Adam", w, ours, within=1e-10)
first = adam(gradients, 1e-3, 0.9, 0.999)[0]
lesson.close("the first step is the learning rate times the sign", first, 1e-3 * np.sign(gradients[0]), within=1e-4)
lesson.close("a loss times 1000: the same steps", -adam(1000 * gradients, 1e-3, 0.9, 0.999).sum(0), ours, within=1e-4)
first = adam(gradients, 1e-3, 0.9, 0.999, corrected=False)[0]
lesson.caught("means that start at 0 and are not corrected", first, 1e-3 * np.sign(gradients[0]))
print(f"without the correction, the first step is {abs(first[0]) / 1e-3:.1f} times as long: √v is even smaller than m")

# %% [markdown]
# ## Weight decay
#
# Large weights are often a sign of overfitting. **Weight decay** makes all weights a little smaller at every step,
# $w \leftarrow (1 - \eta \kappa) w$. Another way is to add $\kappa w$ to the gradient, which is the derivative of
# $\frac{\kappa}{2} \Vert w \Vert^2$. For gradient descent, both are the same.
#
# For Adam, they are different. Adam divides the whole gradient by $\sqrt{\hat v}$, and so also the part that was added.
# Then weights with large gradients hardly decay. **AdamW** makes the weights smaller directly, in addition to Adam's
# step.
#
# <details><summary><b>Guess first:</b> Weight decay is added to the gradient, and then Adam divides by the size of the
# gradient. Two weights have gradients of about 100 and of about 1. Which of them decays?</summary>
#
# The one with gradients of about 1. For the other one, the decay is divided by 100. The lesson prints [0.002 0.17] for
# Adam and [0.182 0.183] for AdamW.
# </details>

# %%
loud = rng.standard_normal((400, 2)) * [100.0, 1.0]  # the first weight has larger gradients


def decayed(optimizer):
    """Return how much two weights of 1 lose by the decay alone in 400 steps: without decay minus with decay."""
    ends = []
    for one in (optimizer, type(optimizer)(weight_decay=0.0)):
        w = np.ones(2)
        state = one.init(w)
        for g in loud:
            one.step(w, g, state, 1e-3)
        ends.append(w)
    return ends[1] - ends[0]


direct, mixed = decayed(AdamW(weight_decay=0.5)), decayed(Adam(weight_decay=0.5))
print(f"lost by the decay, with gradients of 100 and of 1:   AdamW {direct.round(3)}   Adam {mixed.round(3)}")
lesson.close("AdamW: both weights decay equally", direct[0], direct[1], within=0.1)
lesson.caught("decay as part of Adam's gradient: unequal", mixed, direct, beyond=0.1)

# %% [markdown]
# ## Why the learning rate falls at the end
#
# 10. The gradient of a batch is the true gradient plus noise. Let $\sigma$ be the standard deviation of the noise. Then
#     $w \leftarrow (1 - \eta \lambda) w - \eta \sigma \, \mathrm{noise}$, and the weight never stops moving. Its
#     variance $s$ becomes constant when one step does not change it, $s = (1 - \eta \lambda)^2 s + \eta^2 \sigma^2$,
#     that is,
#
#     $$s = \frac{\eta \sigma^2}{\lambda (2 - \eta \lambda)}$$
#
# A large learning rate is fast at the beginning, but stays far from the minimum at the end. A small one is slow, but
# ends near the minimum. So start with a large rate and end with a small one. A **schedule** gives the learning rate of
# each step. `minikd.schedules` has cosine, one-cycle and others.

# %%
walkers, steps, lr, sigma = 20_000, 300, 0.2, 1.0
noise = rng.standard_normal((steps, walkers))
constant, falling, schedule = np.full(walkers, 10.0), np.full(walkers, 10.0), cosine(lr, steps)
for t in range(steps):
    constant -= lr * (constant + sigma * noise[t])  # curvature 1
    falling -= schedule(t) * (falling + sigma * noise[t])
lesson.close("a constant rate settles at the predicted variance", constant.var(), lr * sigma**2 / (2 - lr), within=0.05)
shown = f"{constant.var():.4f}, {falling.var():.4f}"
lesson.true("with the cosine it ends below a third of that", falling.var() < constant.var() / 3, shown)

# %% [markdown]
# ## On digits
#
# All runs have the same small network, the same first weights and the same batches. Only the optimiser differs. The
# learning rates are common ones.

# %%
digits = minikd.load_dataset("mnist")
count = lesson.pick(full=20_000, quick=2_000)
views = Views(digits.train_images[:count], digits.train_labels[:count], *mean_and_std(digits.train_images))
images, labels = views.clean(), views.labels


def train(optimizer, lr):
    """Train for one pass in batches of 50, and return the mean loss of the last fifth of the steps."""
    model = mlp(digits.image_shape, (32,), 10, np.random.default_rng(1))
    state, losses = optimizer.init(model.vector), []
    for at in range(0, count, 50):
        logits, cache = model.forward(images[at : at + 50], training=True)
        loss, dlogits = cross_entropy(logits, labels[at : at + 50])
        gradient = model.flat_gradient(model.parameter_gradients(dlogits, cache))
        optimizer.step(model.vector, gradient, state, lr)
        losses.append(float(loss))
    return np.mean(losses[-len(losses) // 5 :])


results = {
    "plain, 0.01": train(SGD(), 0.01),
    "momentum 0.9, 0.01": train(SGD(0.9), 0.01),
    "Adam, 0.003": train(Adam(), 3e-3),
}
for name, loss in results.items():
    print(f"{name:20} loss {loss:.3f}")
slow, quick, _ = results.values()
lesson.true("momentum reaches a lower loss at the same rate", quick < 0.9 * slow, f"{quick:.3f} < {slow:.3f}")

# %% [markdown]
# Another bug is common in frameworks: gradients **accumulate** from step to step, because the code does not reset them
# to 0. In this engine, the backward pass returns the gradient as a value, so there is nothing to reset. Here is the
# bug:

# %%
w, total = start.copy(), np.zeros(2)
for _ in range(60):
    total += curvature * w  # and never reset
    w = w - 2 / (a + b) * total
lesson.caught("gradients that are added up and never reset", w, plain[-1])

# %% tags=["hide-input"]
adam_walk = walk(Adam(), 0.5, 60)
figure = new_figure(9.6, 4.2, "A long, narrow valley: momentum is faster")
left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
looks = {
    "plain, best rate": (plain, INK, "-", "s"),
    "momentum, best": (fastest, BLUE, "--", "o"),
    "Adam, rate 0.5": (adam_walk, ORANGE, ":", "^"),
}
tidy(left, "The first 30 steps", "weight of curvature 1", "weight of curvature 25", grid=False)
x, y = np.meshgrid(np.linspace(-6, 11, 120), np.linspace(-2.2, 2.2, 120))
left.contour(x, y, (a * x**2 + b * y**2) / 2, levels=12, colors=GREY, linewidths=0.6)
tidy(right, "Distance from the bottom", "step", "distance")
for name, (path, colour, line, marker) in looks.items():
    left.plot(*path[:31].T, color=colour, linestyle=line, marker=marker, markersize=3.5, label=name)
    right.semilogy(np.linalg.norm(path, axis=1), color=colour, linestyle=line, marker=marker, markevery=6, label=name)
left.plot(0, 0, "*", color=GREEN, markersize=11)
left.set_ylim(-2.2, 2.2)
right.semilogy(10 * ((b - a) / (b + a)) ** np.arange(61), color=GREY, linewidth=1, label="predicted: plain")
right.set_ylim(1e-9, 30)
right.legend(frameon=False, fontsize=8.5, loc="lower left")
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show which optimiser is best for your network. The rates here hold for bowls. In a network,
# curvature and noise differ from place to place. In the figure, Adam oscillates around the minimum, because its step
# does not get smaller with the gradient. So Adam needs the schedule most. And no optimiser can correct a wrong
# gradient.
#
# ## Read on
#
# - Polyak 1964, [*Some methods of speeding up the convergence of iteration
#   methods*](https://doi.org/10.1016/0041-5553%2864%2990137-5): momentum and its rate.
# - Sutskever, Martens, Dahl and Hinton 2013, [*On the importance of initialization and momentum in deep
#   learning*](https://proceedings.mlr.press/v28/sutskever13.html), §2.
# - Kingma and Ba 2015, [*Adam: a method for stochastic optimization*](https://arxiv.org/abs/1412.6980), algorithm 1 and
#   §3 (the correction).
# - Loshchilov and Hutter 2019, [*Decoupled weight decay regularization*](https://arxiv.org/abs/1711.05101), algorithm
#   2; 2017, [*SGDR*](https://arxiv.org/abs/1608.03983), for the cosine.
# - [`minikd/optim.py`](../minikd/optim.py) (it works on blocks that stay in the processor's cache),
#   [`minikd/schedules.py`](../minikd/schedules.py).
#
# ## Exercises
#
# The first time, `minikd check 06` creates the skeleton `work/06_optimisers.py`. After that, it checks your solution
# there.
#
# 1. `rmsprop`: the predecessor of Adam. It is Adam without the mean of the gradient and without the correction.
# 2. `adamw`: Adam's step, with the decay separate from the gradient.
#
# The solutions are in `lessons/solutions/`.
