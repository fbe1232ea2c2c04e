# %% [markdown]
# # 4. When to believe a gradient check
#
# **Goal** Learn how exact a numeric derivative can be, and build a check that finds every wrong backward pass below.
#
# **Needs** lessons 1 and 3.
#
# **You will see** how the error falls and rises again when the step gets smaller, and which of seven checks find which
# of ten planted bugs.
#
# **Minutes** 1

# %%
import tempfile
import time
from pathlib import Path

import numpy as np

from minikd.evidence.gradcheck import check_function, check_learner, explain
from minikd.evidence.gradcheck.numeric import slope, tie_free
from minikd.lessons import Lesson
from minikd.report.style import BLUE, INK, ORANGE, RED, new_figure, tidy

lesson = Lesson("04_gradient_checks")
rng = np.random.default_rng(4)

# %% [markdown]
# ## A check that does not use the backward pass
#
# A wrong backward pass raises no error. The loss still falls, but more slowly, and it stays a little higher than it
# could. So we need a check. A **numeric derivative** calls only the forward pass, so it cannot repeat a mistake of the
# backward pass. But it has errors too. How large are they?
#
# ## On paper: the error of a centred difference
#
# 1. A smooth function can be written as a sum: its value, its slope times $h$, and terms with higher derivatives and
#    higher powers of $h$. If $h$ is small, each term is much smaller than the one before. This is Taylor's formula:
#    $$f(x+h) = f(x) + h f'(x) + \frac{h^2}{2} f''(x) + \frac{h^3}{6} f'''(x) + \dots$$
# 2. In $f(x-h)$, each odd power of $h$ has the other sign. So in the difference, the even powers cancel:
#    $$f(x+h) - f(x-h) = 2 h f'(x) + \frac{h^3}{3} f'''(x) + \dots$$
# 3. Divide by $2h$. This is the **centred difference**. The second term on the right is its error:
#    $$\frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots$$
#    If the step is ten times smaller, the error is a hundred times smaller.
# 4. In the **one-sided** difference, $(f(x+h) - f(x))/h$, nothing cancels. The error is $h f''/2$. If the step is ten
#    times smaller, the error is only ten times smaller.
# 5. But a computer rounds. A number of 64 bits has 16 digits. Its relative error is up to $\epsilon/2$, with
#    $\epsilon = 2.2 \cdot 10^{-16}$. A number of 32 bits has 7 digits, with $\epsilon = 1.2 \cdot 10^{-7}$. Each of the
#    two values of $f$ is wrong by up to $\epsilon |f|/2$, and by about as much again because $x \pm h$ is rounded.
#    Together this is at most $2 \epsilon |f|$. Divided by $2h$, it is an error of $\epsilon |f| / h$. This error
#    *grows* when $h$ gets smaller.
# 6. The sum of both errors is smallest where its derivative with respect to $h$ is 0:
#    $$\frac{h |f'''|}{3} - \frac{\epsilon |f|}{h^2} = 0$$
#    $$h = \left(\frac{3 \epsilon |f|}{|f'''|}\right)^{1/3}$$
#    So the best step is about the **cube root** of the precision, not the smallest possible step.
#
# We test this on $f = \exp$, whose first and third derivative are both $\exp$. Then the best step is
# $(3\epsilon)^{1/3}$, and the relative error is at most $h^2/6 + \epsilon/h$.
#
# <details><summary><b>Guess first:</b> Which step gives the best centred difference in 64 bits: 1e-13, 1e-5 or
# 1e-1?</summary>
#
# 1e-5, about the cube root of the precision. With 1e-13 rounding spoils the result, with 1e-1 the higher derivatives
# do.
# </details>


# %%
def centred(f, x, h):
    """Return (f(x + h) - f(x - h)) / 2h, about f'(x)."""
    return (f(x + h) - f(x - h)) / (2 * h)


def one_sided(f, x, h):
    """Return (f(x + h) - f(x)) / h, about f'(x)."""
    return (f(x + h) - f(x)) / h


