# %% [markdown]
# # 13. A fair comparison
#
# **Goal** Compare a distilled student fairly with its baseline, and state the result together with its uncertainty.
#
# **Needs** lessons 10 and 12.
#
# **You will see** the students of every seed as paired dots, and how well the confidence of each kind of student
# matches its accuracy.
#
# **Minutes** 1

# %%
import math
from dataclasses import replace

import numpy as np
from scipy import stats

import minikd
from minikd import load_dataset, metrics, schedules
from minikd.backends.host import numpy_alone
from minikd.data import Views, epoch_order, mean_and_std
from minikd.distillation.teacher import CachedTeacher
from minikd.evidence.experiments.statistics import interval
from minikd.lessons import Lesson
from minikd.lessons.teacher import teacher_of
from minikd.losses import distillation_loss
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.models import mlp
from minikd.nn.activations import relu, relu_backward
from minikd.nn.linear import linear, linear_backward
from minikd.report.style import BLUE, GREEN, GREY, ORANGE, RED, new_figure, tidy
from minikd.training import Plan, fit
from minikd.training.inference import logits_of
from minikd.training.parallel import workers

lesson = Lesson("13_distill_honestly")
rng = np.random.default_rng(13)
COUNT, EPOCHS, SEEDS = lesson.pick(full=(10_000, 12, 5), quick=(500, 6, 2))
MORE = lesson.pick(full=60_000, quick=1000)  # images that the teacher has learned from

# %% [markdown]
# ## All of it in one loop
#
# One loop combines everything so far. It has four functions: `forward` and `backward` of a student 784-128-10 (lesson
# 3), `distillation_loss` (lesson 12), and `step` (lesson 6). Each takes arrays and returns arrays.

# %%
data = load_dataset("mnist")
teacher = teacher_of(lesson)
few = replace(data, train_images=data.train_images[:1000], train_labels=data.train_labels[:1000])
few_views = Views(few.train_images, few.train_labels, *mean_and_std(few.train_images))
plan = Plan(epochs=2, batch_size=100, learning_rate=2e-3, shards=1)


def forward(params, x):
    w1, b1, w2, b2 = params
    h, first = linear(x.reshape(len(x), -1), w1, b1)
    a, second = relu(h)
    z, third = linear(a, w2, b2)
    return z, (first, second, third)


def backward(dz, cache):
    first, second, third = cache
    da, dw2, db2 = linear_backward(dz, third)
    _, dw1, db1 = linear_backward(relu_backward(da, second), first)
    return dw1, db1, dw2, db2


def step(params, grads, m, v, t, rate):  # Adam
    m = [0.9 * old + (1 - 0.9) * g for old, g in zip(m, grads, strict=True)]
    v = [0.999 * old + (1 - 0.999) * (g * g) for old, g in zip(v, grads, strict=True)]
    size, floor = rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t), 1e-8 * math.sqrt(1 - 0.999**t)
    return [p - size * (a / (np.sqrt(b) + floor)) for p, a, b in zip(params, m, v, strict=True)], m, v


def by_loop(params, teacher_logits):
    m, v, t, losses = [0 * p for p in params], [0 * p for p in params], 0, []
    rate = schedules.one_cycle(plan.learning_rate, plan.epochs * 10)
    for epoch in range(plan.epochs):
        for index in epoch_order(len(few_views), plan.batch_size, plan.seed, epoch):
            batch = few_views.batch(epoch, index)
            logits, cache = forward(params, batch.images)
            loss, dlogits = distillation_loss(logits, teacher_logits[index], batch.labels, temperature=4.0, alpha=0.9)
            params, m, v = step(params, backward(dlogits, cache), m, v, t + 1, rate(t))
            losses, t = [*losses, float(loss)], t + 1
    return params, losses


