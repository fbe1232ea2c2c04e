# %% [markdown]
# # 13. Distil, honestly
#
# **Goal** Train a student with a teacher and one without, so that the comparison is fair, and say what came out with
# the doubt that belongs to it.
#
# **Needs** lessons 10 and 12.
#
# **You will see** every seed's students as paired dots, and how far each kind of student can be believed.
#
# **Minutes** 1

# %%
import math
from dataclasses import replace

import numpy as np
from scipy import stats

from minikd import load_dataset, metrics
from minikd.data import Views, mean_and_std
from minikd.distillation.teacher import CachedTeacher
from minikd.evidence.experiments.statistics import interval
from minikd.lessons import Lesson
from minikd.lessons.teacher import teacher_of
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.models import mlp
from minikd.report.style import BLUE, GREEN, GREY, ORANGE, RED, new_figure, tidy
from minikd.training import Plan, fit

lesson = Lesson("13_distill_honestly")
rng = np.random.default_rng(13)
COUNT, EPOCHS, SEEDS = lesson.pick(full=(10_000, 12, 5), quick=(500, 6, 2))
MORE = lesson.pick(full=60_000, quick=1000)  # images that the teacher has learned from

# %% [markdown]
# ## A fair comparison
#
# "With a teacher the student makes 300 errors." Is that good? Only beside a **baseline**: a student that had everything
# else, and no teacher. Everything else is the same network with **the same first weights**, the same images in **the
# same batches**, and **the same number of steps**, with the same learning rates.
#
# That is the baseline that learns from the **labels**. Two more ask what else could explain a gain. One learns from
# **smoothed labels**: 0.9 for the label's class, and 0.1 shared among all ten. They are soft, but know nothing about
# the image, and need no teacher. The other gets **more labels**. For the teacher has seen more images than these
# students, and whoever has labels for all of them could give them to the student as well: in as many steps, so each
# image less often.
#
# And temperature 4 and alpha 0.9 are fixed before the test images are looked at. Why that matters is shown below.
#
# In the code, `fit` is the engine's training loop, and an **objective** tells it the loss: `Labels` is lesson 2's,
# `SoftTargets` lesson 12's. `CachedTeacher` gives a batch the answers that the teacher gave once to these images.

# %%
data = load_dataset("mnist")
mean, std = mean_and_std(data.train_images)
views = Views(data.train_images[:COUNT], data.train_labels[:COUNT], mean, std)
more_views = Views(data.train_images[:MORE], data.train_labels[:MORE], mean, std)
tested = slice(lesson.pick(full=10_000, quick=1000))
test_images, test_labels = Views(data.test_images, data.test_labels, mean, std).clean(tested), data.test_labels[tested]

teacher = teacher_of(lesson)
images = views.clean()
answers = np.concatenate([teacher(images[start : start + 100]) for start in range(0, COUNT, 100)])  # asked only once
few = slice(lesson.pick(full=1000, quick=300))
teacher_errors = metrics.errors(teacher(test_images[few]), test_labels[few])
print(f"the teacher makes {teacher_errors} errors in the first {few.stop} test images")


def objectives(alpha=0.9):
    """What each student is trained to do."""
    return {
        "labels": Labels(),
        "smoothed labels": Labels(0.1),
        "more labels": Labels(),
        "distilled": LogitObjective(SoftTargets(temperature=4.0, alpha=alpha), CachedTeacher(answers)),
    }


def trained(objective, seed, epochs=EPOCHS, views=views):
    """Train a student of 784-128-10; return it, and its steps. The seed decides the first weights and the batches."""
    student = mlp(data.image_shape, (128,), 10, np.random.default_rng(seed))
    plan = Plan(epochs=epochs, batch_size=100, learning_rate=2e-3, seed=seed)
    history = fit(student, replace(views, seed=seed), objective, plan, threads=1)
    return student, len(history) * math.ceil(len(views) / 100)


# %% [markdown]
# Is it fair? There is a strong test. With alpha = 0 the teacher's part has no weight, so the distilled student must
# become **the baseline itself**. Any difference would be something else than the teacher.

