# %% [markdown]
# # 18. On-policy distillation, small
#
# **Goal** Distil a model that writes: on texts of the teacher's, or on texts that the student writes itself; and
# measure which of the two matters, and whether the direction of the divergence matters more.
#
# **Needs** lessons 3, 12 and 13. The exercise of lesson 12 derived the reverse divergence.
#
# **You will see** how a student's mistakes bring on more mistakes, and four ways of distilling beside each other.
#
# **Minutes** 1

# %%
import math
import re

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats

from minikd import losses, nn
from minikd.evidence.gradcheck import check_function
from minikd.lessons import Lesson
from minikd.optim import Adam
from minikd.report.style import BLUE, GREEN, GREY, ORANGE, RED, new_figure, tidy

lesson = Lesson("18_on_policy")
rng = np.random.default_rng(18)
TEACHER_STEPS, STEPS, SEEDS, TEXTS = lesson.pick(full=(1500, 400, 5, 400), quick=(40, 10, 2, 40))

# %% [markdown]
# ## Texts whose mistakes can be counted
#
# A model that writes gives the next character's probabilities from those before. What it writes is then read by itself:
# **a mistake becomes part of the input.** To count mistakes we need a language with a definition. Ours has sentences
# such as "two cats see a dog.": six nouns, five verbs, and subject and verb must agree ("two cats see", "a cat sees").
# Everybody can write such a text, and a pattern says of each sentence whether it is right. It is no natural language,
# and what holds here need not hold there.
#
# <details><summary><b>Guess first:</b> in a spoilt book each w is an o, and "two" has become "too". About which share
# of its sentences is still right?</summary>
#
# A sentence is right if "two" and "cow" and "owl" are nowhere in it: both nouns single (a half times a half), and each
# one of the four others (two thirds times two thirds). $\frac{1}{4} \cdot \frac{4}{9} = \frac{1}{9}$. The row shows
# how far the share is from 1: about $\frac{8}{9}$.
# </details>

# %%
NOUNS, VERBS = ["cat", "dog", "hen", "cow", "owl", "pig"], ["see", "bite", "hunt", "like", "chase"]
ANY, SEVERAL = "|".join(NOUNS), "|".join(VERBS)
RIGHT = re.compile(rf"(a ({ANY}) ({SEVERAL})s|two ({ANY})s ({SEVERAL})) (a ({ANY})|two ({ANY})s)\.")
LETTERS = sorted({*"".join(NOUNS + VERBS), *" .atwos"})
V, SPACE, CONTEXT, LENGTH = len(LETTERS), 0, 10, 48  # a model sees 10 characters, and writes 48


def sentence(rng):
    """Draw a sentence of the language."""
    one, other = rng.integers(2, size=2)
    subject, thing = (NOUNS[i] for i in rng.integers(len(NOUNS), size=2))
    verb = VERBS[rng.integers(len(VERBS))]
    nouns = [f"a {noun}" if single else f"two {noun}s" for noun, single in ((subject, one), (thing, other))]
    return f"{nouns[0]} {verb}{'s' if one else ''} {nouns[1]}. "


def text(rng):
    """Draw a text: CONTEXT spaces to start from, then LENGTH characters, as numbers."""
    written = "".join(sentence(rng) for _ in range(4))[:LENGTH]
    return [SPACE] * CONTEXT + [LETTERS.index(letter) for letter in written]


def share_right(texts):
    """Texts (N, CONTEXT + LENGTH) -> the share of finished sentences that are of the language."""
    lines = ["".join(LETTERS[i] for i in row[CONTEXT:]) for row in texts]
    found = [RIGHT.fullmatch(one.strip()) is not None for line in lines for one in re.findall(r"[^.]*\.", line)]
    return np.mean(found) if found else 0.0


book = np.array([text(rng) for _ in range(2000)])
print("".join(LETTERS[i] for i in book[0][CONTEXT:]))
lesson.true("every sentence of the book is right", share_right(book) == 1, f"{V} letters")
spoilt = np.where(book == LETTERS.index("w"), LETTERS.index("o"), book)
lesson.caught("a book in which each w is an o: its share of right sentences", share_right(spoilt), 1.0)

