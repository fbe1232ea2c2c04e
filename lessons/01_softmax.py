# %% [markdown]
# # 1. Softmax with temperature
#
# **Goal** Turn a network's numbers into beliefs that add up to 1, and make these beliefs sharper or softer with one
# number, the temperature.
#
# **Needs** nothing but Python, some NumPy and a derivative.
#
# **You will see** the same ten numbers as beliefs at five temperatures, from nearly sure to nearly no idea.
#
# **Minutes** 1

# %%
import numpy as np

from minikd import losses
from minikd.errors import ConfigError
from minikd.lessons import Lesson
from minikd.report.style import BLUE, INK, ORANGE, new_figure, tidy

lesson = Lesson("01_softmax")
rng = np.random.default_rng(1)

# %% [markdown]
# Every claim below is checked while the lesson runs, and prints a row. `lesson.close` claims that two results are
# equal; its number says how far apart they are, relative to the largest (2.2e-16 is rounding). `lesson.true` claims
# whatever can be true. `lesson.caught` runs a wrong version on purpose, and claims that it is seen to be wrong: there
# the number must be large.
#
# ## The numbers a network gives
#
# A network that reads digits gives ten numbers for each image, one for each digit: the larger, the more it speaks for
# that digit. These numbers are called **logits**. They can be negative, and they add up to nothing in particular.
#
# The logits below are invented, but look like those of a trained network. It saw a 2 that looks a little like a 7.

# %%
digit = np.array([[-2.1, 1.3, 7.9, 4.2, -3.0, -1.2, -4.5, 6.1, 2.4, -0.7]])  # (N, K) = (1, 10)
N, K = 5, 10
z = 3 * rng.standard_normal((N, K))  # five more samples, to check with
print("digit ", *(f"{k:6d}" for k in range(K)))
print("logit ", *(f"{value:6.1f}" for value in digit[0]))

# %% [markdown]
# ## On paper: softmax
#
# Letters of all lessons: $N$ samples in a batch, $K$ classes. Logits $z$ have the shape (N, K): a row for each sample.
# First one row, $z_1$ to $z_K$.
#
# 1. We want beliefs $p_k$ that are positive and add up to 1: probabilities. The exponential makes any number positive,
#    and keeps the order: a larger $z$ gets a larger $\exp(z)$. Then divide by the sum:
#    $$p_k = \frac{\exp(z_k)}{\sum_j \exp(z_j)}$$
#    This is **softmax**. The result has the shape of $z$, and each row adds up to 1.
# 2. Divide all logits by a positive number $T$ first, the **temperature**:
#    $$p_k = \frac{\exp(z_k/T)}{\sum_j \exp(z_j/T)}$$
#    Compare two classes. The sum falls out:
#    $$\frac{p_k}{p_j} = \exp\left(\frac{z_k - z_j}{T}\right)$$
#    So all that counts is the difference of two logits, measured in units of $T$.
# 3. **Shift.** Add the same number $c$ to all logits of a row: no difference changes, so no belief changes.
# 4. **Cold.** Let $T$ go to 0. Let $k$ be the class with the largest logit and $j$ any other. Then $(z_j - z_k)/T$ goes
#    to $-\infty$, and $p_j/p_k$ to 0. All belief goes to the largest: 1 there, 0 elsewhere. (Two largest that are equal
#    get half each.)
# 5. **Hot.** Let $T$ go to $\infty$. All $z_k/T$ go to 0, all exponentials to 1, and each $p_k$ to $1/K$: no idea.

# %% [markdown]
# ## In NumPy
#
# Step 3 is more than a curiosity. $\exp(1000)$ is too large for a computer's number and becomes `inf`. But we may
# subtract any number from a row. Take its largest logit: then the largest exponent is 0, so nothing gets too large, and
# one of the exponentials is 1, so the sum is never 0.
#
# <details><summary><b>Guess first:</b> Ten different logits. What is left of the beliefs at a temperature of 0.001, and
# what at a million?</summary>
#
# At 0.001 the largest logit gets all belief. At a million each class gets a tenth.
# </details>


