# %% [markdown]
# # 0. A teacher, a student, ten lines
#
# **Goal** train two networks of your own and pour one into the other. Nothing is explained here: the other lessons do.
#
# **Needs** nothing but `pip install .`
#
# **You will see** the small student's errors when it learned alone, and when it learned from the teacher.
#
# **Minutes** 1

# %% [markdown]
# The student alone sees one right answer for each digit. The distilled student also sees what the teacher thinks of the
# other nine: that this 7 looks a little like a 1, and not at all like an 8.

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
# test images will each make, and how much of the gap does the teacher's help close?</summary>
#
# Measured on two cores: the teacher 140, the student alone 287, the distilled one 247. So 40 of the 147 errors between
# them, with one seed.
# </details>

# %%
minikd.train(teacher, digits, minikd.Plan(epochs=3, learning_rate=2e-3), callbacks=[minikd.Bars()])
minikd.train(alone, digits, plan, callbacks=[minikd.Bars()])
minikd.distill(teacher, distilled, digits, plan, temperature=2.0, alpha=0.9, callbacks=[minikd.Bars()])

# %% [markdown]
# <details><summary><b>Guess first:</b> The errors say how often a student is wrong; the NLL also says how surprised it
# is by the truth. Which of the two does the teacher improve more, in parts of itself?</summary>
#
# The NLL: from 0.119 to 0.086, by a quarter and more. The errors fall by a seventh. A teacher mostly teaches how sure
# to be.
# </details>

# %%
models = {"teacher": teacher, "baseline": alone, "distilled student": distilled}
results = {name: minikd.evaluate(model, digits) for name, model in models.items()}
for name, scores in results.items():
    errors = f"{scores.errors:4} errors of {len(digits.test_labels):,}"
    print(f"{name:18} {errors}   NLL {scores.nll:.4f}   {models[name].size:,} parameters")
if lesson.quick:
    print("4,000 images are too few to see what the teacher is good for: run this without --quick")
else:
    lesson.true("the distilled student is less surprised by the truth (NLL)",
                results["distilled student"].nll < results["baseline"].nll)  # fmt: skip

# %% [markdown]
# ## What this does not show
#
# One seed proves little, and both students learn at the same rate, chosen for neither. Lesson 13 does it honestly:
# a baseline, seeds, and a test of significance.
#
# ## Read on
#
# Lesson 1 begins at the beginning: softmax, and what a temperature does to it. `minikd distill` does the job of this
# page with a better teacher, a larger student and a test of significance.
#
# Hinton, Vinyals & Dean, [*Distilling the knowledge in a neural network*](https://arxiv.org/abs/1503.02531) (2015),
# sections 2 and 3.
#
# ## Exercises
#
# Run it again with `seed=2` in both students, and see how far the numbers move. Then give the student 16 units instead
# of 32: who gains more from the teacher, a small student or a large one?
