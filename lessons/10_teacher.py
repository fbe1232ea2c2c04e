# %% [markdown]
# # 10. The CNN teacher
#
# **Goal** Train the network that the later lessons learn from: count what it costs, write its training loop out, and
# know what its accuracy is worth.
#
# **Needs** lessons 2, 6, 7 and 9.
#
# **You will see** how the teacher learned, its first filters before and after, and digits that it gets wrong.
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
# The teacher is a **CNN**, a convolutional neural network: convolutions that look for strokes (lesson 7), pooling that
# forgets where exactly they were (lesson 9), and two dense layers that decide. It takes an image of shape (1, 28, 28).
# Two numbers say what a network costs. **Parameters** are stored; **multiply-adds** are computed for every image.
#
# 1. A convolution with O filters has one weight for each of C channels and R·S places, and one bias a filter:
#    $O(CRS + 1)$ parameters. Each of its $O \cdot P \cdot Q$ outputs is a sum of $CRS$ products:
#    $O P Q \cdot C R S$ multiply-adds. The weights are used again at every place, so the second number is far larger.
# 2. A dense layer from C to O has $O(C + 1)$ parameters and $O C$ multiply-adds: each weight is used once.
# 3. Pooling and ReLU have no parameters, and multiply nothing.
# 4. A 3x3 convolution with a border of one zero keeps 28 x 28. Pooling by 2 halves it: 28, 14, 7.
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
# Where is the most of each? Guess before you look.
#
# <details><summary><b>Guess first:</b> Two convolutions, two dense layers. Which of them holds most of the parameters,
# and which does most of the work?</summary>
#
# The first dense layer holds 95 % of the parameters; the second convolution does 85 % of the multiply-adds. A
# convolution uses each weight at every place.
# </details>

