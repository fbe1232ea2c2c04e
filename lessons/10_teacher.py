# %% [markdown]
# # 10. The CNN teacher
#
# **Goal** Train the teacher of the later lessons, count its parameters and multiply-adds, write its training loop, and
# learn how certain its accuracy is.
#
# **Needs** lessons 2, 6, 7 and 9.
#
# **You will see** how the teacher learns, its first filters before and after training, and digits that it gets wrong.
#
# **Minutes** 2

# %%
import math
import time
from dataclasses import replace

import numpy as np

import minikd
from minikd import metrics, optim, schedules
from minikd.data import Views, augment, epoch_order, hold_out, mean_and_std
from minikd.data.augment import motion
from minikd.data.draws import keys
from minikd.lessons import Lesson
from minikd.lessons.teacher import NAME
from minikd.losses import cross_entropy
from minikd.methods import Labels
from minikd.models import cnn
from minikd.report.style import BLUE, INK, ORANGE, blank, mosaic, new_figure, show_picture, tidy
from minikd.training import Callback, Plan, fit
from minikd.training.parallel import workers
from minikd.training.run import DROPOUT

lesson = Lesson("10_teacher")
data = minikd.load_dataset("mnist")

# %% [markdown]
# ## On paper: what it costs
#
# The teacher is a **CNN**, a convolutional neural network. It has convolutions, which find strokes (lesson 7), pooling,
# which discards their exact position (lesson 9), and two dense (that is, linear) layers, which decide. Its input is an
# image of shape (1, 28, 28). Two numbers describe the cost of a network. **Parameters** must be stored.
# **Multiply-adds** must be computed for every image.
#
# 1. A convolution with O filters has, in each filter, a weight for each of C channels and R·S positions, and a bias:
#    $O(CRS + 1)$ parameters. Each of its $O \cdot P \cdot Q$ outputs is a sum of $CRS$ products: $O P Q \cdot C R S$
#    multiply-adds. Every weight is used at every position, so the second number is much larger.
# 2. A dense layer from C to O has $O(C + 1)$ parameters and $O C$ multiply-adds: each weight is used once.
# 3. Pooling and ReLU have no parameters and no multiply-adds.
# 4. A 3x3 convolution with a padding of 1 keeps the size 28 x 28. Pooling by 2 halves the size: 28, 14, 7.
#
# | layer | output | parameters | multiply-adds |
# | --- | --- | --- | --- |
# | conv 3x3, 1 to 32 | (32, 28, 28) | 32 · (9 + 1) | 32 · 28 · 28 · 9 |
# | pool 2, ReLU | (32, 14, 14) | | |
# | conv 3x3, 32 to 64 | (64, 14, 14) | 64 · (288 + 1) | 64 · 14 · 14 · 288 |
# | pool 2, ReLU | (64, 7, 7) | | |
# | dense, 3136 to 128, ReLU | (128) | 128 · (3136 + 1) | 128 · 3136 |
# | dense, 128 to 10 | (10) | 10 · (128 + 1) | 10 · 128 |
#
# Which layer has most of the parameters, and which has most of the multiply-adds? Guess before you look.
#
# <details><summary><b>Guess first:</b> There are two convolutions and two dense layers. Which of them has most of the
# parameters, and which has most of the multiply-adds?</summary>
#
# The first dense layer has 95 % of the parameters. The second convolution has 85 % of the multiply-adds, because a
# convolution uses each weight at every position.
# </details>

# %%
by_hand = {  # layer -> (parameters, multiply-adds), in order
    "conv 1 to 32": (32 * (9 + 1), 32 * 28 * 28 * 9),
    "conv 32 to 64": (64 * (288 + 1), 64 * 14 * 14 * 288),
    "dense to 128": (128 * (3136 + 1), 128 * 3136),
    "dense to 10": (10 * (128 + 1), 10 * 128),
}
teacher = cnn(data.image_shape, data.classes, np.random.default_rng(10), dropout=0.25)
shape, engines = data.image_shape, []
for layer in teacher.layers:
    engines += [(layer.size, layer.macs(shape))] if layer.size else []
    shape = layer.output_shape(shape)
