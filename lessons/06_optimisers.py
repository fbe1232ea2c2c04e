# %% [markdown]
# # 6. Optimisers
#
# **Goal** Know what stands between a gradient and the next weights: momentum, Adam, weight decay, a schedule; and be
# able to say beforehand how fast each of them arrives.
#
# **Needs** lesson 5; what an eigenvalue is helps in one paragraph.
#
# **You will see** three optimisers walk down a long, narrow bowl, and how far from its bottom each is after every step.
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
# All weights of a network stand in one long vector $w$ of shape (P,), its gradient $g$ beside it. The simplest step is
#
# $$w \leftarrow w - \eta g$$
#
# with the learning rate $\eta$. How fast does it arrive? Take the simplest valley, a bowl with its bottom at 0 and the
# **curvature** $\lambda_i$ along weight $i$:
#
# $$L(w) = \frac{1}{2} \sum_i \lambda_i w_i^2 \qquad g_i = \lambda_i w_i$$
#
# 1. Put $g$ into the step: $w_i \leftarrow (1 - \eta \lambda_i) w_i$. Every weight shrinks by its own factor in each
#    step. That factor's size, $|1 - \eta \lambda_i|$, is the **rate**: 0.9 means that a tenth of the way is done.
# 2. The rate is below 1 as long as $\eta < 2 / \lambda_i$. So **the steepest direction limits the learning rate**, and
#    the flattest then hardly moves.
# 3. With a smallest curvature $a$ and a largest $b$, the best compromise has both rates equal,
#    $1 - \eta a = \eta b - 1$, so $\eta = 2 / (a + b)$, and
#
#    $$\mathrm{rate} = \frac{b - a}{b + a}$$
#
#    For $b = 25 a$ that is 0.92. Loss surfaces of networks have ratios of thousands.
#
# <details><summary><b>Guess first:</b> The steepest direction has the curvature b. The learning rate is 2.02/b, one
# percent above the limit. Does the weight still arrive, only slowly?</summary>
#
# No. Each step multiplies it by $1 - 2.02 = -1.02$: it jumps from side to side, farther each time. After 60 steps it is
# 3.3 times as far away as at the start.
# </details>

# %%
curvature = np.array([1.0, 25.0])
start = np.array([10.0, 1.0])


def walk(optimizer, lr, steps, gradient=lambda w: curvature * w):
    """Start (P,) -> the weights before the first step and after each one (steps + 1, P), with an engine's optimiser."""
    w = start.copy()
    state, path = optimizer.init(w), [w.copy()]
    for t in range(steps):
        optimizer.step(w, gradient(w), state, lr(t) if callable(lr) else lr)
        path.append(w.copy())
    return np.array(path)


def rate(path, last=20):
    """The factor by which the distance to 0 shrinks in one step, over the last steps."""
    distance = np.linalg.norm(path, axis=1)
    return (distance[-1] / distance[-1 - last]) ** (1 / last)


a, b = curvature
plain = walk(SGD(), 2 / (a + b), 60)
lesson.close("gradient descent: each weight shrinks by 1 - ηλ", plain[7], start * (1 - 2 / (a + b) * curvature) ** 7)
lesson.close("its rate is (b - a)/(b + a)", rate(plain), (b - a) / (b + a), within=1e-9)
too_fast = walk(SGD(), 2.02 / b, 60)
lesson.true("above 2/b the steepest weight runs away", abs(too_fast[-1, 1]) > abs(start[1]), f"{too_fast[-1, 1]:.1f}")

# %% [markdown]
# ## On paper: momentum
#
# A ball does not forget where it was going. Keep a **velocity** $u$, 0 at first:
#
# $$u \leftarrow \mu u + g \qquad w \leftarrow w - \eta u$$
#
# 4. Where the gradient is always $g$, the velocity grows to $g + \mu g + \mu^2 g + \dots = g / (1 - \mu)$: with
#    $\mu = 0.9$, ten times the step. Where the gradient changes its sign at every step, it mostly cancels. That is what
#    the narrow bowl needs.
# 5. Along one weight, $w_{t+1} = w_t - \eta u_{t+1}$ and $\eta u_t = w_{t-1} - w_t$, so
#    $w_{t+1} = (1 - \eta \lambda + \mu) w_t - \mu w_{t-1}$. As a matrix, with the last two weights as a column,
#
#    $$A = \left( 1 - \eta \lambda + \mu, \; -\mu \; ; \; 1, \; 0 \right)$$
#
#    (rows parted by the semicolon). The rate is the size of its largest eigenvalue.
# 6. The product of the two eigenvalues is the determinant, $\mu$. Where they are a complex pair, both have the size
#    $\sqrt{\mu}$, **whatever the curvature**. They are one for all curvatures from $a$ to $b$ if $\sqrt\mu$ is at least
#    $(\sqrt{b} - \sqrt{a}) / (\sqrt{b} + \sqrt{a})$, with $\eta = 4 / (\sqrt{a} + \sqrt{b})^2$ at the limit.
#
# The ratio of curvatures has become its square root: for $b = 25 a$ the rate is $4/6 = 0.67$ instead of 0.92, four or
# five steps in one.

