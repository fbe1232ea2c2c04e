# %% [markdown]
# # 14. Beyond logits: hints and relations
#
# **Goal** Let a student also learn from a hidden layer of its teacher, derive the gradients, and see where they enter
# the backward pass.
#
# **Needs** lessons 3, 5, 12 and 13.
#
# **You will see** which images look alike to a teacher, and how a student's hidden layer learns to agree.
#
# **Minutes** 1

# %%
import numpy as np

from minikd import METHODS, load_dataset, losses, metrics
from minikd.data import Views, mean_and_std
from minikd.distillation.teacher import CachedTeacher
from minikd.evidence.gradcheck import check_loss
from minikd.lessons import Lesson
from minikd.lessons.teacher import teacher_of
from minikd.methods import Labels, Pair, build, refusal
from minikd.methods.layers import compared_layers
from minikd.models import describe, mlp
from minikd.nn import Linear, ReLU, Sequential
from minikd.report.style import new_figure, tidy
from minikd.training import Plan, fit
from minikd.training.inference import outputs_of

lesson = Lesson("14_beyond_logits")
rng = np.random.default_rng(14)
N, DS, DT = 6, 5, 7  # samples; units in a hidden layer of the student and of the teacher
fs, ft = rng.standard_normal((N, DS)), rng.standard_normal((N, DT))
w, b = rng.standard_normal((DT, DS)), rng.standard_normal(DT)

# %% [markdown]
# ## Where the gradient enters
#
# Here, the output of a hidden layer is called a **feature**: $f$, of shape (N, D). Let the loss have two parts, one of
# the logits and one of a feature. Then the feature affects the loss in two ways: through the layers after it, and
# directly. By the chain rule, the two gradients are added:
#
# $$\frac{\partial L}{\partial f} = J^\top \frac{\partial L}{\partial z} + \frac{\partial L_2}{\partial f}$$
#
# Here $J^\top$ is the backward pass of the layers after the feature. So only one addition is new, at the output of that
# layer. The layers before it do not need to know that the loss has two parts. In the engine, `forward_with_taps` also
# returns the output of a hidden layer (a **tap**), and `backward` takes the gradient with respect to it as `dtaps`.

# %%
model = Sequential(Linear(4, DS, rng), ReLU(), Linear(DS, 3, rng)).astype("float64")
x, up_z, up_f = rng.standard_normal((N, 4)), rng.standard_normal((N, 3)), rng.standard_normal((N, DS))


def both_parts(x):
    """A loss of the logits and of layer 1's output, both weighted with fixed random numbers (lesson 4)."""
    z, taps, _ = model.forward_with_taps(x, ["1"])
    return np.sum(up_z * z) + np.sum(up_f * taps["1"])


def slope(f, x, direction, h=1e-6):
    """The numeric derivative of f at x along a direction (lesson 4)."""
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


_, taps, cache = model.forward_with_taps(x, ["1"])
dx, _ = model.backward(up_z, cache, {"1": up_f})
df = up_z @ model.layers[2].params["weight"] + up_f  # (N, D) = (N, K) @ (K, D)
by_hand = (df * (taps["1"] > 0)) @ model.layers[0].params["weight"]  # (N, C) = (N, D) @ (D, C)
direction = rng.standard_normal(x.shape)
lesson.close("by hand: one addition at the tap", by_hand, dx)
lesson.close("its slope equals the numeric one", np.sum(dx * direction), slope(both_parts, x, direction), within=1e-7)
below = up_z @ model.layers[2].params["weight"]  # (N, D) = (N, K) @ (K, D)
too_low = (below * (taps["1"] > 0) + up_f) @ model.layers[0].params["weight"]  # (N, C) = (N, D) @ (D, C)
lesson.caught("the tap's gradient was forgotten", model.backward(up_z, cache)[0], dx)
lesson.caught("it was added one layer too low, before the ReLU", too_low, dx)

