# %% [markdown]
# # 16. A small student without minikd
#
# **Goal** Make the student small, with half the bytes as float16 and a quarter as int8, derive bounds on the error, and
# write a predictor that needs only NumPy.
#
# **Needs** lessons 3, 10 and 13.
#
# **You will see** the errors, bytes and time of the teacher and of the student in three formats. Then int4 and ternary
# weights, and the student as C, as a page and as ONNX.
#
# **Minutes** 1

# %%
import time
from dataclasses import replace

import numpy as np

import minikd
from minikd.data import Views, mean_and_std
from minikd.lessons import Lesson
from minikd.lessons.stand_ins import run_alone
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
student = mlp(data.image_shape, (128,), data.classes, np.random.default_rng(16))
plan = Plan(epochs=lesson.pick(full=10, quick=2), batch_size=lesson.pick(full=128, quick=32), learning_rate=3e-3)
minikd.distill(teacher, student, data, plan)

# %% [markdown]
# ## On paper: the cost of the student
#
# 1. A dense layer from C to O has $O C$ weights and O biases. In float32, each takes 4 bytes.
# 2. For each image it needs $O C$ **multiply-adds**, one for each weight.
# 3. The student is 784-128-10. So it has $128 \cdot 784 + 128 + 10 \cdot 128 + 10 = 101770$ parameters, and needs
#    $128 \cdot 784 + 10 \cdot 128 = 101632$ multiply-adds.
#
# <details><summary><b>Guess first:</b> How many parameters does a student 784-128-10 have?</summary>
#
# 784·128 + 128 weights and biases, then 128·10 + 10: 101,770.
# </details>

# %%
shape = data.image_shape
lesson.true(
    "the student's numbers, counted by hand", student.size == 128 * 784 + 128 + 10 * 128 + 10, f"{student.size:,}"
)
lesson.true("its multiply-adds", student.macs(shape) == 128 * 784 + 10 * 128, f"{student.macs(shape):,}")
print(f"the teacher: {teacher.size:,} numbers, {teacher.macs(shape):,} multiply-adds")
lesson.true("it needs 40 times fewer multiply-adds than the teacher", teacher.macs(shape) > 40 * student.macs(shape))

# %% [markdown]
# ## A predictor in a dozen lines
#
# The student is two matrix products. The script below computes them without minikd. You need only this script and an
# `.npz` file. A weight may be stored in a small format with a scale (see below). The predictor converts it to float32
# when it loads. `python -I` runs the script without the current folder, and the script prints whether minikd was
# imported.

# %%
w0, b0, w1, b1 = (a.copy() for a in student.state_dict().values())
predictor = '''"""python student.py WEIGHTS.npz IMAGES.npy LOGITS.npy: digits (N, 1, 28, 28) uint8 to logits (N, 10)."""

import sys

import numpy as np

w = np.load(sys.argv[1])
w0, w1 = (w[name].astype(np.float32) * w.get(name + "_scale", np.float32(1)) for name in ("w0", "w1"))
x = np.load(sys.argv[2]).astype(np.float32) * w["scale"] - w["shift"]
x = x.reshape(len(x), -1)
x = np.maximum(x @ w0.T + w["b0"], 0)  # (N, 128) = (N, 784) @ (784, 128)
x = x @ w1.T + w["b1"]  # (N, 10) = (N, 128) @ (128, 10)
np.save(sys.argv[3], x)
print("minikd" in sys.modules)
'''
lesson.output.mkdir(parents=True, exist_ok=True)
script, given, answer = (lesson.output / f"student{end}" for end in (".py", "_in.npy", "_out.npy"))
script.write_text(predictor, encoding="utf-8")
common = {"b0": b0, "b1": b1, "scale": np.float32(1 / (255 * std[0])), "shift": np.float32(mean[0] / std[0])}
shipped = {}


