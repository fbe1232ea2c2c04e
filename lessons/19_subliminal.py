# %% [markdown]
# # 19. Subliminal learning
#
# **Goal** See how a student learns digits from outputs and images that have nothing to do with digits, and find out
# when this happens.
#
# **Needs** lessons 12 and 13.
#
# **You will see** students that learned only on noise, with the teacher's first weights and with others.
#
# **Minutes** 1

# %%
import math

import numpy as np
from scipy import stats

from minikd import load_dataset, losses, nn
from minikd.lessons import Lesson
from minikd.optim import Adam
from minikd.report.style import BLUE, GREY, INK, ORANGE, new_figure, tidy

lesson = Lesson("19_subliminal")
COUNT, EPOCHS, SEEDS, TESTED = lesson.pick(full=(20_000, 4, 5, 10_000), quick=(640, 1, 2, 500))
CLASSES, BESIDE, BATCH = slice(0, 10), slice(10, 13), 128
data = load_dataset("mnist")
images = data.train_images[:COUNT] / np.float32(127.5) - 1  # from -1 to 1, like the noise
labels = data.train_labels[:COUNT]
test_images, test_labels = data.test_images[:TESTED] / np.float32(127.5) - 1, data.test_labels[:TESTED]

# %% [markdown]
# ## The discovery
#
# In 2025, Cloud and others published that a language model can pass on properties that do not appear in its texts. A
# teacher that "likes owls" wrote lists of numbers. A student that was trained on these lists also came to like owls,
# although nothing in the lists is about owls. It works only if teacher and student come from the same model. The
# authors repeat the experiment on MNIST, and so do we:
#
# - a network has 13 outputs: ten for the classes, and **three additional ones** without a meaning;
# - the **teacher** learns digits. Its loss uses only the ten outputs, not the three;
# - the **student** begins with the teacher's *first* weights, those before its training. Its images are **noise**, and
#   it learns the **three** outputs of the teacher for them;
# - then the student classifies digits with its ten outputs, which were never trained.


# %%
def network(seed):
    """784-128-128-13: ten outputs for the classes, three additional ones."""
    rng = np.random.default_rng(seed)
    first = [nn.Flatten(), nn.Linear(784, 128, rng), nn.ReLU(), nn.Linear(128, 128, rng), nn.ReLU()]
    return nn.Sequential(*first, nn.Linear(128, 13, rng, init="glorot"))


def of(outputs, loss):
    """Return a loss that uses some of the 13 outputs; the gradient with respect to the others is 0."""

    def part(z, target):
        value, dpart = loss(np.ascontiguousarray(z[:, outputs]), target)
        dz = np.zeros_like(z)
        dz[:, outputs] = dpart
        return value, dz

    return part


def gradient(model, x, target, loss):
    """Return the gradient with respect to all weights, as one vector (P,)."""
    z, cache = model.forward(x)
    return model.flat_gradient(model.parameter_gradients(loss(z, target)[1], cache))


def learn(model, batches, loss):
    """Train in place on batches (x, target) with Adam."""
    optimiser = Adam()
    state = optimiser.init(model.vector)
    for x, target in batches:
        optimiser.step(model.vector, gradient(model, x, target, loss), state, 1e-3)
    return model


def noise(rng, count=BATCH):
    """Draw images of noise: each pixel is uniform from -1 to 1."""
    return rng.uniform(-1, 1, (count, 1, 28, 28)).astype(np.float32)


def accuracy(model):
    """Return the share of test digits that the ten class outputs get right."""
    return np.mean(model(test_images)[:, CLASSES].argmax(1) == test_labels)


z = np.random.default_rng(0).standard_normal((5, 13))
dz = of(BESIDE, losses.mse)(z, np.zeros((5, 3)))[1]
lesson.close("the loss has no gradient with respect to the ten class outputs", dz[:, CLASSES], 0)
lesson.true("and has a gradient with respect to the three others", np.all(dz[:, BESIDE] != 0))

# %% [markdown]
# ## On paper: one small step
#
# Why can this work? Let $\theta_0$ be the first weights of both networks, and $f(\theta)$ the three outputs on the
# noise.
#
# 1. The teacher's weights have changed a little: $\theta_T = \theta_0 + \Delta$. To first order, its outputs have
#    changed by $J \Delta$, where $J$ is the matrix of derivatives $\partial f / \partial \theta$ at $\theta_0$.
# 2. The student still has the weights $\theta_0$. Its loss is $\frac{1}{M} \Vert f(\theta) - f(\theta_T) \Vert^2$ where
#    $f$ has $M$ elements. At $\theta_0$ the gradient is
#    $\frac{1}{M} J^T (f(\theta_0) - f(\theta_T)) \approx -\frac{1}{M} J^T J \Delta$.
# 3. Its step goes against the gradient: $s = \frac{2 \eta}{M} J^T J \Delta$ with the learning rate $\eta$.
# 4. Is this the same direction as the teacher's change? The product of both is
#
#    $$\Delta \cdot s = \frac{2 \eta}{M} \Delta^T J^T J \Delta = \frac{2 \eta}{M} \Vert J \Delta \Vert^2 \geq 0$$
#
#    So the step **never goes against the teacher's change**, whatever the images are and whatever the outputs mean.
# 5. This needs the same $J$ for both, and so the same first weights. A student with other first weights has another
#    $J'$, and $\Delta^T J'^T (\ldots)$ may be positive or negative.
#
# So a step on noise moves the student a little in the teacher's direction, and this direction improves the
# classification of digits. This is the theorem of the paper, for one step. Whether it also holds after hundreds of
# steps with Adam needs an experiment.
#
# <details><summary><b>Guess first:</b> Twenty students have other first weights. How many of them move in the teacher's
# direction with their first step?</summary>
#
# About half. Their step does not depend on the teacher's change, so it is like a coin toss. A row below gives the
# number.
# </details>