parameters, macs = np.sum(list(by_hand.values()), axis=0)
for name, (p, m) in by_hand.items():
    print(f"{name:14} {p:8,} parameters {p / parameters:4.0%} {m:10,} multiply-adds {m / macs:4.0%}")
lesson.close("parameters and multiply-adds by hand, layer by layer = the engine's", list(by_hand.values()), engines, 0)
lesson.close("and of the whole network", (parameters, macs), (teacher.size, teacher.macs(data.image_shape)), 0)
lesson.true(
    "most parameters are in a dense layer", by_hand["dense to 128"][0] > 0.9 * parameters, f"{parameters:,} in all"
)
lesson.true("most multiply-adds are in a convolution", by_hand["conv 32 to 64"][1] > 0.8 * macs, f"{macs:,} in all")

# %% [markdown]
# ## The training loop
#
# You know all parts of the loop from the lessons before. **Views** turn stored bytes into normalised images (mean 0,
# standard deviation 1 over the training set). An **epoch** is one pass over all images in a new random order, divided
# into batches. Each batch has four steps:
#
# 1. forward: from images (N, 1, 28, 28) to logits (N, 10), and a cache for the backward pass;
# 2. loss: cross-entropy, the mean over the N images (lesson 2), and its gradient with respect to the logits (N, 10);
# 3. backward: from the gradient of the logits to a gradient for every parameter;
# 4. one step of the optimiser, Adam (lesson 6), with the learning rate that the schedule gives for this step.
#
# Dropout (lesson 9) draws a new mask for each step. The loop makes a new generator for each step, from the seed and the
# number of the step. So a run can continue from any step with the same masks as without the interruption.


# %%
def by_loop(model, views, plan):
    """Train `model` in place; return the mean loss of each epoch."""
    optimiser, losses = optim.Adam(), []
    state, step = optimiser.init(model.vector), 0  # all parameters are parts of one vector
    total = plan.epochs * math.ceil(len(views) / plan.batch_size)
    rate = schedules.one_cycle(plan.learning_rate, total)
    for epoch in range(plan.epochs):
        seen = 0.0
        for index in epoch_order(len(views), plan.batch_size, plan.seed, epoch):
            batch = views.batch(epoch, index)  # images and labels by the same indices
            logits, cache = model.forward(batch.images, True, np.random.default_rng((plan.seed, DROPOUT, step, 0)))
            loss, dlogits = cross_entropy(logits, batch.labels)
            _, grads = model.backward(dlogits, cache)
            optimiser.step(model.vector, model.flat_gradient(grads), state, rate(step))
            seen, step = seen + loss * len(index), step + 1  # the last batch may be smaller, so weight by its size
        losses.append(seen / len(views))
    return losses


# %% [markdown]
# ## The engine's version
#
# `minikd.train` does the same. It calls the hooks of a **callback** after each step and each epoch. Our callback keeps
# the row of each epoch and, for the figure, the mean loss of every 50 steps.


# %%
class Curve(Callback):
    """Records a training: `rows`, one for each epoch, and `points`, (step, loss, validation error in %)."""

    def __init__(self, error=lambda: math.nan):
        self.error, self.rows, self.points, self.recent = error, [], [], []

    def on_step(self, run, taken):
        self.recent.append(float(taken.loss))
        if run.position.step % 50 == 0:
            self.mark(run)

    def on_epoch(self, run):
        self.rows.append(run.position.history[-1])
        if self.recent:
            self.mark(run)

    def mark(self, run):
        self.points.append((run.position.step, np.mean(self.recent), self.error()))
        self.recent = []