def errors(difference, kind, steps):
    """Return the median relative error over 400 points, for each step."""
    x = np.linspace(0.5, 1.5, 400).astype(kind)
    exact = np.exp(x.astype(np.float64))
    return np.array([np.median(np.abs(difference(np.exp, x, kind(h)) - exact) / exact) for h in steps])


steps = np.logspace(-13, -1, 49)
by_64, by_32 = errors(centred, np.float64, steps), errors(centred, np.float32, steps)
one_side = errors(one_sided, np.float64, steps)
for name, kind, measured in ("64 bits", np.float64, by_64), ("32 bits", np.float32, by_32):
    eps = float(np.finfo(kind).eps)
    best, predicted = steps[np.argmin(measured)], (3 * eps) ** (1 / 3)
    lesson.true(f"{name}: the error stays below h²/6 + ε/h", np.all(measured < 1.2 * (steps**2 / 6 + eps / steps)))
    lesson.true(f"{name}: the best step is near (3ε)^⅓ = {predicted:.1e}", 0.1 < best / predicted < 10, f"{best:.1e}")
    print(f"  smallest error with {name}: {measured.min():.0e}")
lesson.close("64 bits, step 0.01: the error is h²/6", errors(centred, np.float64, [0.01]), 0.01**2 / 6, within=1e-3)
lesson.true(
    "one-sided at its best is worse than centred at its best",
    one_side.min() > 30 * by_64.min(),
    f"{one_side.min():.0e}",
)
lesson.true("a step of 1e-12 is too small", errors(centred, np.float64, [1e-12])[0] > 1e-6)

# %% [markdown]
# So we use 64 bits, a centred difference and a step of about $10^{-5}$. Then a right gradient agrees to nine digits or
# more, and a wrong one hardly ever to three. With 32 bits, the difference itself is wrong in the fifth digit. That is
# too close to the effect of a small bug.
#
# ## From an array to one number
#
# A layer returns an array $y$, not a number. In lesson 3, the upstream gradient $dy$ came from the loss. For a check we
# invent a loss. Take any array $u$ with the shape of $y$, and let
#
# $$L = \sum_i u_i y_i$$
#
# Then $\partial L / \partial y_i = u_i$. So the upstream gradient of this loss is $u$, and backward(u) must be the
# gradient of $L$. Now change each element of each input up and down, one at a time. Below, a layer is a pair of
# functions. `forward(*arrays)` returns y, and `backward(dy, *arrays)` returns a gradient for each array.


# %%
def linear(x, w, b):
    return x @ w.T + b  # (N, O) = (N, C) @ (C, O)


def linear_backward(dy, x, w, b):
    dx = dy @ w  # (N, C) = (N, O) @ (O, C)
    dw = dy.T @ x  # (O, C) = (O, N) @ (N, C)
    return dx, dw, dy.sum(axis=0)


def every_element(forward, backward, arrays, u, h=1e-5):
    """Return the largest error of all elements of all gradients, relative to the largest numeric element."""
    numeric = [np.zeros_like(a) for a in arrays]
    for place, a in enumerate(arrays):
        for index in np.ndindex(a.shape):
            up, down = a.copy(), a.copy()
            up[index] += h
            down[index] -= h
            change = forward(*arrays[:place], up, *arrays[place + 1 :])
            change = change - forward(*arrays[:place], down, *arrays[place + 1 :])
            numeric[place][index] = (u * change).sum() / (2 * h)
    pairs = zip(backward(u, *arrays), numeric, strict=True)
    return max(np.abs(by_hand - n).max() for by_hand, n in pairs) / max(np.abs(n).max() for n in numeric)


N, C, O = 5, 4, 3
arrays = [rng.standard_normal(shape) for shape in ((N, C), (O, C), (O,))]  # x, w, b
u = rng.standard_normal((N, O))
worst = every_element(linear, linear_backward, arrays, u)
lesson.true("a linear layer: every element of dx, dw, db agrees to 1e-8", worst < 1e-8, f"{worst:.1e}")

