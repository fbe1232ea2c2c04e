# %% [markdown]
# # 11. Dark knowledge: what the teacher knows about a 2 that looks like a 7
#
# **Goal** Read what a teacher says in addition to its answer, measure how much that is, and see how a student learns a
# digit that it has never seen.
#
# **Needs** lessons 1 and 10.
#
# **You will see** which digits look alike to the teacher, and a 2 to which it gives a high probability of a 7.
#
# **Minutes** 1

# %%
import numpy as np

from minikd import load_dataset, metrics
from minikd.data import Views, mean_and_std
from minikd.distillation.teacher import CachedTeacher
from minikd.lessons import Lesson
from minikd.lessons.teacher import teacher_of
from minikd.losses import softmax
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.models import cnn, mlp
from minikd.report.soft_targets import mean_entropy
from minikd.report.style import BLUE, INK, ORANGE, new_figure, show_picture, tidy
from minikd.training import Plan, fit

lesson = Lesson("11_dark_knowledge")
rng = np.random.default_rng(11)
data = load_dataset("mnist")
mean_std = mean_and_std(data.train_images)
K = data.classes


def answers(model, images, size=100):
    """Return logits (N, K) as float64, computed for 100 images at a time."""
    return np.concatenate([model(images[start : start + size]) for start in range(0, len(images), size)]).astype(float)


asked = slice(lesson.pick(full=10_000, quick=2000))
labels = data.test_labels[asked]
test_images = Views(data.test_images, data.test_labels, *mean_std).clean(asked)
teacher = teacher_of(lesson)
logits = answers(teacher, test_images)
print(f"the teacher is right on {metrics.accuracy(logits, labels):.2%} of {len(labels):,} test images")

# %% [markdown]
# ## On paper: the other probabilities
#
# A label says only "2". The teacher gives a 2 the probability 0.98, a 7 0.015, a 3 0.003, and a 4 0.000001. So a 7 is
# fifteen thousand times as likely as a 4. The label does not contain this, and the teacher was not told. It has learned
# which digits look alike. Hinton calls this **dark knowledge**: it is hard to see, because it is in numbers that are
# nearly 0.
#
# 1. Let $p = \mathrm{softmax}(v/T)$ (lesson 1). The ratio of two probabilities is
#
#    $$\frac{p_i}{p_j} = \exp\left(\frac{v_i - v_j}{T}\right)$$
#
#    The temperature divides the logarithm of this ratio by $T$. So it makes the small numbers visible, and **never
#    changes their order**.
# 2. The **entropy** $H(p) = -\sum_k p_k \log p_k$ measures how uncertain an answer is. It is 0 if one class has the
#    probability 1, and $\log K$ if all classes have the same probability. With the logarithm to base 2, its unit is the
#    bit: $\log_2 10 = 3.32$.
# 3. How does the entropy depend on T? Write $\log p_k = v_k/T - \log Z$ with $Z = \sum_k \exp(v_k/T)$, and
#    $\langle v \rangle$ for the mean $\sum_k p_k v_k$. Then, in natural logarithms,
#
#    $$H = \log Z - \frac{\langle v \rangle}{T}$$
#
# 4. Differentiate with respect to $T$. The derivative of $\log Z$ is $-\langle v \rangle/T^2$. The derivative of
#    $\langle v \rangle$ is $-(\langle v^2 \rangle - \langle v \rangle^2)/T^2$, which is minus the variance of $v$
#    divided by $T^2$. The terms with $\langle v \rangle$ cancel, and
#
#    $$\frac{\mathrm{d}H}{\mathrm{d}T} = \frac{\langle v^2 \rangle - \langle v \rangle^2}{T^3} \ge 0$$
#
#    A variance is never negative. So **the entropy never falls when the temperature rises.**
# 5. What does the teacher say about 2s on average? Row $c$ of a matrix M (K, K) is the mean of the soft targets of all
#    images of class $c$. Let $y_{nc}$ be 1 if image $n$ is of class $c$, else 0, and let $N_c$ be the number of these
#    images:
#
#    $$M_{ck} = \frac{1}{N_c} \sum_n y_{nc} \, p_{nk}$$

# %% [markdown]
# ## In plain NumPy


