# %% [markdown]
# # 2. Cross-entropy
#
# **Goal** Say in one number how wrong a network is, and find out which way each of its logits should move.
#
# **Needs** lesson 1.
#
# **You will see** how the loss pushes and pulls at each logit of a few handwritten digits.
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
# MNIST is a set of handwritten digits, grey images of 28 × 28 pixels. We take the first one of each digit. Our network
# is the simplest that there is: each logit is a weighted sum of all 784 pixels. The weights are random, so it knows
# nothing yet. That is how every network starts.

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
# Softmax (lesson 1, at $T = 1$) makes of the logits $z$, (N, K), the beliefs $p$, (N, K). The labels $y$, (N,), say
# which class is right. First one sample, with logits $z_1$ to $z_K$ and the right class $y$.
#
# 1. The network gave the right class the belief $p_y$. How bad is that? The **cross-entropy** says
#    $$L = -\log p_y$$
#    It is 0 for a belief of 1, 0.69 for ½, 4.6 for 1/100, and grows without end as $p_y$ goes to 0. To be sure and
#    wrong is punished most.
# 2. A network that knows nothing and says so gives each class $1/K$. Its loss is $\log K$: for ten digits 2.303.
# 3. Put softmax in. The logarithm takes the quotient apart:
#    $$L = \log \sum_j \exp(z_j) - z_y$$
#    The first term is called **log-sum-exp**. As in lesson 1, we take the largest logit $m$ out, so that no exponential
#    is too large:
#    $$\log \sum_j \exp(z_j) = m + \log \sum_j \exp(z_j - m)$$
# 4. For a batch the loss is the mean over its samples. So it does not depend on how many there are.
#
# ## On paper: its gradient
#
# The **gradient** of the loss by the logits says how much the loss changes if a logit moves a little. It has a number
# for each logit, so its shape is that of the logits, (N, K). In all lessons it is called `dlogits` or, short, `dz`.
#
# 5. Derive step 3 by $z_j$. The log-sum-exp gives, by the chain rule, $\exp(z_j)$ over the sum. That is $p_j$. The
#    second term gives $-1$ if $j = y$, else 0.
#    $$\frac{\partial L}{\partial z_j} = p_j - \delta_{jy}$$
#    ($\delta_{jy}$ is 1 where $j = y$, else 0.)
# 6. The $\delta$ of all samples make a matrix $Y$, (N, K): in each row a 1 at the right class, else 0. Such rows are
#    called **one-hot**. The mean of step 4 divides by $N$:
#    $$dz = \frac{p - Y}{N}$$
#
# What the network says, less what it should say. Later lessons start from this formula again and again.

# %% [markdown]
# ## In NumPy
#
# <details><summary><b>Guess first:</b> A network that knows nothing gives ten equal logits. What is its loss?</summary>
#
# Each class gets a tenth, so the loss is $-\log \frac{1}{10} = \log 10 = 2.303$, whatever the labels are. A first loss
# far above that is a warning.
# </details>
#
# <details><summary><b>Guess first:</b> Which sign has the gradient at the right class's logit, which at all others, and
# what do they add up to?</summary>
#
# It is $p - Y$: negative at the right class (a step against it raises that logit), positive at all others, and 0 in
# sum.
# </details>


# %%
def cross_entropy(z, y):
    """Return the loss, a number, and its gradient with respect to the logits, (N, K)."""
    rows = np.arange(len(z))
    m = z.max(axis=1, keepdims=True)  # (N, 1)
    e = np.exp(z - m)  # (N, K)
    log_sum_exp = m[:, 0] + np.log(e.sum(axis=1))  # (N,)
    loss = (log_sum_exp - z[rows, y]).mean()  # z[rows, y]: of each row the logit of its right class
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
# Each row sums to 0 because both $p$ and $Y$ sum to 1 in each row: what is pushed up at one class is pushed down at the
# others.
#
# Now the check that every gradient in these lessons gets. Move one logit a small step $h$ up and down, and divide the
# change of the loss by $2h$: lesson 1's centred difference, for each of the 100 logits.

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
# And it is good for something. The gradient says which way the loss rises, so we go a little the other way.

# %%
better = z - 1.0 * dz
after = cross_entropy(better, labels)[0]
lesson.true("a step against the gradient lowers the loss", after < loss, f"{loss:.3f} to {after:.3f}")