# %% [markdown]
# ## One direction replaces every element
#
# This took two forward passes for each of 35 elements. A layer with 784 inputs and 128 outputs has 100,480 parameters.
#
# 1. Draw a random number $d_i$ for each element of all inputs, and change *all* elements at once by $h d_i$.
# 2. By the chain rule, $L$ then changes at the rate
#    $$\frac{dL}{dh} = \sum_i \frac{\partial L}{\partial x_i} d_i$$
# 3. The left side is one centred difference, which needs two forward passes. The right side is the sum of the derived
#    gradients times $d$.
# 4. If an element of the gradient is wrong by $\delta$, the right side is wrong by $\delta d_i$. If several elements
#    are wrong, their errors would have to cancel exactly. For random $d$ this does not happen.
# 5. A $d_i$ near 0 would hide its element. So each $d_i$ is between 0.5 and 1.5, with a random sign.


# %%
def one_direction(forward, backward, arrays, u, rng, h=1e-5):
    """Return the relative difference between the derived and the numeric slope along one random direction."""
    d = [rng.choice([-1.0, 1.0], a.shape) * rng.uniform(0.5, 1.5, a.shape) for a in arrays]
    up = forward(*[a + h * e for a, e in zip(arrays, d, strict=True)])
    down = forward(*[a - h * e for a, e in zip(arrays, d, strict=True)])
    numeric = (u * (up - down)).sum() / (2 * h)
    terms = [(g * e).sum() for g, e in zip(backward(u, *arrays), d, strict=True)]
    return abs(sum(terms) - numeric) / max(abs(numeric), np.abs(terms).max())


apart = one_direction(linear, linear_backward, arrays, u, rng)
lesson.true("the same layer along one direction", apart < 1e-8, f"{apart:.1e}")
wide = [rng.standard_normal(shape) for shape in ((16, 60), (40, 60), (40,))]
upstream, seconds = rng.standard_normal((16, 40)), []
for check, rest in (every_element, ()), (one_direction, (rng,)):
    start = time.perf_counter()
    lesson.true(
        f"60 inputs, 40 outputs: {check.__name__}", check(linear, linear_backward, wide, upstream, *rest) < 1e-6
    )
    seconds.append(time.perf_counter() - start)
print(f"  {sum(a.size for a in wide):,} elements; one direction took {seconds[0] / seconds[1]:,.0f} times less time")

# %% [markdown]
# ## Why an upstream gradient of ones is not enough
#
# Many tests use $u = 1$, that is, $L = \sum_i y_i$. This is one line shorter. But take softmax: each row of $y$ sums to
# 1, so $L$ is the number of samples, whatever the logits are. Its gradient is 0. So for this $u$, a backward pass that
# returns *only zeros* passes the test.


# %%
def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(dy, z):
    p = softmax(z)  # lesson 1: ∂p_k/∂z_j = p_k (δ_kj - p_j); sum dy_k times that over k
    return (p * (dy - (p * dy).sum(axis=1, keepdims=True)),)


def zeros_backward(dy, z):
    return (np.zeros_like(z),)


z = rng.standard_normal((5, 4))
u = rng.standard_normal((5, 4))  # upstream
right = softmax_backward(u, z)[0]
apart = every_element(softmax, softmax_backward, [z], u)
lesson.true("softmax, a random upstream gradient", apart < 1e-8, f"{apart:.1e}")
by_ones = [centred(lambda t, i=i: softmax(z + t * np.eye(20)[i].reshape(5, 4)).sum(), 0.0, 1e-5) for i in range(20)]
lesson.close(
    "upstream of ones: zeros agree with all 20 slopes, not caught", by_ones, zeros_backward(u, z)[0].ravel(), 1e-9
)
lesson.caught("a softmax_backward of zeros, upstream random", zeros_backward(u, z)[0], right)

# %% [markdown]
# ## Kinks: when the check is wrong
#
# Taylor's formula needs a smooth function. The layer $\max(x, 0)$ of the next lesson has a kink at 0. There the centred
# difference gives ½ for any step. But the slope is 0 on the left and 1 on the right. The centred difference is wrong
# wherever 0 lies between $x - h$ and $x + h$. Then the check reports an error, although the backward pass is right.
#
# The solution is to draw inputs that are not near a kink. The engine's `tie_free` does this.
#
# <details><summary><b>Guess first:</b> max(x, 0) has the slope 0 on the left of 0 and 1 on the right. What does a
# centred difference give at 0?</summary>
#
# ½, for any step. It is neither of the two slopes.
# </details>


