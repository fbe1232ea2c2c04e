# %% [markdown]
# # 12. The distillation loss, and where T² comes from
#
# **Goal** Derive the distillation loss and its gradient, and understand why it is multiplied by the temperature
# squared.
#
# **Needs** lessons 1, 2 and 4. Lesson 11 shows what a student can learn from a teacher.
#
# **You will see** how large the teacher's gradient is at each temperature, with T² and without.
#
# **Minutes** 1

# %%
import numpy as np

from minikd import load_dataset, losses
from minikd.data import Views, mean_and_std
from minikd.evidence.gradcheck import check_loss
from minikd.lessons import Lesson
from minikd.lessons.teacher import teacher_of
from minikd.models import mlp
from minikd.report.style import BLUE, GREEN, INK, ORANGE, new_figure, tidy

lesson = Lesson("12_distillation_loss")
rng = np.random.default_rng(12)
N, K = 6, 10
z, v = rng.standard_normal((N, K)), 4 * rng.standard_normal((N, K))  # an untrained student, a teacher that is sure

# %% [markdown]
# ## On paper: the gradient
#
# The teacher gives logits $v$ and the student gives logits $z$. Both have the shape (N, K): N samples, K classes. The
# same temperature $T$ softens both (lesson 1):
#
# $$p = \mathrm{softmax}(v/T) \qquad q = \mathrm{softmax}(z/T)$$
#
# How far is the student from the teacher? The usual measure is the **Kullback-Leibler divergence**. It is 0 if $q = p$,
# and positive otherwise. For one sample:
#
# $$\mathrm{KL}(p \Vert q) = \sum_k p_k (\log p_k - \log q_k)$$
#
# 1. Split the sum. $-\sum_k p_k \log q_k$ is the cross-entropy $H(p, q)$ of lesson 2, with the teacher's probabilities
#    as labels. $-\sum_k p_k \log p_k$ is the entropy $H(p)$ of the teacher. So
#    $\mathrm{KL}(p \Vert q) = H(p, q) - H(p)$.
# 2. The teacher does not learn, so $H(p)$ is a constant. Therefore KL and cross-entropy have **the same gradient**.
#    Only their minimum differs: it is 0 for KL and $H(p)$ for the cross-entropy. A loss with the minimum 0 is easier to
#    read.
# 3. The logarithm of softmax is $\log q_k = z_k/T - \log \sum_i \exp(z_i/T)$. The derivative of the last term is
#    $q_j/T$. So, where $\delta_{kj}$ is 1 if $k = j$, else 0,
#
#    $$\frac{\partial \log q_k}{\partial z_j} = \frac{\delta_{kj} - q_j}{T}$$
#
#    The $1/T$ comes from the chain rule for $z/T$.
# 4. Insert this. Because $\sum_k p_k = 1$,
#
#    $$\frac{\partial \mathrm{KL}}{\partial z_j} = -\sum_k p_k \frac{\delta_{kj} - q_j}{T} = \frac{q_j - p_j}{T}$$
#
#    This is what the student says minus what the teacher says, as in lesson 2, divided by $T$.
# 5. The mean over the batch divides by N. The gradient is $(q - p)/(NT)$, of shape (N, K).
#
# ## On paper: how large is the gradient?
#
# 6. For a large $T$ all exponents are small, and $\exp(x)$ is nearly $1 + x$. With the mean $\bar z$ of a sample's
#    logits,
#
#    $$q_k \approx \frac{1 + z_k/T}{K + K \bar z/T} \approx \frac{1}{K} + \frac{z_k - \bar z}{KT}$$
#
# 7. The same holds for $p$ and $v$. So both approach $1/K$, and their difference is proportional to $1/T$:
#
#    $$q_k - p_k \approx \frac{(z_k - \bar z) - (v_k - \bar v)}{KT}$$
#
# 8. The gradient of step 4 has another factor $1/T$. Together it is **proportional to $1/T^2$**. One $1/T$ comes from
#    the chain rule, and one because softer answers are closer together.
# 9. Therefore we multiply the loss by $T^2$. Its value and gradient are
#
#    $$L = \frac{T^2}{N} \sum_n \mathrm{KL}(p_n \Vert q_n) \qquad \frac{\partial L}{\partial z} = \frac{T (q - p)}{N}$$
#
# 10. For large $T$ the gradient tends to $((z - \bar z) - (v - \bar v))/(NK)$, which does not depend on $T$. This is
#     the gradient of $\frac{1}{2K} \Vert (z - \bar z) - (v - \bar v) \Vert^2$, as a mean over the batch. So the student
#     learns the teacher's logits, up to a constant. The value $L$ tends to this expression too, because both are 0
#     where $z = v$, and their gradients agree.