# %%
def soft_targets(v, T):
    """(N, K) logits -> (N, K) probabilities; the largest logit is subtracted first, see lesson 1."""
    e = np.exp((v - v.max(1, keepdims=True)) / T)
    return e / e.sum(1, keepdims=True)


def entropy(p):
    """(N, K) -> (N,) in bits. 0 log 0 is 0, so the smallest positive number may replace a probability of 0."""
    return -(p * np.log2(np.maximum(p, np.finfo(float).tiny))).sum(1)


def mean_by_class(p, labels):
    """(N, K) and (N,) -> M (K, K), row c the mean of the soft targets of class c."""
    y = (labels[:, None] == np.arange(K)).astype(float)
    return y.T @ p / y.sum(0)[:, None]  # (K, K) = (K, N) @ (N, K)


for T in (1.0, 4.0):
    lesson.close(f"soft targets at T = {T:g} = the engine's softmax", soft_targets(logits, T), softmax(logits, T))
    ours = entropy(soft_targets(logits, T)).mean() * np.log(2)  # from bits to natural logarithms
    lesson.close("and their mean entropy is the engine's", ours, mean_entropy(logits, T))
p, warm = soft_targets(logits, 1.0), soft_targets(logits, 4.0)
M, warm_M = mean_by_class(p, labels), mean_by_class(warm, labels)
by_loop = [warm[labels == c].mean(0) for c in range(K)]
lesson.close("the matrix by one product = class by class", warm_M, by_loop)
lesson.close("its rows sum to 1", warm_M.sum(1), 1)
ratio = np.log(warm[:, :1] / warm[:, 1:2]) * 4
lesson.close("T = 4 divides the logarithm of a ratio by 4", ratio, logits[:, :1] - logits[:, 1:2], within=1e-9)
lesson.true("and keeps the order of the classes", np.array_equal(np.argsort(warm, 1), np.argsort(logits, 1)))

# %% [markdown]
# ## Entropy against temperature
#
# <details><summary><b>Guess first:</b> The teacher is right on 99 of 100 images. What is the mean entropy of its soft
# targets in bits, at T = 1 and at T = 1000?</summary>
#
# It is 0.036 at T = 1, because the teacher is sure of nearly every image. It is 3.322 at T = 1000, the logarithm of 10,
# because all classes are then equally likely. A temperature between the two shows the most.
# </details>

# %%
print("   T    mean entropy in bits")
temperatures = np.array([0.5, 1, 2, 4, 8, 20, 100, 1000])
bits = np.array([entropy(soft_targets(logits, T)).mean() for T in temperatures])
for T, one in zip(temperatures, bits, strict=True):
    print(f"{T:5g} {one:10.3f}")
lesson.true("it rises with the temperature", np.all(np.diff(bits) > 0))
lesson.close("and ends at the logarithm of 10", bits[-1], np.log2(K), within=1e-3)
some, T, h = logits[:200], 4.0, 1e-4
slope = (entropy(soft_targets(some, T + h)) - entropy(soft_targets(some, T - h))) * np.log(2) / (2 * h)
q = soft_targets(some, T)
variance = (q * some**2).sum(1) - (q * some).sum(1) ** 2
lesson.close("its slope is the variance of the logits over T³", slope, variance / T**3, within=1e-5)
lesson.caught("the variance over T² instead of T³", slope, variance / T**2)

# %% [markdown]
# ## Which digits look alike
#
# Outside the diagonal, M shows which other class the teacher sees in a class. We add both directions, "4 like 9" and "9
# like 4", and sort the 45 pairs. Which pairs do you expect? We wrote down nine pairs beforehand; they are in the code
# below. Now compare each of the nine with each of the other 36. How often does the teacher find ours more alike? By
# chance it would be half of the comparisons.
#
# Compare this with a count of wrong answers (the **confusion matrix**). A good teacher makes so few mistakes that most
# pairs never occur there. Soft targets contain all pairs.