def ship(name, **weights):
    """Write NAME.npz, run the predictor with it on the test images, record the file's size -> logits (N, 10)."""
    path = lesson.output / f"{name}.npz"
    np.savez(path, **common, **weights)
    np.save(given, data.test_images)
    said = run_alone(script, path, given, answer)  # python -I student.py WEIGHTS.npz IMAGES.npy LOGITS.npy
    lesson.true(f"{path.name}: the predictor did not import minikd", said == "False", f"{path.stat().st_size:,} bytes")
    shipped[name], found = path.stat().st_size, np.load(answer)
    given.unlink()
    answer.unlink()
    return found


logits = student(x)
found = ship("student", w0=w0, w1=w1)
lesson.close("its logits are the engine's, up to the order of a sum", found, logits, within=1e-4)

# %% [markdown]
# ## Half the bytes: float16
#
# 1. A float16 has 11 significant bits. The distance between neighbouring numbers near $w$ is at most $\epsilon |w|$,
#    with $\epsilon = 2^{-10}$.
# 2. Rounding takes the nearer one, so the error is at most half of this distance: $|w_{16} - w| \le \epsilon |w| / 2$.
# 3. Below $2^{-14}$ the distance no longer gets smaller. It is $2^{-24}$, so the error is at most $2^{-25}$.

# %%
half = w0.astype(np.float16).astype(np.float32)
bound = np.maximum(2.0**-11 * np.abs(w0), 2.0**-25)
lesson.true("the error of float16 is within its bound", (np.abs(half - w0) <= bound).all())


def answers(x, first, second):
    """Logits (N, 10) with other weights."""
    hidden = np.maximum(x.reshape(len(x), -1) @ first.T + b0, 0)  # (N, 128) = (N, 784) @ (784, 128)
    return hidden @ second.T + b1  # (N, 10) = (N, 128) @ (128, 10)


half1 = w1.astype(np.float16).astype(np.float32)
logits16 = answers(x, half, half1)
same = agreement(logits16, logits)
lesson.true("float16 gives the same answers as float32", same >= lesson.pick(full=0.999, quick=0.995), f"{same:.2%}")
found = ship("student_float16", w0=w0.astype(np.float16), w1=w1.astype(np.float16))
lesson.close("half the file, the same logits", found, logits16, within=1e-4)
lesson.true("its size is little more than half", shipped["student_float16"] < 0.52 * shipped["student"])

# %% [markdown]
# ## A quarter: int8
#
# 1. An int8 is a number from -128 to 127. Give each **row** of w, which computes one output, its own scale:
#    $s_o = \max_c |w_{oc}| / 127$. This is symmetric: 0 stays 0, and -128 is not used.
# 2. Store $q_{oc} = \mathrm{round}(w_{oc} / s_o)$. The error of rounding is at most 1/2, so
#    $|s_o q_{oc} - w_{oc}| \le s_o / 2$.
# 3. Do the same with each row of x, with scale $t_n$ and whole numbers $p_{nc}$. Then the scales can be taken out of
#    the sum:
#    $$y_{no} \approx t_n s_o \sum_c p_{nc} q_{oc}$$
# 4. The sum has only whole numbers. Each product is at most $127^2 = 16129$, which is too large for int8. The sum of
#    784 products is at most 12,645,136. An **int32** holds this exactly.
#
# <details><summary><b>Guess first:</b> The weights are rounded to whole numbers from -127 to 127. For how many of
# 10,000 test images does the answer change?</summary>
#
# For six. 99.94 % of the answers stay the same.
# </details>


# %%
def quantised(a):
    """a (M, C) -> int8 (M, C), scale (M, 1)."""
    scale = np.maximum(np.abs(a).max(axis=1, keepdims=True), 1e-12) / 127
    return np.round(a / scale).astype(np.int8), scale