# %%
by_hand = {  # layer's kind -> (parameters, multiply-adds), in order
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
lesson.true("most is stored in a dense layer", by_hand["dense to 128"][0] > 0.9 * parameters, f"{parameters:,} in all")
lesson.true("most is computed in a convolution", by_hand["conv 32 to 64"][1] > 0.8 * macs, f"{macs:,} in all")

# %% [markdown]
# ## The training loop, written out
#
# All of it is known by now. **Views** turn stored bytes into normalised images (mean 0, deviation 1 over the training
# set). An **epoch** is one pass over all images in a new random order, cut into batches. For each batch:
#
# 1. forward: images (N, 1, 28, 28) to logits (N, 10), and what the backward pass will need (the cache);
# 2. loss: cross-entropy, the mean over the N images (lesson 2), and its gradient with respect to the logits (N, 10);
# 3. backward: from there to a gradient for every parameter;
# 4. one step of the optimiser, Adam (lesson 6), with the learning rate that the schedule has for this step.
#
# Dropout (lesson 9) draws a new mask for each step. Its generator is made from the seed and the step's number, not
# carried along. So a run can go on from any step, and draws what it would have drawn.


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
            batch = views.batch(epoch, index)  # images and their labels, by the same numbers
            logits, cache = model.forward(batch.images, True, np.random.default_rng((plan.seed, DROPOUT, step, 0)))
            loss, dlogits = cross_entropy(logits, batch.labels)
            _, grads = model.backward(dlogits, cache)
            optimiser.step(model.vector, model.flat_gradient(grads), state, rate(step))
            seen, step = seen + loss * len(index), step + 1  # the last batch may be smaller: it counts for less
        losses.append(seen / len(views))
    return losses


# %% [markdown]
# ## The engine's version
#
# `minikd.train` does the same. A **callback** is told how it goes: its hooks are called after each step and each epoch.
# Ours keeps the rows of the epochs, and for the figure the mean loss of every 50 steps.


# %%
class Curve(Callback):
    """Remembers how a training goes: `rows` of the epochs; `points`, (step, loss, validation error in %)."""

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
    """The data set with its first `count` training images alone."""
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
# Why is the engine faster? It cuts each batch into two **shards**, which two cores compute at the same time, and adds
# their gradients. The number of shards belongs to the plan, and is not that of the cores: a sum in another order rounds
# differently. So a seed decides every bit of the weights, on one thread or on two. That is worth a check: a result that
# cannot be repeated cannot be examined.

# %%
small = first_images(lesson.pick(full=4000, quick=500))
mean_std = mean_and_std(data.train_images)
small_views = Views(small.train_images, small.train_labels, *mean_std)
plan = Plan(epochs=1, batch_size=25, learning_rate=2e-3)


def trained(seed=0, threads=2, views=small_views, plan=plan):
    """Train a new teacher by the engine; the seed decides the first weights, the batches and the masks."""
    model = cnn(data.image_shape, data.classes, np.random.default_rng(seed), dropout=0.25)
    fit(model, views, Labels(), replace(plan, seed=seed), threads=threads)
    return model


begin = time.perf_counter()
right = trained()
engine_seconds = time.perf_counter() - begin
lesson.true("the same seed, the same bits", np.array_equal(right.vector, trained().vector))
lesson.true("on one thread as on two", np.array_equal(right.vector, trained(threads=1).vector))
lesson.caught("a seed that was not given", trained(seed=1).vector, right.vector)
again = cnn(data.image_shape, data.classes, np.random.default_rng(0), dropout=0.25)
begin = time.perf_counter()
with workers(1):  # else the matrix products would take a second core
    by_loop(again, small_views, plan)
print(f"{len(small_views):,} images: the loop {time.perf_counter() - begin:.1f} s, the engine {engine_seconds:.1f} s")

# %% [markdown]
# ## Augmentation: a digit moved is the same digit
#
# A 4 moved by a pixel is a 4. Nobody told the network, so we tell it: in each epoch it sees each image moved by another
# small distance. This is **augmentation**: more data, for nothing but a moment's work. Two rules. It must not change
# the class: a 6 turned around is a 9. And test images are left alone.
#
# A move by $a + t$ pixels, $a$ whole and $0 \le t < 1$, mixes two neighbours, $(1 - t) x_{i+a} + t x_{i+a+1}$, along
# the rows and then along the columns. From outside comes 0, the background.


# %%
def moved(image, dy, dx):
    """(H, W) -> (H, W): pixel (i, j) is what lies at (i + dy, j + dx)."""
    for axis, distance in ((0, dy), (1, dx)):
        whole = math.floor(distance)
        padded = np.pad(image, 4)  # for moves of less than 4 pixels
        here, there = np.roll(padded, -whole, axis), np.roll(padded, -whole - 1, axis)
        image = ((1 - (distance - whole)) * here + (distance - whole) * there)[4:-4, 4:-4]
    return image


variation = minikd.Augmentation(shift=2)
index = np.arange(6)
views = replace(small_views, augmentation=variation)
down, across = motion(variation, keys(0, 0, 2)[0], index)[:, :2].T  # how far each image moves in epoch 0 of seed 0
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
lesson.close("what evaluation sees is not moved", views.clean(index), small_views.clean(index), within=0)

# %% [markdown]
# ## Wrong versions, and what shows them
#
# **Dropout left on when it is tested.** One forgets that training and testing are two modes, or a library's switch is
# in the wrong position. The answers are then drawn by lot: ask twice, and they differ. The accuracy falls a little, and
# a little is easy to overlook. So do not compare accuracies, compare two answers to one image.
#
# **Images shuffled, labels not.** It happens when each is shuffled by its own generator. The loss still falls at first,
# as the network learns how frequent each class is, and then rests near $\ln 10 \approx 2.3$. This is what a loss of
# 2.3 with ten classes means: nothing was learned.
#
# **A loss that is not divided by N.** The gradient is N times too large. With SGD the step is too, and training bursts.
# Adam divides by the gradient's size again (lesson 6), so it **hides the bug**: the step is the same but for its small
# constant. Then someone changes the optimiser, the batch size or a limit on the gradient, and all settings are wrong.
#
# <details><summary><b>Guess first:</b> The images are shuffled, the labels are not. What does the program say, and what
# share of the images is then "right"?</summary>
#
# It says nothing. About a tenth is right, as by chance: 10.3 % is printed, where it should be 93.5 %.
# </details>
#
# <details><summary><b>Guess first:</b> A batch of 100, and the 1/N is forgotten: gradients a hundred times too large.
# How much longer is SGD's step? And Adam's?</summary>
#
# SGD's is a hundred times as long, and training bursts. Adam's is as long as before (factor 1.000): it divides by the
# gradient's size, and hides the bug.
# </details>

# %%
tested = slice(lesson.pick(full=2000, quick=500))
test_views = Views(data.test_images, data.test_labels, *mean_std)
test_images, test_labels = test_views.clean(tested), data.test_labels[tested]


def answers(model, images, size=100):
    """Logits (N, K) in evaluation mode, a few images at a time: all at once would not fit the cache."""
    return np.concatenate([model(images[start : start + size]) for start in range(0, len(images), size)])


well = metrics.accuracy(answers(right, test_images), test_labels)
once, again = (right.forward(test_images[:200], True, np.random.default_rng(seed))[0] for seed in (0, 1))
lesson.caught("dropout left on: two answers to one image", once, again)
lesson.caught("and neither is the network's", once, right(test_images[:200]))

shuffled = replace(small_views, labels=np.random.default_rng(1).permutation(small_views.labels))
lost = metrics.accuracy(answers(trained(views=shuffled), test_images), test_labels)
print(f"right of {len(test_labels):,}: {well:.1%}; with labels of other images {lost:.1%}")
lesson.caught("images shuffled, labels not: the accuracy", lost, well, beyond=0.4)

N = 100
batch = few_views.batch(0, np.arange(N))
logits, cache = ours.forward(batch.images)
dlogits = cross_entropy(logits, batch.labels)[1]
gradient = ours.flat_gradient(ours.backward(dlogits, cache)[1])
summed = ours.flat_gradient(ours.backward(dlogits * N, cache)[1])


def step_of(optimiser, gradient):
    """What one step changes in the weights."""
    weights = ours.vector.copy()
    optimiser.step(weights, gradient, optimiser.init(weights), 1e-3)
    return weights - ours.vector


lesson.caught("not divided by N: the gradient", summed, gradient, beyond=N - 2)
lesson.caught("and SGD's step", step_of(optim.SGD(), summed), step_of(optim.SGD(), gradient), beyond=N - 2)
by_adam = [np.linalg.norm(step_of(optim.Adam(), one)) for one in (gradient, summed)]
lesson.true(
    "Adam hides it: its step is not even twice as long", by_adam[1] < 2 * by_adam[0], f"{by_adam[1] / by_adam[0]:.3f}"
)

# %% [markdown]
# ## The teacher
#
# Now in earnest. 5,000 of the training images are held out for **validation**: to look at while it learns, and to
# choose by. The test images are looked at once, at the end. A number that was used to choose is too good (lesson 13).

# %%
COUNT, EPOCHS, HELD = lesson.pick(full=(60_000, 3, 5000), quick=(1500, 2, 200))
pool = first_images(COUNT)
kept, held = hold_out(pool, HELD, seed=0)
views = Views(pool.train_images[kept], pool.train_labels[kept], *mean_std, augmentation=variation)
some = held[:: max(1, HELD // 1000)]  # as many as can be asked every 50 steps
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
        "what was saved answers the same",
        minikd.load_model(lesson.output / NAME)[0](test_images[:100]),
        logits[:100],
        1e-5,
    )

# %% [markdown]
# What is that number worth? If each of $M$ test images is wrong with probability $e$, the count of errors has the
# deviation $\sqrt{M e (1 - e)}$, and the share of them $\sqrt{e (1 - e) / M}$. About twice that is printed as the
# doubt. Two networks that lie closer together than that cannot be told apart by their accuracies alone; and another
# seed gives another network. Lesson 13 has better tests.

# %%
after = teacher.params["0.weight"]
moved_by = np.linalg.norm(after - before) / np.linalg.norm(before)
lesson.true("the first filters are mostly what chance made them", moved_by < 0.7, f"moved by {moved_by:.0%}")

wrong = np.flatnonzero(logits.argmax(1) != labels)
sure = np.exp(logits[wrong].max(1) - np.log(np.exp(logits[wrong]).sum(1)))
shown = wrong[np.argsort(sure)[::-1][:8]]  # those it was surest of

# %% tags=["hide-input"]
figure = new_figure(10.5, 5.8, f"A teacher learns: {len(wrong)} of {len(logits):,} test images wrong")
upper, lower = figure.subfigures(2, 1, height_ratios=(2.1, 1))
axes = upper.subplots(1, 4, width_ratios=(1.1, 1.1, 1, 1))
steps, mean_losses, held_errors = np.array(curve.points).T
held_errors = np.maximum(held_errors, 0.1)  # none at all has no place on a logarithmic axis
tidy(axes[0], "Loss, training, with dropout", "step", "mean since the point before")
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
lower.suptitle("Wrong, and surest of it: label → answer", x=0.012, ha="left", fontsize=10.5, color=INK)
for ax, one in zip(lower.subplots(1, 8), shown, strict=True):
    show_picture(ax, data.test_images[one], on_paper=True)
    ax.set_title(f"{labels[one]} → {logits[one].argmax()}", fontsize=10.5, color=INK)
lesson.save(figure)

# %% [markdown]
# Look at the filters: one hardly sees that they have learned. It is often told that a network starts with noise and
# ends with clean edges. With 3x3 filters that is not what happens here. Among 32 random ones there are enough that
# answer to some edge, and the layers behind them learn what to make of it. And over some of the digits that the teacher
# gets wrong, people would not agree either.
#
# ## What this does not show
#
# That this network is the best: others do with fewer errors, or with a tenth of the parameters. Nor what another seed
# would give; one run is one draw. And 99 % of MNIST says little about digits from another pen and scanner.
#
# ## Read on
#
# - LeCun, Bottou, Bengio and Haffner 1998, [*Gradient-based learning applied to document
#   recognition*](https://doi.org/10.1109/5.726791): the data, and the network that this one is a child of.
# - Simard, Steinkraus and Platt 2003, [*Best practices for convolutional neural networks applied to visual document
#   analysis*](https://doi.org/10.1109/ICDAR.2003.1227801): augmentation, on this data.
# - Smith and Topin 2018, [*Super-convergence*](https://arxiv.org/abs/1708.07120): the schedule, which rises and then
#   falls.
# - [`minikd/models.py`](../minikd/models.py) (the network), [`minikd/training/`](../minikd/training/) (the loop),
#   [`minikd/data/augment.py`](../minikd/data/augment.py).
# - Lesson 11 asks what the teacher knows beside the right answer.
#
# ## Exercises
#
# `minikd check 10` puts the skeleton into `work/10_teacher.py` the first time and checks it from then on.
#
# 1. `cost`: parameters and multiply-adds of any stack of layers, with strides and borders of other sizes.
# 2. `top_k_accuracy`: how often the label is among the k largest logits; with many classes that is what is reported.
# 3. `mean_over_batches`: an epoch's mean loss from its batches' means, where the last batch is smaller.
#
# The solutions are in `lessons/solutions/`.