# %% [markdown]
# ## A hint
#
# The student should have the same feature as the teacher. But the teacher's feature has DT values, and the student's
# has DS. So a small linear layer translates between them, the **regressor**: $r = f_s w^\top + b$, with $w$ (DT, DS)
# and $b$ (DT,). It is trained together with the student and discarded afterwards.
#
# 1. $L = \frac{1}{N} \sum_n \frac{1}{2} \Vert r_n - t_n \Vert^2$, where $t$ (N, DT) is the teacher's feature.
# 2. The gradient with respect to the regressor's output is $dr = (r - t)/N$, of shape (N, DT).
# 3. The rest is lesson 3: $df_s = dr \, w$ (N, DS), $dw = dr^\top f_s$ (DT, DS), $db = \sum_n dr_n$ (DT,).
# 4. The derivative with respect to the teacher's feature would be $-dr$. It is **not used**, because the teacher is
#    fixed.


# %%
def hint(fs, ft, w, b):
    """Features (N, DS) and (N, DT), regressor (DT, DS), (DT,) -> value, dfs, dw, db."""
    r = fs @ w.T + b  # (N, DT) = (N, DS) @ (DS, DT)
    dr = (r - ft) / len(fs)
    dfs = dr @ w  # (N, DS) = (N, DT) @ (DT, DS)
    dw = dr.T @ fs  # (DT, DS) = (DT, N) @ (N, DS)
    return np.sum((r - ft) ** 2) / (2 * len(fs)), dfs, dw, dr.sum(0)


for name, one, other in zip(("value", "dfs", "dw", "db"), hint(fs, ft, w, b), losses.hint(fs, ft, w, b), strict=True):
    lesson.close(f"hint: {name} equals the engine's", one, other)
direction = rng.standard_normal(w.shape)
numeric = slope(lambda w: hint(fs, ft, w, b)[0], w, direction)
lesson.close("dw has the numeric slope", np.sum(hint(fs, ft, w, b)[2] * direction), numeric, within=1e-7)
lesson.caught("a regressor that is not trained: dw is left at 0", 0.0, numeric)

# %% [markdown]
# How can it happen that the regressor is not trained? In a framework, the optimiser gets the student's weights, and the
# regressor is not part of the student. Then the student must match the teacher through a random matrix.
#
# **The gradient through the teacher** is the opposite mistake: too much is trained. The loss still falls, even faster,
# because the teacher moves towards the student. But the teacher forgets what it knew. The code compares a fixed teacher
# with one that moves, over 30 steps with the same hint:

# %%
fixed, moving, student_f, student_g = ft.copy(), ft.copy(), fs.copy(), fs.copy()
for _ in range(30):
    student_f -= 0.1 * N * hint(student_f, fixed, w, b)[1]
    gap = student_g @ w.T + b - moving  # (N, DT) = (N, DS) @ (DS, DT)
    student_g -= 0.1 * gap @ w  # (N, DS) = (N, DT) @ (DT, DS)
    moving += 0.1 * gap
values = hint(student_f, fixed, w, b)[0], hint(student_g, moving, w, b)[0]
lesson.true("the loss is smaller with a teacher that moves", values[1] < values[0], f"{values[1]:.3f}, {values[0]:.3f}")
lesson.caught("a gradient through the teacher: its features change", moving, ft)

# %% [markdown]
# ## A relation
#
# A hint compares the values of the features. A relation requires less: **if two images are alike for the teacher, they
# should be alike for the student**. It compares N x N numbers on both sides, so it needs no regressor, whatever DS and
# DT are. We derive one relation completely: similarity-preserving distillation.
#
# 1. For features $F$ (N, D), take the products of all pairs of samples: $G = F F^\top$ (N, N), or
#    $G_{ij} = \sum_d F_{id} F_{jd}$. It is large if two features point in the same direction.
# 2. Scale each row to length 1, so that the scale of the features does not matter: $A_{ij} = G_{ij} / l_i$ with
#    $l_i = \Vert G_i \Vert$.
# 3. Do the same with the teacher's features; call the result $B$. The loss is
#    $L = \frac{1}{N^2} \sum_{ij} (A_{ij} - B_{ij})^2$.
# 4. Now the backward pass. The gradient with respect to A is $dA = 2 (A - B)/N^2$.
# 5. Next is the division by the length. $l_i$ depends on the whole row:
#    $\partial l_i / \partial G_{ij} = G_{ij} / l_i = A_{ij}$. With the quotient rule,
#
#    $$\frac{\partial A_{ik}}{\partial G_{ij}} = \frac{\delta_{kj}}{l_i} - \frac{G_{ik} A_{ij}}{l_i^2}$$
#
#    and because $G_{ik} = A_{ik} l_i$, this is $(\delta_{kj} - A_{ik} A_{ij}) / l_i$.
# 6. Sum over all $k$, weighted with $dA_{ik}$:
#
#    $$dG_{ij} = \frac{1}{l_i} \left( dA_{ij} - A_{ij} \sum_k A_{ik} \, dA_{ik} \right)$$
#
#    This removes the part of $dA$ along the row, because a longer row has the same direction.
# 7. Last is the product. $F$ is **both factors**: $F_{id}$ affects row $i$ of G and column $i$.
#
#    $$dF_{id} = \sum_j dG_{ij} F_{jd} + \sum_j dG_{ji} F_{jd}$$
#
#    So $dF = (dG + dG^\top) F$, of shape (N, D) = (N, N) @ (N, D).