# %%
baseline, baseline_steps = trained(Labels(), seed=0, epochs=2)
no_weight, steps = trained(objectives(alpha=0.0)["distilled"], seed=0, epochs=2)
lesson.close("distilled with alpha = 0: the baseline's very weights", no_weight.vector, baseline.vector, within=1e-5)
lesson.true("in the same number of steps", steps == baseline_steps, f"{steps}")
other, _ = trained(Labels(), seed=1, epochs=2)
lesson.caught("a baseline with other first weights", other.vector, baseline.vector)

# %% [markdown]
# ## The runs
#
# One run is one draw from a lottery: other first weights, another order of the images, another result. So there are
# several seeds, and all students of a seed share its luck: they are **paired**. (More labels are other batches; that
# student shares the first weights and the number of steps.)

# %%
logits, steps_taken = {name: [] for name in objectives()}, []
for seed in range(SEEDS):
    for name, objective in objectives().items():
        longer = (EPOCHS * COUNT // MORE, more_views) if name == "more labels" else (EPOCHS, views)
        student, steps = trained(objective, seed, *longer)
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
# NLL is the mean of lesson 2's cross-entropy on the test images: it also counts how sure a student was. ECE, the
# **expected calibration error**, asks whether it can be believed. Of the answers that are given with 80 % confidence,
# 80 % should be right. ECE sorts the answers into bins by their confidence, and averages how far confidence and share
# of right answers are apart.
#
# ## On paper: two students, the same images
#
# Take one seed. Student A makes fewer errors than B. Could that be chance?
#
# 1. Each test image falls into one of four boxes: both right, both wrong, only A wrong, only B wrong.
# 2. The first two boxes say nothing about who is better. Let $b$ images be wrong for A alone, $c$ for B alone, and
#    $n = b + c$.
# 3. Suppose both are equally good. Then each of the $n$ images is as likely to be A's as B's error: **a coin toss**.
# 4. That $k$ of $n$ tosses show heads has the probability ($\binom{n}{k}$ counts the ways to choose $k$ of $n$)
#
#    $$P(k) = \frac{1}{2^n} \binom{n}{k}$$
#
# 5. How likely is a split at least as uneven as ours? Sum from 0 to the smaller count, and double it: it could have
#    gone the other way. It cannot be more than 1.
#
#    $$p = \min \left( 1, \frac{2}{2^n} \sum_{k=0}^{\min(b, c)} \binom{n}{k} \right)$$
#
# This is **McNemar's exact test**. A small $p$ says: coins rarely do that. It does not say how large the difference is.


# %%
def mcnemar_p(b, c):
    """Counts of images that only A, only B gets wrong -> how likely coins split at least so unevenly."""
    n = b + c
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n)


for b, c in ((0, 5), (10, 30), (52, 48), (7, 7)):
    lesson.close(f"{b} against {c}: p is scipy's", mcnemar_p(b, c), stats.binomtest(b, b + c, 0.5).pvalue)
heads = rng.binomial(40, 0.5, 200_000)
share = np.mean(np.abs(heads - 20) >= 10)
lesson.close("10 against 30: and that of 200,000 times 40 coins", share, mcnemar_p(10, 30), within=0.5)

wrong = {name: [one.argmax(1) != test_labels for one in found] for name, found in logits.items()}
found = []
print("\nseed   only baseline wrong   only distilled wrong       p")
for seed, (theirs, ours) in enumerate(zip(wrong["labels"], wrong["distilled"], strict=True)):
    b, c = int(np.sum(theirs & ~ours)), int(np.sum(ours & ~theirs))
    found.append(mcnemar_p(b, c))
    print(f"{seed:4} {b:21} {c:22} {found[-1]:7.2g}")
    assert b - c == errors["labels"][seed] - errors["distilled"][seed], "the boxes hold the difference of the errors"
pairs = zip(logits["labels"], logits["distilled"], strict=True)
lesson.close("every seed's p is the engine's", found, [metrics.mcnemar(*pair, test_labels).p for pair in pairs], 1e-9)

