# %% [markdown]
# # 15. The same code on a GPU
#
# **Goal** Write a function once for NumPy and for a GPU, and learn what a GPU changes (memory, time, rounding) and what
# it must not change.
#
# **Needs** lessons 1 and 3. You need no GPU: parts that need one are skipped, and their rows say so.
#
# **You will see** the rounding error of a sum in four orders of addition, and a time measurement that stops too early.
#
# **Minutes** 1

# %% [markdown]
# A GPU is a second computer on a card. It has its own memory, and thousands of small arithmetic units. CuPy is a
# library with NumPy's functions whose arrays are in that memory. This lesson uses three terms. The *host* is the
# processor and memory that NumPy uses. The *device* is the GPU. A *launch* is one order from the host to the device,
# such as "add these two arrays".
#
# You need no GPU here. Two stand-ins show what is possible without one. They say nothing about speed:
#
# - `elsewhere()`, from minikd, is an array library whose arrays NumPy cannot read. It shows whether a function would
#   run on a device, and counts its launches and copies.
# - `Queue`, below, is a worker with a list of orders. It shows how time measurements go wrong.

# %%
import math
import time
from statistics import median

import numpy as np

import minikd
from minikd import losses, nn
from minikd.backends import Backend, choose, module_of, to_host
from minikd.evidence.gpu_check.cases import BOUNDS, differences
from minikd.evidence.gpu_check.device import seconds
from minikd.lessons import Lesson
from minikd.lessons.elsewhere import elsewhere
from minikd.lessons.rows import row
from minikd.lessons.stand_ins import one_worker
from minikd.report import style

lesson = Lesson("15_gpu")
rng = np.random.default_rng(15)
backend = choose("auto")  # "cupy" if a GPU works, else "numpy"
print(f"backend: {backend.name}, because: {backend.reason}")

# %% [markdown]
# ## 1. Ask the array, not a switch
#
# 1. `np.exp` is for NumPy arrays and `cupy.exp` for CuPy arrays. A function for both must find out which kind of array
#    it gets.
# 2. `module_of(x)` returns the library of `x`. By convention it is called `xp`, as in `xp.exp(x)`.
# 3. Operators and methods (`x - y`, `x.sum(1)`) belong to the array. They need no `xp`.
# 4. So only two kinds of lines need it: functions (`exp`, `maximum`), and lines that *create* an array (`zeros`,
#    `arange`).
#
# This is the softmax of lesson 1, written in this way.


# %%
def softmax(z):
    """Probabilities (N, K) of logits (N, K), on the host or on a device."""
    xp = module_of(z)
    e = xp.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


logits = rng.standard_normal((5, 10)).astype(np.float32)
with elsewhere() as other:
    z = other.asarray(logits)  # the copy to the device
    q = softmax(z)
    asked = dict(other.calls)
    lesson.true("softmax of an array on the device stays on the device", isinstance(q, other.ndarray))
    lesson.close("and has the values of NumPy", to_host(q), softmax(logits), within=1e-6)
    lesson.close("minikd's own softmax runs there unchanged", to_host(losses.softmax(z)), to_host(q), within=1e-6)
print("functions that our softmax called:", ", ".join(f"{name} {count}" for name, count in asked.items()))

# %% [markdown]
# These are one copy and five launches (`sub` and `truediv` are Python's names for `-` and `/`). A launch takes some
# millionths of a second, for ten numbers as for ten million. So a GPU is better with large batches. With a small
# network and a small batch, most of the time goes to launches. Therefore the engine has some special functions for a
# GPU in `minikd/backends/cuda`. For example, Adam's step is a dozen launches in NumPy's form, and one launch there.
#
# Every training step has the same launches. So they can be recorded once, as a *CUDA graph*. After that, one launch
# runs all of them. This works only if a step needs nothing from the host. Everything that differs from step to step
# (the batch, the learning rate, the dropout masks) must be on the device already. `minikd/training/graph.py` shows how.
#
# **Why not a switch?** Many libraries have a global switch: `from backend import xp`, set once when the program starts.
# It is shorter. But it is wrong if one program has both kinds of arrays, as `minikd gpu-check` does: it compares a
# model on the GPU with one on the host. Then the switch may say "host" although the array is on the device.


# %%
def softmax_by_switch(z):
    """The same, but a global name chooses the library."""
    e = np.exp(z - z.max(1, keepdims=True))  # as with a global `xp = np`
    return e / e.sum(1, keepdims=True)