# %% [markdown]
# ## On paper: the embedding
#
# A letter is a number, but not a quantity: z is not 26 times a. So each letter $v$ gets a row $w_v$ of its own in a
# table of shape (V, D), and the model learns what stands there. That is an **embedding**. For the letters
# $s_1 \ldots s_M$ of a batch:
#
# $$y_{md} = w_{s_m d}$$
#
# 1. Write $e_{mv}$, which is 1 where letter $m$ is $v$ and else 0. Then $y_{md} = \sum_v e_{mv} w_{vd}$: a dense layer
#    on one-hot rows. Nobody multiplies those zeros; one looks the row up.
# 2. Lesson 3 gives the gradient of a dense layer, $dw = e^T dy$:
#
#    $$dw_{vd} = \sum_m e_{mv} \, dy_{md}$$
#
# 3. So row $v$ gets the sum of $dy$ over **all places where $v$ stands**, and 0 where it stands nowhere.
# 4. The letters themselves have no gradient: there is nothing between a and b.


# %%
def embedding(ids, w):
    """Letters (M,), table (V, D) -> their rows (M, D), and the cache."""
    return w[ids], (ids, len(w))


def embedding_backward(dy, cache):
    """dy (M, D) -> dw (V, D): the rows of dy added up by letter."""
    ids, rows = cache
    e = (ids[:, None] == np.arange(rows)).astype(dy.dtype)
    return e.T @ dy  # (V, D) = (V, M) @ (M, D)


ids, table = np.array([2, 0, 2, 1, 2]), rng.standard_normal((4, 3))
report = check_function(
    lambda a: embedding(ids, a["w"]),
    lambda dy, cache: {"w": embedding_backward(dy, cache)},
    {"w": table},
    np.random.default_rng(0),
    full=True,
)
lesson.true("dw is the derivative: every element agrees", report.ok, f"{report.relative_error:.1e}")
dy = rng.standard_normal((5, 3))
dw = embedding_backward(dy, embedding(ids, table)[1])
layer = nn.Embedding(4, 3, rng).astype("float64")
layer.params["weight"] = table
lesson.close("the engine's layer: the same rows", layer.forward(ids)[0], embedding(ids, table)[0])
lesson.close("and the same gradient", layer.parameter_gradients(dy, layer.forward(ids)[1])["weight"], dw)
careless = np.zeros_like(table)
careless[ids] += dy
lesson.caught("dw[ids] += dy, which adds once for each letter, not for each place", careless, dw)

# %% [markdown]
# `np.add.at(dw, ids, dy)` would add for each place; the product with one-hot rows does the same, on a GPU as well, and
# in the same order each time.
#
# ## On paper: the divergence of whole texts
#
# Lesson 12 had one answer for each image. A text is a chain of answers. The teacher gives a whole text
# $s = s_1 \ldots s_L$ the probability $p(s) = \prod_t p(s_t \mid s_{<t})$, where the **prefix** $s_{<t}$ is what stands
# before place $t$; the student likewise $q(s)$.
#
# 1. The logarithm of a product is a sum, so
#    $$\mathrm{KL}(p \Vert q) = \sum_s p(s) \sum_t (\log p(s_t \mid s_{<t}) - \log q(s_t \mid s_{<t}))$$
# 2. Take the sum over $t$ outside. For each $t$, only the prefix and the letter matter; first sum over the letter, then
#    over the prefix:
#    $$\mathrm{KL}(p \Vert q) = \sum_t \sum_{s_{<t}} p(s_{<t}) \, \mathrm{KL}(p_t \Vert q_t)$$
#    The divergence of the texts is the sum of those of the letters, **on prefixes that the teacher wrote**.
# 3. Turned round, all is the same with $p$ and $q$ exchanged, the prefixes, too:
#    $$\mathrm{KL}(q \Vert p) = \sum_t \sum_{s_{<t}} q(s_{<t}) \, \mathrm{KL}(q_t \Vert p_t)$$
#    The reverse divergence asks for **prefixes that the student wrote**. That is *on-policy* distillation.
# 4. In step 3 the student stands in two places: in the letters' divergences, and in who wrote the prefixes. Training
#    usually takes a gradient through the first alone. Here is what that leaves out, for the first letter. Let $F_k$ be
#    what the rest of the text costs after the first letter $k$. The cost of the rest is $\sum_k q_k F_k$, and with
#    $q = \mathrm{softmax}(z)$ (lesson 1)
#    $$\frac{\partial}{\partial z_j} \sum_k q_k F_k = q_j \left(F_j - \sum_k q_k F_k\right)$$
#    It pushes the student away from letters after which things go wrong.
#
# All texts of three letters out of four can be listed: 64. So the formulas are tested without any sampling.