# %% [markdown]
# ## In plain NumPy


# %%
def log_probabilities(logits, T):
    """(N, K) logits -> (N, K) logarithms of softmax(logits/T); the largest is subtracted first, see lesson 1."""
    logits = logits / T - (logits / T).max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def soft_loss(z, v, T):
    """Student's and teacher's logits (N, K) -> the value T²·KL, and its gradient with respect to z (N, K)."""
    logq, logp = log_probabilities(z, T), log_probabilities(v, T)
    q, p = np.exp(logq), np.exp(logp)
    return T**2 * np.sum(p * (logp - logq)) / len(z), T * (q - p) / len(z)


def checked(loss, T=4.0):
    """Check whether the gradient of `loss` is the derivative of its value, with the random directions of lesson 4."""
    return check_loss(lambda z: loss(z, v.astype(z.dtype), T), z, np.random.default_rng(0))


for T in (1.0, 4.0, 20.0):
    report = checked(soft_loss, T)
    lesson.true(f"T (q - p)/N is the derivative of T²·KL at T = {T:g}", report.ok, f"{report.relative_error:.1e}")
lesson.close(
    "its rows sum to 0, because a constant added to the logits changes nothing", soft_loss(z, v, 4.0)[1].sum(1), 0
)

value, dz = soft_loss(z, v, 4.0)
logp, logq = log_probabilities(v, 4.0), log_probabilities(z, 4.0)
cross, entropy = -np.sum(np.exp(logp) * logq) / N, -np.sum(np.exp(logp) * logp) / N
lesson.close("KL = cross-entropy - the teacher's entropy", value / 4.0**2, cross - entropy)
lesson.close("cross-entropy with soft labels has the same gradient", losses.soft_cross_entropy(z, v, 4.0)[1], dz)
lesson.close(
    "but its minimum is the teacher's entropy, not 0", losses.soft_cross_entropy(v, v, 4.0)[0], 4.0**2 * entropy
)

# %% [markdown]
# ## The engine's version
#
# `minikd.losses.kl_divergence` is the same formula. It takes logits and computes the logarithms directly. Many programs
# compute the probabilities first and then their logarithms. If a probability is too small for the floating-point
# format, it becomes 0. Its logarithm is minus infinity, and 0 times infinity is not a number.

# %%
for T in (1.0, 4.0, 20.0):
    value, dz = losses.kl_divergence(z, v, T)
    lesson.close(f"the engine's value at T = {T:g}", value, soft_loss(z, v, T)[0])
    lesson.close(f"the engine's gradient at T = {T:g}", dz, soft_loss(z, v, T)[1])

p, q = losses.softmax(200 * v), losses.softmax(200 * z)
with np.errstate(divide="ignore", invalid="ignore"):
    careless = np.sum(p * (np.log(p) - np.log(q))) / N
lesson.true("with logits of hundreds, log(softmax) gives no finite value", not np.isfinite(careless), f"{careless}")
value, _ = losses.kl_divergence(200 * z, 200 * v, 1.0)
lesson.true("but the engine's value is finite", np.isfinite(value), f"{value:.1f}")

# %% [markdown]
# ## The limit, measured
#
# Step 10 gives the limit of the loss. The error of $\exp(x) \approx 1 + x$ is of the order $x^2$. So the relative
# distance from the limit should be proportional to $1/T$: ten times the temperature, a tenth of the distance. The
# engine has this limit as a separate loss, `logit_matching`.

