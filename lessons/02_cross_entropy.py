# %% [markdown]
# # 2. Cross-entropy
#
# **Goal** Measure with one number how wrong a network is, and compute in which direction each logit should change.
#
# **Needs** lesson 1.
#
# **You will see** which logits the gradient raises and which it lowers, for ten handwritten digits.
#
# **Minutes** 1

# %%
import numpy as np

from minikd import load_dataset, losses
from minikd.errors import DataError
from minikd.lessons import Lesson
from minikd.report.style import INK, new_figure, tidy

lesson = Lesson("02_cross_entropy")
rng = np.random.default_rng(2)

# %% [markdown]
# ## Real digits, and a network that knows nothing
#
# MNIST is a set of handwritten digits, in grey images of 28 × 28 pixels. We take the first image of each digit. Our
# network is as simple as possible: each logit is a weighted sum of all 784 pixels. The weights are random, so the
# network knows nothing yet. Every network starts like this.

# %%
data = load_dataset("mnist")
first = [int(np.flatnonzero(data.train_labels == k)[0]) for k in range(10)]
images, labels = data.train_images[first], data.train_labels[first]  # (N, 1, 28, 28) and (N,)
N, K = 10, 10
x = images.reshape(N, 784) / 255  # pixels from 0 to 1
w = 0.15 * rng.standard_normal((K, 784))
z = x @ w.T  # (N, K) = (N, 784) @ (784, K)
print("labels", labels)
print("logits of the first image", z[0].round(1))

# %% [markdown]
# ## On paper: the loss
#
# Softmax (lesson 1, with $T = 1$) turns the logits $z$, (N, K), into the probabilities $p$, (N, K). The labels $y$,
# (N,), give the right classes. We begin with one sample, with logits $z_1$ to $z_K$ and the right class $y$.
#
# 1. The network gives the right class the probability $p_y$. The **cross-entropy** measures how bad that is:
#    $$L = -\log p_y$$
#    It is 0 for a probability of 1, 0.69 for ½ and 4.6 for 1/100. It has no limit as $p_y$ goes to 0. So a network that
#    is sure and wrong has the largest loss.
# 2. A network that gives each class $1/K$ has the loss $\log K$. For ten digits this is 2.303.
# 3. Insert softmax. The logarithm of the quotient is a difference:
#    $$L = \log \sum_j \exp(z_j) - z_y$$
#    The first term is called **log-sum-exp**. As in lesson 1, we subtract the largest logit $m$, so that no exponential
#    is too large:
#    $$\log \sum_j \exp(z_j) = m + \log \sum_j \exp(z_j - m)$$
# 4. The loss of a batch is the mean over its samples. So it does not depend on the number of samples.
#
# ## On paper: its gradient
#
# The **gradient** of the loss with respect to the logits tells how much the loss changes if a logit changes a little.
# It has a number for each logit, so it has the shape of the logits, (N, K). All lessons call it `dlogits` or, for
# short, `dz`.
#
# 5. Differentiate step 3 with respect to $z_j$. By the chain rule, the log-sum-exp gives $\exp(z_j)$ divided by the
#    sum. That is $p_j$. The second term gives $-1$ if $j = y$, else 0.
#    $$\frac{\partial L}{\partial z_j} = p_j - \delta_{jy}$$
#    ($\delta_{jy}$ is 1 where $j = y$, else 0.)
# 6. The $\delta$ of all samples form a matrix $Y$, (N, K). Each row has a 1 at the right class and 0 elsewhere. Such
#    rows are called **one-hot**. The mean of step 4 divides by $N$:
#    $$dz = \frac{p - Y}{N}$$
#
# The gradient is what the network says minus what it should say, divided by $N$. Later lessons use this formula often.

# %% [markdown]
# ## In NumPy
#
# <details><summary><b>Guess first:</b> A network that knows nothing gives ten equal logits. What is its loss?</summary>
#
# Each class gets a tenth, so the loss is $-\log \frac{1}{10} = \log 10 = 2.303$, whatever the labels are. If the first
# loss of a training is much higher, something is wrong.
# </details>
#
# <details><summary><b>Guess first:</b> What is the sign of the gradient at the logit of the right class? And at the
# others? What is the sum of a row?</summary>
#
# The gradient is $(p - Y)/N$. It is negative at the right class, so a step against the gradient raises that logit. It
# is positive at all others. Each row sums to 0.
# </details>


# %%
def cross_entropy(z, y):
    """Return the loss, a number, and its gradient with respect to the logits, (N, K)."""
    rows = np.arange(len(z))
    m = z.max(axis=1, keepdims=True)  # (N, 1)
    e = np.exp(z - m)  # (N, K)
    log_sum_exp = m[:, 0] + np.log(e.sum(axis=1))  # (N,)
    loss = (log_sum_exp - z[rows, y]).mean()  # z[rows, y]: the logit of the right class in each row
    dz = e / e.sum(axis=1, keepdims=True)  # p
    dz[rows, y] -= 1  # p - Y
    return loss, dz / len(z)