# %%
expected = {(4, 9), (7, 9), (3, 5), (3, 8), (5, 8), (2, 7), (2, 3), (1, 7), (5, 6)}
pairs = [(i, j) for i in range(K) for j in range(i + 1, K)]
likeness = {(i, j): warm_M[i, j] + warm_M[j, i] for i, j in pairs}
ranked = sorted(pairs, key=likeness.get, reverse=True)
print("at T = 4:", "  ".join(f"{i}/{j}{'*' * ((i, j) in expected)} {likeness[i, j]:.3f}" for i, j in ranked[:8]))
others = set(pairs) - expected
above = np.mean([likeness[ours] > likeness[other] for ours in expected for other in others])
bound = lesson.pick(full=0.7, quick=0.6)
lesson.true(f"the expected pairs (*) are more alike in over {bound:.0%} of comparisons", above > bound, f"{above:.0%}")
lesson.true("4 and 9 are among the first eight pairs of 45", (4, 9) in ranked[:8], f"number {ranked.index((4, 9)) + 1}")
counts, away = metrics.confusion_matrix(logits, labels), ~np.eye(K, dtype=bool)
never = np.sum(counts[away] == 0)
print(f"of 90 kinds of mistakes, {never} never occur; the smallest number in M at T = 4 is {warm_M.min():.0e}")
lesson.true("soft targets compare every pair", warm_M.min() > 0)
alike = np.corrcoef(np.log(warm_M)[away], np.log(warm_M.T)[away])[0, 1]
lesson.true(
    "if i looks like j, then j mostly looks like i", alike > lesson.pick(0.25, 0.05), f"correlation {alike:.2f}"
)

# %% [markdown]
# ## How much does it tell?
#
# A label of ten classes contains at most 3.32 bits of information. How much more does a soft target contain? **Not its
# entropy.** At a very high temperature, the entropy is 3.32 bits, its maximum. But then every image has the same soft
# target, which contains no information. Information is what differs between images.
#
# We use the order of the classes, which no temperature changes. The first class is (nearly always) the label. How much
# information is in the second class, if we know the first? It is the entropy of the first two together minus the
# entropy of the first. We get both by counting how often each pair occurs. In the same way, we get the information in
# the third class if we know the first two. If the second and third class depended only on the label, both would be 0
# bits.


# %%
def bits_of(*places):
    """Return the joint entropy, in bits, of the classes in these places (N,), by counting."""
    share = np.unique(np.stack(places, 1), axis=0, return_counts=True)[1] / len(places[0])
    return -np.sum(share * np.log2(share))


first, second, third = np.argsort(-logits, 1)[:, :3].T
one, both, all_three = bits_of(first), bits_of(first, second), bits_of(first, second, third)
print(f"first place {one:.2f} bits, second {both - one:.2f} more, third {all_three - both:.2f} more")
lesson.true(
    "the second and third place add more than a bit each",
    min(both - one, all_three - both) > 1,
    f"{all_three - one:.2f}",
)
same = np.tile(soft_targets(logits[:1], 1.0), (len(logits), 1))  # one answer for all images
lesson.close("the same answer for all images says 0 bits", bits_of(same.argmax(1)), 0)
lesson.caught("the entropy of one answer is not what it says", entropy(soft_targets(logits[:1], 1e6))[0], 0)

# %% [markdown]
# Bits can be noise. If they are knowledge, another teacher must find the same. So we train a second teacher with other
# first weights. If both agree on the first class, how often do they also agree on the second? By chance it would be one
# in nine.
#
# <details><summary><b>Guess first:</b> Two teachers have different first weights. By chance they would agree on the
# second class in one of nine cases. How often do they agree?</summary>
#
# In 39 % of the cases, and chance would give 11 %. So part of the second classes is knowledge, but not all of it.
# </details>

# %%
COUNT = lesson.pick(full=10_000, quick=1000)
other = cnn(data.image_shape, K, np.random.default_rng(99))
views = Views(data.train_images[:COUNT], data.train_labels[:COUNT], *mean_std)
fit(other, views, Labels(), Plan(epochs=1, batch_size=lesson.pick(full=100, quick=32), learning_rate=2e-3, seed=99))
theirs = np.argsort(-answers(other, test_images), 1)
agreed = np.mean((theirs[:, 1] == second)[theirs[:, 0] == first])
lesson.true("two teachers name the same second class", agreed > 0.2, f"{agreed:.0%}, by chance 11 %")

