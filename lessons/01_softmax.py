# %% [markdown]
# # 1. Softmax with temperature
#
# **Goal** Turn the outputs of a network into probabilities, and make them sharper or softer with one number, the
# temperature.
#
# **Needs** nothing but Python, some NumPy and a derivative.
#
# **You will see** the probabilities of ten logits at five temperatures, from nearly certain to nearly uniform.
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
# The lesson checks every claim below while it runs, and prints a row for each. `lesson.close` claims that two results
# are equal. Its number is their largest difference, relative to the largest value (2.2e-16 is rounding). `lesson.true`
# claims that a condition holds. `lesson.caught` runs a wrong version on purpose and claims that its result differs, so
# its number must be large.
#
# ## Logits
#
# A network that classifies digits computes ten numbers for each image, one for each digit. A larger number means that
# this digit is more likely. These numbers are called **logits**. They can be negative, and their sum can be any number.
#
# The logits below are invented, but they look like those of a trained network. The image was a 2 that looks a little
# like a 7.

# %%
digit = np.array([[-2.1, 1.3, 7.9, 4.2, -3.0, -1.2, -4.5, 6.1, 2.4, -0.7]])  # (N, K) = (1, 10)
N, K = 5, 10
z = 3 * rng.standard_normal((N, K))  # five more samples, to check with
print("digit ", *(f"{k:6d}" for k in range(K)))
print("logit ", *(f"{value:6.1f}" for value in digit[0]))

# %% [markdown]
# ## On paper: softmax
#
# All lessons use the same letters: $N$ is the number of samples in a batch, $K$ the number of classes. The logits $z$
# have the shape (N, K), with a row for each sample. We begin with one row, $z_1$ to $z_K$.
#
# 1. We want numbers $p_k$ that are positive and add up to 1: probabilities. These lessons also call them the network's
#    **beliefs**. The exponential makes any number positive and keeps the order: a larger $z$ has a larger $\exp(z)$.
#    Then divide by the sum:
#    $$p_k = \frac{\exp(z_k)}{\sum_j \exp(z_j)}$$
#    This is **softmax**. The result has the shape of $z$, and each row adds up to 1.
# 2. Divide all logits by a positive number $T$ first, the **temperature**:
#    $$p_k = \frac{\exp(z_k/T)}{\sum_j \exp(z_j/T)}$$
#    Divide the probabilities of two classes. The sum cancels:
#    $$\frac{p_k}{p_j} = \exp\left(\frac{z_k - z_j}{T}\right)$$
#    So only the difference of the two logits matters, in units of $T$.
# 3. **Shift.** Add the same number $c$ to all logits of a row. No difference changes, so no probability changes.
# 4. **Cold.** Let $T$ go to 0. Let $k$ be the class with the largest logit and $j$ any other. Then $(z_j - z_k)/T$ goes
#    to $-\infty$, and $p_j/p_k$ to 0. The largest logit gets the probability 1, all others get 0. (If two logits are
#    the largest, each gets ½.)
# 5. **Hot.** Let $T$ go to $\infty$. All $z_k/T$ go to 0, all exponentials to 1, and each $p_k$ to $1/K$: the uniform
#    distribution.

# %% [markdown]
# ## In NumPy
#
# Step 3 is useful in practice. $\exp(1000)$ is too large for a floating-point number and becomes `inf`. But we may
# subtract any number from a row. We subtract the largest logit of the row. Then the largest exponent is 0, so no
# exponential is too large. And one exponential is 1, so the sum is never 0.
#
# <details><summary><b>Guess first:</b> Take ten different logits. What are the probabilities at a temperature of 0.001,
# and at a million?</summary>
#
# At 0.001 the largest logit gets nearly 1. At a million, each class gets a tenth.
# </details>


