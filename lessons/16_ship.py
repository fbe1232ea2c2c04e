# %% [markdown]
# # 16. Ship the student
#
# **Goal** Make the student small: half the bytes as float16, a quarter as int8, with errors that are known beforehand;
# and a predictor that needs nothing but NumPy.
#
# **Needs** lessons 3, 10 and 13.
#
# **You will see** accuracy, bytes and time of the teacher and of three ways to store the student.
#
# **Minutes** 2

# %%
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np

import minikd
from minikd.data import Views, mean_and_std
from minikd.lessons import Lesson
from minikd.lessons.teacher import teacher_of
from minikd.metrics import agreement
from minikd.models import mlp
from minikd.report.style import BLUE, GREEN, INK, ORANGE, new_figure, tidy
from minikd.training import Plan

lesson = Lesson("16_ship")
digits = minikd.load_dataset("mnist")
images, tests = lesson.pick(full=(60_000, 10_000), quick=(1_000, 1_000))
data = replace(
    digits,
    train_images=digits.train_images[:images],
    train_labels=digits.train_labels[:images],
    test_images=digits.test_images[:tests],
    test_labels=digits.test_labels[:tests],
)
mean, std = mean_and_std(data.train_images)
x = Views(data.test_images, data.test_labels, mean, std).clean()  # (N, 1, 28, 28), float32

# %%
teacher = teacher_of(lesson)
student = mlp(data.image_shape, (64,), data.classes, np.random.default_rng(16))
plan = Plan(epochs=lesson.pick(full=3, quick=2), batch_size=lesson.pick(full=128, quick=32), learning_rate=3e-3)
minikd.distill(teacher, student, data, plan)

# %% [markdown]
# ## On paper: what it costs
#
# 1. A dense layer from C to O holds $O C$ weights and O biases. In float32 each is 4 bytes.
# 2. For each image it does $O C$ **multiply-adds**: one for each weight.
# 3. The student is 784 to 64 to 10, so it has $64 \cdot 784 + 64 + 10 \cdot 64 + 10 = 50890$ numbers, and does
#    $64 \cdot 784 + 10 \cdot 64 = 50816$ multiply-adds.

# %%
shape = data.image_shape
lesson.true("the student's numbers, counted by hand", student.size == 64 * 784 + 64 + 10 * 64 + 10, f"{student.size:,}")
lesson.true("its multiply-adds", student.macs(shape) == 64 * 784 + 10 * 64, f"{student.macs(shape):,}")
print(f"the teacher: {teacher.size:,} numbers, {teacher.macs(shape):,} multiply-adds")
lesson.true("it computes 50 times less than the teacher", teacher.macs(shape) > 50 * student.macs(shape))

# %% [markdown]
# ## A predictor in a dozen lines
#
# The student is two products. Written out, they need no library of ours: this file and an `.npz` are all that ships.
# `python -I` runs it without the current folder, and it prints whether minikd was imported.

# %%
w0, b0, w1, b1 = (a.copy() for a in student.state_dict().values())
predictor = '''"""python student.py WEIGHTS.npz IMAGES.npy LOGITS.npy: digits (N, 1, 28, 28) uint8 to logits (N, 10)."""

import sys

import numpy as np

w = np.load(sys.argv[1])
x = np.load(sys.argv[2]).astype(np.float32) * w["scale"] - w["shift"]
x = x.reshape(len(x), -1)
x = np.maximum(x @ w["w0"].T + w["b0"], 0)  # (N, 64) = (N, 784) @ (784, 64)
x = x @ w["w1"].T + w["b1"]  # (N, 10) = (N, 64) @ (64, 10)
np.save(sys.argv[3], x)
print("minikd" in sys.modules)
'''
lesson.output.mkdir(parents=True, exist_ok=True)
script, weights, given, answer = (lesson.output / f"student{end}" for end in (".py", ".npz", "_in.npy", "_out.npy"))
script.write_text(predictor, encoding="utf-8")
scale, shift = np.float32(1 / (255 * std[0])), np.float32(mean[0] / std[0])
np.savez(weights, w0=w0, b0=b0, w1=w1, b1=b1, scale=scale, shift=shift)
np.save(given, data.test_images)
command = [sys.executable, "-I", str(script), str(weights), str(given), str(answer)]
said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
logits = student(x)
lesson.true("the predictor did not import minikd", said == "False", said)
lesson.close("its logits are the engine's, up to the order of a sum", np.load(answer), logits, within=1e-4)
given.unlink()
answer.unlink()

# %% [markdown]
# ## Half the bytes: float16
#
# 1. A float16 has 11 significant bits. Neighbours of $w$ lie at most $\epsilon |w|$ apart, with $\epsilon = 2^{-10}$.
# 2. Rounding goes to the nearer one, so the error is at most half of that: $|w_{16} - w| \le \epsilon |w| / 2$.
# 3. Below $2^{-14}$ the spacing no longer shrinks. It stays $2^{-24}$, and the error stays below $2^{-25}$.

# %%
half = w0.astype(np.float16).astype(np.float32)
bound = np.maximum(2.0**-11 * np.abs(w0), 2.0**-25)
lesson.true("float16 is as near as its bound says", (np.abs(half - w0) <= bound).all())