# %% [markdown]
# ## On paper: the long way round
#
# Step 5 went through softmax and logarithm at once. It also works one at a time, and it must give the same.
#
# 7. A small step in any logit moves every belief. The derivatives of all $K$ beliefs by all $K$ logits make a table,
#    the **Jacobian** $J$, of shape (K, K). Lesson 1, step 7, has its elements:
#    $$J_{kj} = \frac{\partial p_k}{\partial z_j} = p_k (\delta_{kj} - p_j)$$
#    As a matrix this is $J = \mathrm{diag}(p) - p p^\top$: the beliefs on the diagonal, less all products of two.
# 8. The loss $-\log p_y$ depends on one belief only: its derivative by $p_y$ is $-1/p_y$, by all others 0.
# 9. The chain rule adds up over all beliefs. One term is left:
#    $$\frac{\partial L}{\partial z_j} = -\frac{1}{p_y} J_{yj} = -(\delta_{yj} - p_j) = p_j - \delta_{yj}$$
#
# The $p_y$ cancels. On paper, that is pretty. In a computer it matters: if $p_y$ has become 0, then $1/p_y$ is
# infinite, $J_{yj}$ is 0, and their product is not a number. The short way never divides by $p_y$.
#
# <details><summary><b>Guess first:</b> A network is wrong with logits of 10,000 for another class and -10,000 for the
# right one. What is its loss?</summary>
#
# The log-sum-exp is 10,000, less the right logit of -10,000: 20,000. No exponential of 10,000 is ever needed.
# </details>


# %%
def long_way(z, y):
    """Return the gradient for one sample, (K,), by its Jacobian."""
    p = losses.softmax(z[None])[0]  # (K,)
    J = np.diag(p) - np.outer(p, p)  # (K, K)
    dp = np.zeros(len(p))
    dp[y] = -1 / p[y]
    return dp @ J  # (K,) = (K,) @ (K, K)


by_jacobian = np.array([long_way(z[n], labels[n]) for n in range(N)]) / N
lesson.close("the long way gives the same gradient", by_jacobian, dz)
J = np.diag(p[0]) - np.outer(p[0], p[0])
lesson.true("each row of the Jacobian sums to 0: shifts do nothing", np.abs(J.sum(axis=1)).max() < 1e-14)
lesson.true("the Jacobian is its own mirror image", np.array_equal(J, J.T))
sure, one = np.array([[1e4, 0.0, -1e4]]), np.array([2])  # sure of class 0, but class 2 is right
with np.errstate(divide="ignore", invalid="ignore"):
    lesson.caught("logits of ±10,000 the long way: 0 times infinity", long_way(sure[0], 2), [1.0, 0.0, -1.0])
lesson.close("logits of ±10,000 the short way: the loss is 20,000", cross_entropy(sure, one)[0], 20_000)
lesson.close("and its gradient p - Y", cross_entropy(sure, one)[1], [[1.0, 0.0, -1.0]])

# %% [markdown]
# ## The engine's version
#
# `minikd.losses.cross_entropy` gives the loss and its gradient at once, too. It is more careful: a label that is no
# class is refused. Ours would take a label of -1 for the last class, because an index of -1 counts from the end, and
# would never say so.

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
# - **No 1/N.** Step 5 is about one sample, and one forgets that the loss is a mean. Each sample then pulls $N$ times as
#   hard as it should, and with a batch twice as large, the steps are twice as large, too.
# - **The other axis.** $p - Y$, but softmax ran over the samples. The shape is right, and nothing fails.
# - **A clipped logarithm.** `np.log(np.clip(p, 1e-12, 1))` avoids $\log 0$: it takes smaller beliefs for 1e-12. But
#   there the loss no longer changes. Where the network is most wrong, its gradient is 0, and nothing is learned.


# %%
def clipped(z, y):
    p = losses.softmax(z)
    return -np.log(np.clip(p[range(len(z)), y], 1e-12, 1)).mean()


lesson.caught("the 1/N is missing", p - right, dz)
lesson.caught("softmax over the samples", (losses.softmax(z.T.copy()).T - right) / N, dz)
lesson.caught("a clipped logarithm: the loss of a network sure and wrong", clipped(sure, one), 20_000.0)
nudged = np.array([[1e4, 0.0, -1e4 + 1]])  # the right class's logit, 1 larger: the loss must fall by 1
lesson.caught("and it does not fall where it should fall by 1", clipped(nudged, one) - clipped(sure, one), -1.0)

# %% [markdown]
# ## The figure
#
# Each row is a digit, each column one of its ten logits. A step against the gradient pulls up what is violet, with a
# minus: in each row only the right class. It pushes down what is orange, the more the network believes in it. In each
# row, pull and push add up to 0.

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
# How the gradient gets from the logits to the weights, which are what we can change: lesson 3. Nor that a small loss
# means few errors. The loss counts beliefs, not answers: a network can be right about every image and still lower its
# loss by becoming surer.
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
# - Lesson 3 takes the gradient back through a layer. Lesson 12 replaces the labels by a teacher's beliefs.
# - [`minikd/losses/cross_entropy.py`](../minikd/losses/cross_entropy.py): the engine's version.
#
# ## Exercises
#
# `minikd check 02` puts the skeleton into `work/02_cross_entropy.py` the first time and checks it from then on.
#
# 1. `smoothed_loss` and `smoothed_cross_entropy`: the right class should get a belief a little below 1, so that the
#    network need not be infinitely sure. First the loss, then the loss and its gradient.
# 2. `binary_loss` and `binary_gradient`: one logit instead of ten, for yes or no. Logits of 10,000 must not hurt it.
#
# The solutions are in `lessons/solutions/`.