def refused(function, *arguments):
    """Return whether these arguments raise TypeError, and its message."""
    try:
        function(*arguments)
    except TypeError as error:
        return True, str(error)
    return False, "nothing was raised"


with elsewhere() as other:
    z = other.asarray(logits)
    trouble = {
        "softmax by a global switch": refused(softmax_by_switch, z),
        "a mask made by np.zeros, added to logits on the device": refused(lambda: z + np.zeros((5, 10), np.float32)),
        "logits drawn by matplotlib without to_host": refused(np.asarray, z),
    }
for bug, (raised, says) in trouble.items():
    lesson.true(f"refused: {bug}", raised)
    print(f"    TypeError: {says}")

# %% [markdown]
# CuPy also refuses the second and the third, with another message. But it accepts the first, because NumPy passes
# `np.exp(x)` on to CuPy. So people can write `np.exp` for years without an error, until a line says `np.zeros`.
#
# ## 2. Two memories
#
# 1. The host can read only its own memory, and the device only its own.
# 2. A copy between them is slow, and a copy to the host must wait for all launches before it.
# 3. So copy the weights once, copy each batch once, and copy a result back only when it is needed.
#
# The stand-in counts the copies. So it shows if a step copies the weights again with each batch.
#
# <details><summary><b>Guess first:</b> A training runs 100 steps on a device. How many copies to the host does it make
# if it fetches the loss every 50 steps? And if it fetches the loss in every step?</summary>
#
# 2, and 100. Each of them waits until the device's queue is empty.
# </details>

# %%
student = nn.Sequential(nn.Linear(784, 128, rng), nn.ReLU(), nn.Linear(128, 10, rng))
images = rng.standard_normal((100, 784)).astype(np.float32)
STEPS = 100

with elsewhere() as other:
    device = Backend("cupy", "the stand-in")
    once, total = student.to(device), 0.0
    other.calls.clear()
    for step in range(STEPS):
        loss = losses.softmax(once(device.put(images))).max(1).mean()  # some number; it stays on the device
        total = total + loss
        if (step + 1) % 50 == 0:
            shown = float(total) / (step + 1)  # one number comes back
    right = dict(other.calls)

    other.calls.clear()
    for _ in range(STEPS):
        again = student.to(device)  # the weights are copied in every step
        shown = float(losses.softmax(again(device.put(images))).max(1).mean())  # and the loss comes back every time
    wrong = dict(other.calls)