# %%
def ramp(x):
    return np.maximum(x, 0.0)


for h in (1e-2, 1e-5, 1e-8):
    lesson.close(f"a centred difference at the corner, h = {h:g}: ½", centred(ramp, 0.0, h), 0.5)
lesson.close("half a step beside the corner, where the slope is 1", centred(ramp, 0.5e-5, 1e-5), 0.75)
x = tie_free((6, 7), rng)
lesson.true("tie_free: none of 42 values within 1e-3 of 0", np.abs(x).min() > 1e-3, f"{np.abs(x).min():.3f}")
lesson.close("and there the check is right", centred(ramp, x, 1e-5), x > 0, within=1e-8)

# %% [markdown]
# ## Which checks catch which bugs?
#
# A check is worth nothing if it passes everything. So we plant ten common bugs on purpose, and let seven kinds of check
# look for them. Each bug is a small change of a right gradient. A bug that raises an error (because shapes do not fit)
# counts as caught. Softmax has no parameters, so a check of parameters alone finds nothing there.
#
# <details><summary><b>Guess first:</b> There are ten bugs and seven checks. How many bugs does a comparison of shapes
# find? How many does one random direction find?</summary>
#
# The shapes find one of ten. One random direction finds all ten.
# </details>

# %%
LINEAR = {  # each takes the right (dx, dw, db), and what backward was given
    "dx: w also transposed": lambda g, dy, x, w, b: (dy @ w.T, g[1], g[2]),
    "dx: all zeros": lambda g, dy, x, w, b: (0 * g[0], g[1], g[2]),
    "dx: upstream missing": lambda g, dy, x, w, b: (np.ones_like(dy) @ w, g[1], g[2]),
    "dw: reshaped, not transposed": lambda g, dy, x, w, b: (g[0], (x.T @ dy).reshape(w.shape), g[2]),
    "dw: of the first sample only": lambda g, dy, x, w, b: (g[0], dy[:1].T @ x[:1], g[2]),
    "dw: samples in another order": lambda g, dy, x, w, b: (g[0], dy[::-1].T @ x, g[2]),
    "db: mean, not sum": lambda g, dy, x, w, b: (g[0], g[1], dy.mean(axis=0)),
}
SOFTMAX = {
    "softmax: all zeros": lambda g, dy, z: (0 * z,),
    "softmax: the diagonal only": lambda g, dy, z: (softmax(z) * (1 - softmax(z)) * dy,),
    "softmax: divided by N": lambda g, dy, z: (g[0] / len(z),),
}


def planted(backward, change):
    return lambda dy, *arrays: change(backward(dy, *arrays), dy, *arrays)


def parameters_only(forward, backward, arrays, u):
    """Check the parameters only, and ignore the gradient with respect to the input."""
    x, *parameters = arrays
    return every_element(lambda *p: forward(x, *p), lambda dy, *p: backward(dy, x, *p)[1:], parameters, u)


def is_caught(design, forward, backward, sizes):
    """Return whether a kind of check finds a mistake in a backward pass."""
    N = 1 if design == "one sample" else sizes[0]
    N, C, O = (4, 4, 4) if design == "all values 1, square" else (N, *sizes[1:])
    shapes = [(N, C), (O, C), (O,)] if forward is linear else [(N, C)]
    draw = np.random.default_rng(1)
    arrays = [np.ones(s) if design == "all values 1, square" else draw.standard_normal(s) for s in shapes]
    y = forward(*arrays)
    u = np.ones(y.shape) if design == "upstream of ones" else draw.standard_normal(y.shape)
    try:
        gradients = backward(u, *arrays)
        if design == "shapes only":
            return any(g.shape != a.shape for g, a in zip(gradients, arrays, strict=True))
        if design == "parameters only":
            return forward is linear and parameters_only(forward, backward, arrays, u) > 1e-6
        if design == "one random direction":
            return one_direction(forward, backward, arrays, u, draw) > 1e-6
        if forward is softmax and design == "upstream of ones":  # the true gradient is 0: no relative error
            return np.abs(gradients[0]).max() > 1e-6
        return every_element(forward, backward, arrays, u) > 1e-6
    except ValueError:
        return True


