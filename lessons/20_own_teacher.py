# %% [markdown]
# # 20. Your own teacher, and colour pictures
#
# **Goal** Make a teacher of weights that somebody trained elsewhere, check that it still knows what it knew, and find
# out why a distillation does not help, from the symptom to the cause.
#
# **Needs** lessons 9 and 13.
#
# **You will see** how a teacher's errors grow with each mistake of carrying it over, and what students make of that.
#
# **Minutes** 1

# %%
import math
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import stats

import minikd
from minikd import losses, metrics, nn
from minikd.data import Dataset, Views, mean_and_std
from minikd.distillation.teacher import CachedTeacher
from minikd.lessons import Lesson
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.report.style import BLUE, GREY, INK, ORANGE, new_figure, tidy
from minikd.training import Plan, fit

lesson = Lesson("20_own_teacher")
rng = np.random.default_rng(20)
MANY, FEW, TESTED, SEEDS = lesson.pick(full=(6000, 300, 2000, 5), quick=(300, 60, 200, 2))
TEACHER_EPOCHS, EPOCHS = lesson.pick(full=(6, 40), quick=(1, 5))

# %% [markdown]
# ## Pictures in colour
#
# A colour picture has three channels, (3, H, W): red, green, blue. All that lessons 7 to 10 said holds for it, since a
# convolution sums over its input channels. Ours are drawn here: discs, squares and crosses in red, yellow or blue, on a
# grey that varies, in much noise. Nine classes. A photograph is another thing; but what goes wrong with photographs
# goes wrong here, too, and in seconds.

# %%
COLOURS = {"red": (0.75, 0.3, 0.3), "yellow": (0.7, 0.65, 0.3), "blue": (0.3, 0.35, 0.75)}
SHAPES = ("disc", "square", "cross")
NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