# %%
def softmax(z, T=1.0):
    """Return probabilities (N, K) for logits (N, K)."""
    z = z / T
    e = np.exp(z - z.max(axis=1, keepdims=True))  # axis 1: along a row; keepdims: (N, 1), to subtract from (N, K)
    return e / e.sum(axis=1, keepdims=True)


def naive_softmax(z, T=1.0):
    """Compute step 2 as it is written."""
    e = np.exp(z / T)
    return e / e.sum(axis=1, keepdims=True)


lesson.close("each row adds up to 1", softmax(z, 4.0).sum(axis=1), 1.0)
lesson.close("a constant added to all logits of a row changes nothing", softmax(z + 100), softmax(z))
lesson.close("the naive version agrees for small logits", naive_softmax(z, 4.0), softmax(z, 4.0))
largest = z == z.max(axis=1, keepdims=True)
lesson.close("T = 0.001: the largest logit gets probability 1", softmax(z, 0.001), largest)
lesson.close("T = 1,000,000: each of ten classes gets 1/10", softmax(z, 1e6), 0.1, within=1e-4)
same_order = [np.array_equal(softmax(z, T).argsort(axis=1), z.argsort(axis=1)) for T in (0.5, 1.0, 4.0, 20.0)]
lesson.true("the order of the classes is the same at T = 0.5, 1, 4, 20", all(same_order))

# %% [markdown]
# Now we try large logits. A row of 0, 10,000 and 10,000 should give 0, ½ and ½.

# %%
large, half = np.array([[0.0, 1e4, 1e4]]), np.array([[0.0, 0.5, 0.5]])
lesson.close("logits of 10,000, largest subtracted first", softmax(large), half)
with np.errstate(over="ignore", invalid="ignore"):  # NumPy would warn of the overflow
    lesson.caught("logits of 10,000 in the naive version: inf/inf, not a number", naive_softmax(large), half)

# %% [markdown]
# ## The engine's version
#
# `minikd.losses.softmax` has the same three lines and checks its arguments. It refuses a temperature of 0 and logits
# whose shape is not (N, K), because these can only be mistakes. float32 stays float32, and the function also accepts
# arrays on a GPU.

# %%
for T in (0.5, 1.0, 4.0, 20.0):
    lesson.close(f"the engine's softmax is ours, T = {T:g}", losses.softmax(z, T), softmax(z, T))
lesson.true("float32 in, float32 out", losses.softmax(z.astype(np.float32), 4.0).dtype == np.float32)
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
# Three wrong versions are common. Each gives positive numbers and raises no error:
#
# - **T multiplies.** The logits are multiplied by T instead of divided. Then a high temperature makes the probabilities
#   sharper.
# - **The other axis.** `axis=0` sums over the samples instead of the classes. The rows no longer sum to 1.
# - **Softmax twice.** The network ends with a softmax, and the loss applies a second one. Probabilities lie between 0
#   and 1, so their differences are at most 1. After the second softmax, no probability can come near 1.
#
# <details><summary><b>Guess first:</b> Softmax is applied twice, for ten classes. What is the largest probability that
# the result can have?</summary>
#
# The inner softmax gives at best a 1 and nine 0s. Then the outer softmax gives $e/(e + 9) = 0.232$. Such a network
# never gets a higher probability, however long it is trained.
# </details>