# %%
best_mu = ((np.sqrt(b) - np.sqrt(a)) / (np.sqrt(b) + np.sqrt(a))) ** 2
best_lr = 4 / (np.sqrt(a) + np.sqrt(b)) ** 2


def step_matrix(lr, mu, curve):
    """A of step 5: what one step of momentum does to the last two weights, (2, 2)."""
    return np.array([[1 - lr * curve + mu, -mu], [1.0, 0.0]])


sizes = {curve: np.abs(np.linalg.eigvals(step_matrix(0.04, 0.8, curve))) for curve in (1.0, 7.0, 25.0)}
for curve, size in sizes.items():
    lesson.close(f"curvature {curve:g}: both eigenvalues have the size √μ", size, np.sqrt(0.8))
heavy = walk(SGD(0.8), 0.04, 120)
lesson.close("the engine's walk with μ = 0.8 has the rate √μ", rate(heavy, 60), np.sqrt(0.8), within=0.01)
fastest = walk(SGD(best_mu), best_lr, 60)
lesson.true("at its best, momentum is faster than 0.7 a step", rate(fastest) < 0.7, f"{rate(fastest):.3f}")

# %% [markdown]
# **Nesterov's** version asks for the gradient where the velocity is about to lead, at $w - \eta \mu u$, and not where
# the ball is. It brakes earlier. Libraries, and this engine, store the point ahead instead of the ball's own. Then
# the step reads $w \leftarrow w - \eta (g + \mu u)$. Both are the same walk:

# %%
ball, velocity, ahead = start.copy(), np.zeros(2), []
for _ in range(30):
    point = ball - 0.03 * 0.8 * velocity  # where it is about to be
    ahead.append(point)
    velocity = 0.8 * velocity + curvature * point
    ball = ball - 0.03 * velocity
lesson.close("the engine stores Nesterov's point ahead", walk(SGD(0.8, nesterov=True), 0.03, 29), np.array(ahead))

# %% [markdown]
# ## On paper: Adam
#
# Some weights get gradients of 100, others of 0.01. Adam gives each weight a step of its own size. It keeps two running
# means, of the gradient and of its square (all operations by element):
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2$$
#
# 7. Both start at 0, so at first they are too small. By how much? If $g$ were always the same, then after $t$ steps,
#    $m = (1 - \beta_1^t) g$, because $(1 - \beta_1)(1 + \beta_1 + \dots + \beta_1^{t-1}) = 1 - \beta_1^t$. So divide:
#
#    $$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t}$$
#
# 8. The step is the mean gradient over its own usual size:
#
#    $$w \leftarrow w - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# 9. At $t = 1$ this is $\eta g / (|g| + \epsilon)$: **the first step has the length $\eta$ for every weight**, whatever
#    the gradient. Multiply the loss by 1000, and Adam does the same (so a forgotten 1/N is not seen!).
#
# By hand, with $\beta_1 = 0.5$, $\beta_2 = 0.75$, $\eta = 0.1$ and the gradients 0.5, -1, 2:
#
# | t | m | v | m̂ | v̂ | step |
# |---|---|---|---|---|---|
# | 1 | 0.25 | 0.0625 | 0.5 | 0.25 | 0.1 |
# | 2 | -0.375 | 0.296875 | -0.5 | 0.678571 | -0.060698 |
# | 3 | 0.8125 | 1.222656 | 0.928571 | 2.114865 | 0.063852 |
#
# <details><summary><b>Guess first:</b> Two weights have the gradients 100 and 0.01. How much longer is Adam's first
# step for the first one?</summary>
#
# Not at all: both steps are as long as the learning rate.
# </details>


# %%
def adam(gradients, lr, beta1, beta2, eps=1e-8, corrected=True):
    """Gradients (steps, P) -> the steps taken (steps, P): what is subtracted from the weights."""
    m, v, steps = np.zeros(gradients.shape[1]), np.zeros(gradients.shape[1]), []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = (m / (1 - beta1**t), v / (1 - beta2**t)) if corrected else (m, v)
        steps.append(lr * m_hat / (np.sqrt(v_hat) + eps))
    return np.array(steps)


by_hand = adam(np.array([[0.5], [-1.0], [2.0]]), 0.1, 0.5, 0.75)
lesson.close("the table above", by_hand[:, 0], [0.1, -0.060698, 0.063852], within=1e-5)

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
print(f"without it, the first step is {abs(first[0]) / 1e-3:.1f} times as long: √v is smaller still than m")