def first_images(count):
    """Return the data set with only its first `count` training images."""
    return replace(data, train_images=data.train_images[:count], train_labels=data.train_labels[:count])


few = first_images(300)
plan = Plan(epochs=2, batch_size=64, shards=1)  # five batches an epoch, the last of 44
ours = teacher.astype("float64")
engines_model, curve = ours.copy(), Curve()
few_views = Views(few.train_images, few.train_labels, *mean_and_std(few.train_images), dtype=np.float64)
losses = by_loop(ours, few_views, plan)
minikd.train(engines_model, few, plan, callbacks=[curve])
lesson.close("the loop's losses = minikd.train's", losses, [row["loss"] for row in curve.rows], within=1e-9)
lesson.close("the loop's weights = minikd.train's", ours.vector, engines_model.vector, within=1e-8)

# %% [markdown]
# Why is the engine faster? It divides each batch into two **shards**. Two cores compute them at the same time, and the
# engine adds their gradients. The number of shards is part of the plan and does not depend on the number of cores,
# because a sum in another order rounds differently. So the seed determines every bit of the weights, on one thread or
# on two. We check this, because a result that cannot be repeated cannot be examined.

# %%
small = first_images(lesson.pick(full=4000, quick=500))
mean_std = mean_and_std(data.train_images)
small_views = Views(small.train_images, small.train_labels, *mean_std)
plan = Plan(epochs=1, batch_size=25, learning_rate=2e-3)


def trained(seed=0, threads=2, views=small_views, plan=plan):
    """Train a new teacher with the engine; the seed determines the first weights, the batches and the masks."""
    model = cnn(data.image_shape, data.classes, np.random.default_rng(seed), dropout=0.25)
    fit(model, views, Labels(), replace(plan, seed=seed), threads=threads)
    return model


begin = time.perf_counter()
right = trained()
engine_seconds = time.perf_counter() - begin
lesson.true("the same seed, the same bits", np.array_equal(right.vector, trained().vector))
lesson.true("the same bits on one thread and on two", np.array_equal(right.vector, trained(threads=1).vector))
lesson.caught("a seed that was forgotten", trained(seed=1).vector, right.vector)
again = cnn(data.image_shape, data.classes, np.random.default_rng(0), dropout=0.25)
begin = time.perf_counter()
with workers(1):  # else the matrix products would use a second core
    by_loop(again, small_views, plan)
print(f"{len(small_views):,} images: the loop {time.perf_counter() - begin:.1f} s, the engine {engine_seconds:.1f} s")

# %% [markdown]
# ## Augmentation: a shifted digit is the same digit
#
# A 4 that is shifted by a pixel is still a 4. The network does not know this, so we show it: in each epoch, each image
# is shifted by another small distance. This is **augmentation**. It gives more training data at almost no cost. There
# are two rules. Augmentation must not change the class (a 6 that is rotated by 180° is a 9). And test images are not
# augmented.
#
# Consider a shift by $a + t$ pixels, where $a$ is a whole number and $0 \le t < 1$. It mixes two neighbours,
# $(1 - t) x_{i+a} + t x_{i+a+1}$, along the rows and then along the columns. Pixels outside the image are 0, the
# background.


# %%
def moved(image, dy, dx):
    """(H, W) -> (H, W): pixel (i, j) is what lies at (i + dy, j + dx)."""
    for axis, distance in ((0, dy), (1, dx)):
        whole = math.floor(distance)
        padded = np.pad(image, 4)  # for shifts of less than 4 pixels
        here, there = np.roll(padded, -whole, axis), np.roll(padded, -whole - 1, axis)
        image = ((1 - (distance - whole)) * here + (distance - whole) * there)[4:-4, 4:-4]
    return image