# %% [markdown]
# ## On paper: several seeds
#
# McNemar's test speaks of the luck of the test images, for two students that are already trained. The other luck is
# that of the training. For that, take the difference of the errors in each seed, $d_1 \ldots d_n$.
#
# 1. Their mean is $\bar d$, and the standard deviation of one difference is $s$, with
#    $s^2 = \frac{1}{n - 1} \sum_i (d_i - \bar d)^2$.
# 2. The mean of $n$ draws varies by $s/\sqrt{n}$.
# 3. If $s$ were known, the true mean would lie within $1.96 \, s/\sqrt{n}$ of ours in 95 % of all experiments.
# 4. But $s$ comes from the same few draws, and may well be too small. Student worked out in 1908 how much wider the
#    interval must be: instead of 1.96 it takes $t$, which is 12.7 for 2 seeds, 4.30 for 3, 2.78 for 5, 2.26 for 10.
#
#    $$\bar d \pm t \, s / \sqrt{n}$$
#
# 5. If the interval holds 0, these seeds do not show a difference.
#
# The two can disagree. With two seeds, McNemar's p may be tiny in both and the interval still hold 0: these very
# students differ, but two draws say little about the next.


# %%
def half_width(d):
    """Differences (n,) -> half the width of their mean's 95 % interval."""
    return stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))


d = (errors["distilled"] - errors["labels"]).astype(float)
lesson.close("the half width is the engine's", half_width(d), interval(d.tolist()).half, 1e-9)

draws = rng.standard_normal((20_000, 3))  # 20,000 experiments of three seeds each; the true mean is 0
widths = draws.std(axis=1, ddof=1) / math.sqrt(3)
by_t = np.mean(np.abs(draws.mean(1)) < stats.t.ppf(0.975, 2) * widths)
by_normal = np.mean(np.abs(draws.mean(1)) < 1.96 * widths)
lesson.close("three seeds: the interval by t holds the truth in 95 %", by_t, 0.95, within=0.01)
lesson.caught(f"1.96 for three seeds: says 95 %, holds it in {by_normal:.0%}", by_normal, 0.95, beyond=0.05)

# %% [markdown]
# ## What came out

# %%
for name, beside in (("smoothed labels", "labels"), *(("distilled", other) for other in list(logits)[:3])):
    d = (errors[name] - errors[beside]).astype(float)
    low, high = d.mean() - half_width(d), d.mean() + half_width(d)
    verdict = "these seeds show no difference" if low <= 0 <= high else "fewer errors" if high < 0 else "more errors"
    print(f"{name} less {beside}: {d.mean():+.1f} errors, 95 % from {low:+.1f} to {high:+.1f}: {verdict}")
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
# Whatever stands above is this run's result; no row claims that the distilled student is the best. Three questions to
# ask of it. **Is the teacher better than the baseline?** If not, there is little to learn from it but its mistakes.
# **Are smoothed labels as good?** Then the gain is not the teacher's knowledge. They have a price of their own: the
# student is unsure even where it is right. **Are more labels as good?** Then the teacher gave what its images would
# have given. That is still worth having where these images, or their labels, are not at hand any more; but it is
# another claim than "a teacher helps".
#
# ## Wrong versions
#
# **A baseline with fewer steps.** "The student converges faster with a teacher, so we stopped the baseline early." Then
# the steps are compared, not the teacher. Here is a baseline against a baseline:

# %%
short = np.array(
    [metrics.errors(trained(Labels(), seed, EPOCHS // 3)[0](test_images), test_labels) for seed in range(2)]
)
gained = short - errors["labels"][:2]
lesson.caught("a baseline with a third of the steps: its errors", short, errors["labels"][:2], beyond=0.05)
lesson.true("it makes more errors, and flatters what it is compared with", np.all(gained > 0), f"{gained}")

# %% [markdown]
# **An unpaired test.** Most tests in textbooks compare two separate groups. Here both students saw the same images, and
# mostly fail on the same ones. A test that does not know that takes the hard images for noise. Say 150 images are wrong
# for both, 10 for A alone, 30 for B alone, of 10,000:


# %%
def unpaired_p(wrong_a, wrong_b, count):
    """As if A and B had been tested on different images: the difference over its standard deviation, as a normal."""
    mean = (wrong_a + wrong_b) / (2 * count)
    deviation = math.sqrt(2 * mean * (1 - mean) / count)
    return math.erfc(abs(wrong_a - wrong_b) / count / deviation / math.sqrt(2))


print(f"paired: p = {mcnemar_p(10, 30):.4f}   unpaired: p = {unpaired_p(160, 180, 10_000):.4f}")
lesson.caught("p of an unpaired test", unpaired_p(160, 180, 10_000), mcnemar_p(10, 30))

# %% [markdown]
# **The best seed.** Take five runs of ours, one of theirs, and show our best. If both are equally good, all six runs
# are draws from one lottery, and each is as likely to be the best as any other. So ours "wins" in five of six cases.

# %%
runs = rng.normal(300, 15, (20_000, 6))  # errors of six runs, five of them ours
wins = np.mean(runs[:, :5].min(1) < runs[:, 5])
lesson.close("five runs against one: equally good, ours is better in 5/6", wins, 5 / 6, within=0.02)
lesson.caught("the best of five seeds in place of a fair coin", wins, 0.5)

# %% [markdown]
# **Tuning on the test set.** Try twenty temperatures, and report the one with the fewest test errors. Suppose the
# temperature makes no difference at all, and every setting is wrong on 3 % of all images there could be:

# %%
shown = rng.binomial(10_000, 0.03, (5000, 20)).min(1)  # the best of twenty settings, 5,000 times
fresh = rng.binomial(10_000, 0.03, 5000)  # the same setting on new test images
print(f"the best of twenty: {shown.mean():.0f} errors as reported, {fresh.mean():.0f} on new images")
lesson.true("it looks better than it is", fresh.mean() - shown.mean() > 20, f"{fresh.mean() - shown.mean():.0f} errors")

# %% [markdown]
# So settings are chosen on **validation images**, held out of the training set, and the test images are used once.

# %%
figure = new_figure(9.6, 4.2, f"Students with and without a teacher, {SEEDS} seeds, {COUNT:,} images")
left, right = figure.subplots(1, 2)
looks = {
    "labels": (ORANGE, "^", "--"),
    "smoothed labels": (GREEN, "s", ":"),
    "more labels": (RED, "D", "-."),
    "distilled": (BLUE, "o", "-"),
}
tidy(left, "A line is a seed: the same first weights", "", f"errors in {len(test_labels):,} test images")
for seed in range(SEEDS):
    left.plot(range(4), [errors[name][seed] for name in looks], color=GREY, linewidth=1, zorder=1)
for place, (name, (colour, marker, _)) in enumerate(looks.items()):
    left.scatter([place] * SEEDS, errors[name], color=colour, marker=marker, s=45, zorder=2)
    left.hlines(errors[name].mean(), place - 0.18, place + 0.18, color=colour, linewidth=2.5, zorder=2)
left.set_xticks(range(4), [name.replace(" ", "\n") for name in looks])
left.set_xlim(-0.4, 3.4)
tidy(right, "Can it be believed? The grey line is where it can", "confidence", "share of right answers")
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
# What distillation is worth elsewhere: this is one data set, one student, one temperature, few seeds and short
# trainings. "No difference seen" is not "no difference": with few seeds, only large ones can be seen. The seeds share
# their test images, so their p-values must not be multiplied or added up. And whoever makes twenty tests finds one with
# $p < 0.05$ by chance.
#
# ## Read on
#
# - McNemar 1947, *Note on the sampling error of the difference between correlated proportions or percentages*.
# - Dietterich 1998, *Approximate statistical tests for comparing supervised classification learning algorithms*.
# - Student 1908, *The probable error of a mean*.
# - Szegedy et al. 2016, *Rethinking the Inception architecture for computer vision*, §7: smoothed labels.
# - Guo et al. 2017, *On calibration of modern neural networks*, §2: reliability, ECE.
# - Stanton et al. 2021, *Does knowledge distillation really work?*: students often do not match their teachers.
# - `minikd/metrics.py`, `minikd/evidence/experiments/statistics.py`. Lesson 17 runs the whole experiment.
#
# ## Exercises
#
# `minikd check 13` puts the skeleton into `work/13_distill_honestly.py` the first time and checks it from then on.
#
# 1. `sign_test`: the coin toss for seeds instead of images: in how many seeds was ours better, and is that luck?
# 2. `expected_calibration_error`: the number behind the right half of the figure.
#
# The solutions are in `lessons/solutions/`.