# %%
gap = (z - z.mean(1, keepdims=True)) - (v - v.mean(1, keepdims=True))
limit_value, limit_dz = np.sum(gap**2) / (2 * K * N), gap / (K * N)
lesson.close("the engine's logit_matching has the limit's value", losses.logit_matching(z, v)[0], limit_value)
lesson.close("and the limit's gradient", losses.logit_matching(z, v)[1], limit_dz)

print("\n     T     value off by   gradient off by")
off = {}
for T in (1.0, 4.0, 16.0, 64.0, 1000.0, 10000.0):
    value, dz = soft_loss(z, v, T)
    off[T] = np.linalg.norm(dz - limit_dz) / np.linalg.norm(limit_dz)
    print(f"{T:6g} {abs(value / limit_value - 1):14.3%} {off[T]:16.3%}")
ratio = off[1000.0] / off[10000.0]
lesson.true("ten times the temperature, a tenth of the distance", 9.5 < ratio < 10.5, f"{ratio:.3f}")

# %% [markdown]
# ## The size of the teacher's gradient
#
# Now we take a real teacher, that of lesson 10, and an untrained student. We measure the length of the gradient of a
# sample, and call it the **pull** of the teacher. We compare it with the pull of the label, the gradient of lesson 2 at
# T = 1.
#
# <details><summary><b>Guess first:</b> The temperature rises from 1 to 100. By what factor does the pull of the teacher
# fall without T²? If the loss has the factor T², how much does the pull change?</summary>
#
# Without T² it falls by a factor of 4758, which is less than $100^2$. With T², the largest pull is 3.1 times the
# smallest.
# </details>

# %%
teacher = teacher_of(lesson)
data = load_dataset("mnist")
views = Views(data.train_images[:1000], data.train_labels[:1000], *mean_and_std(data.train_images))
images, labels = views.clean(), views.labels
student = mlp(data.image_shape, (128,), 10, rng)
students, teachers = student(images).astype(np.float64), teacher(images).astype(np.float64)


def pull(dz):
    """Return the mean length of a sample's gradient, without the 1/N."""
    return np.linalg.norm(dz * len(dz), axis=1).mean()


temperatures = np.array([1, 2, 4, 8, 16, 32, 64, 100.0])
with_square = np.array([pull(losses.kl_divergence(students, teachers, T)[1]) for T in temperatures])
without = with_square / temperatures**2
by_label = pull(losses.cross_entropy(students, labels)[1])
print(f"   T   with T²   without   (pull of the label: {by_label:.3f})")
for T, one, other in zip(temperatures, with_square, without, strict=True):
    print(f"{T:4g} {one:9.3f} {other:9.5f}")
spread = with_square.max() / with_square.min()
lesson.true("with T², the pull changes little from T = 1 to 100", spread < 10, f"factor {spread:.1f}")
lesson.true("without T², it almost vanishes", without[0] / without[-1] > 300, f"factor {without[0] / without[-1]:.0f}")

# %% [markdown]
# ## With labels: alpha
#
# A student usually learns from both: from the teacher's soft targets and from the labels (the **hard** targets). The
# term of the labels has temperature 1, as in lesson 2:
#
# $$L = \alpha \, T^2 \, \mathrm{KL}(p \Vert q) + (1 - \alpha) \, \mathrm{CE}(z, \mathrm{labels})$$
#
# The gradient of a weighted sum of losses is the weighted sum of their gradients. Here the T² matters: **without it,
# alpha means something else at every temperature.**

# %%
T, alpha = 4.0, 0.9
soft, hard = losses.kl_divergence(students, teachers, T), losses.cross_entropy(students, labels)
for i, what in enumerate(("value", "gradient")):
    mixed = losses.distillation_loss(students, teachers, labels, T, alpha)[i]
    lesson.close(
        f"the engine's distillation loss: its {what} is the sum", mixed, alpha * soft[i] + (1 - alpha) * hard[i]
    )