variation = minikd.Augmentation(shift=2)
index = np.arange(6)
views = replace(small_views, augmentation=variation)
down, across = motion(variation, keys(0, 0, 2)[0], index)[:, :2].T  # each image's shift in epoch 0 of seed 0
by_hand = [moved(views.images[i, 0].astype(float), -down[i], -across[i]) for i in index]
engines = augment(views.images[index], variation, 0, 0, index)[:, 0]
lesson.close("moved by hand = the engine's augmentation", by_hand, engines, within=1e-5)
lesson.close(
    "a view depends on its epoch and number, not on its batch",
    views.batch(3, np.array([5, 2])).images[0],
    views.batch(3, index).images[5],
    within=0,
)
lesson.caught("the same view in every epoch", views.batch(3, index).images, views.batch(4, index).images)
lesson.close("images for evaluation are not moved", views.clean(index), small_views.clean(index), within=0)

# %% [markdown]
# ## Wrong versions, and what shows them
#
# **Dropout left on in evaluation.** The code does not switch from training mode to evaluation mode. Then the answers
# are random: two answers to the same image differ. The accuracy falls only a little, which is easy to overlook. So do
# not compare accuracies. Compare two answers to the same image.
#
# **Images shuffled, labels not.** This happens, for example, when images and labels are shuffled with two generators.
# At first the loss still falls, because the network learns how frequent each class is. Then it stays near
# $\ln 10 \approx 2.3$. With ten classes, a loss of 2.3 means that nothing was learned.
#
# **A loss that is not divided by N.** The gradient is N times too large. The SGD step is too large as well, and
# training diverges. Adam divides by the size of the gradient (lesson 6), so it **hides the bug**: the step is the same,
# except for the small constant ε. If you later change the optimiser, the batch size or a limit on the gradient, all
# settings are wrong.
#
# <details><summary><b>Guess first:</b> The images are shuffled, the labels are not. Does the program report an error?
# What share of the answers is right?</summary>
#
# It reports no error. About a tenth of the answers is right, as with guessing. The lesson prints 10.3 % instead of 93.5
# %.
# </details>
#
# <details><summary><b>Guess first:</b> With a batch of 100 and no 1/N, the gradient is a hundred times too large. How
# much longer is SGD's step? And Adam's?</summary>
#
# SGD's step is a hundred times as long, and training diverges. Adam's step is as long as before (factor 1.000), because
# Adam divides by the size of the gradient. So it hides the bug.
# </details>

# %%
tested = slice(lesson.pick(full=2000, quick=500))
test_views = Views(data.test_images, data.test_labels, *mean_std)
test_images, test_labels = test_views.clean(tested), data.test_labels[tested]


def answers(model, images, size=100):
    """Return logits (N, K) in evaluation mode; 100 images at a time fit into the processor's cache."""
    return np.concatenate([model(images[start : start + size]) for start in range(0, len(images), size)])


well = metrics.accuracy(answers(right, test_images), test_labels)
once, again = (right.forward(test_images[:200], True, np.random.default_rng(seed))[0] for seed in (0, 1))
lesson.caught("dropout left on: two answers to one image", once, again)
lesson.caught("and neither equals the answer in evaluation mode", once, right(test_images[:200]))

shuffled = replace(small_views, labels=np.random.default_rng(1).permutation(small_views.labels))
lost = metrics.accuracy(answers(trained(views=shuffled), test_images), test_labels)
print(f"accuracy on {len(test_labels):,} images: {well:.1%}; trained with labels of other images: {lost:.1%}")
lesson.caught("images shuffled, labels not: the accuracy", lost, well, beyond=0.4)

N = 100
batch = few_views.batch(0, np.arange(N))
logits, cache = ours.forward(batch.images)
dlogits = cross_entropy(logits, batch.labels)[1]
gradient = ours.flat_gradient(ours.backward(dlogits, cache)[1])
summed = ours.flat_gradient(ours.backward(dlogits * N, cache)[1])


def step_of(optimiser, gradient):
    """Return by how much one step changes the weights."""
    weights = ours.vector.copy()
    optimiser.step(weights, gradient, optimiser.init(weights), 1e-3)
    return weights - ours.vector


