# %% [markdown]
# # 20. Your own teacher, and colour images
#
# **Goal** Use weights that were trained elsewhere as a teacher, check that it gives the same answers, and find the
# cause if distillation does not help.
#
# **Needs** lessons 9 and 13.
#
# **You will see** how each mistake in the transfer of a teacher increases its errors, and what it does to the students.
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
# ## Colour images
#
# A colour image has three channels, (3, H, W): red, green and blue. Everything in lessons 7 to 10 is valid for it,
# because a convolution sums over its input channels. The images here are drawn: discs, squares and crosses in red,
# yellow or blue, on different greys, with much noise. These are nine classes. Photographs are different, but the same
# mistakes happen with them, and here they show in seconds.

# %%
COLOURS = {"red": (0.75, 0.3, 0.3), "yellow": (0.7, 0.65, 0.3), "blue": (0.3, 0.35, 0.75)}
SHAPES = ("disc", "square", "cross")
NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


def drawn(count, rng):
    """Draw images (count, 3, 16, 16) with pixels from 0 to 255, and their classes (count,)."""
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
lesson.close("the mean has one number for each channel", mean, by_hand.mean(1), within=1e-5)

# %% [markdown]
# ## A weights file from PyTorch
#
# Suppose that a colleague has trained a network in PyTorch on 6,000 such images, and sends its `state_dict()` as a
# safetensors file. A `state_dict` holds **arrays with names, and nothing else**: no layers, no order of the channels,
# no mean. (A `.pt` file is a pickle, which can run code when it is opened. Ask for safetensors, or open it with
# `weights_only=True`.) Here minikd trains the network and gives the arrays the names that PyTorch would use.
#
# The colleague normalised pixels with the mean and standard deviation of *ImageNet*. Many people do this for all
# images.

# %%
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def colleagues_network(rng):
    """Return two convolutions with batch norm, and a dense layer."""
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
    """minikd's name of an array -> its name in a PyTorch module with `features` (8 layers) and `classifier`."""
    number, array = name.split(".")
    return f"features.{number}.{array}" if int(number) < 8 else f"classifier.{int(number) - 8}.{array}"


folder = Path(tempfile.mkdtemp())
save_file(
    {their_name(name): value for name, value in colleagues.state_dict().items()}, folder / "colleague.safetensors"
)

# %% [markdown]
# ## The transfer
#
# 1. Build the same layers. The file does not list them, but the shapes of its arrays tell much.
# 2. Rename the arrays. `model.load_state_dict` raises an error if an array is missing, is not used or has another
#    shape.
# 3. **Normalise the images as the teacher expects.** Both models get the same batch, normalised for the student:
#    $x_s = (x - m_s) / d_s$. The teacher expects $x_t = (x - m_t) / d_t$. With $x = d_s x_s + m_s$,
#    $$x_t = \frac{d_s}{d_t} x_s + \frac{m_s - m_t}{d_t}$$
#    for each channel. This is a 1x1 convolution before the first layer.
# 4. Check that the same images give **the same logits** as in the colleague's program. Ask for some logits together
#    with the file.
#
# <details><summary><b>Guess first:</b> How many weights does a convolution with 16 kernels of 3x3 have on these images?
# And on grey images?</summary>
#
# Each kernel has a 3x3 slice for each channel. So it has 16 · 3 · 9 = 432 weights and 16 biases. On grey images it has
# 16 · 1 · 9 = 144 weights and 16 biases. The output has 16 channels in both cases.
# </details>

# %%
arrays = load_file(folder / "colleague.safetensors")
for name, value in arrays.items():
    print(f"{name:34} {value.shape!s:16} {value.dtype}")


def rescaling(mean, std, wanted_mean, wanted_std):
    """Return the 1x1 convolution from pixels normalised with one mean and deviation to pixels with another."""
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
pictures = Views(*test, mean, std).clean()  # normalised for the student
logits = teacher(pictures)
lesson.close("the teacher's logits here equal those at the colleague's", logits, their_logits, within=1e-4)
lesson.caught("the file's arrays without the scaling", loaded(pictures), their_logits)

# %% [markdown]
# <details><summary><b>Guess first:</b> Could we fold the scaling into the weights and the bias of the first
# convolution, instead of adding a layer?</summary>
#
# Not exactly, for this network. Its convolution pads with zeros, and a zero means the mean colour of the normalisation.
# After folding, the padding would be the student's mean instead of the teacher's. The next row shows the difference.
# Without padding, folding would be exact.
# </details>

# %%
folded = loaded.copy()
w, b = loaded.params["0.weight"], loaded.params["0.bias"]
folded.params["0.weight"] = w * np.divide(std, IMAGENET[1]).astype(np.float32)[None, :, None, None]
shift = (np.subtract(mean, IMAGENET[0]) / IMAGENET[1]).astype(np.float32)
folded.params["0.bias"] = b + np.einsum("ocrs,c->o", w, shift)
lesson.caught("the scaling folded into a convolution that pads", folded(pictures), their_logits)