TO, FROM = "copy to the device", "copy to the host"
lesson.true("one copy to the device for each batch", right[TO] == STEPS, f"{right[TO]} in {STEPS} steps")
lesson.true("one number comes back every 50 steps", right[FROM] == STEPS // 50, f"{right[FROM]} in {STEPS} steps")
lesson.caught("the weights are copied with each batch", wrong[TO], right[TO], beyond=0.5)
lesson.caught("the loss is read in each step", wrong[FROM], right[FROM], beyond=0.5)
print(f"a batch is {images.nbytes:,} bytes, the weights are {4 * student.size:,}")

# %% [markdown]
# minikd follows these rules. A test counts the copies of every kind of training step, and docs/gpu.md lists them.
#
# ## 3. A launch does not wait
#
# The host puts the launch into a queue and continues. The device runs the launches one after the other. Only a copy to
# the host, such as `float(loss)`, waits for all launches before it. To *synchronise* means to wait until the queue is
# empty.
#
# So a clock around a few launches measures only how fast the host can launch. `Queue` is a **model** of this, with a
# thread as the device. It is not a GPU, and its times say nothing about one. But the mistake is the same.


# %%
class Queue:
    """A model of a device: `launch` returns at once, and one worker runs the orders one after the other."""

    def __init__(self):
        self.worker, self.orders = one_worker(), []

    def launch(self, work):
        self.orders.append(self.worker.submit(work))
        return self.orders[-1]

    def synchronise(self):
        for order in self.orders:
            order.result()


def product():
    """Compute a product, and return the time when it is done."""
    a @ a  # (M, M) = (M, M) @ (M, M)
    return time.perf_counter() - start


size = lesson.pick(full=1000, quick=700)
a, queue, given = np.ones((size, size), np.float32), Queue(), []
start = time.perf_counter()
for _ in range(12):
    queue.launch(product)
    given.append(time.perf_counter() - start)
unsynchronised = time.perf_counter() - start  # WRONG: the clock stops when the last order is given
unfinished = sum(not order.done() for order in queue.orders)
queue.synchronise()
synchronised = time.perf_counter() - start
finished = [order.result() for order in queue.orders]
lesson.true("when the wrong clock stopped, products were not done", unfinished > 0, f"{unfinished} of 12")
lesson.caught("a clock that is stopped before the queue is empty", unsynchronised, synchronised, beyond=0.01)
print(f"12 products: {1e3 * unsynchronised:.1f} ms by the wrong clock, {1e3 * synchronised:.1f} ms by the right one")

# %% [markdown]
# The right way is: synchronise, start the clock, work, synchronise, stop the clock. The first wait is needed too.
# Without it, the time includes work that was launched before. And the first run does not count, because CuPy compiles
# its code for the device then. `minikd.evidence.gpu_check.device.seconds` measures in this way. minikd reports the
# median of many runs.
#
# ## 4. float32 stays float32
#
# With float64, a consumer GPU has 1/32 or 1/64 of its float32 speed, and an array needs twice the memory. One wrong
# scalar is enough to get float64. NumPy 2 and CuPy 14 have the same rule: with a *Python* float, the result has the
# dtype of the array. With a *NumPy* float64, the result is float64.

# %%
x = rng.standard_normal(1000).astype(np.float32)
careless = x * np.sqrt(2.0)  # np.sqrt returns a NumPy float64
careful = x * math.sqrt(2.0)  # math.sqrt returns a Python float
lesson.true("a float32 array times a Python float is float32", careful.dtype == np.float32)
lesson.true("a float32 array times a NumPy float64 is float64", careless.dtype == np.float64)
lesson.caught("np.sqrt instead of math.sqrt: bytes of the result", careless.nbytes, careful.nbytes, beyond=0.5)
lesson.close("the values do not show it: they differ only by rounding", careless, careful, within=1e-6)

# %% [markdown]
# The values are right, so no test of values finds this. minikd's tests check the dtype of every layer and loss.
#
# ## 5. Another order, other bits
#
# A device adds in another order than the processor: each of many units adds a part, and then the parts are added. For
# real numbers the order does not matter. For float32 it does. How much?
#
# 1. A computed sum of two numbers is the true sum, rounded: $\mathrm{fl}(a + b) = (a + b)(1 + \delta)$ with
#    $|\delta| \le u$. For float32 $u = 2^{-24}$, half of what NumPy calls `eps`.
# 2. Add $n$ numbers in any order. Each $x_i$ is part of some of the $n - 1$ additions, and gets a factor $(1 + \delta)$
#    from each of them.
# 3. So in the result, each $x_i$ has a factor between $(1 - u)^{n-1}$ and $(1 + u)^{n-1}$, which is about
#    $1 \pm (n - 1) u$.
# 4. So the error of the computed sum $\hat{s}$ is at most
#    $$|\hat{s} - s| \le (n - 1) \, u \sum_i |x_i|$$
#    which is less than $n$ times `eps` times the sum of the absolute values. This holds for *any* order.
# 5. Now add in pairs, then add the pairs in pairs, and so on. Then each $x_i$ is part of only $\log_2 n$ additions, so
#    $(n - 1)$ becomes $\log_2 n$. NumPy and GPUs mix both ways.


# %%
def one_by_one(x):
    return np.cumsum(x)[-1]  # a running sum, in float32


def in_pairs(x):
    while len(x) > 1:  # len(x) is a power of 2
        x = x[0::2] + x[1::2]
    return x[0]


def in_blocks(x):
    return one_by_one(x.reshape(-1, 16).T.sum(1))  # 16 workers; each adds every 16th number


ORDERS = {
    "one by one": one_by_one,
    "from the other end": lambda x: one_by_one(x[::-1]),
    "16 workers": in_blocks,
    "in pairs": in_pairs,
}
numbers = [2**k for k in range(4, lesson.pick(full=21, quick=16))]
draws = [[rng.random(n, dtype=np.float32) for _ in range(10)] for n in numbers]
exact = [[float(x.sum(dtype=np.float64)) for x in some] for some in draws]
error = {
    name: [
        max(abs(float(add(x)) - s) / s for x, s in zip(some, sums, strict=True))
        for some, sums in zip(draws, exact, strict=True)
    ]
    for name, add in ORDERS.items()
}
u = 2.0**-24
bound = [math.expm1((n - 1) * math.log1p(u)) for n in numbers]  # (1 + u)^(n - 1) - 1, exactly
pair_bound = [math.expm1(math.log2(n) * math.log1p(u)) for n in numbers]
for name, found in error.items():
    nearest = max(e / b for e, b in zip(found, bound, strict=True))
    lesson.true(f"{name}: within (n - 1) u", nearest <= 1, f"at most {nearest:.2f} of it")
lesson.true("in pairs: within log2(n) u", all(e <= b for e, b in zip(error["in pairs"], pair_bound, strict=True)))
last = draws[-1][0]
sums = {name: float(add(last)) for name, add in ORDERS.items()}
lesson.true("the same numbers in other orders give other bits", len(set(sums.values())) > 1)
print(f"the sum of {len(last):,} numbers:", ", ".join(f"{name} {value:.8g}" for name, value in sums.items()))

# %% [markdown]
# So a test cannot require equal bits on host and device. It requires agreement **within a tolerance**, and the
# tolerance is derived, not guessed. A sum of 1,000 numbers may be wrong by 1e-13 in float64 and by 6e-5 in float32. A
# network has layers of such sums, but errors also cancel, as the figure shows. `minikd gpu-check` allows 1e-10 and
# 1e-4. In float64, the error of a wrong formula is larger by orders of magnitude. In float32, a small mistake could
# stay below the tolerance. So every case runs in both.
#
# The bound is relative to $\sum |x_i|$, not to the sum. If large numbers cancel, the sum is small and its *relative*
# error can be very large. Therefore minikd divides by the largest element of the whole array.
#
# ## 6. Two writers, one place
#
# A device runs many threads at the same time. Let two of them add to the same place: both read 5, both add 1, both
# write 6, and one addition is lost. NumPy has the same problem on one processor. If an index is repeated,
# `a[index] += 1` reads all old values first, and then writes.
#
# <details><summary><b>Guess first:</b> The same numbers are added twenty times, each time in the random order in which
# parallel workers finish. How many different results are there?</summary>
#
# Many: 13 in 20 additions in the recorded run. Addition of floats is not associative.
# </details>

# %%
labels = rng.integers(0, 10, 1000)
counts = np.zeros(10, np.int64)
counts[labels] += 1  # WRONG: a repeated index is counted once
gathered = (labels[:, None] == np.arange(10)).sum(0)  # (10,): each class sums its own labels
counted = np.bincount(labels.astype(np.intp), minlength=10)
lesson.close("each class sums its own labels: the right counts", gathered, counted, within=0)
lesson.caught("counts[labels] += 1 with repeated labels", counts, gathered)

parts = rng.standard_normal(1000).astype(np.float32)
arrivals = {float(one_by_one(rng.permutation(parts))) for _ in range(20)}
lesson.true("additions in a random order: different bits", len(arrivals) > 1, f"{len(arrivals)} of 20")

# %% [markdown]
# A GPU has *atomic* additions, which let one writer at a time add, so nothing is lost. But they run in the order of
# arrival, which changes from run to run. So the bits change too. minikd uses no atomics. Lesson 8 adds the gradients of
# the windows into an image. On a device, minikd does the opposite: each pixel sums the gradients of the windows that
# read it, in a fixed order. So each place has one writer, and each run has the same bits.
#
# ## 7. On a GPU
#
# The rest needs a GPU. Without one, each row says `not run` and the reason, and claims nothing.

# %%
BATCHES = (1, 8, 64, 512)
speed = {}


def images_a_second(model, there, clock):
    """Return images per second through a small CNN, for each batch size; the first run does not count."""
    found = []
    for batch in BATCHES:
        x = there.put(rng.standard_normal((batch, 1, 28, 28)).astype(np.float32))
        clock(lambda x=x: model(x))
        found.append(batch / median(clock(lambda x=x: model(x)) for _ in range(5)))
    return found


def clock_of_the_host(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def on_the_gpu():
    """Check and time what needs a GPU."""
    cases = list(differences(backend))
    for dtype, allowed in BOUNDS.items():
        worst = max(one["difference"] for one in cases if one["dtype"] == dtype)
        lesson.true(f"GPU: every layer, loss and model agrees with NumPy, {dtype}", worst <= allowed, f"{worst:.1e}")
    a = backend.put(np.ones((2000, 2000), np.float32))

    def launch():
        for _ in range(20):
            a @ a  # (2000, 2000) = (2000, 2000) @ (2000, 2000)

    seconds(launch)
    without, waited = clock_of_the_host(launch), seconds(launch)
    lesson.true("GPU: a clock that does not wait", without < waited, f"{1e3 * without:.2f}, not {1e3 * waited:.2f} ms")
    cnn = minikd.models.cnn((1, 28, 28), 10, rng)
    speed["host"] = images_a_second(cnn, Backend("numpy", "to compare with"), clock_of_the_host)
    speed["GPU"] = images_a_second(cnn.to(backend), backend, seconds)
    for where, found in speed.items():
        print(f"images/s, {where}:", ", ".join(f"{v:,.0f} at {n}" for n, v in zip(BATCHES, found, strict=True)))


if backend.name == "cupy":
    on_the_gpu()
else:
    for claim in ("every layer, loss and model agrees with NumPy", "a clock that does not wait", "images a second"):
        print(row(f"GPU: {claim}", "not run", backend.reason))

# %% [markdown]
# `minikd gpu-check` does all of this and more on your GPU. It compares every layer, loss and model of the gradient
# suite with NumPy, in float64 and float32. It runs some steps of each training of the main job, counts the copies and
# times the steps in the right way. It writes the results to `gpu-check.json`.

# %% tags=["hide-input"]
figure = style.new_figure(10, 4.2, "A sum's bits depend on the order; a clock must wait for the queue")
left, right_ = figure.subplots(1, 2)
LOOKS = [(style.BLUE, "-", "o"), (style.ORANGE, "--", "^"), (style.GREEN, "-.", "D"), (style.RED, ":", "s")]
for (name, found), (colour, dashes, marker) in zip(error.items(), LOOKS, strict=True):
    shown_error = [max(e, 1e-9) for e in found]  # a logarithmic axis has no 0
    left.plot(numbers, shown_error, dashes, marker=marker, markersize=4, color=colour, label=name)
left.plot(numbers, bound, "-", color=style.INK, linewidth=1)
left.plot(numbers, pair_bound, "-", color=style.GREY, linewidth=1)
left.annotate("bound: (n − 1) u", (numbers[-4], bound[-4]), (-6, 5), textcoords="offset points", ha="right", fontsize=9)
left.annotate("in pairs: log₂(n) u", (numbers[-1], pair_bound[-1]), (0, 5), textcoords="offset points", ha="right",
              fontsize=9)  # fmt: skip
left.set_xscale("log", base=2)
left.set_yscale("log")
style.tidy(left, "Error of a float32 sum, largest of 10 draws", "numbers added, n", "relative error")
left.legend(frameon=False, fontsize=9, loc="upper left")
if speed:
    for (where, found), (colour, dashes, marker) in zip(speed.items(), LOOKS, strict=False):
        right_.plot(BATCHES, found, dashes, marker=marker, color=colour, label=where)
    right_.set_xscale("log", base=2)
    right_.set_yscale("log")
    style.tidy(right_, "A small CNN forward", "images in a batch", "images / s")
else:
    order = np.arange(1, 13)
    right_.hlines(order, np.array(given) * 1e3, np.array(finished) * 1e3, color=style.GREY, linewidth=1)
    right_.plot(np.array(given) * 1e3, order, "^", color=style.ORANGE, label="order given")
    right_.plot(np.array(finished) * 1e3, order, "o", color=style.BLUE, label="work done")
    right_.axvline(unsynchronised * 1e3, color=style.RED, linestyle="--", label="the wrong clock stops")
    style.tidy(right_, "Twelve products in a queue (a model, no GPU)", "milliseconds", "order")
right_.legend(frameon=False, fontsize=9)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# Without a GPU, the lesson shows no speed, no rounding of a GPU and nothing about NVIDIA's libraries. A GPU also
# multiplies and adds in one operation with one rounding. This gives other bits again, within a similar bound.
# docs/gpu.md tells which parts of minikd have run on a GPU. Several GPUs, float16 and streams are not part of this
# lesson, nor of minikd.
#
# ## Read on
#
# Higham, [*Accuracy and Stability of Numerical Algorithms*](https://doi.org/10.1137/1.9780898718027) (2nd edition,
# 2002), chapter 4: orders of summation. CuPy's user guide, "Basics of CuPy" and "Performance Best Practices". In the
# engine: [`minikd/backends/__init__.py`](../minikd/backends/__init__.py),
# [`minikd/backends/cuda`](../minikd/backends/cuda), [`minikd/evidence/gpu_check`](../minikd/evidence/gpu_check). Lesson
# 8 adds the gradients of windows. Lesson 16 prepares the student for use.
#
# ## Exercises
#
# The first time, `minikd check 15` creates the skeleton `work/15_gpu.py`. After that, it checks your solution there. It
# runs your functions with NumPy and with the stand-in, so it needs no GPU. If your code calls NumPy on an array of the
# stand-in, it names the line.
#
# - `one_hot(labels, classes)`: it must *create* an array, in the right memory.
# - `gelu(x)`: a smooth version of ReLU with constants in it. float32 must stay float32.
#
# The solutions are in `lessons/solutions/`.