student = mlp(data.image_shape, (128,), 10, np.random.default_rng(0))
first = [student.params[name].copy() for name in ("1.weight", "1.bias", "3.weight", "3.bias")]
with numpy_alone():  # compiled loops, if there are any, round in another order
    with workers(1) as map_:  # as in the engine: each matrix product on one thread
        params, losses = by_loop(first, logits_of(teacher, few_views, map_))
    minikd.distill(teacher, student, few, plan, temperature=4.0, alpha=0.9, callbacks=[])
print(f"the loss: {losses[0]:.2f} in the first step, {losses[-1]:.2f} in the last of {len(losses)}")
ours = np.concatenate([p.ravel() for p in params])
lesson.true("the loop's weights are those of minikd.distill, to the bit", ours.tobytes() == student.vector.tobytes())

# %% [markdown]
# ## What a fair comparison needs
#
# "With a teacher the student makes 300 errors." Is that good? You can only tell with a **baseline**: a student that has
# everything except the teacher. Everything means the same network with **the same first weights**, the same images in
# **the same batches**, and **the same number of steps** with the same learning rates.
#
# This baseline learns from the **labels**. Two more baselines test other explanations of a gain. The first learns from
# **smoothed labels**: 0.9 for the class of the label, and 0.1 shared among all ten classes. They are soft, but contain
# nothing about the image, and need no teacher. The second gets **more labels**. The teacher has seen more images than
# these students. If there are labels for all of these images, the student could learn from them too. It has the same
# number of steps, so it sees each image less often.
#
# And temperature 4 and alpha 0.9 are fixed before the test images are used. A later section shows why this matters.
#
# In the code, `fit` is the engine's training loop, and an **objective** gives it the loss. `Labels` is the loss of
# lesson 2, and `SoftTargets` that of lesson 12. `CachedTeacher` holds the answers that the teacher gave once to all
# images.

# %%
mean, std = mean_and_std(data.train_images)
views = Views(data.train_images[:COUNT], data.train_labels[:COUNT], mean, std)
more_views = Views(data.train_images[:MORE], data.train_labels[:MORE], mean, std)
tested = slice(lesson.pick(full=10_000, quick=1000))
test_images, test_labels = Views(data.test_images, data.test_labels, mean, std).clean(tested), data.test_labels[tested]

images = views.clean()
answers = np.concatenate([teacher(images[start : start + 100]) for start in range(0, COUNT, 100)])  # computed only once
few = slice(lesson.pick(full=1000, quick=300))
teacher_errors = metrics.errors(teacher(test_images[few]), test_labels[few])
print(f"the teacher makes {teacher_errors} errors in the first {few.stop} test images")


def objectives(alpha=0.9):
    """Return the objective of each student."""
    return {
        "labels": Labels(),
        "smoothed labels": Labels(0.1),
        "more labels": Labels(),
        "distilled": LogitObjective(SoftTargets(temperature=4.0, alpha=alpha), CachedTeacher(answers)),
    }


def trained(objective, seed, epochs=EPOCHS, views=views):
    """Train a student 784-128-10; return it and its steps. The seed determines its first weights and batches."""
    student = mlp(data.image_shape, (128,), 10, np.random.default_rng(seed))
    plan = Plan(epochs=epochs, batch_size=100, learning_rate=2e-3, seed=seed)
    history = fit(student, replace(views, seed=seed), objective, plan, threads=1)
    return student, len(history) * math.ceil(len(views) / 100)


# %% [markdown]
# A strong test shows whether the comparison is fair. With alpha = 0, the teacher has no weight, so the distilled
# student must become **exactly the baseline**. Any difference would not come from the teacher.

# %%
baseline, baseline_steps = trained(Labels(), seed=0, epochs=2)
no_weight, steps = trained(objectives(alpha=0.0)["distilled"], seed=0, epochs=2)
lesson.close(
    "distilled with alpha = 0: the same weights as the baseline", no_weight.vector, baseline.vector, within=1e-5
)
lesson.true("in the same number of steps", steps == baseline_steps, f"{steps}")
other, _ = trained(Labels(), seed=1, epochs=2)
lesson.caught("a baseline with other first weights", other.vector, baseline.vector)