# %% [markdown]
# ## Weight decay, and where it belongs
#
# Large weights are often a sign of learning by heart. **Weight decay** shrinks all of them a little at every step,
# $w \leftarrow (1 - \eta \kappa) w$. For gradient descent it does not matter whether you do that or add $\kappa w$ to
# the gradient, which is the derivative of $\frac{\kappa}{2} \Vert w \Vert^2$.
#
# In Adam it does. What is added to the gradient is divided by $\sqrt{\hat v}$ like all of it: the weights with large
# gradients then hardly decay. **AdamW** shrinks the weights directly, beside Adam's step.
#
# <details><summary><b>Guess first:</b> Weight decay is added to the gradient, and then Adam divides by the gradient's
# size. Two weights have gradients of about 100 and of 1. Which of them decays?</summary>
#
# The quiet one. For the loud one the decay is divided by 100: [0.002 0.17] is printed for Adam, and [0.182 0.183] for
# AdamW.
# </details>

# %%
loud = rng.standard_normal((400, 2)) * [100.0, 1.0]  # two weights, one with gradients a hundred times as large


def decayed(optimizer):
    """How much smaller two weights of 1 are for the decay alone: after 400 steps, with it less without it."""
    ends = []
    for one in (optimizer, type(optimizer)(weight_decay=0.0)):
        w = np.ones(2)
        state = one.init(w)
        for g in loud:
            one.step(w, g, state, 1e-3)
        ends.append(w)
    return ends[1] - ends[0]


direct, mixed = decayed(AdamW(weight_decay=0.5)), decayed(Adam(weight_decay=0.5))
print(f"lost by the decay, gradients of 100 and of 1:   AdamW {direct.round(3)}   Adam {mixed.round(3)}")
lesson.close("AdamW: both weights decay alike", direct[0], direct[1], within=0.1)
lesson.caught("decay as part of Adam's gradient: the loud weight keeps its size", mixed, direct, beyond=0.1)

# %% [markdown]
# ## Why the learning rate falls at the end
#
# 10. A batch's gradient is the true one plus noise, say of the deviation $\sigma$. Then
#     $w \leftarrow (1 - \eta \lambda) w - \eta \sigma \, \mathrm{noise}$, and the weight never rests. Its variance $s$
#     settles where one step leaves it as it is, $s = (1 - \eta \lambda)^2 s + \eta^2 \sigma^2$, that is
#
#     $$s = \frac{\eta \sigma^2}{\lambda (2 - \eta \lambda)}$$
#
# A large rate travels fast and ends far from the bottom; a small one the other way round. So start large and end small:
# a **schedule** gives the learning rate of each step. `minikd.schedules` has cosine, one-cycle and others.

# %%
walkers, steps, lr, sigma = 20_000, 300, 0.2, 1.0
noise = rng.standard_normal((steps, walkers))
constant, falling, schedule = np.full(walkers, 10.0), np.full(walkers, 10.0), cosine(lr, steps)
for t in range(steps):
    constant -= lr * (constant + sigma * noise[t])  # curvature 1
    falling -= schedule(t) * (falling + sigma * noise[t])
lesson.close("a constant rate settles at the predicted variance", constant.var(), lr * sigma**2 / (2 - lr), within=0.05)
shown = f"{constant.var():.4f}, {falling.var():.4f}"
lesson.true("the cosine's ends at less than a third of it", falling.var() < constant.var() / 3, shown)

# %% [markdown]
# ## On digits
#
# The same small network, the same first weights, the same batches; only the step differs. The rates are usual ones.

# %%
digits = minikd.load_dataset("mnist")
count = lesson.pick(full=20_000, quick=2_000)
views = Views(digits.train_images[:count], digits.train_labels[:count], *mean_and_std(digits.train_images))
images, labels = views.clean(), views.labels


def train(optimizer, lr):
    """One pass over the digits in batches of 50 -> the mean loss of the last fifth of the steps."""
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
lesson.true("momentum goes further at the same rate", quick < 0.9 * slow, f"{quick:.3f} < {slow:.3f}")

# %% [markdown]
# One more bug, which users of every framework know: gradients that are **added up** from step to step because nobody
# set them back to 0. In this engine a gradient is a value that is returned: there is nothing to reset. Here is the bug:

# %%
w, total = start.copy(), np.zeros(2)
for _ in range(60):
    total += curvature * w  # and never set back
    w = w - 2 / (a + b) * total
lesson.caught("gradients that pile up", w, plain[-1])

# %% tags=["hide-input"]
adam_walk = walk(Adam(), 0.5, 60)
figure = new_figure(9.6, 4.2, "Down a long, narrow bowl: momentum pays")
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
# Which optimiser is best for your network. The rates here hold for bowls; a network's surface bends, and its noise
# differs from place to place. Above, Adam swings about the bottom because its step does not shrink with the gradient:
# it needs the schedule most. And no optimiser makes up for a wrong gradient: they all go somewhere.
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
# - [`minikd/optim.py`](../minikd/optim.py) (in blocks that stay in the processor's cache),
#   [`minikd/schedules.py`](../minikd/schedules.py).
#
# ## Exercises
#
# `minikd check 06` puts the skeleton into `work/06_optimisers.py` the first time and checks it from then on.
#
# 1. `rmsprop`: Adam without its first mean and without correction; Adam's ancestor, for you to write from one sentence.
# 2. `adamw`: Adam's step with the decay beside it. Where it stands decides.
#
# The solutions are in `lessons/solutions/`.