DESIGNS = (
    "shapes only",
    "parameters only",
    "upstream of ones",
    "all values 1, square",
    "one sample",
    "every element",
    "one random direction",
)
sizes = (5, 4, 3)  # N, C, O: all different
subjects = [(linear, linear_backward, name, bug) for name, bug in LINEAR.items()]
subjects += [(softmax, softmax_backward, name, bug) for name, bug in SOFTMAX.items()]
matrix = np.array([[is_caught(d, f, planted(g, bug), sizes) for d in DESIGNS] for f, g, _, bug in subjects])
for name, many in zip(DESIGNS, matrix.sum(axis=0), strict=True):
    print(f"  {name:24s}{many:3d} of {len(subjects)} bugs caught")
innocent = [
    is_caught(d, f, g, sizes) for d in DESIGNS for f, g in ((linear, linear_backward), (softmax, softmax_backward))
]
lesson.true("no design finds a bug in a right backward pass", not any(innocent))
lesson.true("every element, random upstream, different sizes: finds all bugs", matrix[:, 5].all())
lesson.true("one random direction: finds all bugs, with two forward passes", matrix[:, 6].all())
lesson.true("each of the other five misses some bugs", not matrix[:, :5].all(axis=0).any())

# %% [markdown]
# Read the table in the figure by columns. **Ones** hide what depends on the upstream gradient. **One sample** hides
# mistakes in the sum over samples. With **all values 1**, w equals its transpose. **Shapes** that fit tell almost
# nothing. A good check is simple: random values, a random upstream gradient, different sizes, and *all* gradients.
#
# ## The engine's check
#
# `minikd.evidence.gradcheck` improves `one_direction`. It computes the difference for two steps and combines them so
# that the $h^2$ term cancels too (Richardson's extrapolation). If the two disagree, a kink is near, and it tries a
# smaller step. If the gradients along a direction disagree, it checks every element, to find the wrong one.

# %%
points = np.linspace(0.5, 1.5, 50)
ours = max(abs(centred(np.exp, p, 1e-4) / np.exp(p) - 1) for p in points)
engine = max(abs(slope(lambda t, p=p: float(np.exp(p + t)), 1e-4, doubt=1e-6).value / np.exp(p) - 1) for p in points)
lesson.true(
    "two steps combined are more exact than one step of 1e-4", engine < ours / 5, f"{engine:.0e} and {ours:.0e}"
)


def engine_says(backward):
    """Return the engine's report on a backward pass for linear."""
    named = dict(zip("xwb", arrays, strict=True))
    return check_function(
        lambda a: (linear(**a), a),
        lambda dy, a: dict(zip("xwb", backward(dy, **a), strict=True)),
        named,
        np.random.default_rng(0),
    )


report = engine_says(linear_backward)
lesson.true("the engine passes the right backward pass", report.ok, f"{report.relative_error:.1e}")
lesson.true(
    "and finds all seven planted bugs",
    not any(engine_says(planted(linear_backward, bug)).ok for bug in LINEAR.values()),
)

# %% [markdown]
# ## Your own layer, from the command line
#
# Write two functions into a file. `name` returns y and a **cache** with what the backward pass needs. `name_backward`
# takes dy and that cache. Then `minikd gradcheck my_softmax.py:my_softmax` tells which gradient is wrong, where, and
# whether it is a known mistake. The backward pass below uses only the diagonal of the Jacobian. (The code below does
# the same as the command.)

# %%
SOURCE = """
import numpy as np

def my_softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p

def my_softmax_backward(dy, p):
    return dy * p * (1 - p)
"""
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "my_softmax.py"
    file.write_text(SOURCE, encoding="utf-8")
    report = check_learner(f"{file}:my_softmax")
print(explain(report))
lesson.true("the check finds that the file's backward pass is wrong", not report.ok)

# %% [markdown]
# ## The figure
#
# Left: from right to left, each curve falls as Taylor's formula predicts, and then rises because of rounding. There it
# is rough, because rounding is random. Right: the ten bugs, and which checks catch them.