# %%
def similarity_matrix(f):
    """Features (N, D) -> A (N, N), the similarities with rows of length 1, and the lengths (N, 1)."""
    G = f @ f.T  # (N, N) = (N, D) @ (D, N)
    length = np.sqrt((G**2).sum(1, keepdims=True))
    return G / length, length


def relation(fs, ft):
    """Features (N, DS) and (N, DT) -> the loss, and its gradient with respect to fs."""
    (A, length), (B, _) = similarity_matrix(fs), similarity_matrix(ft)
    dA = 2 * (A - B) / len(fs) ** 2
    dG = (dA - A * (A * dA).sum(1, keepdims=True)) / length
    return np.sum((A - B) ** 2) / len(fs) ** 2, (dG + dG.T) @ fs  # (N, DS) = (N, N) @ (N, DS)


value, dfs = relation(fs, ft)
report = check_loss(lambda f: relation(f, ft.astype(f.dtype)), fs, np.random.default_rng(0))
lesson.true("the derivation is right: the gradient check of lesson 4", report.ok, f"{report.relative_error:.1e}")
lesson.close("value: the engine's similarity_preserving", value, losses.similarity_preserving(fs, ft)[0])
lesson.close("gradient: the engine's", dfs, losses.similarity_preserving(fs, ft)[1])
lesson.close("teacher's features ten times as long: the same loss", relation(fs, 10 * ft)[0], value)

# %% [markdown]
# The engine's version handles one more case: if all hidden units of a sample are 0, its feature has no direction.

# %%
off = fs * (np.arange(N) > 0)[:, None]  # the first sample's units are off
with np.errstate(invalid="ignore"):
    lesson.true("a feature of zeros: the plain version divides 0 by 0", np.isnan(relation(off, ft)[0]))
lesson.true("and the engine's gradient is finite", np.all(np.isfinite(losses.similarity_preserving(off, ft)[1])))

# %% [markdown]
# Two mistakes are easy to make. The first differentiates $F F^\top$ as if one of the two $F$ were a constant. This
# gives only one of the two sums of step 7, and a gradient check finds it. The second leaves out step 2. Then the loss
# depends on the scale of the teacher's features. Its gradient is the right derivative of this loss, so **no gradient
# check finds it**. A test with another scale does.
#
# <details><summary><b>Guess first:</b> A step is missing in both the value and the gradient. Does the gradient check of
# lesson 4 find it?</summary>
#
# No. It compares the gradient with the value, and the step is missing in both. The last row below tests a property that
# the loss must have: it must not change if the teacher's feature is ten times as long. This finds the mistake.
# </details>


# %%
def one_side(fs, ft):
    """Step 7 with only its first sum."""
    (A, length), (B, _) = similarity_matrix(fs), similarity_matrix(ft)
    dA = 2 * (A - B) / len(fs) ** 2
    dG = (dA - A * (A * dA).sum(1, keepdims=True)) / length
    return np.sum((A - B) ** 2) / len(fs) ** 2, dG @ fs  # (N, DS) = (N, N) @ (N, DS)


def unnormalised(fs, ft):
    """Without step 2."""
    gap = fs @ fs.T - ft @ ft.T  # (N, N) = (N, D) @ (D, N), twice
    return np.sum(gap**2) / len(fs) ** 2, 4 * gap @ fs / len(fs) ** 2  # (N, DS) = (N, N) @ (N, DS)