# %%
def all_texts(steps):
    """Logarithms of p1 (K,), p2 (K, K) and p3 (K, K), each given the letter before -> of all texts (K, K, K)."""
    first, second, third = steps
    return first[:, None, None] + second[:, :, None] + third[None]


def whole(left, right):
    """KL(left ‖ right) over all texts."""
    a, b = all_texts(left), all_texts(right)
    return np.sum(np.exp(a) * (a - b))


def letter(a, b):
    """Logarithms (..., K) -> KL(a ‖ b) for each prefix (...)."""
    return (np.exp(a) * (a - b)).sum(-1)


def by_letters(writer, left, right):
    """The letters' KL(left ‖ right), added up over prefixes that `writer` wrote."""
    one = np.exp(writer[0])
    two = one @ np.exp(writer[1])  # (K,) = (K,) @ (K, K)
    return letter(left[0], right[0]) + one @ letter(left[1], right[1]) + two @ letter(left[2], right[2])


K = 4
z = [rng.standard_normal(shape) for shape in ((1, K), (K, K), (K, K))]
p = [losses.log_softmax(2 * rng.standard_normal(one.shape)).squeeze() for one in z]
q = [losses.log_softmax(one).squeeze() for one in z]
lesson.close("KL(p ‖ q) of the texts: of the letters, on the teacher's prefixes", by_letters(p, p, q), whole(p, q))
lesson.close("KL(q ‖ p) of the texts: of the letters, on the student's own", by_letters(q, q, p), whole(q, p))
lesson.caught("KL(q ‖ p) of the letters on the teacher's prefixes", by_letters(p, q, p), whole(q, p))
lesson.caught("KL(p ‖ q) of the letters on the student's own", by_letters(q, p, q), whole(p, q))


def cost(first):
    """The first letter's logits (K,) -> KL(q ‖ p) over all texts."""
    return whole([losses.log_softmax(first[None])[0], *q[1:]], p)


h, z1 = 1e-5, z[0][0]
slope = np.array([(cost(z1 + h * e) - cost(z1 - h * e)) / (2 * h) for e in np.eye(K)])
own = losses.reverse_kl(z[0], p[0][None], 1.0)[1][0]
after = letter(q[1], p[1]) + np.exp(q[1]) @ letter(q[2], p[2])  # F (K,): what the rest costs after each first letter
one = np.exp(q[0])
lesson.close(
    "the gradient: of the first letter's own, and q (F - Σ q F)", own + one * (after - one @ after), slope, 1e-8
)
lesson.caught("the gradient with the prefixes taken for given, as training does", own, slope)

# %% [markdown]
# So what practice calls on-policy distillation is not the gradient of the texts' divergence; a part of it is left out,
# because it is known only through samples and is noisy. Agarwal and others (2024) leave it out, and so do we.
#
# ## A teacher and a student that write
#
# Both look at 10 letters: a table, then two dense layers. The teacher has 96 hidden units and learns from the book; the
# student has 16. `write` draws a letter at a time: to the logits, add a random number of Gumbel's distribution each,
# and take the largest. That draws from the softmax (lesson 18 is not the place to prove it; the row below tests it).
#
# <details><summary><b>Guess first:</b> the teacher's loss per letter cannot fall to 0. To about what can it fall, if a
# sentence has about 22 letters?</summary>
#
# To the entropy of the language: what no model can know. A sentence holds 2·2 choices of number, 6·6 nouns and 5 verbs:
# $\log(4 \cdot 36 \cdot 5) = 6.58$ nats. Over about 22 letters that is 0.30 per letter.
# </details>