def answers(x, first, second):
    """Logits (N, 10) with other weights."""
    hidden = np.maximum(x.reshape(len(x), -1) @ first.T + b0, 0)  # (N, 64) = (N, 784) @ (784, 64)
    return hidden @ second.T + b1  # (N, 10) = (N, 64) @ (64, 10)


half1 = w1.astype(np.float16).astype(np.float32)
logits16 = answers(x, half, half1)
same = agreement(logits16, logits)
lesson.true("float16 answers as float32 does", same >= lesson.pick(full=0.999, quick=0.995), f"{same:.2%}")

# %% [markdown]
# ## A quarter: int8
#
# 1. An int8 holds -128 to 127. Give each **row** of w, which makes one output, a scale of its own:
#    $s_o = \max_c |w_{oc}| / 127$. Symmetric: 0 stays 0, and -128 is not used.
# 2. Store $q_{oc} = \mathrm{round}(w_{oc} / s_o)$. Rounding is off by at most 1/2, so
#    $|s_o q_{oc} - w_{oc}| \le s_o / 2$.
# 3. Do the same with each row of x, its scale $t_n$. The sum of products factors:
#    $$y_{no} \approx t_n s_o \sum_c p_{nc} q_{oc}$$
# 4. The sum is of whole numbers. Each product is at most $127^2 = 16129$, too much for int8. 784 of them are at most
#    12,645,136: an **int32** holds that with ease, and exactly.


# %%
def quantised(a):
    """a (M, C) -> int8 (M, C), scale (M, 1)."""
    scale = np.maximum(np.abs(a).max(axis=1, keepdims=True), 1e-12) / 127
    return np.round(a / scale).astype(np.int8), scale


def product(a, w, kind=np.int32):
    """a (N, C), w (O, C) -> (N, O), through whole numbers of that kind."""
    (p, t), (q, s) = quantised(a), quantised(w)
    whole = p.astype(kind) @ q.astype(kind).T  # (N, O) = (N, C) @ (C, O)
    return whole * t * s.T


q, s = quantised(w0)
lesson.true("rounding is off by at most scale/2", (np.abs(q * s - w0) <= s * 0.5001).all())
few = x[:500].reshape(len(x[:500]), -1)
exact = few @ w0.T  # (N, O) = (N, C) @ (C, O)
lesson.close("the product of whole numbers is near", product(few, w0), exact, within=0.05)
lesson.caught("whole numbers added up in int8", product(few, w0, np.int8), exact, beyond=0.1)
one = np.abs(np.trunc(w0 / s) * s - w0).max(axis=1) / s[:, 0]
lesson.caught("truncated, not rounded: up to a whole scale off", one.max(), 0.5, beyond=0.4)


def answers8(x):
    """Logits (N, 10) by two products of whole numbers."""
    return product(np.maximum(product(x.reshape(len(x), -1), w0) + b0, 0), w1) + b1


logits8 = answers8(x)
same = agreement(logits8, logits)
lesson.true("int8 answers as float32 does", same > 0.97, f"{same:.2%}")

# %%
numbers = student.size
ways = {
    "teacher": (teacher, 4 * teacher.size, INK, "s"),
    "student": (student, 4 * numbers, ORANGE, "^"),
    "float16": (lambda x: answers(x, half, half1), 2 * numbers, BLUE, "o"),
    "int8": (answers8, w0.size + w1.size + 4 * (2 * b0.size + 2 * b1.size), GREEN, "D"),
}
figure = new_figure(8.6, 3.8, "What ships: accuracy, bytes, time")
left, right = figure.subplots(1, 2, sharey=True)
for name, (model, size, colour, marker) in ways.items():
    begin = time.perf_counter()
    found = np.concatenate([model(x[i : i + 500]) for i in range(0, len(x), 500)])
    micro = (time.perf_counter() - begin) / len(x) * 1e6
    accuracy = 100 * float((found.argmax(axis=1) == data.test_labels).mean())
    print(f"{name:8s} {accuracy:6.2f} %  {size / 1024:8.1f} KiB  {micro:8.1f} µs an image")
    for ax, value in ((left, size / 1024), (right, micro)):
        ax.plot([value], [accuracy], marker, color=colour, markersize=9, label=name)
for ax, text in ((left, "KiB"), (right, "µs an image, measured here")):
    tidy(ax, "", text, "accuracy on test images, %").set_xscale("log")
left.legend(frameon=False)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# - Speed from int8: NumPy has no fast product of whole numbers, so here int8 saves bytes and costs time. Processors
#   with instructions for it are several times faster.
# - Training that knows of the rounding. One hidden layer hardly needs it; deep networks may.
#
# ## Read on
#
# - B. Jacob and others, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*,
#   2018, section 2.
# - Lesson 10 for the teacher, lesson 13 for the student; `minikd/weights.py` for the engine's own file.
#
# ## Exercises
#
# `minikd check 16` puts the skeleton into `work/16_ship.py` the first time, and checks it from then on.
#
# 1. `quantise`: as here, but for a convolution's weights (O, C, R, S), with a scale for each output channel.
# 2. `dequantise`: back to floats, to see what was lost.
#
# The solutions are in `lessons/solutions/`.