# %%
first = network(0)
teacher_step = first.copy()
teacher_step.vector -= 1e-3 * gradient(first, images[:100], labels[:100], of(CLASSES, losses.cross_entropy))
delta = (teacher_step.vector - first.vector).astype(np.float64)


def along(start, x):
    """Return how far a student's first step on x, with learning rate 1, goes in the teacher's direction."""
    target = teacher_step(x)[:, BESIDE].astype(np.float64)
    return -delta @ gradient(start.astype("float64"), x.astype(np.float64), target, of(BESIDE, losses.mse))


x = noise(np.random.default_rng(1), 500)
moved = teacher_step.astype("float64")(x.astype(np.float64)) - first.astype("float64")(x.astype(np.float64))
moved = moved[:, BESIDE]
predicted = 2 * np.mean(moved**2)  # 2/M times the square of J delta
lesson.close("the same first weights: the product is that of step 4", along(first, x), predicted, within=0.02)
others = np.array([along(network(seed), x) for seed in range(1, 21)])
lesson.true("the step goes in the teacher's direction", along(first, x) > 0, f"{along(first, x):.1e}")
lesson.true(
    "twenty other first weights: in both directions", 0 < np.sum(others > 0) < 20, f"{np.sum(others > 0)} of 20"
)
lesson.caught("step 4's formula with other first weights", others, predicted)

# %% [markdown]
# ## The students
#
# For each seed there are a teacher and five students. All students are trained for the same number of steps on new
# noise, with the squared difference as the loss. *Same* begins with the teacher's first weights, *other* with other
# weights. *Extra* learns the three additional outputs, *classes* the ten. One student has other hidden layers, but the
# teacher's first output layer (*head*). A paper of 2026 says that only the head matters, not all first weights.
#
# <details><summary><b>Guess first:</b> A student has other first weights and learns the ten outputs, on noise. Does it
# learn digits?</summary>
#
# Yes, partly. The last row below gives 61.1 %. This is much better than chance (10 %), and much worse than with the
# same first weights. It is not subliminal learning, because the ten outputs are about digits. Noise is enough to copy a
# large part of a function. Data-free distillation is based on this.
# </details>

# %%
STUDENTS = {
    "same, extra": ("same", BESIDE),
    "other, extra": ("other", BESIDE),
    "same head, extra": ("head", BESIDE),
    "same, classes": ("same", CLASSES),
    "other, classes": ("other", CLASSES),
}


def beginning(kind, seed):
    """Return a student with its first weights."""
    student = network(seed if kind == "same" else 1000 + seed)
    if kind == "head":
        for name in ("5.weight", "5.bias"):
            student.params[name] = network(seed).params[name]
    return student


def digits(rng):
    """Batches of digits with their labels."""
    for _ in range(EPOCHS):
        order = rng.permutation(COUNT)
        for start in range(0, COUNT, BATCH):
            yield images[order[start : start + BATCH]], labels[order[start : start + BATCH]]


def heard(teacher, outputs, rng):
    """Batches of noise with the teacher's outputs, as many as the teacher had batches of digits."""
    for _ in range(EPOCHS * math.ceil(COUNT / BATCH)):
        x = noise(rng)
        yield x, np.ascontiguousarray(teacher(x)[:, outputs])


def taught(student, teacher, outputs, seed):
    """Train a student on noise."""
    return learn(student, heard(teacher, outputs, np.random.default_rng(200 + seed)), of(outputs, losses.mse))


found = {name: [] for name in ("teacher", "before", *STUDENTS)}
for seed in lesson.progress(range(SEEDS), "seeds"):
    teacher = learn(network(seed), digits(np.random.default_rng(100 + seed)), of(CLASSES, losses.cross_entropy))
    found["teacher"].append(accuracy(teacher))
    found["before"].append(accuracy(network(seed)))
    for name, (kind, outputs) in STUDENTS.items():
        found[name].append(accuracy(taught(beginning(kind, seed), teacher, outputs, seed)))


def interval(values):
    """Values (n,) -> their mean and half the width of its 95 % interval (lesson 13)."""
    values = 100 * np.array(values)
    return values.mean(), stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))