print("\nalpha = 0.5: the teacher's share of the pull")
for T, one, other in zip(temperatures[::2], with_square[::2], without[::2], strict=True):
    print(f"T = {T:3g}   with T² {one / (one + by_label):4.0%}   without {other / (other + by_label):6.1%}")

# %% [markdown]
# ## Wrong versions, and which check finds them
#
# Each of these bugs was in published code; `minikd pitfalls` lists where. And **nearly all of them pass the gradient
# check**, because their gradient is the right derivative of a wrong value. A gradient check only compares the gradient
# with the value. So we add three more checks:
#
# - *equal*: if the student's logits equal the teacher's, up to a constant, the loss and the gradient must be 0;
# - *limit*: at a very high temperature the gradient must be that of step 10;
# - *by hand*: take two classes at T = 2, $p = (\frac{3}{4}, \frac{1}{4})$ and $q = (\frac{1}{2}, \frac{1}{2})$. Then
#   $L = 4 (\frac{3}{4} \log \frac{3}{2} + \frac{1}{4} \log \frac{1}{2})$ and the gradient is $2 (q - p)$.
#
# <details><summary><b>Guess first:</b> There are six wrong versions of this loss. How many of them does a gradient
# check find?</summary>
#
# One. In the other five, the gradient is the right derivative of a wrong value, and a gradient check compares only
# these two.
# </details>


# %%
def without_square(z, v, T):
    """T² is missing."""
    value, dz = soft_loss(z, v, T)
    return value / T**2, dz / T**2


def mean_over_classes(z, v, T):
    """np.mean over (N, K), which many libraries do by default."""
    value, dz = soft_loss(z, v, T)
    return value / z.shape[1], dz / z.shape[1]


def probabilities_for_logarithms(z, v, T):
    """A function that expects log q gets q."""
    q, p = np.exp(log_probabilities(z, T)), np.exp(log_probabilities(v, T))
    value = T**2 * np.sum(p * (np.log(p) - q)) / len(z)
    return value, losses.softmax_backward(-(T**2) * p / len(z), q, T)


def teacher_alone_softened(z, v, T):
    """T is passed to only one of the two softmax functions."""
    logq, logp = log_probabilities(z, 1.0), log_probabilities(v, T)
    return T**2 * np.sum(np.exp(logp) * (logp - logq)) / len(z), T**2 * (np.exp(logq) - np.exp(logp)) / len(z)


def gradient_of_temperature_1(z, v, T):
    """The right value, but with the gradient of lesson 2, (q - p)/N: the factor T is missing."""
    value, dz = soft_loss(z, v, T)
    return value, dz / T


def answers(loss):
    """Return what the last three checks compare, as pairs of (found, wanted)."""
    value, dz = loss(v + np.arange(N)[:, None], v, 4.0)
    two_classes = loss(np.array([[0.0, 0.0]]), 2 * np.log([[3.0, 1.0]]), 2.0)
    wanted = [4 * (3 / 4 * np.log(3 / 2) + 1 / 4 * np.log(1 / 2)), -0.5, 0.5]
    return {
        "equal": ([value, *dz.ravel()], [0.0] * (N * K + 1)),
        "limit": (loss(z, v, 1e6)[1], limit_dz),
        "by hand": ([two_classes[0], *two_classes[1].ravel()], wanted),
    }


def sees(loss):
    """Return the names of the checks that find something."""
    found = [] if checked(loss).ok else ["gradient check"]
    for name, (got, want) in answers(loss).items():
        apart = np.max(np.abs(np.subtract(got, want)))
        found += [name] if apart > 1e-3 * np.max(np.abs(want)) + 1e-9 else []
    return found


lesson.true("no check finds anything in the right version", not sees(soft_loss))
caught_by = {
    without_square: "limit",
    mean_over_classes: "limit",
    probabilities_for_logarithms: "equal",
    teacher_alone_softened: "equal",
    losses.reverse_kl: "by hand",  # KL(q ‖ p), with swapped arguments: another useful loss, but not this one
}
for loss, check in caught_by.items():
    lesson.caught(f"{loss.__name__.replace('_', ' ')}, by '{check}'", *answers(loss)[check])