# %%
def writer(hidden, seed):
    """A model of 10 letters (N, 10) -> the next one's logits (N, V)."""
    rng = np.random.default_rng(seed)
    first = [nn.Embedding(V, 8, rng), nn.Flatten(), nn.Linear(8 * CONTEXT, hidden, rng), nn.ReLU()]
    return nn.Sequential(*first, nn.Linear(hidden, V, rng))


def draw(logits, rng):
    """Logits (N, V) -> a letter of each row, drawn from its softmax (N,)."""
    return (logits + rng.gumbel(size=logits.shape)).argmax(1)


def write(model, count, rng):
    """Let a model write texts (count, CONTEXT + LENGTH)."""
    texts = np.full((count, CONTEXT + LENGTH), SPACE)
    for t in range(LENGTH):
        texts[:, CONTEXT + t] = draw(model(texts[:, t : t + CONTEXT]), rng)
    return texts


def places(texts):
    """Texts -> each place's 10 letters before (N·LENGTH, CONTEXT), and its letter (N·LENGTH,)."""
    windows = sliding_window_view(texts[:, :-1], CONTEXT, axis=1)
    return windows.reshape(-1, CONTEXT), texts[:, CONTEXT:].ravel()


def learn(model, batches, steps, loss, peak):
    """Train in place on so many batches of texts; `loss(logits, prefixes, letters)` gives the value and gradient."""
    optimiser = Adam()
    state = optimiser.init(model.vector)
    for step, texts in enumerate(batches):
        prefixes, letters = places(texts)
        logits, cache = model.forward(prefixes)
        value, dlogits = loss(logits, prefixes, letters)
        gradient = model.flat_gradient(model.parameter_gradients(dlogits, cache))
        optimiser.step(model.vector, gradient, state, peak * (1 - step / steps))
    return float(value)


few = np.log(np.array([[0.5, 0.3, 0.2]]))
drawn = np.bincount(draw(np.repeat(few, 200_000, 0), rng).astype(np.intp)) / 200_000
lesson.close("200,000 letters drawn: their shares are the softmax", drawn, np.exp(few[0]), within=0.02)

teacher = writer(96, seed=0)
pages = (book[rng.integers(len(book), size=32)] for _ in lesson.progress(range(TEACHER_STEPS), "teacher"))
value = learn(teacher, pages, TEACHER_STEPS, lambda z, _, letters: losses.cross_entropy(z, letters), 3e-3)
of_teacher = write(teacher, TEXTS, np.random.default_rng(1))
print(f"loss {value:.3f} per letter; {share_right(of_teacher):.1%} of the teacher's sentences are right, such as:")
print("".join(LETTERS[i] for i in of_teacher[0][CONTEXT:]))

# %% [markdown]
# ## Four ways to distil
#
# All students of a seed begin with the same weights and learn in the same way first: forward KL on texts of the
# teacher's. That is the **start**. Then each goes on for as many steps again, in one of four ways: the divergence
# forward or reverse, the prefixes the teacher's or the student's own, written for each step. The temperature is 1: the
# student is to write as the teacher does.

# %%
WAYS = [(loss, author) for loss in ("forward", "reverse") for author in ("teacher", "own")]
LOSSES = {"forward": losses.kl_divergence, "reverse": losses.reverse_kl}


def distilled(student, loss, author, library, seed):
    """Train a copy of the student in one of the four ways."""
    student, rng = student.copy(), np.random.default_rng(seed)
    if author == "teacher":
        batches = (library[rng.integers(len(library), size=32)] for _ in range(STEPS))
    else:
        batches = (write(student, 32, rng) for _ in range(STEPS))
    learn(student, batches, STEPS, lambda z, prefixes, _: LOSSES[loss](z, teacher(prefixes), 1.0), 5e-3)
    return student