lesson.caught("not divided by N: the gradient", summed, gradient, beyond=N - 2)
lesson.caught("and SGD's step", step_of(optim.SGD(), summed), step_of(optim.SGD(), gradient), beyond=N - 2)
by_adam = [np.linalg.norm(step_of(optim.Adam(), one)) for one in (gradient, summed)]
lesson.true(
    "Adam hides it: its step is less than twice as long", by_adam[1] < 2 * by_adam[0], f"{by_adam[1] / by_adam[0]:.3f}"
)

# %% [markdown]
# ## The teacher
#
# Now we train the teacher. 5,000 of the training images are held out for **validation**, to watch the training and to
# make choices. The test images are used once, at the end. A number that was used to make a choice is too good (lesson
# 13).

# %%
COUNT, EPOCHS, HELD = lesson.pick(full=(60_000, 3, 5000), quick=(1500, 2, 200))
pool = first_images(COUNT)
kept, held = hold_out(pool, HELD, seed=0)
views = Views(pool.train_images[kept], pool.train_labels[kept], *mean_std, augmentation=variation)
some = held[:: max(1, HELD // 1000)]  # few enough to evaluate every 50 steps
held_images, held_labels = Views(pool.train_images, pool.train_labels, *mean_std).clean(some), pool.train_labels[some]
before = teacher.params["0.weight"].copy()
curve = Curve(lambda: 100 * metrics.errors(answers(teacher, held_images), held_labels) / len(held_labels))
plan = Plan(epochs=EPOCHS, batch_size=lesson.pick(full=128, quick=32), learning_rate=2e-3)
begin = time.perf_counter()
fit(teacher, views, Labels(), plan, [curve, minikd.Bars()])
print(f"{EPOCHS} epochs of {len(views):,} images: {time.perf_counter() - begin:.0f} s")
for row in curve.rows:
    print(f"epoch {row['epoch']}   loss {row['loss']:.4f}   {row['images_per_second']:,.0f} images a second")

examined = slice(lesson.pick(full=10_000, quick=2000))
labels, logits = data.test_labels[examined], answers(teacher, test_views.clean(examined))
score = metrics.accuracy(logits, labels)
doubt = 1.96 * math.sqrt(score * (1 - score) / len(logits))
bound = lesson.pick(full=0.985, quick=0.7)
lesson.true(f"right on {len(logits):,} test images: at least {bound:.1%}", score >= bound, f"{score:.2%} ± {doubt:.2%}")
falls = curve.rows[0]["loss"] / curve.rows[-1]["loss"]
lesson.true("its loss fell", falls > 1.2, f"by a factor of {falls:.1f}")
if not lesson.quick:
    lesson.output.mkdir(parents=True, exist_ok=True)
    minikd.save(lesson.output / NAME, teacher, data)
    lesson.close(
        "the saved teacher gives the same logits",
        minikd.load_model(lesson.output / NAME)[0](test_images[:100]),
        logits[:100],
        1e-5,
    )

# %% [markdown]
# How certain is the accuracy? If each of $M$ test images is wrong with probability $e$, the standard deviation of the
# number of errors is $\sqrt{M e (1 - e)}$, and that of the error rate is $\sqrt{e (1 - e) / M}$. The lesson prints
# about twice this value after the ±. If the accuracies of two networks differ by less, they do not show which network
# is better. And another seed gives another network. Lesson 13 has better tests.

# %%
after = teacher.params["0.weight"]
moved_by = np.linalg.norm(after - before) / np.linalg.norm(before)
lesson.true("the first filters stay mostly random", moved_by < 0.7, f"moved by {moved_by:.0%}")

wrong = np.flatnonzero(logits.argmax(1) != labels)
sure = np.exp(logits[wrong].max(1) - np.log(np.exp(logits[wrong]).sum(1)))
shown = wrong[np.argsort(sure)[::-1][:8]]  # the mistakes of which it is surest

# %% tags=["hide-input"]
figure = new_figure(10.5, 5.8, f"A teacher learns: {len(wrong)} of {len(logits):,} test images wrong")
upper, lower = figure.subfigures(2, 1, height_ratios=(2.1, 1))
axes = upper.subplots(1, 4, width_ratios=(1.1, 1.1, 1, 1))
steps, mean_losses, held_errors = np.array(curve.points).T
held_errors = np.maximum(held_errors, 0.1)  # a logarithmic axis has no 0
tidy(axes[0], "Loss, training, with dropout", "step", "mean since the last point")
axes[0].semilogy(steps, mean_losses, color=BLUE, marker="o", markersize=3)
tidy(axes[1], "Errors, validation", "step", f"% of {len(held_labels):,} images")
axes[1].semilogy(steps, held_errors, color=ORANGE, marker="^", markersize=3, linestyle="--")
for ax, values in ((axes[0], mean_losses), (axes[1], held_errors)):
    ticks = [digit * power for power in (0.01, 0.1, 1, 10) for digit in (1, 2, 5)]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(0.8 * values.min(), 1.25 * values.max())
largest = max(np.abs(before).max(), np.abs(after).max())
for ax, filters, when in ((axes[2], before, "before"), (axes[3], after, "after")):
    ax.imshow(mosaic(filters[:, 0], 4), cmap="PuOr", vmin=-largest, vmax=largest)
    blank(ax)
    ax.set_title(f"First filters, {when}", loc="left", fontsize=10.5, color=INK)
lower.suptitle("The surest mistakes: label → answer", x=0.012, ha="left", fontsize=10.5, color=INK)
for ax, one in zip(lower.subplots(1, 8), shown, strict=True):
    show_picture(ax, data.test_images[one], on_paper=True)
    ax.set_title(f"{labels[one]} → {logits[one].argmax()}", fontsize=10.5, color=INK)
lesson.save(figure)

# %% [markdown]
# The filters look almost the same before and after training. It is often said that filters start as noise and end as
# clean edge detectors. With 3x3 filters, this does not happen here. Among 32 random filters, enough react to some edge,
# and the next layers learn to use them. And for some of the digits that the teacher gets wrong, people would not agree
# on the label either.
#
# ## What this does not show
#
# The lesson does not show that this network is the best. Other networks make fewer errors, or need a tenth of the
# parameters. It does not show what another seed would give, because it is a single run. And 99 % on MNIST says little
# about digits written with another pen or read by another scanner.
#
# ## Read on
#
# - LeCun, Bottou, Bengio and Haffner 1998, [*Gradient-based learning applied to document
#   recognition*](https://doi.org/10.1109/5.726791): the data, and the network on which this one is based.
# - Simard, Steinkraus and Platt 2003, [*Best practices for convolutional neural networks applied to visual document
#   analysis*](https://doi.org/10.1109/ICDAR.2003.1227801): augmentation, on this data.
# - Smith and Topin 2018, [*Super-convergence*](https://arxiv.org/abs/1708.07120): the schedule, which rises and then
#   falls.
# - [`minikd/models.py`](../minikd/models.py) (the network), [`minikd/training/`](../minikd/training/) (the loop),
#   [`minikd/data/augment.py`](../minikd/data/augment.py).
# - Lesson 11 shows what the teacher knows in addition to the right answer.
#
# ## Exercises
#
# The first time, `minikd check 10` creates the skeleton `work/10_teacher.py`. After that, it checks your solution
# there.
#
# 1. `cost`: the parameters and multiply-adds of any stack of layers, with other strides and paddings.
# 2. `top_k_accuracy`: how often the label is among the k largest logits. It is often reported for data with many
#    classes.
# 3. `mean_over_batches`: the mean loss of an epoch, computed from the means of its batches. The last batch is smaller.
#
# The solutions are in `lessons/solutions/`.