lesson.caught("only one of the two sums", one_side(fs, ft)[1], dfs)
report = check_loss(lambda f: one_side(f, ft.astype(f.dtype)), fs, np.random.default_rng(0))
lesson.true("the gradient check finds it", not report.ok)
report = check_loss(lambda f: unnormalised(f, ft.astype(f.dtype)), fs, np.random.default_rng(0))
lesson.true("without step 2: the gradient check passes it", report.ok, f"{report.relative_error:.1e}")
lesson.caught(
    "without step 2: teacher's features ten times as long", unnormalised(fs, 10 * ft)[0], unnormalised(fs, ft)[0]
)

# %% [markdown]
# ## Attention transfer, and why an MLP cannot use it
#
# **Attention transfer** compares positions in the image. The feature of a convolution is a map (N, C, H, W). The
# squares of its values, summed over the channels, show where in the image the network found something, (N, H, W). The
# student learns to find something at the same positions. The order of the channels does not matter.
#
# A dense layer has no positions, because its values belong to the whole image. The engine refuses, and tells what would
# work.

# %%
map_s, map_t = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal((2, 8, 4, 4))
value, _ = losses.attention_transfer(map_s, map_t)
shuffled, _ = losses.attention_transfer(map_s, map_t[:, rng.permutation(8)])
lesson.close("attention transfer: the order of the channels does not matter", shuffled, value)

data = load_dataset("mnist")
teacher, student = teacher_of(lesson), mlp(data.image_shape, (64,), 10, rng)
pair = Pair(student, [teacher], data.image_shape)
print(f"\nteacher: {describe(teacher)}\nstudent: {describe(student)}\nthe methods, as `minikd methods` lists them:")
for name, kind in METHODS.items():
    print(f"  {name:22} {refusal(kind(), pair) or kind.summary}")
why = refusal(METHODS["attention_transfer"](), pair)
lesson.true("attention transfer to an MLP is refused, with a reason", "maps" in why)

# %% [markdown]
# ## A small run
#
# The comparison is fair as in lesson 13: all students have the same first weights, batches and steps, there are several
# seeds, and the settings were fixed before (they are the engine's defaults). The teacher computes its logits and
# features once for each image, and they are stored. All students except the first also learn from soft targets. So a
# hint or a relation must improve on soft targets alone.
#
# <details><summary><b>Guess first:</b> Students learn from labels and in one of three ways from the teacher: soft
# targets, a hint, or a relation. Which makes the fewest errors? Which comes nearest to the teacher's
# relations?</summary>
#
# Two different ones. Soft targets make the fewest errors, 588 on average. The relation comes nearest to the teacher's
# relations, 0.92e-3, but makes as many errors as labels alone: 664 and 659.
# </details>

# %%
COUNT, EPOCHS, SEEDS = lesson.pick(full=(6000, 8, 3), quick=(300, 4, 2))
mean, std = mean_and_std(data.train_images)
views = Views(data.train_images[:COUNT], data.train_labels[:COUNT], mean, std)
tested = slice(lesson.pick(full=10_000, quick=500))
test_images, test_labels = Views(data.test_images, data.test_labels, mean, std).clean(tested), data.test_labels[tested]
layers = compared_layers(student, teacher, data.image_shape, ("", ""), False)
print(f"student's layer {layers.student}, {layers.student_shape}; teacher's {layers.teacher}, {layers.teacher_shape}")
answers, features = outputs_of(teacher, views, map, (layers.teacher,))
before = teacher.vector.copy()
theirs = teacher.forward_with_taps(test_images[:100], [layers.teacher])[1][layers.teacher]


def ask(layers, temperature):
    """Return the stored answers, for a method that asks for the teacher."""
    return CachedTeacher(answers, features)


def trained(name, seed):
    """Train a student of that seed by a method, and return it."""
    student = mlp(data.image_shape, (64,), 10, np.random.default_rng(seed))
    pair = Pair(student, [teacher], data.image_shape)
    objective = Labels() if name == "labels" else build(name, {}).objective(pair, ask, np.random.default_rng(seed))
    plan = Plan(epochs=EPOCHS, batch_size=50, learning_rate=2e-3, seed=seed)
    fit(student, views, objective, plan, threads=1)
    return student


def unlike(student):
    """Return 1000 times the distance of the student's relations from the teacher's, on 100 test images."""
    ours = student.forward_with_taps(test_images[:100], [layers.student])[1][layers.student]
    return 1000 * float(losses.similarity_preserving(ours, theirs)[0])