# %% [markdown]
# ## The runs
#
# The result of one run is partly chance: other first weights and another order of the images give another result. So we
# use several seeds. All students of a seed share its first weights and batches. They are **paired**. (The student with
# more labels has other batches. It shares the first weights and the number of steps.)

# %%
logits, steps_taken = {name: [] for name in objectives()}, []
for seed, name in lesson.progress([(seed, name) for seed in range(SEEDS) for name in objectives()], "students"):
    longer = (EPOCHS * COUNT // MORE, more_views) if name == "more labels" else (EPOCHS, views)
    student, steps = trained(objectives()[name], seed, *longer)
    logits[name].append(student(test_images))
    steps_taken.append(steps)

print("seed  student            errors     NLL     ECE")
for seed in range(SEEDS):
    for name, found in logits.items():
        one = found[seed]
        row = f"{metrics.nll(one, test_labels):8.3f} {metrics.ece(one, test_labels):7.3f}"
        print(f"{seed:4}  {name:18} {metrics.errors(one, test_labels):6} {row}")
errors = {name: np.array([metrics.errors(one, test_labels) for one in found]) for name, found in logits.items()}
lesson.true("every student took the same number of steps", len(set(steps_taken)) == 1, f"{steps_taken[0]}")

# %% [markdown]
# NLL is the mean of lesson 2's cross-entropy on the test images. It also depends on how sure a student is. ECE, the
# **expected calibration error**, measures whether the confidence is right. Of the answers with 80 % confidence, 80 %
# should be right. ECE sorts the answers into bins by their confidence, and averages the difference between confidence
# and accuracy.
#
# ## On paper: two students, the same images
#
# With one seed, student A makes fewer errors than B. Could this be chance?
#
# 1. Each test image is in one of four groups: both right, both wrong, only A wrong, only B wrong.
# 2. The first two groups do not show which student is better. Let $b$ be the number of images that only A gets wrong,
#    $c$ the number that only B gets wrong, and $n = b + c$.
# 3. Suppose that both are equally good. Then each of the $n$ images is A's error or B's error with the same
#    probability, like **a coin toss**.
# 4. The probability that $k$ of $n$ tosses show heads is ($\binom{n}{k}$ is the number of ways to choose $k$ of $n$)
#
#    $$P(k) = \frac{1}{2^n} \binom{n}{k}$$
#
# 5. How likely is a split at least as uneven as ours? Sum from 0 to the smaller count. Double the sum, because the
#    other student could also be the better one. Limit it to 1.
#
#    $$p = \min \left( 1, \frac{2}{2^n} \sum_{k=0}^{\min(b, c)} \binom{n}{k} \right)$$
#
# This is **McNemar's exact test**. A small $p$ means that coins rarely give such a split. It does not tell how large
# the difference is.
#
# <details><summary><b>Guess first:</b> Only A gets 10 images wrong, and only B gets 30 wrong. Do 40 coin tosses give a
# split at least as uneven more often or less often than once in a hundred times?</summary>
#
# Less often: $p = 0.0022$, about twice in a thousand times.
# </details>


# %%
def mcnemar_p(b, c):
    """Return the probability that coin tosses split at least as unevenly as b and c."""
    n = b + c
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n)


for b, c in ((0, 5), (10, 30), (52, 48), (7, 7)):
    lesson.close(f"{b} against {c}: p equals scipy's", mcnemar_p(b, c), stats.binomtest(b, b + c, 0.5).pvalue)
heads = rng.binomial(40, 0.5, 200_000)
share = np.mean(np.abs(heads - 20) >= 10)
lesson.close("10 against 30: p equals the share in 200,000 tosses of 40 coins", share, mcnemar_p(10, 30), within=0.5)