# %%
def softmax(z, T=1.0):
    """Return beliefs (N, K) for logits (N, K)."""
    z = z / T
    e = np.exp(z - z.max(axis=1, keepdims=True))  # axis 1: along a row; keepdims: (N, 1), to subtract from (N, K)
    return e / e.sum(axis=1, keepdims=True)


def naive_softmax(z, T=1.0):
    """Return what step 2 says, word for word."""
    e = np.exp(z / T)
    return e / e.sum(axis=1, keepdims=True)


lesson.close("each row adds up to 1", softmax(z, 4.0).sum(axis=1), 1.0)
lesson.close("one number more on all logits of a row changes nothing", softmax(z + 100), softmax(z))
lesson.close("the naive version agrees, while the logits are small", naive_softmax(z, 4.0), softmax(z, 4.0))
largest = z == z.max(axis=1, keepdims=True)
lesson.close("cold, T = 0.001: all belief goes to the largest logit", softmax(z, 0.001), largest)
lesson.close("hot, T = a million: each of ten classes gets 1/10", softmax(z, 1e6), 0.1, within=1e-4)
same_order = [np.array_equal(softmax(z, T).argsort(axis=1), z.argsort(axis=1)) for T in (0.5, 1.0, 4.0, 20.0)]
lesson.true("the order of the classes is the same at T = 0.5, 1, 4, 20", all(same_order))

# %% [markdown]
# Now large logits. A row of 0, 10,000 and 10,000 should give 0, ½ and ½.

# %%
large, half = np.array([[0.0, 1e4, 1e4]]), np.array([[0.0, 0.5, 0.5]])
lesson.close("logits of 10,000, largest subtracted first", softmax(large), half)
with np.errstate(over="ignore", invalid="ignore"):  # NumPy would warn, and be right
    lesson.caught("logits of 10,000 in the naive version: inf/inf, not a number", naive_softmax(large), half)

# %% [markdown]
# ## The engine's version
#
# `minikd.losses.softmax` is these three lines, plus care. It refuses what can only be a mistake: a temperature of 0,
# logits that are not of shape (N, K). Numbers of 32 bits stay numbers of 32 bits, and it runs on a GPU's arrays too.

# %%
for T in (0.5, 1.0, 4.0, 20.0):
    lesson.close(f"the engine's softmax is ours, T = {T:g}", losses.softmax(z, T), softmax(z, T))
lesson.true("32 bits in, 32 bits out", losses.softmax(z.astype(np.float32), 4.0).dtype == np.float32)
try:
    losses.softmax(z, 0.0)
    refused = ""
except ConfigError as error:
    refused = str(error)
lesson.true("T = 0 is refused", "temperature" in refused)
print(refused)

# %% [markdown]
# ## Wrong versions
#
# Three that people write, because each gives positive numbers and no error:
#
# - **T multiplies.** "Hotter is more", so one multiplies. But then a high temperature makes the beliefs sharper.
# - **The other axis.** `axis=0` adds up each column: over the samples, not over the classes. Rows no longer sum to 1.
# - **Softmax twice.** The network ends with a softmax, and the loss applies one more. Beliefs lie between 0 and 1, so
#   their differences are at most 1, and after the second softmax the network can never be sure.
#
# <details><summary><b>Guess first:</b> Somebody takes the softmax twice, for ten classes. How sure can the result be at
# most?</summary>
#
# The inner softmax gives numbers from 0 to 1; at best a 1 and nine 0s. Then the outer one gives $e/(e + 9) = 0.232$.
# Such a network can never be sure, however long it is trained.
# </details>