loss, dz = cross_entropy(z, labels)
print(f"loss {loss:.3f}")
p = losses.softmax(z)
lesson.close("the loss is the mean of -log p of the right class", loss, -np.log(p[range(N), labels]).mean())
lesson.close("all logits 0: the loss is log 10", cross_entropy(np.zeros((N, K)), labels)[0], np.log(10))
lesson.true("each row of the gradient sums to 0", np.abs(dz.sum(axis=1)).max() < 1e-14)
right = np.arange(K) == labels[:, None]  # (N, K), Y
lesson.true("it is negative at the right class, positive at all others", np.all((dz < 0) == right))

# %% [markdown]
# Each row sums to 0, because each row of $p$ and each row of $Y$ sums to 1. If a step raises one logit, it lowers the
# others by the same total.
#
# Now we check the gradient, as these lessons do with every gradient. We change one logit by a small step $h$ up and
# down, and divide the change of the loss by $2h$. This is the centred difference of lesson 1, for each of the 100
# logits.

# %%
numeric, h = np.empty_like(z), 1e-5
for n in range(N):
    for k in range(K):
        up, down = z.copy(), z.copy()
        up[n, k] += h
        down[n, k] -= h
        numeric[n, k] = (cross_entropy(up, labels)[0] - cross_entropy(down, labels)[0]) / (2 * h)
lesson.close("the gradient by hand is the numeric one", dz, numeric, within=1e-6)

# %% [markdown]
# The gradient points in the direction in which the loss rises. So we make a small step in the opposite direction.

# %%
better = z - 1.0 * dz
after = cross_entropy(better, labels)[0]
lesson.true("a step against the gradient lowers the loss", after < loss, f"{loss:.3f} to {after:.3f}")

# %% [markdown]
# ## On paper: the long way
#
# Step 5 differentiated softmax and logarithm together. We can also differentiate them one after the other. The result
# must be the same.
#
# 7. A change of one logit changes every probability. The derivatives of all $K$ probabilities with respect to all $K$
#    logits form a matrix, the **Jacobian** $J$, of shape (K, K). Its elements are those of lesson 1, step 7:
#    $$J_{kj} = \frac{\partial p_k}{\partial z_j} = p_k (\delta_{kj} - p_j)$$
#    As a matrix, $J = \mathrm{diag}(p) - p p^\top$: the probabilities on the diagonal, minus the products of all pairs.
# 8. The loss $-\log p_y$ depends on only one probability. Its derivative with respect to $p_y$ is $-1/p_y$, and with
#    respect to all others 0.
# 9. The chain rule sums over all probabilities. Only one term is not 0:
#    $$\frac{\partial L}{\partial z_j} = -\frac{1}{p_y} J_{yj} = -(\delta_{yj} - p_j) = p_j - \delta_{yj}$$
#
# The $p_y$ cancels on paper, but not in a computer. If $p_y$ has become 0, then $1/p_y$ is infinite, $J_{yj}$ is 0, and
# their product is not a number (nan). The short way never divides by $p_y$.
#
# <details><summary><b>Guess first:</b> A network gives the logit 10,000 to a wrong class and -10,000 to the right
# class. What is its loss?</summary>
#
# The log-sum-exp is 10,000. Subtract the right logit, -10,000, and the loss is 20,000. The code never computes the
# exponential of 10,000.
# </details>


# %%
def long_way(z, y):
    """Return the gradient for one sample, (K,), computed with the Jacobian."""
    p = losses.softmax(z[None])[0]  # (K,)
    J = np.diag(p) - np.outer(p, p)  # (K, K)
    dp = np.zeros(len(p))
    dp[y] = -1 / p[y]
    return dp @ J  # (K,) = (K,) @ (K, K)


by_jacobian = np.array([long_way(z[n], labels[n]) for n in range(N)]) / N
lesson.close("the long way gives the same gradient", by_jacobian, dz)
J = np.diag(p[0]) - np.outer(p[0], p[0])
lesson.true(
    "each row of the Jacobian sums to 0: a shift of all logits changes nothing", np.abs(J.sum(axis=1)).max() < 1e-14
)
lesson.true("the Jacobian is symmetric", np.array_equal(J, J.T))
sure, one = np.array([[1e4, 0.0, -1e4]]), np.array([2])  # sure of class 0, but class 2 is right
with np.errstate(divide="ignore", invalid="ignore"):
    lesson.caught("logits of ±10,000, the long way: 0 times infinity", long_way(sure[0], 2), [1.0, 0.0, -1.0])
lesson.close("logits of ±10,000, the short way: the loss is 20,000", cross_entropy(sure, one)[0], 20_000)
lesson.close("and its gradient p - Y", cross_entropy(sure, one)[1], [[1.0, 0.0, -1.0]])