# %% [markdown]
# ## Six mistakes in the transfer
#
# None of these mistakes raises an error. Some increase the teacher's errors, and some hardly do. So **compare logits.**


# %%
def spoilt_batch_norm():
    """The running statistics were not copied: the teacher has those of a new network."""
    spoilt, fresh = teacher.copy(), colleagues_network(np.random.default_rng(0))
    for number in (1, 5):
        for name in ("running_mean", "running_var"):
            spoilt.state[f"{number + 1}.{name}"] = fresh.state[f"{number}.{name}"]
    return spoilt


def spoilt_flattening():
    """The dense layer's columns have the order (H, W, C), as in a library with channels last."""
    spoilt = teacher.copy()
    w = spoilt.params["10.weight"].reshape(9, 32, 4, 4)
    spoilt.params["10.weight"] = w.transpose(0, 2, 3, 1).reshape(9, -1)
    return spoilt


def spoilt_classes():
    """The classes are sorted by name, as in a folder with a folder for each class."""
    return logits[:, np.argsort(NAMES)]


spoilt = {
    "correct": logits,
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
# ## The teacher in PyTorch and as an ONNX file
#
# If PyTorch is installed, the code loads the file into the original module and compares its logits. If `onnx` and
# `onnxruntime` are installed, it exports the teacher as an ONNX file and runs it: **any function from images to logits
# can be a teacher.** It answers each image once, and the student learns from the stored answers.


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
    module.eval()  # else batch norm uses the statistics of the batch
    with torch.no_grad():
        return module["classifier"](module["features"](torch.from_numpy(theirs))).numpy()


def by_onnx(pictures):
    """Export the teacher and run the file in onnxruntime: pixels from 0 to 255 -> logits."""
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
# The student has 300 images with labels. The teacher learned from 6,000. As in lesson 13, the students with a teacher
# and the baseline have the same first weights and the same number of steps, for five seeds. We try the right teacher at
# three temperatures, and three teachers with mistakes.

# %%
views = Views(*few, mean, std)
x = views.clean()
answers = teacher(x)


def trained(objective, seed, views=views):
    """Train a student 768-48-9, always for the same number of steps; return its errors and training accuracy."""
    rng = np.random.default_rng(seed)
    student = nn.Sequential(nn.Flatten(), nn.Linear(768, 48, rng), nn.ReLU(), nn.Linear(48, 9, rng))
    plan = Plan(EPOCHS * FEW // len(views), 50, learning_rate=2e-3, seed=seed)
    fit(student, replace(views, seed=seed), objective, plan, threads=1)
    return metrics.errors(student(pictures), test[1]), metrics.accuracy(student(x), few[1])


def soft(answers, temperature=4.0, alpha=0.9):
    """Return the objective: learn from these answers, and a little from the labels."""
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


def store_and_print(name, results):
    """Store and print the results of one kind of student: errors, and the difference from the baseline."""
    students[name], known[name] = np.array(results).T
    d = students[name] - students["baseline"]
    half = stats.t.ppf(0.975, SEEDS - 1) * d.std(ddof=1) / math.sqrt(SEEDS)
    beside = "" if name == "baseline" else f", {d.mean() / TESTED:+.1%} ± {half / TESTED:.1%} from the baseline"
    print(f"{name:26} {students[name].mean() / TESTED:6.1%} wrong{beside}")


for name, objective in ways.items():
    store_and_print(name, [trained(objective, seed) for seed in lesson.progress(range(SEEDS), name)])
print(f"of its {FEW} training pictures, the baseline gets {known['baseline'].mean():.1%} right")

# %% [markdown]
# ## From the symptom to the cause
#
# Before you train longer, look at four numbers. They need only the teacher and the training images, not the student.


# %%
def look(answers, labels, temperature):
    """Return the teacher's accuracy, its confidence at T = 1, and at T the relative entropy and 1 - confidence."""
    p, q = losses.softmax(answers), losses.softmax(answers, temperature)
    left = -(q * np.log(np.maximum(q, 1e-30))).sum(1).mean() / np.log(answers.shape[1])
    beside = 1 - q.max(1).mean()
    return np.mean(answers.argmax(1) == labels), p.max(1).mean(), left, beside


print("                           right   sure   entropy at its T   of other classes")
for name, objective in list(ways.items())[1:]:
    share, sure, left, beside = look(objective.teacher.logits, few[1], objective.method.temperature)
    print(f"{name:26} {share:6.1%} {sure:6.3f} {left:14.1%} {beside:18.1%}")
share, _, left, _ = look(answers, few[1], 4.0)
lesson.true("the right teacher is right more often than chance", share > 1 / 9, f"{share:.1%}")
lesson.true("its soft targets are neither one-hot nor uniform", 0.02 < left < 0.995, f"{left:.1%}")
lesson.true("a higher T makes them more uniform", look(answers, few[1], 20.0)[2] > left)

# %% [markdown]
# The first column finds the teachers with mistakes: they are wrong on images that they should know. (It also finds the
# answers of other images.) The right teacher has no symptom, at any temperature. Then look at the student. The baseline
# has memorised all of its 300 images. So there is little left to learn from *these* images, whatever the teacher says.
#
# <details><summary><b>Guess first:</b> Thousands of images without labels are available. The baseline cannot use them.
# A student learns only the teacher's answers to them, in the same number of steps. How much does it gain?</summary>
#
# Its error rate is 11.2 points lower, measured with five seeds. It uses no labels, because alpha is 1.
# </details>

# %%
unlabelled, _ = drawn(MANY, rng)
more = Views(unlabelled, np.zeros(MANY, np.int64), mean, std)  # the labels are not used
pieces = [teacher(more.clean(slice(start, start + 500))) for start in range(0, MANY, 500)]
objective = soft(np.concatenate(pieces), alpha=1.0)
name = f"{MANY:,} without labels"
store_and_print(name, [trained(objective, seed, more) for seed in lesson.progress(range(SEEDS), name)])

# %% tags=["hide-input"]
figure = new_figure(11.0, 4.4, "A teacher loaded correctly and wrongly, and its students")
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
    good = {"correct", *list(ways)[1:4], list(students)[-1]}
    for place, (name, values) in enumerate(found.items()):
        colour = BLUE if name in good else GREY if name == "baseline" else ORANGE
        ax.barh(place, np.mean(values), color=colour, alpha=0.5)
        ax.scatter(values, [place] * len(values), color=colour, s=18, zorder=2)
    ax.set_yticks(range(len(found)), found, fontsize=8)
    ax.invert_yaxis()
lesson.save(figure)

# %% [markdown]
# These results were measured on two cores, with five seeds. All three teachers with mistakes are worse than no teacher:
# the error rate rises by 26 to 40 points. The right teacher, which gets 67.5 % right, gains **nothing** on the 300
# images at any of three temperatures (-0.7 ± 1.1 points at T = 4). The baseline has memorised these images (100.0 %
# right). On 6,000 images without labels, in the same number of steps, the error rate of the student falls by 11.2 ± 1.7
# points.
#
# The symptoms and their causes:
#
# - **The teacher is wrong on the student's images.** Compare its logits with those in the original program. Causes: the
#   normalisation of pixels, the order of channels, batch norm in training mode, another order of flattening. Repeat the
#   transfer.
# - **The teacher distinguishes the classes, but its answers do not match the labels.** Check which output belongs to
#   which class. Cause: the classes have another order. Reorder the outputs.
# - **The soft targets are one-hot.** Look at their entropy at your T. It should be clearly above 0. Cause: the teacher
#   is too sure, or its logits have another scale. Raise T.
# - **The soft targets are uniform.** Their entropy is 100 % of the maximum. Cause: T is too high, or the teacher gives
#   probabilities instead of logits. Lower T, or use the logits.
# - **The teacher is right, and the student is worse than the baseline.** Compute the teacher's answer to one image
#   again, and compare it with the answer that the student got. Cause: the answers were stored in another order, or the
#   images were augmented again after that. Store the answers by index.
# - **The loss looks right, but the student learns nothing.** Run `minikd check-loss`. Cause: a mean over the classes,
#   or no T². See lesson 12.
# - **All of this is right, but distillation does not help.** Compare the errors of the teacher and of the baseline.
#   Cause: the teacher knows little more than the baseline, or the student is too small to learn more. Try a better
#   teacher, a larger student, or images without labels, for which only the teacher has an answer.
#
# ## What this does not show
#
# The lesson does not show that photographs behave in the same way. The images here have only two properties and noise.
# And a teacher from elsewhere may not fit your images, because it learned from other ones. For the last symptom, no
# change of the file helps. Lesson 13 explains the difference between "no gain" and "no gain shown".
#
# ## Read on
#
# - Cho and Hariharan 2019, [*On the efficacy of knowledge distillation*](https://arxiv.org/abs/1910.01348): more
#   accurate teachers whose students are worse.
# - Beyer et al. 2022, [*Knowledge distillation: a good teacher is patient and
#   consistent*](https://arxiv.org/abs/2106.05237): the teacher must see what the student sees.
# - [`minikd/weights.py`](../minikd/weights.py),
#   [`minikd/evidence/reference/build.py`](../minikd/evidence/reference/build.py) (`from_torch_state`),
#   [`minikd/nn/reordering.py`](../minikd/nn/reordering.py) (outputs by class name).
#
# ## Exercises
#
# The first time, `minikd check 20` creates the skeleton `work/20_own_teacher.py`. After that, it checks your solution
# there.
#
# 1. `rescaling`: the weight and bias of the 1x1 convolution between two normalisations of pixels.
# 2. `dense_of_channels_last`: the weights of a dense layer from a library with channels last.
#
# The solutions are in `lessons/solutions/`.