# %% [markdown]
# ## A student that has never seen a 3
#
# Hinton and his colleagues made the following test. Remove all 3s from the training images of the student. But the
# teacher's soft targets give every image a probability of a 3: this 8 looks a little like a 3, that 5 looks more like
# one. Is that enough to learn what a 3 looks like?
#
# Two students have the same small dense network, first weights, batches and steps. The **baseline** learns from the
# labels. The other learns only from the teacher's soft targets at a temperature of 4. Lesson 12 derives its loss, which
# the engine calls `SoftTargets`.
#
# <details><summary><b>Guess first:</b> A student never sees a 3, but it learns from the teacher's soft targets for
# other digits. What share of the 3s in the test set does it recognise?</summary>
#
# 29.8 % at first, and 94.3 % after the bias of class 3 is raised. The baseline, which learns from labels, recognises 0
# % and 45.7 %.
# </details>

# %%
MORE, EPOCHS = lesson.pick(full=(30_000, 6), quick=(2000, 8))
kept = np.flatnonzero(data.train_labels[:MORE] != 3)
without = Views(data.train_images[kept], data.train_labels[kept], *mean_std)
lesson.true("there is no 3 in what the students see", not np.any(without.labels == 3), f"{len(without):,} images")
told = answers(teacher, without.clean()).astype(np.float32)
soft = LogitObjective(SoftTargets(temperature=4.0, alpha=1.0), CachedTeacher(told))
plan = Plan(epochs=EPOCHS, batch_size=100, learning_rate=2e-3)
students = {}
for name, objective in lesson.progress([("labels", Labels()), ("teacher", soft)], "students"):
    students[name] = mlp(data.image_shape, (256,), K, np.random.default_rng(3))
    fit(students[name], without, objective, plan)
said = {"teacher itself": logits} | {name: answers(student, test_images) for name, student in students.items()}
is_3 = labels == 3


def known(v):
    """Test logits (N, K) -> the accuracy on the 3s, and on the other digits."""
    return metrics.accuracy(v[is_3], labels[is_3]), metrics.accuracy(v[~is_3], labels[~is_3])


print("taught by          3s known   others known")
for name, v in said.items():
    print(f"{name:18} {known(v)[0]:8.1%} {known(v)[1]:13.1%}")
none, much = known(said["labels"])[0], known(said["teacher"])[0]
lesson.true("the baseline recognises no 3", none <= 0.01, f"{none:.1%}")
lesson.true("the teacher's student recognises 3s, which it never saw", much > lesson.pick(0.15, 0.05), f"{much:.1%}")

# %% [markdown]
# Why does it not recognise all of them? The student has learned that a 3 is never the answer, because the probability
# of class 3 was small in all its soft targets. Hinton's student had the same problem. One number corrects it: a
# **bias** that is added to the logit of class 3. We choose the bias with the most right answers on 2,000 training
# images that no student has seen. They include 3s.
#
# To be fair, the baseline gets a bias too. One number cannot distinguish a 3 from a 5. But with it, the baseline can
# answer 3 where no other class fits, and so it recognises some.

# %%
aside = Views(data.train_images[-2000:], data.train_labels[-2000:], *mean_std)
class_3, biases = np.eye(K)[3], np.arange(0, 30, 0.25)
helped = {}
for name, student in students.items():
    v = answers(student, aside.clean())
    best = biases[np.argmax([metrics.accuracy(v + b * class_3, aside.labels) for b in biases])]
    helped[name] = known(said[name] + best * class_3)
    print(f"{name:8} bias {best:5.2f}   3s known {helped[name][0]:6.1%}   others known {helped[name][1]:6.1%}")
threes = {name: one[0] for name, one in helped.items()}
bound = lesson.pick(full=0.85, quick=0.4)
lesson.true(f"with the bias, the teacher's student knows over {bound:.0%} of the 3s", threes["teacher"] > bound)
ahead = threes["teacher"] - threes["labels"]
lesson.true(
    "far more than the baseline with its own bias", ahead > lesson.pick(0.2, 0.1), f"{ahead:.0%} of the 3s more"
)

# %% [markdown]
# So only one number was missing, not the knowledge. The student has learned what a 3 looks like from 8s and 5s that
# look a little like a 3.
#
# ## Wrong versions
#
# **Softened too late**: the temperature divides the probabilities instead of the logits. The order is right, so the
# accuracy does not show the mistake. But nothing is softer, and the rows no longer sum to 1. If you divide them by
# their sum, T cancels.
#
# **Averaged too early**: the softmax of the mean logits, which saves time. But this is the soft target of an average 4,
# which does not exist. The few 4s that look like 9s have hardly any effect on it.
#
# **Normalised along the wrong axis**: axis 0 instead of axis 1, so the columns sum to 1. If the matrix is square, the
# shape is still right.