# %% tags=["hide-input"]
figure = new_figure(12.5, 5.4, "When to believe a gradient check")
left, right_side = figure.subplots(1, 2, width_ratios=(1, 1.15))
ax = tidy(left, "the error of a numeric derivative of exp", x="step h", y="relative error (median of 400 points)")
for measured, name, colour, line in (
    (by_32, "centred, 32 bits", ORANGE, "--"),
    (one_side, "one-sided, 64 bits", RED, "-."),
    (by_64, "centred, 64 bits", BLUE, "-"),
):
    shown = np.maximum(measured, 1e-13)
    ax.loglog(steps, shown, line, color=colour, label=name)
    ax.plot(steps[np.argmin(measured)], shown.min(), "o", color=colour)
eps = np.finfo(np.float64).eps
ax.loglog(steps, steps**2 / 6 + eps / steps, ":", color=INK, linewidth=1, label="h²/6 + ε/h, 64 bits")
ax.set_ylim(1e-13, 1e3)
ax.legend(fontsize=9, frameon=False, loc="upper right")
ax = tidy(right_side, "planted bugs (rows) under checks (columns)", grid=False)
ax.imshow(np.where(matrix, 0.75, 0.0), cmap="Blues", vmin=0, vmax=1, aspect="auto")
for row, column in np.ndindex(matrix.shape):
    hit = matrix[row, column]
    text, colour = ("caught", "white") if hit else ("missed", RED)
    ax.text(column, row, text, ha="center", va="center", fontsize=8.5, color=colour, weight="normal" if hit else "bold")
ax.set_yticks(range(len(subjects)), [name for _, _, name, _ in subjects])
total = matrix.sum(axis=0)
names = [d.replace("one random ", "one random\n").replace(" 1, ", " 1,\n").replace("of ", "of\n") for d in DESIGNS]
names = [n if "\n" in n else n.replace(" ", "\n", 1) for n in names]
ax.set_xticks(range(len(DESIGNS)), [f"{n}\n{t}/{len(subjects)}" for n, t in zip(names, total, strict=True)], fontsize=8)
ax.hlines(np.arange(len(subjects) - 1) + 0.5, -0.5, len(DESIGNS) - 0.5, color="white", linewidth=2)
ax.vlines(np.arange(len(DESIGNS) - 1) + 0.5, -0.5, len(subjects) - 0.5, color="white", linewidth=2)
lesson.save(figure)

# %% [markdown]
# ## What this does not show
#
# The lesson does not show that the forward pass is right. The check compares backward with forward, and both can be
# wrong in the same way. To find that, compare with another library (`minikd compare` uses PyTorch). Ten bugs are not
# all bugs. And a check is valid only for the sizes that it ran with. It cannot find a bug that appears only with a
# stride of 2 if the stride is 1.
#
# ## Read on
#
# - Nocedal and Wright 2006, [*Numerical optimization*](https://doi.org/10.1007/978-0-387-40065-5), §8.1: finite
#   differences and their best step.
# - Griewank and Walther 2008, [*Evaluating derivatives*](https://doi.org/10.1137/1.9780898717761), §3: why a backward
#   pass costs little more than a forward pass.
# - Lesson 5 stacks layers and uses `one_direction` on the whole stack. Lesson 8 checks a convolution.
# - [`minikd/evidence/gradcheck/numeric.py`](../minikd/evidence/gradcheck/numeric.py) and
#   [`minikd/evidence/gradcheck/check.py`](../minikd/evidence/gradcheck/check.py): the engine's check.
#   [`tests/test_mutants.py`](../tests/test_mutants.py) plants bugs in the engine.
#
# ## Exercises
#
# The first time, `minikd check 04` creates the skeleton `work/04_gradient_checks.py`. After that, it checks your
# solution there.
#
# 1. `jacobian`: compute the derivative of *every* element of y with respect to every element of x, as a matrix. One
#    direction makes this unnecessary in most cases, but the Jacobian shows everything.
# 2. `share_backward`: write the backward pass of a layer that divides each row by its sum. Its rows sum to 1, so an
#    upstream gradient of ones finds nothing here either.
#
# The solutions are in `lessons/solutions/`.
