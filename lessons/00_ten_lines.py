# %% [markdown]
# # 0. A teacher, a student, ten lines
#
# **Goal** Train a teacher, and distill it into a small student. This lesson explains nothing. The other lessons do.
#
# **Needs** nothing but `pip install .`
#
# **You will see** how many errors the small student makes if it learns from labels alone, and if it learns from the
# teacher.
#
# **Minutes** 1

# %% [markdown]
# The baseline is a student that learns from the labels alone: one right answer for each image. The distilled student
# also learns what the teacher says about the other nine digits. For example, this 7 looks a little like a 1, and not at
# all like an 8.

# %%
from dataclasses import replace

import numpy as np

import minikd
from minikd import nn
from minikd.lessons import Lesson

lesson = Lesson("00_ten_lines")
rng, digits = np.random.default_rng(0), minikd.load_dataset("mnist")
few = slice(lesson.pick(full=60_000, quick=4_000))  # --quick: fewer images to learn from
digits = replace(digits, train_images=digits.train_images[few], train_labels=digits.train_labels[few])


# %%
def small_student(seed: int) -> nn.Sequential:
    """784-32-10, the same first weights for the same seed."""
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32, rng), nn.ReLU(), nn.Linear(32, 10, rng))


teacher = nn.Sequential(
    nn.Conv2d(1, 16, 5, rng, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 12 * 12, 128, rng), nn.ReLU(),
    nn.Linear(128, 10, rng),
)  # fmt: skip
alone, distilled = small_student(seed=1), small_student(seed=1)
plan = minikd.Plan(epochs=20, learning_rate=5e-3)

# %% [markdown]
# <details><summary><b>Guess first:</b> The teacher has 296,746 parameters, a student 25,450. How many errors in 10,000
# test images will each make? How much of the difference does distillation close?</summary>
#
# Measured on two cores: the teacher makes 140, the baseline 287, the distilled student 247. So distillation closes 40
# of the 147 errors between teacher and baseline, with one seed.
# </details>

# %%
minikd.train(teacher, digits, minikd.Plan(epochs=3, learning_rate=2e-3), callbacks=[minikd.Bars()])
minikd.train(alone, digits, plan, callbacks=[minikd.Bars()])
minikd.distill(teacher, distilled, digits, plan, temperature=2.0, alpha=0.9, callbacks=[minikd.Bars()])

# %% [markdown]
# <details><summary><b>Guess first:</b> The errors count wrong answers. The NLL (the mean of −log of the right class's
# probability) also shows how sure the student was. Which of the two does the teacher improve more, in per
# cent?</summary>
#
# The NLL: it falls from 0.119 to 0.086, by more than a quarter. The errors fall by a seventh. A teacher mostly teaches
# the student how sure it should be.
# </details>

# %%
models = {"teacher": teacher, "baseline": alone, "distilled student": distilled}
results = {name: minikd.evaluate(model, digits) for name, model in models.items()}
for name, scores in results.items():
    errors = f"{scores.errors:4} errors of {len(digits.test_labels):,}"
    print(f"{name:18} {errors}   NLL {scores.nll:.4f}   {models[name].size:,} parameters")
if lesson.quick:
    print("4,000 images are too few to show what the teacher changes: run this without --quick")
else:
    lesson.true("the distilled student has a lower NLL than the baseline",
                results["distilled student"].nll < results["baseline"].nll)  # fmt: skip

# %% [markdown]
# ## What this does not show
#
# One seed proves little. And both students have the same learning rate, which was not tuned for either of them. Lesson
# 13 makes a fair comparison: a tuned baseline, several seeds, and a test of significance.
#
# ## Read on
#
# Lesson 1 begins with softmax and its temperature. `minikd distill` does the same as this page, with a better teacher,
# a larger student and a test of significance.
#
# Hinton, Vinyals & Dean, [*Distilling the knowledge in a neural network*](https://arxiv.org/abs/1503.02531) (2015),
# sections 2 and 3.
#
# ## Exercises
#
# Run it again with `seed=2` in both students. How much do the numbers change? Then give the students 16 units instead
# of 32. Which student gains more from the teacher, the small one or the large one?