# %%
def wrong_axis(z, T):
    e = np.exp(z / T - (z / T).max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


lesson.caught("logits multiplied by T", softmax(z * 4.0), softmax(z, 4.0))
lesson.caught("the sum is over the samples", wrong_axis(z, 4.0), softmax(z, 4.0))
lesson.caught("softmax of softmax", softmax(softmax(z)), softmax(z))
ceiling = np.e / (np.e + K - 1)  # one probability is 1, the nine others are 0
lesson.true(
    "softmax of softmax: no probability is above", softmax(softmax(100 * z)).max() <= ceiling + 1e-12, f"{ceiling:.3f}"
)

# %% [markdown]
# ## On paper: the derivatives of softmax
#
# Training needs two derivatives with respect to a logit: that of $\log p_k$ and that of $p_k$.
#
# 6. The logarithm of a quotient is a difference:
#    $$\log p_k = \frac{z_k}{T} - \log \sum_i \exp(z_i/T)$$
# 7. Differentiate with respect to $z_j$. The first term gives $1/T$ if $j = k$, else 0. We write this as
#    $\delta_{kj}/T$, where $\delta_{kj}$ is 1 if $k = j$, else 0. The second term gives, by the chain rule,
#    $\exp(z_j/T)/T$ divided by the sum. That is $p_j/T$. So
#    $$\frac{\partial \log p_k}{\partial z_j} = \frac{\delta_{kj} - p_j}{T}$$
#    $p_k$ is the exponential of $\log p_k$. So by the chain rule, its derivative is $p_k$ times that of $\log p_k$:
#    $$\frac{\partial p_k}{\partial z_j} = \frac{p_k (\delta_{kj} - p_j)}{T}$$
#
# We check this with a **centred difference**: change a number by a small step $h$ up and down, and divide the change of
# the result by $2h$. This is nearly the derivative, and it needs no derivation. (Lesson 4 shows how accurate it is.)

# %%
T, h = 4.0, 1e-5
p = softmax(digit, T)[0]  # (K,)
by_hand = (np.eye(K) - p) / T  # (K, K): k down, j across; np.eye is δ
of_log, of_p = np.empty((K, K)), np.empty((K, K))
for j in range(K):
    up, down = softmax(digit + h * np.eye(K)[j], T)[0], softmax(digit - h * np.eye(K)[j], T)[0]  # logit j moves
    of_log[:, j], of_p[:, j] = (np.log(up) - np.log(down)) / (2 * h), (up - down) / (2 * h)
lesson.close("the derivative of each log p with respect to each logit", by_hand, of_log, within=1e-6)
lesson.close("the derivative of each p with respect to each logit", p[:, None] * by_hand, of_p, within=1e-6)

# %% [markdown]
# ## On paper: a higher temperature never lowers the entropy
#
# **Entropy** measures how uncertain the probabilities are:
#
# $$H = -\sum_k p_k \log p_k$$
#
# It is 0 if one class has the probability 1. It is largest, $\log K$, if every class has $1/K$. (In all lessons, log is
# the natural logarithm.) We show that $H$ never falls when $T$ rises.
#
# 8. Let $b = 1/T$. Then step 6 is $\log p_k = b z_k - S$, where $S = \log \sum_j \exp(b z_j)$. Insert this into $H$.
#    Because $\sum_k p_k = 1$,
#    $$H = S - b M \qquad M = \sum_k p_k z_k$$
#    $M$ is the mean of the logits, weighted with the probabilities.
# 9. Differentiate with respect to $b$. By the chain rule, $S$ gives $\sum_j z_j \exp(b z_j)$ divided by
#    $\sum_j \exp(b z_j)$. That is $M$. So the derivative of $\log p_k$ is $z_k - M$, and that of $p_k$ is
#    $p_k (z_k - M)$.
# 10. Then differentiate $M$:
#     $$\frac{dM}{db} = \sum_k z_k p_k (z_k - M) = \sum_k p_k (z_k - M)^2 = V$$
#     The second equality holds because $\sum_k p_k (z_k - M) = M - M = 0$, so subtracting $M$ times this sum changes
#     nothing. $V$ is the **variance** of the logits under $p$: the mean squared distance from their mean.
# 11. Insert both, with the product rule for $b M$:
#     $$\frac{dH}{db} = M - (M + b V) = -b V$$
# 12. The derivative of $b = 1/T$ with respect to $T$ is $-1/T^2$. So by the chain rule
#     $$\frac{dH}{dT} = \frac{V}{T^3}$$
#
# A mean of squares is never negative, so $dH/dT$ is never negative. It is 0 only if all logits are equal.
#
# <details><summary><b>Guess first:</b> Can the entropy fall while the temperature rises? What is its limit?</summary>
#
# It never falls: its derivative is a variance divided by $T^3$, and no variance is negative. Its limit is
# $\log 10 = 2.303$, where all ten classes are equally likely.
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
lesson.true("the entropy always rises with T", np.all(np.diff(curve) > 0), f"{curve[0]:.3f} to {curve[-1]:.3f}")
lesson.true("and stays below log 10", curve[-1] < np.log(10), f"{np.log(10):.3f}")

# %% [markdown]
# ## The figure
#
# At $T = 0.5$ the probability of the 2 is nearly 1, and the 7 hardly shows. At $T = 4$ you can see the other likely
# digits: first 7, then 3. At $T = 20$ the probabilities are nearly equal, and only their order is left. Lesson 11 uses
# this.

# %% tags=["hide-input"]
shown = (0.5, 1.0, 2.0, 4.0, 20.0)
figure = new_figure(10.5, 5.6, "A 2 that looks a little like a 7: the same ten logits at five temperatures")
grid = figure.add_gridspec(2, len(shown), height_ratios=(1, 1.1))
for place, T in enumerate(shown):
    beliefs = softmax(digit, T)[0]
    ax = tidy(figure.add_subplot(grid[0, place]), f"T = {T:g}", x="digit", y="" if place else "probability")
    bars = ax.bar(range(K), beliefs, color=[ORANGE if k == 2 else BLUE for k in range(K)], edgecolor=INK, linewidth=0.5)
    bars[2].set_hatch("///")
    ax.text(2, beliefs[2] + 0.02, f"{beliefs[2]:.2f}", ha="center", fontsize=9)
    ax.set_xticks(range(K))
    ax.set_ylim(0, 1.12)
ax = tidy(figure.add_subplot(grid[1, :]), "the entropy rises with T, from 0 to log 10", x="temperature T", y="entropy")
ax.semilogx(temperatures, curve, color=BLUE)
ax.plot(shown, [entropy(digit, T)[0] for T in shown], "o", color=INK)
ax.axhline(np.log(10), color=INK, linestyle="--", linewidth=1)
ax.text(0.25, np.log(10) - 0.06, "log 10: all digits equally likely", va="top", fontsize=9)
ax.set_xticks(shown, [f"{T:g}" for T in shown])
ax.set_xticks([], minor=True)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show whether the probabilities are correct. If a network gives many images the probability 0.8 for
# a 2, are 80 % of them a 2? Softmax gives numbers that add up to 1, whatever the network knows. The lesson also does
# not show which temperature to choose. The temperature never changes the order, so it never changes the answer. It
# matters when a student learns from the probabilities.
#
# ## Read on
#
# - Hinton, Vinyals and Dean 2015, [*Distilling the knowledge in a neural network*](https://arxiv.org/abs/1503.02531),
#   §2: softmax with temperature.
# - Goodfellow, Bengio and Courville 2016, [*Deep learning*](https://www.deeplearningbook.org), §4.1: overflow,
#   underflow and softmax.
# - Lesson 2 builds a loss on softmax. Lesson 11 shows what the softened probabilities of a trained teacher contain.
# - [`minikd/losses/softmax.py`](../minikd/losses/softmax.py): the engine's version, with the backward passes.
#
# ## Exercises
#
# The first time, `minikd check 01` creates the skeleton `work/01_softmax.py`. After that, it checks your solution
# there.
#
# 1. `log_softmax`: write step 6 as code that also works for logits of 10,000. It needs the shift of step 3, as softmax
#    does. `np.log(softmax(z, T))` does not work, because the logarithm of a probability that has become 0 is $-\infty$.
# 2. `entropy`: compute the entropy of each row, at any temperature. The version in this lesson fails where a
#    probability is 0. With `log_softmax`, yours does not.
#
# The solutions are in `lessons/solutions/`.