def drawn(count, rng):
    """Draw pictures (count, 3, 16, 16) of 0 to 255, and their classes (count,)."""
    labels = rng.integers(9, size=count)
    size = rng.uniform(3, 5.5, count)[:, None, None]
    y, x = (np.arange(16)[shape] - rng.uniform(6, 10, count)[:, None, None] for shape in (np.s_[:, None], np.s_[None]))
    inside = np.select(
        [(labels % 3 == k)[:, None, None] for k in range(3)],
        [
            x**2 + y**2 < size**2,
            np.maximum(abs(x), abs(y)) < 0.9 * size,
            (np.minimum(abs(x), abs(y)) < 0.35 * size) & (np.maximum(abs(x), abs(y)) < 1.1 * size),
        ],
    )
    colour = np.array(list(COLOURS.values()))[labels // 3][:, :, None, None]
    grey = rng.uniform(0.3, 0.6, (count, 1, 1, 1))
    pictures = np.where(inside[:, None], colour, grey) + 0.16 * rng.standard_normal((count, 3, 16, 16))
    return (255 * pictures.clip(0, 1)).astype(np.uint8), labels


many, few, test = drawn(MANY, rng), drawn(FEW, rng), drawn(TESTED, rng)
data = Dataset("drawn pictures", *few, *test, NAMES)
mean, std = mean_and_std(data.train_images)
print(data)
print(f"mean of each channel {np.round(mean, 3)}, deviation {np.round(std, 3)}")
by_hand = data.train_images.reshape(FEW, 3, -1).transpose(1, 0, 2).reshape(3, -1) / 255
lesson.close("the mean is one for each channel", mean, by_hand.mean(1), within=1e-5)

# %% [markdown]
# ## A file from elsewhere
#
# Say a colleague has trained a network in PyTorch, on 6,000 such pictures, and sends its `state_dict()` as a
# safetensors file. A `state_dict` holds **arrays with names, and nothing else**: no layers, no order of the channels,
# no mean. (A `.pt` file is a pickle, which may run code as it is opened; have it sent as safetensors, or open it with
# `weights_only=True`.) Here minikd trains the network, and the arrays get the names that PyTorch would give them.
#
# The colleague scaled pixels by the mean and deviation of *ImageNet*, as most do, whatever the pictures.

# %%
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def colleagues_network(rng):
    """Two convolutions with batch norm, and a dense layer."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, rng, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, rng, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 4 * 4, 9, rng)),
    )


colleagues = colleagues_network(rng)
plan = Plan(epochs=TEACHER_EPOCHS, batch_size=64, learning_rate=3e-3)
fit(colleagues, Views(*many, *IMAGENET), Labels(), plan, threads=1)
theirs = Views(*test, *IMAGENET).clean()
their_logits = colleagues(theirs)
print(f"at the colleague's: {metrics.accuracy(their_logits, test[1]):.1%} of {TESTED:,} test pictures right")


def their_name(name):
    """minikd's name of an array -> PyTorch's, in a module with `features` (8 layers) and `classifier`."""
    number, array = name.split(".")
    return f"features.{number}.{array}" if int(number) < 8 else f"classifier.{int(number) - 8}.{array}"


folder = Path(tempfile.mkdtemp())
save_file(
    {their_name(name): value for name, value in colleagues.state_dict().items()}, folder / "colleague.safetensors"
)

# %% [markdown]
# ## Carried over
#
# 1. Build the same layers. The file does not say them; the shapes of its arrays say much.
# 2. Rename the arrays. `model.load_state_dict` refuses what is missing, left over or of another shape.
# 3. **Prepare the pictures as the teacher wants them.** Both models get the batch that the student's data are scaled
#    for, $x_s = (x - m_s) / d_s$. The teacher wants $x_t = (x - m_t) / d_t$. With $x = d_s x_s + m_s$,
#    $$x_t = \frac{d_s}{d_t} x_s + \frac{m_s - m_t}{d_t}$$
#    for each channel: a 1x1 convolution, put before the first layer.
# 4. Check: the same pictures must give **the same logits** as at the colleague's. Ask for some logits along with the
#    file.
#
# <details><summary><b>Guess first:</b> a convolution of 16 kernels of 3x3 on these pictures: how many weights has it,
# and how many on grey ones?</summary>
#
# Each kernel has a 3x3 slice for each channel: 16 · 3 · 9 = 432 weights, and 16 biases. On grey pictures it is
# 16 · 1 · 9 = 144 and 16. The output has 16 channels in both.
# </details>

# %%
arrays = load_file(folder / "colleague.safetensors")
for name, value in arrays.items():
    print(f"{name:34} {value.shape!s:16} {value.dtype}")


def rescaling(mean, std, wanted_mean, wanted_std):
    """Pixels scaled by one mean and deviation -> scaled by another: a 1x1 convolution."""
    layer = nn.Conv2d(3, 3, 1, np.random.default_rng(0))
    layer.params["weight"] = np.diag(np.divide(std, wanted_std)).astype(np.float32)[:, :, None, None]
    layer.params["bias"] = (np.subtract(mean, wanted_mean) / wanted_std).astype(np.float32)
    return layer


def ours(name):
    """PyTorch's name of an array -> minikd's."""
    part, number, array = name.split(".")
    return f"{int(number) + (8 if part == 'classifier' else 0)}.{array}"


loaded = colleagues_network(np.random.default_rng(0))
loaded.load_state_dict({ours(name): value for name, value in arrays.items()})
teacher = nn.Sequential(rescaling(mean, std, *IMAGENET), *(layer.copy() for layer in loaded.layers))
pictures = Views(*test, mean, std).clean()  # as the student sees them
logits = teacher(pictures)
lesson.close("the teacher's logits here are those at the colleague's", logits, their_logits, within=1e-4)
lesson.caught("the file's arrays without the scaling", loaded(pictures), their_logits)

# %% [markdown]
# <details><summary><b>Guess first:</b> could the scaling be folded into the first convolution's weights and bias, so
# that no layer is added?</summary>
#
# Not exactly, for this network. Its convolution pads the border with zeros, and a zero means "the mean colour" in the
# scale in which it is padded. Folded, the padding would be the student's mean and no longer the teacher's. The next row
# shows by how much; without padding, it would be exact.
# </details>

# %%
folded = loaded.copy()
w, b = loaded.params["0.weight"], loaded.params["0.bias"]
folded.params["0.weight"] = w * np.divide(std, IMAGENET[1]).astype(np.float32)[None, :, None, None]
shift = (np.subtract(mean, IMAGENET[0]) / IMAGENET[1]).astype(np.float32)
folded.params["0.bias"] = b + np.einsum("ocrs,c->o", w, shift)
lesson.caught("the scaling folded into a convolution that pads", folded(pictures), their_logits)

# %% [markdown]
# ## Six ways to spoil it
#
# None of these raises an error. Some are found by the teacher's errors, and some hardly show there: **compare logits.**


# %%
def spoilt_batch_norm():
    """The running statistics were left behind: those of a new network stand there."""
    spoilt, fresh = teacher.copy(), colleagues_network(np.random.default_rng(0))
    for number in (1, 5):
        for name in ("running_mean", "running_var"):
            spoilt.state[f"{number + 1}.{name}"] = fresh.state[f"{number}.{name}"]
    return spoilt


def spoilt_flattening():
    """The dense layer's columns in the order (H, W, C), as from a library whose channels come last."""
    spoilt = teacher.copy()
    w = spoilt.params["10.weight"].reshape(9, 32, 4, 4)
    spoilt.params["10.weight"] = w.transpose(0, 2, 3, 1).reshape(9, -1)
    return spoilt


def spoilt_classes():
    """The classes in the order of their names, as a folder of folders gives them."""
    return logits[:, np.argsort(NAMES)]


spoilt = {
    "as it should be": logits,
    "pixels of 0 to 255, not scaled": loaded(test[0].astype(np.float32)),
    "the student's mean and deviation": loaded(pictures),
    "blue, green, red": teacher(np.ascontiguousarray(pictures[:, ::-1])),
    "batch norm without its statistics": spoilt_batch_norm()(pictures),
    "flattened in another order": spoilt_flattening()(pictures),
    "classes in another order": spoilt_classes(),
}
print("                                     errors   logits off by")
errors = {}
for name, found in spoilt.items():
    errors[name] = metrics.errors(found, test[1])
    off = np.abs(found - their_logits).max() / np.abs(their_logits).max()
    print(f"{name:36} {errors[name] / TESTED:7.1%} {off:12.0e}")
for name, found in list(spoilt.items())[1:]:
    lesson.caught(f"{name}, by the logits", found, their_logits, beyond=1e-2)

# %% [markdown]
# ## The same in PyTorch, and from an ONNX file
#
# Where PyTorch is installed, the file goes into the module that it came from, and its logits are compared. Where `onnx`
# and `onnxruntime` are, the teacher becomes an ONNX file and is asked through the runtime: **any function from pictures
# to logits can be a teacher.** It is asked once for each picture, and the student learns from the answers that are
# kept.


# %%
def in_pytorch():
    """Load the colleague's file in PyTorch and return its logits."""
    import torch
    from safetensors.torch import load_file
    from torch import nn as modules

    def block(c, o):
        return modules.Conv2d(c, o, 3, padding=1), modules.BatchNorm2d(o), modules.ReLU(), modules.MaxPool2d(2)

    module = modules.ModuleDict(
        {
            "features": modules.Sequential(*block(3, 16), *block(16, 32)),
            "classifier": modules.Sequential(modules.Flatten(), modules.Linear(512, 9)),
        }
    )
    module.load_state_dict(load_file(folder / "colleague.safetensors"))
    module.eval()  # else batch norm takes the batch's statistics
    with torch.no_grad():
        return module["classifier"](module["features"](torch.from_numpy(theirs))).numpy()


def by_onnx(pictures):
    """Export the teacher, and ask the file through the runtime: pixels of 0 to 255 -> logits."""
    import onnxruntime

    path = folder / "teacher.onnx"
    if not path.exists():
        minikd.export(teacher, data, to="onnx", path=path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    asked = {session.get_inputs()[0].name: pictures}
    return session.run(["logits"], asked)[0]


if find_spec("torch"):
    lesson.close("PyTorch's logits from the colleague's file", in_pytorch(), logits, within=1e-4)
else:
    print("PyTorch is not installed: not compared")
if find_spec("onnx") and find_spec("onnxruntime"):
    lesson.close("the ONNX file's logits", by_onnx(test[0]), logits, within=1e-4)
else:
    print("onnx and onnxruntime are not installed: not compared")

# %% [markdown]
# ## Does it help?
#
# The student has 300 labelled pictures; the teacher learned from 6,000. As in lesson 13, the same first weights and the
# same steps, with a teacher and without (the baseline), for five seeds. The right teacher is tried at three
# temperatures; beside it stand three that were carried over badly.

# %%
views = Views(*few, mean, std)
x = views.clean()
answers = teacher(x)


def trained(objective, seed, views=views):
    """Train a student of 768-48-9; return its errors. Whatever the pictures, it takes as many steps."""
    rng = np.random.default_rng(seed)
    student = nn.Sequential(nn.Flatten(), nn.Linear(768, 48, rng), nn.ReLU(), nn.Linear(48, 9, rng))
    plan = Plan(EPOCHS * FEW // len(views), 50, learning_rate=2e-3, seed=seed)
    fit(student, replace(views, seed=seed), objective, plan, threads=1)
    return metrics.errors(student(pictures), test[1]), metrics.accuracy(student(x), few[1])


def soft(answers, temperature=4.0, alpha=0.9):
    """Learn from these answers, and a little from the labels."""
    return LogitObjective(
        SoftTargets(temperature=temperature, alpha=alpha), CachedTeacher(np.ascontiguousarray(answers))
    )


ways = {
    "baseline": Labels(),
    "right teacher, T = 4": soft(answers),
    "right teacher, T = 1": soft(answers, 1.0),
    "right teacher, T = 20": soft(answers, 20.0),
    "blue, green, red": soft(teacher(np.ascontiguousarray(x[:, ::-1]))),
    "classes in another order": soft(answers[:, np.argsort(NAMES)]),
    "answers of other pictures": soft(answers[np.random.default_rng(0).permutation(FEW)]),
}
students, known = {}, {}


def tell(name, results):
    """Keep and print what the seeds' students of one way came to: errors, and the difference from the baseline's."""
    students[name], known[name] = np.array(results).T
    d = students[name] - students["baseline"]
    half = stats.t.ppf(0.975, SEEDS - 1) * d.std(ddof=1) / math.sqrt(SEEDS)
    beside = "" if name == "baseline" else f", beside the baseline {d.mean() / TESTED:+6.1%} ± {half / TESTED:.1%}"
    print(f"{name:26} {students[name].mean() / TESTED:6.1%} wrong{beside}")


for name, objective in ways.items():
    tell(name, [trained(objective, seed) for seed in lesson.progress(range(SEEDS), name)])
print(f"of its own {FEW} pictures, the baseline gets {known['baseline'].mean():.1%} right")

# %% [markdown]
# ## From the symptom to the cause
#
# Before training longer, look at four numbers. They need the training pictures and no student.


# %%
def look(answers, labels, temperature):
    """The teacher's share of right answers; how sure it is at T = 1; how much is left at T; the order of the batch."""
    p, q = losses.softmax(answers), losses.softmax(answers, temperature)
    left = -(q * np.log(np.maximum(q, 1e-30))).sum(1).mean() / np.log(answers.shape[1])
    beside = 1 - q.max(1).mean()
    return np.mean(answers.argmax(1) == labels), p.max(1).mean(), left, beside


print("                           right   sure   entropy at its T   beside the first")
for name, objective in list(ways.items())[1:]:
    share, sure, left, beside = look(objective.teacher.logits, few[1], objective.method.temperature)
    print(f"{name:26} {share:6.1%} {sure:6.3f} {left:14.1%} {beside:18.1%}")
share, _, left, _ = look(answers, few[1], 4.0)
lesson.true("the right teacher is right more often than chance", share > 1 / 9, f"{share:.1%}")
lesson.true("its soft targets are neither hard nor even", 0.02 < left < 0.995, f"{left:.1%}")
lesson.true("a higher T leaves more of it even", look(answers, few[1], 20.0)[2] > left)

# %% [markdown]
# The teachers that were carried over badly are found by the first column: they are wrong on pictures that they should
# know. (The answers of other pictures, too: a teacher is never that wrong on its student's own pictures.) The right
# teacher has no symptom at all, at none of the temperatures. Then look at the student: the baseline knows all of
# its 300 pictures by heart. Whatever the teacher says of *these*, there is little left to learn from them.
#
# <details><summary><b>Guess first:</b> thousands of pictures without labels are to be had. The baseline cannot use
# them. What does a student gain that learns the teacher's answers to them alone, in as many steps?</summary>
#
# It makes 11.2 points fewer errors, measured with five seeds, and never sees a label: alpha is 1.
# </details>

# %%
unlabelled, _ = drawn(MANY, rng)
more = Views(unlabelled, np.zeros(MANY, np.int64), mean, std)  # the labels are not looked at
pieces = [teacher(more.clean(slice(start, start + 500))) for start in range(0, MANY, 500)]
objective = soft(np.concatenate(pieces), alpha=1.0)
name = f"{MANY:,} without labels"
tell(name, [trained(objective, seed, more) for seed in lesson.progress(range(SEEDS), name)])

# %% tags=["hide-input"]
figure = new_figure(11.0, 4.4, "A teacher carried over, rightly and wrongly, and what students make of it")
axes = figure.subplots(1, 3, width_ratios=(0.8, 1, 1))
shown = np.concatenate([np.flatnonzero(test[1] == k)[:1] for k in range(9)])
rows = [np.concatenate([test[0][i].transpose(1, 2, 0) for i in shown[k : k + 3]], axis=1) for k in (0, 3, 6)]
axes[0].imshow(np.concatenate(rows))
axes[0].set_axis_off()
axes[0].set_title("The nine classes", loc="left", fontsize=10.5, color=INK)
for ax, found, title in (
    (axes[1], {name: [100 * value / TESTED] for name, value in errors.items()}, "The teacher's errors, %"),
    (
        axes[2],
        {name: 100 * value / TESTED for name, value in students.items()},
        "The students' errors, %",
    ),
):
    tidy(ax, title)
    good = {"as it should be", *list(ways)[1:4], list(students)[-1]}
    for place, (name, values) in enumerate(found.items()):
        colour = BLUE if name in good else GREY if name == "baseline" else ORANGE
        ax.barh(place, np.mean(values), color=colour, alpha=0.5)
        ax.scatter(values, [place] * len(values), color=colour, s=18, zorder=2)
    ax.set_yticks(range(len(found)), found, fontsize=8)
    ax.invert_yaxis()
lesson.save(figure)

# %% [markdown]
# Measured on two cores, with five seeds: all three wrong teachers are worse than none, by 26 to 40 points of errors.
# The right teacher, which gets 67.5 % right, gains **nothing** on the 300 pictures at any of three temperatures (-0.7 ±
# 1.1 points at T = 4). The baseline has 100.0 % of these pictures right by heart. On 6,000 pictures without labels, in
# as many steps, the student makes 11.2 ± 1.7 points fewer errors.
#
# Symptom by symptom:
#
# - **The teacher is wrong on the student's pictures.** Look at its logits beside those at its maker's. Causes: the
#   scaling of pixels, the order of channels, batch norm in training mode, another order of flattening. Carry it over
#   again.
# - **The teacher is right, but not by its labels.** Look at which output answers to which class. Cause: classes sorted
#   otherwise. Reorder the outputs.
# - **The soft targets are one-hot.** Look at their entropy at your T; it should be well above 0. Cause: the teacher is
#   too sure, or its logits are on another scale. Raise T.
# - **The soft targets are all alike.** Their entropy is at 100 %. Cause: T is too high, or the teacher gives
#   probabilities where logits are expected. Lower T, or take the logits.
# - **The teacher is right, and the student is worse than the baseline.** Ask the teacher again for one picture, and
#   compare with the answer that the student got. Cause: answers kept in another order, or of pictures that were
#   augmented again since. Keep them by index.
# - **The value of the loss looks right, and nothing is learned.** Ask `minikd check-loss`. Cause: a mean over the
#   classes, or no T². Lesson 12.
# - **All of that is right, and nothing is gained.** Look at the teacher's errors beside the baseline's. Cause: the
#   teacher knows little more, or the student holds all it can. A better teacher, a larger student, or pictures without
#   labels, for which the teacher alone has an answer.
#
# ## What this does not show
#
# That photographs behave so: these pictures have two properties and noise. That a teacher from elsewhere fits your
# pictures: it may have learned others. The last of the symptoms has no cure in a file; lesson 13
# says how to tell "nothing gained" from "not seen".
#
# ## Read on
#
# - Cho and Hariharan 2019, [*On the efficacy of knowledge distillation*](https://arxiv.org/abs/1910.01348): better
#   teachers that teach worse.
# - Beyer et al. 2022, [*Knowledge distillation: a good teacher is patient and
#   consistent*](https://arxiv.org/abs/2106.05237): the teacher must see what the student sees.
# - [`minikd/weights.py`](../minikd/weights.py),
#   [`minikd/evidence/reference/build.py`](../minikd/evidence/reference/build.py) (`from_torch_state`),
#   [`minikd/nn/reordering.py`](../minikd/nn/reordering.py) (outputs by class name).
#
# ## Exercises
#
# The first time, `minikd check 20` creates the skeleton `work/20_own_teacher.py`. After that, it checks your solution there.
#
# 1. `rescaling`: the weight and bias of the 1x1 convolution that turns one scaling of pixels into another.
# 2. `dense_of_channels_last`: a dense layer's weights from a library in which the channels come last.
#
# The solutions are in `lessons/solutions/`.