def product(a, w, kind=np.int32):
    """a (N, C), w (O, C) -> (N, O), computed with whole numbers of this kind."""
    (p, t), (q, s) = quantised(a), quantised(w)
    whole = p.astype(kind) @ q.astype(kind).T  # (N, O) = (N, C) @ (C, O)
    return whole * t * s.T


q, s = quantised(w0)
lesson.true("rounding is off by at most scale/2", (np.abs(q * s - w0) <= s * 0.5001).all())
few = x[:500].reshape(len(x[:500]), -1)
exact = few @ w0.T  # (N, O) = (N, C) @ (C, O)
lesson.close("the product of whole numbers is close to the exact one", product(few, w0), exact, within=0.05)
lesson.caught("whole numbers added up in int8", product(few, w0, np.int8), exact, beyond=0.1)
cut, rounded = (np.abs(how(w0 / s) * s - w0).max() for how in (np.trunc, np.round))
lesson.caught("truncated, not rounded: the largest error", cut, rounded, beyond=0.4)
wrong = np.abs(w0).max(axis=0, keepdims=True).clip(1e-12) / 127  # one for each input, (1, C)
lesson.caught(
    "a scale for each input: it cannot be taken out of the sum over inputs", few @ np.round(w0 / wrong).T, exact
)
lesson.caught("stored as uint8: negative numbers wrap around", q.astype(np.uint8) * s, w0)


def answers8(x):
    """Logits (N, 10) from two products of whole numbers."""
    return product(np.maximum(product(x.reshape(len(x), -1), w0) + b0, 0), w1) + b1


logits8 = answers8(x)
same = agreement(logits8, logits)
lesson.true("int8 gives the same answers as float32", same > lesson.pick(full=0.99, quick=0.97), f"{same:.2%}")
stored = {
    f"w{i}{part}": a for i, w in enumerate((w0, w1)) for part, a in zip(("", "_scale"), quantised(w), strict=True)
}
found = ship("student_int8", **stored)
lesson.close(
    "the file's logits are those of the rounded weights",
    found,
    answers(x, q * s, stored["w1"] * stored["w1_scale"]),
    within=1e-4,
)
lesson.true("its size is little more than a quarter", shipped["student_int8"] < 0.29 * shipped["student"])


# %%
def one_image(model):
    """Return the median time of 100 answers to one image each, in µs, after ten that do not count."""
    times = []
    for i in range(110):
        begin = time.perf_counter()
        model(x[i : i + 1])
        times.append(time.perf_counter() - begin)
    return 1e6 * np.median(times[10:])


ways = {
    "teacher, float32": (teacher, 4 * teacher.size, INK, "s"),
    "student, float32": (student, shipped["student"], ORANGE, "^"),
    "student, float16": (lambda x: answers(x, half, half1), shipped["student_float16"], BLUE, "o"),
    "student, int8": (answers8, shipped["student_int8"], GREEN, "D"),
}

# %% tags=["hide-input"]
figure = new_figure(9.2, 3.8, "What ships: errors, bytes, time")
left, right = figure.subplots(1, 2)
for name, (model, size, colour, marker) in ways.items():
    found = np.concatenate([model(x[i : i + 500]) for i in range(0, len(x), 500)])
    errors, micro = int((found.argmax(axis=1) != data.test_labels).sum()), one_image(model)
    print(f"{name:16s} {errors:5d} errors of {len(x):,}  {size / 1024:8.1f} KiB  {micro:8.1f} µs for one image")
    for ax, value in ((left, size / 1024), (right, micro)):
        ax.plot([value], [errors], marker, color=colour, markersize=9, markerfacecolor="none", mew=2, label=name)
tidy(left, "", "KiB to ship", "errors on the test images").set_xscale("log")
tidy(right, "", "µs for one image, median, measured here").set_xscale("log")
left.legend(frameon=False, fontsize=9, loc="lower left")
lesson.save(figure)