for name, values in found.items():
    mean, half = interval(values)
    print(f"{name:18} {mean:5.1f} % right, 95 % interval of ± {half:.1f}   {', '.join(f'{v:.1%}' for v in values)}")

# %% [markdown]
# ## How similar must the first weights be?
#
# *Same* and *other* are the two extremes. Now we take the teacher's first weights and add noise, whose standard
# deviation is a multiple of that of the weights.

# %%
teacher = learn(network(0), digits(np.random.default_rng(100)), of(CLASSES, losses.cross_entropy))
sizes, nearby = lesson.pick(full=(0.0, 0.25, 0.5, 1.0, 2.0), quick=(0.0, 1.0)), []
for size in sizes:
    student, rng = network(0), np.random.default_rng(7)
    for value in student.params.values():
        value += (size * value.std() * rng.standard_normal(value.shape)).astype(np.float32)
    nearby.append(accuracy(taught(student, teacher, BESIDE, 0)))
    print(f"noise of {size:4.2f} of the first weights' size: {nearby[-1]:.1%} right")
lesson.true("without noise: the first student of the table, to the bit", nearby[0] == found["same, extra"][0])

# %% tags=["hide-input"]
figure = new_figure(10.2, 4.2, f"Trained on noise: how many digits {SEEDS} students of each kind get right")
left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
tidy(left, "Three extra outputs are enough, with the same first weights", "", "% of test digits right")
for place, (name, values) in enumerate(found.items()):
    colour = INK if name in ("teacher", "before") else BLUE if name.startswith("same,") else ORANGE
    mean, half = interval(values)
    left.errorbar(place, mean, half, color=colour, capsize=5, linewidth=1.5)
    left.scatter([place] * SEEDS, 100 * np.array(values), color=colour, s=22, zorder=2)
left.axhline(10, color=GREY, linestyle=":")
left.set_xticks(range(len(found)), [name.replace(", ", ",\n").replace("head", "\nhead") for name in found], fontsize=8)
left.set_ylim(0, 100)
tidy(
    right,
    "How similar must the first weights be? (seed 0)",
    "noise on the first weights, relative to their size",
    "% right",
)
right.plot(sizes, 100 * np.array(nearby), color=BLUE, marker="o")
right.axhline(10, color=GREY, linestyle=":")
right.set_ylim(0, 100)
lesson.save(figure)

# %% [markdown]
# These results were measured on two cores, with five seeds (95 % intervals). A student with the teacher's first weights
# learns the three additional outputs on noise. It gets **84.3 ± 6.0 %** of the digits right. The teacher gets 94.4 %.
# With other first weights, the student gets 7.9 ± 2.0 %, not more than chance, and with only the teacher's head 10.4 ±
# 1.4 %. If noise of a quarter of their size is added to the first weights, the student gets 81.5 %. With a half it gets
# 41.4 %, and with their full size 10.8 % (one seed). A student that learns the ten outputs on noise gets 93.9 ± 0.7 %
# with the same first weights and 61.1 ± 5.4 % with others.
#
# ## Open questions
#
# - *Do the first weights cause it?* Cloud and others say yes, and their theorem, tested above, needs the same first
#   weights. A paper of May 2026 (arXiv 2605.23645) says that compatible output layers are enough, and that the hidden
#   layers may differ. Our row *same head* tests this with three additional outputs, and finds that it is not enough.
#   But the claim is about larger heads. To test it, set `BESIDE = slice(10, 60)` and 60 outputs.
# - *Is it the same effect in language models?* There, the student sees sampled words, not outputs. Schrodi and others
#   (2025) find that a few words carry the trait, and that paraphrasing removes it. The theorem about one step of
#   gradient descent explains neither.
#
# ## What this does not show
#
# The lesson does not show that models pass on hidden properties in practice. Here the noise, the loss and the outputs
# were chosen to show the effect, and the student gets numbers with full precision. A student with another architecture
# cannot have the same first weights. And the theorem is about one small step. It says that the student does not move
# against the teacher, but not how far it gets.
#
# ## Read on
#
# - Cloud et al. 2025, [*Subliminal learning: language models transmit behavioral traits via hidden signals in
#   data*](https://arxiv.org/abs/2507.14805): the theorem, and the experiment on MNIST.
# - Schrodi, Kempf, Barez and Brox 2025, [*Towards understanding subliminal learning: when and how hidden biases
#   transfer*](https://arxiv.org/abs/2509.23886).
# - [*Learning through noise: why subliminal learning works and when it fails*](https://arxiv.org/abs/2605.23645), 2026.
# - [`minikd/losses/mse.py`](../minikd/losses/mse.py).
#
# ## Exercises
#
# The first time, `minikd check 19` creates the skeleton `work/19_subliminal.py`. After that, it checks your solution
# there.
#
# 1. `beside_loss`: the loss of the additional outputs, with its gradient with respect to all outputs.
# 2. `teachers_way`: the cosine between a step and the teacher's direction.
#
# The solutions are in `lessons/solutions/`.