wrong = {name: [one.argmax(1) != test_labels for one in found] for name, found in logits.items()}
found = []
print("\nseed   only baseline wrong   only distilled wrong       p")
for seed, (theirs, ours) in enumerate(zip(wrong["labels"], wrong["distilled"], strict=True)):
    b, c = int(np.sum(theirs & ~ours)), int(np.sum(ours & ~theirs))
    found.append(mcnemar_p(b, c))
    print(f"{seed:4} {b:21} {c:22} {found[-1]:7.2g}")
    assert b - c == errors["labels"][seed] - errors["distilled"][seed], "b - c must be the difference of the errors"
pairs = zip(logits["labels"], logits["distilled"], strict=True)
lesson.close(
    "every seed's p equals the engine's", found, [metrics.mcnemar(*pair, test_labels).p for pair in pairs], 1e-9
)

# %% [markdown]
# ## On paper: several seeds
#
# McNemar's test is about the chance in the choice of test images, for two students that are already trained. There is
# also chance in the training. To measure it, take the difference of the errors in each seed, $d_1 \ldots d_n$.
#
# 1. Their mean is $\bar d$, and the standard deviation of one difference is $s$, with
#    $s^2 = \frac{1}{n - 1} \sum_i (d_i - \bar d)^2$.
# 2. The standard deviation of the mean of $n$ differences is $s/\sqrt{n}$.
# 3. If $s$ were known exactly, the true mean would be within $1.96 \, s/\sqrt{n}$ of ours in 95 % of all experiments.
# 4. But $s$ is estimated from the same few differences, and may be too small. In 1908, Student computed how much wider
#    the interval must be. Instead of 1.96 it uses $t$, which is 12.7 for 2 seeds, 4.30 for 3, 2.78 for 5, and 2.26 for
#    10.
#
#    $$\bar d \pm t \, s / \sqrt{n}$$
#
# 5. If the interval includes 0, these seeds do not show a difference.
#
# The two methods can disagree. With two seeds, McNemar's p may be tiny for both, and the interval may still include 0.
# Then these two pairs of students differ, but two seeds tell little about the next seed.


# %%
def half_width(d):
    """Differences (n,) -> half the width of the 95 % interval of their mean."""
    return stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))


d = (errors["distilled"] - errors["labels"]).astype(float)
lesson.close("the half width equals the engine's", half_width(d), interval(d.tolist()).half, 1e-9)

draws = rng.standard_normal((20_000, 3))  # 20,000 experiments of three seeds each; the true mean is 0
widths = draws.std(axis=1, ddof=1) / math.sqrt(3)
by_t = np.mean(np.abs(draws.mean(1)) < stats.t.ppf(0.975, 2) * widths)
by_normal = np.mean(np.abs(draws.mean(1)) < 1.96 * widths)
lesson.close("three seeds: the interval by t contains the true mean in 95 %", by_t, 0.95, within=0.01)
lesson.caught(f"1.96 for three seeds: contains it not in 95 %, but in {by_normal:.0%}", by_normal, 0.95, beyond=0.05)

# %% [markdown]
# ## The result

# %%
for name, beside in (("smoothed labels", "labels"), *(("distilled", other) for other in list(logits)[:3])):
    d = (errors[name] - errors[beside]).astype(float)
    low, high = d.mean() - half_width(d), d.mean() + half_width(d)
    verdict = "these seeds show no difference" if low <= 0 <= high else "fewer errors" if high < 0 else "more errors"
    print(f"{name} minus {beside}: {d.mean():+.1f} errors, 95 % from {low:+.1f} to {high:+.1f}: {verdict}")
    print(f"    fewer in {np.sum(d < 0)} of {SEEDS} seeds: {', '.join(f'{one:+.0f}' for one in d)}")
baseline_errors = np.mean([metrics.errors(one[few], test_labels[few]) for one in logits["labels"]])
worse = "fewer" if teacher_errors < baseline_errors else "not fewer: it teaches its own mistakes, too"
print(f"of the first {few.stop}, the baseline gets {baseline_errors:.0f} wrong; the teacher {teacher_errors}, {worse}")
everyone = {name: np.concatenate(found) for name, found in logits.items()}
repeated = np.tile(test_labels, SEEDS)
bars = {name: metrics.reliability(found, repeated, bins=10) for name, found in everyone.items()}
sure = {name: float((one.counts * one.confidence).sum() / one.counts.sum()) for name, one in bars.items()}
for name in bars:
    print(f"{name:18} confidence {sure[name]:.3f}   right {metrics.accuracy(everyone[name], repeated):.3f}")