# %% [markdown]
# ## The engine's version
#
# `minikd.losses.cross_entropy` also returns the loss and its gradient. In addition, it refuses a label that is not a
# class. Our version treats a label of -1 as the last class, because Python counts an index of -1 from the end. It gives
# no warning.

# %%
value, dlogits = losses.cross_entropy(z, labels)
lesson.close("the engine's loss is ours", value, loss)
lesson.close("the engine's gradient is ours", dlogits, dz)
outside = labels.astype(np.int64)
outside[3] = -1
try:
    losses.cross_entropy(z, outside)
    refused = ""
except DataError as error:
    refused = str(error)
lesson.true("a label of -1 is refused", "-1" in refused)
print(refused)

# %% [markdown]
# ## Wrong versions
#
# - **No 1/N.** Step 5 is for one sample, and it is easy to forget that the loss is a mean. Then the gradient is $N$
#   times too large, and a batch twice as large makes steps twice as large.
# - **The other axis.** The gradient is $p - Y$, but softmax was computed over the samples. The shape is right, and
#   nothing fails.
# - **A clipped logarithm.** `np.log(np.clip(p, 1e-12, 1))` avoids $\log 0$, because it replaces smaller probabilities
#   by 1e-12. But there the loss is constant. So the gradient is 0 where the network is most wrong, and it learns
#   nothing there.


# %%
def clipped(z, y):
    p = losses.softmax(z)
    return -np.log(np.clip(p[range(len(z)), y], 1e-12, 1)).mean()


lesson.caught("the 1/N is missing", p - right, dz)
lesson.caught("softmax over the samples", (losses.softmax(z.T.copy()).T - right) / N, dz)
lesson.caught("a clipped logarithm: the loss of a network that is sure and wrong", clipped(sure, one), 20_000.0)
nudged = np.array([[1e4, 0.0, -1e4 + 1]])  # the right logit is 1 larger: the loss must fall by 1
lesson.caught("and it does not fall where it should fall by 1", clipped(nudged, one) - clipped(sure, one), -1.0)

# %% [markdown]
# ## The figure
#
# Each row is an image, each column one of its ten logits. A step against the gradient raises the logits in violet (with
# a minus). In each row this is only the right class. It lowers the logits in orange, and most where the probability is
# high. Each row sums to 0.

# %% tags=["hide-input"]
figure = new_figure(7.6, 5.2, "Push and pull: N · dz = p − Y at the logits of ten digits")
left, ax = figure.subplots(1, 2, width_ratios=(1, 10))
left.imshow(255 - images.reshape(N * 28, 28), cmap="gray", vmin=0, vmax=255)
left.set_axis_off()
tidy(ax, x="logit of digit", y="right answer", grid=False)
shown = ax.imshow(N * dz, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
for n in range(N):
    for k in range(K):
        strong = abs(N * dz[n, k]) > 0.6
        ax.text(
            k,
            n,
            f"{N * dz[n, k]:+.2f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if strong else INK,
        )
ax.set_xticks(range(K))
ax.set_yticks(range(N), labels)
figure.colorbar(shown, ax=ax, label="− pulled up        + pushed down")
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show how the gradient gets from the logits to the weights, which are what training changes. Lesson
# 3 does. And a small loss does not always mean few errors. The loss depends on the probabilities, not only on the
# answers. A network that is right about every image can still lower its loss by higher probabilities.
#
# ## Read on
#
# - Bishop 2006, [*Pattern recognition and machine
#   learning*](https://www.microsoft.com/en-us/research/publication/pattern-recognition-machine-learning/), §4.3.4: the
#   same gradient, for logistic regression.
# - Goodfellow, Bengio and Courville 2016, [*Deep learning*](https://www.deeplearningbook.org), §6.2.2: which loss for
#   which output.
# - Szegedy and others 2016, [*Rethinking the Inception architecture for computer
#   vision*](https://arxiv.org/abs/1512.00567), §7: label smoothing, which is the first exercise.
# - Lesson 3 takes the gradient back through a layer. Lesson 12 replaces the labels by a teacher's probabilities.
# - [`minikd/losses/cross_entropy.py`](../minikd/losses/cross_entropy.py): the engine's version.
#
# ## Exercises
#
# The first time, `minikd check 02` creates the skeleton `work/02_cross_entropy.py`. After that, it checks your solution
# there.
#
# 1. `smoothed_loss` and `smoothed_cross_entropy`: the target of the right class is a little below 1, so the network
#    does not need infinitely large logits. Write first the loss, then the loss and its gradient.
# 2. `binary_loss` and `binary_gradient`: use one logit instead of ten, for yes or no. They must also work for logits of
#    10,000.
#
# The solutions are in `lessons/solutions/`.