dz = soft_loss(z, v, 4.0)[1]
lesson.caught("gradient of temperature 1, by the gradient check", gradient_of_temperature_1(z, v, 4.0)[1], dz)

print("\nfound by          gradient check  equal  limit  by hand")
for loss in (*caught_by, gradient_of_temperature_1):
    marks = ["found" if name in sees(loss) else "-" for name in ("gradient check", "equal", "limit", "by hand")]
    print(f"{loss.__name__:32}", *(f"{mark:>7}" for mark in marks))
passed = [loss for loss in caught_by if checked(loss).ok]
lesson.true("five of the six wrong versions pass the gradient check", len(passed) == 5)
lesson.true("only the check by hand finds swapped arguments", sees(losses.reverse_kl) == ["by hand"])

# %% [markdown]
# The swapped arguments are the hardest to find. KL is not symmetric, but near $p = q$ and for large $T$ both directions
# are nearly equal. Only a value that was computed by hand shows the difference.

# %% tags=["hide-input"]
figure = new_figure(9.2, 4.0, "Without T², a teacher at a high temperature has no effect")
left, right = figure.subplots(1, 2)
tidy(left, "A sample's gradient", "temperature T", "length of the gradient")
left.loglog(temperatures, with_square, color=BLUE, marker="o", label="teacher, with T²")
left.loglog(temperatures, without, color=ORANGE, marker="^", linestyle="--", label="teacher, without T²")
left.axhline(by_label, color=INK, linestyle=":", label="label")
left.legend(frameon=False, fontsize=9)
limit = losses.logit_matching(students, teachers)[1]
gaps = [np.linalg.norm(losses.kl_divergence(students, teachers, T)[1] - limit) for T in temperatures]
distances = np.array(gaps) / np.linalg.norm(limit)
tidy(right, "With T², it tends to a limit", "temperature T", "distance from the limit, relative")
right.loglog(temperatures, distances, color=GREEN, marker="s", label="gradient")
right.loglog(temperatures, distances[-1] * temperatures[-1] / temperatures, color=INK, linestyle=":", label="1/T")
right.legend(frameon=False, fontsize=9)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show that distillation helps, because it trains nothing. It does not show which temperature is
# best. T² keeps the size of the gradient, not its direction. And the steps of Adam (lesson 6) do not depend on the size
# of a gradient. So if the teacher's term is the only one, the T² has almost no effect. It matters when terms are mixed.
#
# ## Read on
#
# - Hinton, Vinyals and Dean 2015, [*Distilling the knowledge in a neural network*](https://arxiv.org/abs/1503.02531),
#   §2 (the loss) and §2.1 (the limit).
# - Ba and Caruana 2014, [*Do deep nets really need to be deep?*](https://arxiv.org/abs/1312.6184), §2.2: a student that
#   learns the logits directly, a year earlier.
# - [`minikd/losses/kl.py`](../minikd/losses/kl.py),
#   [`minikd/losses/distillation.py`](../minikd/losses/distillation.py),
#   [`minikd/losses/logit_matching.py`](../minikd/losses/logit_matching.py);
#   [`minikd/evidence/pitfalls/losses.py`](../minikd/evidence/pitfalls/losses.py) for the wrong versions, and `minikd
#   pitfalls` for what they cost.
# - Lesson 13 trains with this loss, and measures whether it helps.
#
# ## Exercises
#
# The first time, `minikd check 12` creates the skeleton `work/12_distillation_loss.py`. After that, it checks your
# solution there.
#
# 1. `reverse_kl`: the value of the divergence with swapped arguments, KL(q ‖ p). Now q is the weight, and it is also in
#    the logarithm.
# 2. `reverse_kl_gradient`: its gradient. Derive it on paper first, from $\partial q_k/\partial z_j$ (lesson 1).
# 3. `distill_some_labels`: the gradient of the mixed loss, if some samples have no label and learn only from the
#    teacher.
#
# The solutions are in `lessons/solutions/`.