drop = sure["labels"] - sure["smoothed labels"]
lesson.true("smoothed labels make a student less sure than labels", drop > 0.01, f"{drop:.3f}")

# %% [markdown]
# These are the results of this run. No row claims that the distilled student is the best. Three questions help to read
# them. **Is the teacher better than the baseline?** If not, the student mostly learns the teacher's mistakes. **Are
# smoothed labels as good?** Then the gain does not come from the teacher's knowledge. Smoothed labels also have a
# disadvantage: the student is unsure even where it is right. **Are more labels as good?** Then the teacher gives as
# much as its images would have given. This is still useful if these images, or their labels, are no longer available.
# But it is not the same as "a teacher helps".
#
# ## Wrong versions
#
# **A baseline with fewer steps.** "The student converges faster with a teacher, so we stopped the baseline early." Then
# the comparison is about the steps, not about the teacher. Here two baselines are compared:

# %%
short = np.array(
    [metrics.errors(trained(Labels(), seed, EPOCHS // 3)[0](test_images), test_labels) for seed in range(2)]
)
gained = short - errors["labels"][:2]
lesson.caught("a baseline with a third of the steps: its errors", short, errors["labels"][:2], beyond=0.05)
lesson.true("it makes more errors, so distillation looks better than it is", np.all(gained > 0), f"{gained}")

# %% [markdown]
# **An unpaired test.** Most tests in textbooks compare two separate groups. Here both students classify the same
# images, and mostly fail on the same ones. An unpaired test treats these difficult images as noise. Suppose that of
# 10,000 images, both get 150 wrong, only A gets 10 wrong, and only B gets 30 wrong:


# %%
def unpaired_p(wrong_a, wrong_b, count):
    """Return p as if A and B had seen different images, with a normal distribution of the difference."""
    mean = (wrong_a + wrong_b) / (2 * count)
    deviation = math.sqrt(2 * mean * (1 - mean) / count)
    return math.erfc(abs(wrong_a - wrong_b) / count / deviation / math.sqrt(2))


print(f"paired: p = {mcnemar_p(10, 30):.4f}   unpaired: p = {unpaired_p(160, 180, 10_000):.4f}")
lesson.caught("p of an unpaired test", unpaired_p(160, 180, 10_000), mcnemar_p(10, 30))

# %% [markdown]
# **The best seed.** We run our method five times and theirs once, and report our best run. If both are equally good,
# each of the six runs is the best with the same probability. So ours "wins" in five of six cases.
#
# <details><summary><b>Guess first:</b> We make five runs of our method and one of theirs. Both are equally good, and we
# report our best run. How often is it better than theirs?</summary>
#
# In five of six cases, because each of the six runs is the best with the same probability.
# </details>

# %%
runs = rng.normal(300, 15, (20_000, 6))  # errors of six runs, five of them ours
wins = np.mean(runs[:, :5].min(1) < runs[:, 5])
lesson.close("five runs against one, equally good: our best run wins in 5/6", wins, 5 / 6, within=0.02)
lesson.caught("the best of five seeds against one: not in half of the cases", wins, 0.5)

# %% [markdown]
# **Tuning on the test set.** Try twenty temperatures, and report the one with the fewest test errors. Suppose that the
# temperature makes no difference, and that every setting is wrong on 3 % of all possible images:
#
# <details><summary><b>Guess first:</b> Twenty settings make no difference. Each has 300 expected errors. How many
# errors does the best of them show?</summary>
#
# About 269, which is thirty fewer by chance alone. On new images it makes 300 again.
# </details>

# %%
shown = rng.binomial(10_000, 0.03, (5000, 20)).min(1)  # the best of twenty settings, 5,000 times
fresh = rng.binomial(10_000, 0.03, 5000)  # the same setting on new test images
print(f"the best of twenty: {shown.mean():.0f} errors as reported, {fresh.mean():.0f} on new images")
lesson.true("it looks better than it is", fresh.mean() - shown.mean() > 20, f"{fresh.mean() - shown.mean():.0f} errors")

# %% [markdown]
# So choose settings on **validation images**, which are held out of the training set, and use the test images once.

# %% tags=["hide-input"]
figure = new_figure(9.6, 4.2, f"Students with and without a teacher, {SEEDS} seeds, {COUNT:,} images")
left, right = figure.subplots(1, 2)
looks = {
    "labels": (ORANGE, "^", "--"),
    "smoothed labels": (GREEN, "s", ":"),
    "more labels": (RED, "D", "-."),
    "distilled": (BLUE, "o", "-"),
}
tidy(left, "Each line is a seed: the same first weights", "", f"errors in {len(test_labels):,} test images")
for seed in range(SEEDS):
    left.plot(range(4), [errors[name][seed] for name in looks], color=GREY, linewidth=1, zorder=1)
for place, (name, (colour, marker, _)) in enumerate(looks.items()):
    left.scatter([place] * SEEDS, errors[name], color=colour, marker=marker, s=45, zorder=2)
    left.hlines(errors[name].mean(), place - 0.18, place + 0.18, color=colour, linewidth=2.5, zorder=2)
left.set_xticks(range(4), [name.replace(" ", "\n") for name in looks])
left.set_xlim(-0.4, 3.4)
tidy(right, "Calibration: on the grey line, confidence is right", "confidence", "share of right answers")
right.plot([0, 1], [0, 1], color=GREY, linewidth=1)
for name, (colour, marker, line) in looks.items():
    full = bars[name].counts >= 10
    shape = {"color": colour, "marker": marker, "linestyle": line, "markersize": 5}
    right.plot(bars[name].confidence[full], bars[name].accuracy[full], label=name, **shape)
right.legend(frameon=False, fontsize=9, loc="upper left")
right.set_xlim(0.1, 1.02)
right.set_ylim(0.0, 1.02)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show how much distillation helps elsewhere. This is one data set, one student, one temperature,
# few seeds and short trainings. "No difference shown" does not mean "no difference". Few seeds can show only large
# differences. The seeds share their test images, so do not multiply or add their p-values. And of twenty tests, one has
# $p < 0.05$ by chance.
#
# ## Read on
#
# - McNemar 1947, [*Note on the sampling error of the difference between correlated proportions or
#   percentages*](https://doi.org/10.1007/BF02295996).
# - Dietterich 1998, [*Approximate statistical tests for comparing supervised classification learning
#   algorithms*](https://doi.org/10.1162/089976698300017197).
# - Student 1908, [*The probable error of a mean*](https://doi.org/10.1093/biomet/6.1.1).
# - Szegedy et al. 2016, [*Rethinking the Inception architecture for computer
#   vision*](https://arxiv.org/abs/1512.00567), §7: smoothed labels.
# - Guo et al. 2017, [*On calibration of modern neural networks*](https://arxiv.org/abs/1706.04599), §2: reliability,
#   ECE.
# - Stanton et al. 2021, [*Does knowledge distillation really work?*](https://arxiv.org/abs/2106.05945): students often
#   do not match their teachers.
# - [`minikd/metrics.py`](../minikd/metrics.py),
#   [`minikd/evidence/experiments/statistics.py`](../minikd/evidence/experiments/statistics.py). Lesson 17 runs the
#   whole experiment.
#
# ## Exercises
#
# The first time, `minikd check 13` creates the skeleton `work/13_distill_honestly.py`. After that, it checks your
# solution there.
#
# 1. `sign_test`: the coin toss for seeds instead of images. In how many seeds is ours better, and could this be chance?
# 2. `expected_calibration_error`: one number for the right half of the figure.
#
# The solutions are in `lessons/solutions/`.