names = ("labels", "soft_targets", "hint", "similarity_preserving")
students = {name: [] for name in names}
for name, seed in lesson.progress([(name, seed) for name in names for seed in range(SEEDS)], "students"):
    students[name].append(trained(name, seed))
print(f"\nerrors in {len(test_labels):,} test images, by seed, and the distance of the relations from the teacher's")
for name, found in students.items():
    errors = [metrics.errors(one(test_images), test_labels) for one in found]
    apart = np.mean([unlike(one) for one in found])
    print(f"  {name:22}{''.join(f'{one:6}' for one in errors)}   mean {np.mean(errors):6.1f}   {apart:.2f}e-3")
start = [mlp(data.image_shape, (64,), 10, np.random.default_rng(seed)) for seed in range(SEEDS)]
apart = np.mean([unlike(one) for one in start])
print(f"  {'(before training)':22}{'':{6 * SEEDS + 14}}   {apart:.2f}e-3")
by_relation = students["similarity_preserving"]
nearer = [unlike(one) < unlike(other) for one, other in zip(by_relation, start, strict=True)]
lesson.true("the learned relations are nearer to the teacher's, for every seed", all(nearer))
lesson.close("the teacher has not changed", teacher.vector, before, within=0)

# %% [markdown]
# Read the errors as in lesson 13. A difference that is smaller than the one between two seeds shows nothing. And the
# teacher has seen more images, which is also an advantage. The relation certainly makes the student's relations more
# like the teacher's. Whether it also saves errors is another question. The table answers it only for this run.

# %% tags=["hide-input"]
ten_of_each = np.concatenate([np.flatnonzero(test_labels == k)[:10] for k in range(10)])
panels = {
    "teacher": (teacher, layers.teacher),
    "student, before": (start[0], layers.student),
    "student, from labels": (students["labels"][0], layers.student),
    "student, with the relation": (by_relation[0], layers.student),
}
figure = new_figure(11.5, 3.3, "Which of 100 digits are similar? Cosines of hidden features, sorted by class")
for ax, (title, (network, layer)) in zip(figure.subplots(1, 4), panels.items(), strict=True):
    f = network.forward_with_taps(test_images[ten_of_each], [layer])[1][layer]
    a, _ = losses.unit_rows(f.reshape(len(f), -1))
    shown = tidy(ax, title, grid=False).imshow(a @ a.T, cmap="cividis", vmin=0, vmax=1)  # (N, N) = (N, D) @ (D, N)
    ax.set_xticks(np.arange(4.5, 100, 10), range(10))
    ax.set_yticks(np.arange(4.5, 100, 10), range(10))
figure.colorbar(shown, ax=figure.axes, shrink=0.8, label="cosine")
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show which method is best. That depends on the pair of networks, on the layers that are compared
# and on the weights of the terms. Here the weights are the engine's defaults, not tuned for this pair. With a large
# teacher and a deep student, a hidden layer contains more to learn from.
#
# ## Read on
#
# - Romero et al. 2015, [*FitNets: hints for thin deep nets*](https://arxiv.org/abs/1412.6550), §2.2: the hint, in a
#   separate first stage.
# - Zagoruyko and Komodakis 2017, [*Paying more attention to attention*](https://arxiv.org/abs/1612.03928), §3.1:
#   attention transfer.
# - Tung and Mori 2019, [*Similarity-preserving knowledge distillation*](https://arxiv.org/abs/1907.09682), §3: the
#   relation derived here.
# - Park, Kim, Lu and Cho 2019, [*Relational knowledge distillation*](https://arxiv.org/abs/1904.05068), §3.2: distances
#   and angles instead of products. Its distances are divided by their mean, which depends on every feature. So its
#   derivation needs a step like step 5.
# - [`minikd/losses/features/`](../minikd/losses/features/), each with its derivation;
#   [`minikd/nn/container.py`](../minikd/nn/container.py) for the taps.
# - Lesson 15 runs the same code on a GPU.
#
# ## Exercises
#
# The first time, `minikd check 14` creates the skeleton `work/14_beyond_logits.py`. After that, it checks your solution
# there.
#
# 1. `directions` and `directions_backward`: rows of length 1 and the backward pass, that is, steps 5 and 6 as a
#    separate layer.
# 2. `cosine_loss` and `cosine_gradient`: a hint that compares only directions. It uses your layer.
#
# The solutions are in `lessons/solutions/`.