students = {"start": [], **{way: [] for way in WAYS}}
library = write(teacher, 2000, np.random.default_rng(2))
for seed in lesson.progress(range(SEEDS), "seeds"):
    start = distilled(writer(16, 100 + seed), "forward", "teacher", library, 200 + seed)
    students["start"].append(start)
    for way in WAYS:
        students[way].append(distilled(start, *way, library, 300 + seed))

# %% [markdown]
# Four numbers for each student. The **share of right sentences** in what it writes. The **cost** on its own prefixes,
# KL(q ‖ p) per letter: how far each of its steps is from what the teacher would do there. And the same cost on the
# teacher's prefixes. If mistakes bring on mistakes, the first cost is larger than the second: their ratio is the
# **compounding**. The last is KL(p ‖ q) on the teacher's prefixes. It is large where the student leaves out what the
# teacher would write: a student that writes one right sentence for ever has no mistakes, and a large number here.
#
# <details><summary><b>Guess first:</b> the start has learned on the teacher's prefixes. Is its cost on its own prefixes
# twice as large, or ten times? And at the end of a text more than at its beginning?</summary>
#
# 2.49 times, in the table below; the grey curve of the figure shows where. A cost that compounds
# without end would rise along the text. Here a full stop mends much: after it a new sentence begins, and within ten
# letters the mistake is out of sight.
# </details>


# %%
def costs(student, texts):
    """KL(q ‖ p) and KL(p ‖ q) of each letter, (N, LENGTH) each, given these prefixes."""
    prefixes, _ = places(texts)
    logq, logp = (losses.log_softmax(model(prefixes).astype(np.float64)) for model in (student, teacher))
    return (letter(*pair).reshape(len(texts), LENGTH) for pair in ((logq, logp), (logp, logq)))


def half_width(d):
    """Differences (n,) -> half the width of their mean's 95 % interval (lesson 13)."""
    return stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))


right, on_own, on_teachers, left_out, curves = {}, {}, {}, {}, {}
print("                     right   cost on own   on the teacher's   ratio   left out")
for way, several in students.items():
    texts = [write(student, TEXTS, np.random.default_rng(400 + i)) for i, student in enumerate(several)]
    right[way] = np.array([share_right(one) for one in texts])
    by_place = np.array([next(costs(student, one)).mean(0) for student, one in zip(several, texts, strict=True)])
    curves[way], on_own[way] = by_place.mean(0), by_place.mean(1)
    on_both = np.array([[cost.mean() for cost in costs(student, of_teacher)] for student in several])
    on_teachers[way], left_out[way] = on_both.T
    name = way if isinstance(way, str) else f"{way[0]}, {way[1]}"
    ratio = on_own[way].mean() / on_teachers[way].mean()
    beside = f"{on_own[way].mean():12.3f} {on_teachers[way].mean():18.3f} {ratio:7.2f} {left_out[way].mean():10.3f}"
    print(f"{name:17} {right[way].mean():8.1%} {beside}")
zeros = next(costs(teacher, of_teacher))
lesson.true("the teacher itself costs nothing", np.all(zeros == 0))
lesson.true("no cost is negative", min(curve.min() for curve in curves.values()) >= 0)

# %% [markdown]
# ## What came out

# %%
print("differences in the share of right sentences, and the 95 % interval of their mean")
for what, (better, other) in {
    "reverse less forward, teacher's prefixes": (("reverse", "teacher"), ("forward", "teacher")),
    "reverse less forward, own prefixes": (("reverse", "own"), ("forward", "own")),
    "own less teacher's prefixes, forward": (("forward", "own"), ("forward", "teacher")),
    "own less teacher's prefixes, reverse": (("reverse", "own"), ("reverse", "teacher")),
}.items():
    d = 100 * (right[better] - right[other])
    low, high = d.mean() - half_width(d), d.mean() + half_width(d)
    verdict = "no difference seen" if low <= 0 <= high else "more" if low > 0 else "fewer"
    print(f"{what:42} {d.mean():+6.1f} points, {low:+6.1f} to {high:+6.1f}: {verdict}")