# %%
def wrong_axis(z, T):
    e = np.exp(z / T - (z / T).max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


lesson.caught("T multiplies", softmax(z * 4.0), softmax(z, 4.0))
lesson.caught("the sum runs over the samples", wrong_axis(z, 4.0), softmax(z, 4.0))
lesson.caught("softmax of softmax", softmax(softmax(z)), softmax(z))
ceiling = np.e / (np.e + K - 1)  # one belief is 1, the nine others 0
lesson.true(
    "softmax of softmax: never surer than", softmax(softmax(100 * z)).max() <= ceiling + 1e-12, f"{ceiling:.3f}"
)

# %% [markdown]
# ## On paper: what a small change of a logit does
#
# Training will need two derivatives: of $\log p_k$ and of $p_k$, by a logit.
#
# 6. The logarithm of a quotient is a difference:
#    $$\log p_k = \frac{z_k}{T} - \log \sum_i \exp(z_i/T)$$
# 7. Derive by $z_j$. The first term gives $1/T$ if $j = k$, else 0. Write this as $\delta_{kj}/T$: $\delta_{kj}$ is 1
#    where $k = j$, else 0. The second gives, by the chain rule, $\exp(z_j/T)/T$ over the sum. That is $p_j/T$. So
#    $$\frac{\partial \log p_k}{\partial z_j} = \frac{\delta_{kj} - p_j}{T}$$
#    And for $p_k$ itself: it is the exponential of its logarithm, so by the chain rule this is multiplied by $p_k$:
#    $$\frac{\partial p_k}{\partial z_j} = \frac{p_k (\delta_{kj} - p_j)}{T}$$
#
# Can we trust this? Compare it with a **centred difference**: move a number a small step $h$ up and down, and divide
# the change of the result by $2h$. This is nearly the derivative, and needs no mathematics. (Lesson 4 says how nearly.)

# %%
T, h = 4.0, 1e-5
p = softmax(digit, T)[0]  # (K,)
by_hand = (np.eye(K) - p) / T  # (K, K): k down, j across; np.eye is δ
of_log, of_p = np.empty((K, K)), np.empty((K, K))
for j in range(K):
    up, down = softmax(digit + h * np.eye(K)[j], T)[0], softmax(digit - h * np.eye(K)[j], T)[0]  # logit j moves
    of_log[:, j], of_p[:, j] = (np.log(up) - np.log(down)) / (2 * h), (up - down) / (2 * h)
lesson.close("the derivative of each log p by each logit", by_hand, of_log, within=1e-6)
lesson.close("the derivative of each p by each logit", p[:, None] * by_hand, of_p, within=1e-6)

# %% [markdown]
# ## On paper: warmer is always less sure
#
# How sure are beliefs? **Entropy** measures how *un*sure:
#
# $$H = -\sum_k p_k \log p_k$$
#
# It is 0 when all belief is on one class, and largest, $\log K$, when all classes get $1/K$. (In all lessons, log is
# the natural logarithm.) We show that $H$ never falls as $T$ grows.
#
# 8. With $b = 1/T$, step 6 says $\log p_k = b z_k - S$, where $S = \log \sum_j \exp(b z_j)$. Put it into $H$. As
#    $\sum_k p_k = 1$,
#    $$H = S - b M \qquad M = \sum_k p_k z_k$$
#    $M$ is the mean logit, with the beliefs as weights.
# 9. Derive by $b$. First $S$, by the chain rule: $\sum_j z_j \exp(b z_j)$ over $\sum_j \exp(b z_j)$. That is $M$.
#    So the derivative of $\log p_k$ by $b$ is $z_k - M$, and that of $p_k$ itself is $p_k (z_k - M)$.
# 10. Then $M$:
#     $$\frac{dM}{db} = \sum_k z_k p_k (z_k - M) = \sum_k p_k (z_k - M)^2 = V$$
#     The second equality holds because $\sum_k p_k (z_k - M) = M - M = 0$, so we may subtract $M$ times it. $V$ is
#     the **variance** of the logits under $p$: the mean squared distance from their mean.
# 11. Both together, with the product rule for $b M$:
#     $$\frac{dH}{db} = M - (M + b V) = -b V$$
# 12. Back to $T$: $b = 1/T$ has the derivative $-1/T^2$. By the chain rule
#     $$\frac{dH}{dT} = \frac{V}{T^3}$$
#
# A mean of squares is never negative, so $dH/dT$ is never negative. It is 0 only if all logits are equal.
#
# <details><summary><b>Guess first:</b> Can the entropy of the beliefs fall while the temperature rises? And where does
# it end?</summary>
#
# Never: its derivative is a variance over $T^3$, and no variance is negative. It ends at $\log 10 = 2.303$, where all
# ten classes are equally likely.
# </details>


# %%
def entropy(z, T):
    """Return the entropy of each row, (N,)."""
    p = softmax(z, T)
    return -(p * np.log(p)).sum(axis=1)


for T in (0.5, 1.0, 4.0, 20.0):
    p = softmax(z, T)
    M = (p * z).sum(axis=1, keepdims=True)  # (N, 1)
    V = (p * (z - M) ** 2).sum(axis=1)  # (N,)
    numeric = (entropy(z, T + 1e-5) - entropy(z, T - 1e-5)) / 2e-5
    lesson.close(f"dH/dT = V/T³ at T = {T:g}", V / T**3, numeric, within=1e-5)
temperatures = np.geomspace(0.25, 100, 60)
curve = np.array([entropy(digit, T)[0] for T in temperatures])
lesson.true("the entropy rises all the way", np.all(np.diff(curve) > 0), f"{curve[0]:.3f} to {curve[-1]:.3f}")
lesson.true("and stays below log 10", curve[-1] < np.log(10), f"{np.log(10):.3f}")

# %% [markdown]
# ## The figure
#
# At $T = 0.5$ the network is nearly sure of its 2. The 7, which it has seen too, is hardly there. At $T = 4$ one can
# read what else it saw: 7 first, then 3. At $T = 20$ little but the order is left. Lesson 11 makes use of that.

# %% tags=["hide-input"]
shown = (0.5, 1.0, 2.0, 4.0, 20.0)
figure = new_figure(10.5, 5.6, "A 2 that looks a little like a 7: the same ten logits at five temperatures")
grid = figure.add_gridspec(2, len(shown), height_ratios=(1, 1.1))
for place, T in enumerate(shown):
    beliefs = softmax(digit, T)[0]
    ax = tidy(figure.add_subplot(grid[0, place]), f"T = {T:g}", x="digit", y="" if place else "belief")
    bars = ax.bar(range(K), beliefs, color=[ORANGE if k == 2 else BLUE for k in range(K)], edgecolor=INK, linewidth=0.5)
    bars[2].set_hatch("///")
    ax.text(2, beliefs[2] + 0.02, f"{beliefs[2]:.2f}", ha="center", fontsize=9)
    ax.set_xticks(range(K))
    ax.set_ylim(0, 1.12)
ax = tidy(
    figure.add_subplot(grid[1, :]), "how unsure: the entropy rises from 0 to log 10", x="temperature T", y="entropy"
)
ax.semilogx(temperatures, curve, color=BLUE)
ax.plot(shown, [entropy(digit, T)[0] for T in shown], "o", color=INK)
ax.axhline(np.log(10), color=INK, linestyle="--", linewidth=1)
ax.text(0.25, np.log(10) - 0.06, "log 10: all digits alike", va="top", fontsize=9)
ax.set_xticks(shown, [f"{T:g}" for T in shown])
ax.set_xticks([], minor=True)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# Whether the beliefs are *true*: of all images for which a network says "2, with 0.8", are 80 % a 2? Softmax gives
# numbers that add up to 1, whatever the network knows. Nor which temperature is good for what: the temperature changes
# no order, so it changes no answer. It matters once somebody learns from the beliefs.
#
# ## Read on
#
# - Hinton, Vinyals and Dean 2015, [*Distilling the knowledge in a neural network*](https://arxiv.org/abs/1503.02531),
#   §2: softmax with temperature.
# - Goodfellow, Bengio and Courville 2016, [*Deep learning*](https://www.deeplearningbook.org), §4.1: overflow,
#   underflow and softmax.
# - Lesson 2 makes a loss of softmax. Lesson 11 shows what a trained teacher's soft beliefs hold.
# - [`minikd/losses/softmax.py`](../minikd/losses/softmax.py): the engine's version, with the backward passes.
#
# ## Exercises
#
# `minikd check 01` puts the skeleton into `work/01_softmax.py` the first time and checks it from then on.
#
# 1. `log_softmax`: step 6 in code, for rows with logits of 10,000. So it needs step 3's shift, as softmax did; and
#    `np.log(softmax(z, T))` will not do: the logarithm of a belief that has become 0 is $-\infty$.
# 2. `entropy`: the entropy of each row, at any temperature. The lesson's own version fails where a belief is 0; with
#    `log_softmax` yours does not.
#
# The solutions are in `lessons/solutions/`.