# %% [markdown]
# ## Even smaller: train with rounded weights
#
# 1. An int4 weight is a whole number from -7 to 7, and a byte holds two. A ternary weight is -1, 0 or 1, and a byte
#    holds five.
# 2. A network that was trained without rounding gets worse with so few values. So train with rounding: the forward pass
#    rounds the weights, $w_q = s\,\mathrm{clip}(\mathrm{round}(w / s), -Q, Q)$.
# 3. The derivative of this is 0 almost everywhere. The **straight-through estimator** treats the rounding error as a
#    constant. So $\partial w_q / \partial w$ is 1 inside the range and 0 outside.
#
# `minikd/compression/straight_through.py` has the derivation, with the gradient of the scale $s$.

# %%
whole = {}
for kind in ("int4", "ternary"):
    rounded = mlp(data.image_shape, (128,), data.classes, np.random.default_rng(16))
    minikd.distill(teacher, rounded, data, plan, quantize=kind)
    for trained, model in (("before", student), ("with", rounded)):
        path = lesson.output / f"{kind}_{trained}" / "student.c"
        whole[kind, trained] = minikd.export(model, data, to="c", path=path, quantize=kind)
for (kind, trained), found in whole.items():
    words = "rounded after training " if trained == "before" else "trained with rounding"
    print(
        f"{kind:8s} {words:22s} {found.errors:5d} errors of {found.images:,}  {found.size / 1024:6.1f} KiB of constants"
    )
lesson.true("int4 is half of int8, ternary a fifth", whole["ternary", "with"].size < 0.22 * student.size)
lesson.true("ternary needs training with rounding", whole["ternary", "with"].errors < whole["ternary", "before"].errors)

# %% [markdown]
# ## The student without Python: C, a page, ONNX
#
# C needs a compiler for the target machine, the page a browser, and ONNX a runtime such as onnxruntime. All three
# compute the same whole numbers. `docs/board.md` shows how to run the C file on a microcontroller.

# %%
c = minikd.export(student, data, to="c", path=lesson.output / "student" / "student.c", quantize="int8")
page = minikd.export(student, data, to="html", path=lesson.output / "student.html", quantize="int8")
print(f"C: {c.size:,} bytes of constants, {c.working_bytes} of working memory, {c.errors} errors of {c.images:,}")
print(f"a page: {page.path.name}, {page.size / 1024:.0f} KiB; open it in a browser")
try:
    onnx = minikd.export(student, data, to="onnx", path=lesson.output / "student.onnx", quantize="int8")
    lesson.true("onnxruntime gives exactly minikd's sums", onnx.differing == 0, f"{onnx.logits:,} logits")
except minikd.errors.BackendError as error:
    print(f"ONNX: {error}")

# %% [markdown]
# ## What this does not show
#
# - A gain in speed. The predictor converts float16 and int8 to float32 when it loads, so they save only bytes. Our
#   product of whole numbers is slow, because NumPy has no fast one, and its scales turn the result into float64.
# - A phone, or another processor. All times are for this machine.
# - Fixed scales for the activations, chosen on example images. Here each image has its own scale. The exports use fixed
#   scales: `minikd/exports/calibration.py`.
# - The gain of distillation. Lesson 13 compares with a baseline.
#
# ## Read on
#
# - B. Jacob and others, [*Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
#   Inference*](https://arxiv.org/abs/1712.05877), 2018, section 2.
# - Lesson 10 for the teacher, lesson 13 for the student; [`minikd/weights.py`](../minikd/weights.py) for the engine's
#   file format.
#
# ## Exercises
#
# The first time, `minikd check 16` creates the skeleton `work/16_ship.py`. After that, it checks your solution there.
#
# 1. `scales`: as here, but for the weights of a convolution (O, C, R, S), with one scale for each output channel.
# 2. `quantise`: to int8 with these scales. Broadcasting starts at the last axis, but your scales belong to the first.
# 3. `dequantise`: back to floats, to see the rounding error.
#
# The solutions are in `lessons/solutions/`.