# %% tags=["hide-input"]
figure = new_figure(10.2, 4.2, f"Four ways to distil a model that writes, {SEEDS} seeds")
left, right_side = figure.subplots(1, 2)
looks = {
    "start": (GREY, "s", "-"),
    ("forward", "teacher"): (ORANGE, "^", "--"),
    ("forward", "own"): (RED, "D", "-."),
    ("reverse", "teacher"): (GREEN, "v", ":"),
    ("reverse", "own"): (BLUE, "o", "-"),
}
names = {way: way if isinstance(way, str) else f"{way[0]},\n{way[1]} prefixes" for way in looks}
tidy(left, "Sentences that are right; a line is a seed", "", "%")
for seed in range(SEEDS):
    left.plot(range(5), [100 * right[way][seed] for way in looks], color=GREY, linewidth=1, zorder=1)
for place, (way, (colour, marker, _)) in enumerate(looks.items()):
    left.scatter([place] * SEEDS, 100 * right[way], color=colour, marker=marker, s=40, zorder=2)
left.set_xticks(range(5), names.values(), fontsize=8)
left.set_xlim(-0.4, 4.4)
tidy(right_side, "What each letter costs, on the student's own prefixes", "place in the text", "KL(q ‖ p), nats")
smooth = np.ones(5) / 5
for way, (colour, _, line) in looks.items():
    shown = np.convolve(curves[way], smooth, "valid")
    label = names[way].replace("\n", " ")
    right_side.plot(np.arange(len(shown)) + 3, shown, color=colour, linestyle=line, label=label)
right_side.set_ylim(0, None)
right_side.legend(frameon=False, fontsize=8)
lesson.save(figure)

# %% [markdown]
# Measured with five seeds on two cores: **the direction matters, the author of the prefixes does not help.** The start
# writes 56.7 % right sentences, and its cost on its own prefixes is 2.49 times that on the teacher's: mistakes do bring
# on mistakes. Learning on is worth most, in whichever way. Reverse KL writes more right sentences than forward KL, by
# 2.8 points on the teacher's prefixes and by 8.1 on the student's own. The student's own prefixes make no difference
# that five seeds could show under reverse KL (-0.5 points, -0.9 to +0.0), and are *worse* under forward KL (-5.7, -8.0
# to -3.5). Reverse KL has its price: it leaves out more of what the teacher would write (0.013 beside 0.009). So this
# is **a null result for on-policy distillation**, here. One reading, which nothing above tests: this student can learn
# enough to avoid broken prefixes, and then its own texts and the teacher's look alike; the steps on broken prefixes are
# spent on what no longer happens.
#
# ## What this does not show
#
# That on-policy distillation does nothing for large models: there, texts are thousands of letters long, a mistake is
# not out of sight after ten, and the student starts much further from its teacher. The language is made up, the student
# tiny, the number of steps small, and five seeds show large differences only.
#
# ## Read on
#
# - Agarwal et al. 2024, [*On-policy distillation of language models*](https://arxiv.org/abs/2306.13649), §3:
#   generalised distillation, own texts mixed with the teacher's, any divergence.
# - Gu et al. 2024, [*MiniLLM*](https://arxiv.org/abs/2306.08543), §2: reverse KL of whole texts, with the part of the
#   gradient that is left out here.
# - Arora et al. 2022, [*Why exposure bias matters*](https://arxiv.org/abs/2204.01171): errors that accumulate,
#   measured.
# - Ross, Gordon and Bagnell 2011, [*A reduction of imitation learning and structured prediction to no-regret online
#   learning*](https://arxiv.org/abs/1011.0686): who learns on the expert's paths alone pays $T^2$.
# - [`minikd/nn/embedding.py`](../minikd/nn/embedding.py),
#   [`minikd/losses/reverse_kl.py`](../minikd/losses/reverse_kl.py).
#
# ## Exercises
#
# The first time, `minikd check 18` creates the skeleton `work/18_on_policy.py`. After that, it checks your solution there.
#
# 1. `embedding_backward`: for batches of texts, (N, L) letters at once.
# 2. `texts_reverse_kl`: KL(q ‖ p) of texts of two letters, from the letters' probabilities: on whose prefixes?
#
# The solutions are in `lessons/solutions/`.