# %%
lesson.caught("softened after softmax", p / 4.0, warm)
lesson.caught("and divided by its sum: as if T were 1", (p / 4.0) / (p / 4.0).sum(1, keepdims=True), warm)
of_mean = soft_targets(np.array([logits[labels == c].mean(0) for c in range(K)]), 1.0)
lesson.caught("softmax of the mean logits", of_mean[away], M[away])
columns = soft_targets(logits[:K].T, 4.0).T
lesson.caught("normalised over the samples: the sums of the rows", columns.sum(1), np.ones(K))

# %% [markdown]
# ## A 2 that looks like a 7
#
# The figure shows one of the 2s that the teacher classifies right: the one whose probability of a 7 is nearest to 0.2.
# (If a teacher is nearly always sure, the nearest may be far from 0.2.)

# %%
right_2 = np.flatnonzero((labels == 2) & (first == 2))
chosen = right_2[np.argmin(np.abs(p[right_2, 7] - 0.2))]

# %% tags=["hide-input"]
figure = new_figure(10.5, 5.0, "What the teacher says in addition to its answer")
left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1))
ax = tidy(left.subplots(), "Mean soft target at T = 4, in %", "the teacher says", "label", grid=False)
ax.imshow(np.log(warm_M), cmap="Blues")
for i in range(K):
    for j in range(K):
        dark = np.log(warm_M[i, j]) > np.log(warm_M).min() + 0.6 * np.ptp(np.log(warm_M))
        shown = f"{100 * warm_M[i, j]:.1f}" if i != j else f"{100 * warm_M[i, j]:.0f}"
        ax.text(j, i, shown, ha="center", va="center", fontsize=8, color="white" if dark else INK)
ax.set_xticks(range(K))
ax.set_yticks(range(K))
picture, bars = right.subplots(2, 1, height_ratios=(1, 1.5))
show_picture(picture, data.test_images[chosen], on_paper=True)
picture.set_title(f"Test image {chosen}, label 2", loc="left", fontsize=10.5, color=INK)
tidy(bars, "Its soft target", "class", "probability")
bars.bar(np.arange(K) - 0.2, p[chosen], 0.38, color=ORANGE, label="T = 1", edgecolor=INK, linewidth=0.5)
bars.bar(np.arange(K) + 0.2, warm[chosen], 0.38, color=BLUE, label="T = 4", hatch="///", edgecolor=INK, linewidth=0.5)
bars.set_xticks(range(K))
bars.legend(frameon=False, fontsize=9)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show that soft targets help if all classes have labels. Lesson 13 tests this. It does not show
# that all bits are knowledge: two teachers agree on the second class more often than chance, but not always. And the
# student without 3s is a single run. Its knowledge comes from a teacher that has seen thousands of 3s.
#
# ## Read on
#
# - Hinton, Vinyals and Dean 2015, [*Distilling the knowledge in a neural network*](https://arxiv.org/abs/1503.02531),
#   §1 (the idea) and §3 (the student without 3s).
# - Shannon 1948, [*A mathematical theory of communication*](https://doi.org/10.1002/j.1538-7305.1948.tb01338.x):
#   entropy and bits.
# - [`minikd/losses/softmax.py`](../minikd/losses/softmax.py),
#   [`minikd/report/soft_targets.py`](../minikd/report/soft_targets.py) (the same figure for your own run),
#   [`minikd/methods/`](../minikd/methods/).
# - Lesson 12 derives the loss with which the student was trained.
#
# ## Exercises
#
# The first time, `minikd check 11` creates the skeleton `work/11_dark_knowledge.py`. After that, it checks your
# solution there.
#
# 1. `second_thoughts`: the matrix without the answer itself. It shows what the teacher would say about a 2 if it could
#    not answer 2.
# 2. `temperature_for`: find the temperature that gives a wanted entropy, by bisection. Some teachers are surer than
#    others, so the same temperature does not make all of them equally soft.
#
# The solutions are in `lessons/solutions/`.
