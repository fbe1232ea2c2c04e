# %% [markdown]
# # 18. On-policy distillation of a small model
#
# **Goal** Distil a model that writes text, on texts of the teacher or on texts of the student, and measure whether the
# author of the texts or the direction of the divergence matters more.
#
# **Needs** lessons 3, 12 and 13. The exercise of lesson 12 derived the reverse divergence.
#
# **You will see** how a student's mistakes cause more mistakes, and a comparison of four ways to distill.
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
# A model that writes text predicts the probabilities of the next character from the characters before it. Then it reads
# its own output: **a mistake becomes part of the input.** To count mistakes, we need a language with exact rules. Ours
# has sentences such as "two cats see a dog." There are six nouns and five verbs, and subject and verb must agree ("two
# cats see", "a cat sees"). It is easy to generate such texts, and a regular expression tells whether a sentence is
# right. But it is not a natural language, where results may be different.
#
# <details><summary><b>Guess first:</b> Replace each w in the book by an o, so that "two" becomes "too". About what
# share of the sentences is still right?</summary>
#
# A sentence is still right if it does not contain "two", "cow" or "owl". So both nouns must be singular
# ($\frac{1}{2} \cdot \frac{1}{2}$), and each must be one of the other four nouns ($\frac{2}{3} \cdot \frac{2}{3}$).
# $\frac{1}{4} \cdot \frac{4}{9} = \frac{1}{9}$. The row below shows how far the share is from 1, about $\frac{8}{9}$.
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
    """Texts (N, CONTEXT + LENGTH) -> the share of finished sentences that are right."""
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
# A letter has a number, but the number is not a quantity: z is not 26 times a. So each letter $v$ has a row $w_v$ in a
# table of shape (V, D), and the model learns the table. This is an **embedding**. For the letters $s_1 \ldots s_M$ of a
# batch:
#
# $$y_{md} = w_{s_m d}$$
#
# 1. Let $e_{mv}$ be 1 if letter $m$ is $v$, else 0. Then $y_{md} = \sum_v e_{mv} w_{vd}$, which is a dense layer on
#    one-hot rows. In code, a look-up of the row replaces the product with zeros.
# 2. Lesson 3 gives the gradient of a dense layer, $dw = e^T dy$:
#
#    $$dw_{vd} = \sum_m e_{mv} \, dy_{md}$$
#
# 3. So row $v$ gets the sum of $dy$ over **all positions of $v$** in the batch. If $v$ does not occur, it gets 0.
# 4. The letters themselves have no gradient, because there is nothing between a and b.


# %%
def embedding(ids, w):
    """Letters (M,), table (V, D) -> their rows (M, D), and the cache."""
    return w[ids], (ids, len(w))


def embedding_backward(dy, cache):
    """dy (M, D) -> dw (V, D): the sum of the rows of dy for each letter."""
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
lesson.caught("dw[ids] += dy, which adds only once for each letter", careless, dw)

# %% [markdown]
# `np.add.at(dw, ids, dy)` would add at every position. The product with one-hot rows does the same, also on a GPU, and
# in the same order each time.
#
# ## On paper: the divergence of whole texts
#
# In lesson 12 there is one answer for each image. A text is a sequence of answers. The teacher gives a whole text
# $s = s_1 \ldots s_L$ the probability $p(s) = \prod_t p(s_t \mid s_{<t})$, where the **prefix** $s_{<t}$ is the text
# before position $t$. In the same way, the student gives it $q(s)$.
#
# 1. The logarithm of a product is a sum, so
#    $$\mathrm{KL}(p \Vert q) = \sum_s p(s) \sum_t (\log p(s_t \mid s_{<t}) - \log q(s_t \mid s_{<t}))$$
# 2. Move the sum over $t$ to the left. For each $t$, only the prefix and the letter matter. Sum first over the letter,
#    then over the prefix:
#    $$\mathrm{KL}(p \Vert q) = \sum_t \sum_{s_{<t}} p(s_{<t}) \, \mathrm{KL}(p_t \Vert q_t)$$
#    So the divergence of the texts is the sum of the divergences of the letters, **on prefixes that the teacher
#    wrote**.
# 3. For the reverse divergence, swap $p$ and $q$ everywhere, also for the prefixes:
#    $$\mathrm{KL}(q \Vert p) = \sum_t \sum_{s_{<t}} q(s_{<t}) \, \mathrm{KL}(q_t \Vert p_t)$$
#    So the reverse divergence needs **prefixes that the student wrote**. This is *on-policy* distillation.
# 4. In step 3, the student has two effects: on the divergences of the letters, and on the prefixes. Training usually
#    takes the gradient only through the first. We derive what this leaves out, for the first letter. Let $F_k$ be the
#    divergence of the rest of the text after the first letter $k$. The expected divergence of the rest is
#    $\sum_k q_k F_k$. With $q = \mathrm{softmax}(z)$ (lesson 1),
#    $$\frac{\partial}{\partial z_j} \sum_k q_k F_k = q_j \left(F_j - \sum_k q_k F_k\right)$$
#    This part makes letters less likely that lead to a large divergence later.
#
# There are only 64 texts of three letters from an alphabet of four. So we can test the formulas on all of them, without
# sampling.


# %%
def all_texts(steps):
    """Log-probabilities (K,), (K, K) and (K, K), given the letter before -> those of all texts (K, K, K)."""
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
    """The sum of the letters' KL(left ‖ right), over prefixes that `writer` wrote."""
    one = np.exp(writer[0])
    two = one @ np.exp(writer[1])  # (K,) = (K,) @ (K, K)
    return letter(left[0], right[0]) + one @ letter(left[1], right[1]) + two @ letter(left[2], right[2])


K = 4
z = [rng.standard_normal(shape) for shape in ((1, K), (K, K), (K, K))]
p = [losses.log_softmax(2 * rng.standard_normal(one.shape)).squeeze() for one in z]
q = [losses.log_softmax(one).squeeze() for one in z]
lesson.close("KL(p ‖ q) of texts = sum over letters, on the teacher's prefixes", by_letters(p, p, q), whole(p, q))
lesson.close("KL(q ‖ p) of texts = sum over letters, on the student's prefixes", by_letters(q, q, p), whole(q, p))
lesson.caught("KL(q ‖ p) of letters, on the teacher's prefixes", by_letters(p, q, p), whole(q, p))
lesson.caught("KL(p ‖ q) of letters, on the student's prefixes", by_letters(q, p, q), whole(p, q))


def cost(first):
    """The first letter's logits (K,) -> KL(q ‖ p) over all texts."""
    return whole([losses.log_softmax(first[None])[0], *q[1:]], p)


h, z1 = 1e-5, z[0][0]
slope = np.array([(cost(z1 + h * e) - cost(z1 - h * e)) / (2 * h) for e in np.eye(K)])
own = losses.reverse_kl(z[0], p[0][None], 1.0)[1][0]
after = letter(q[1], p[1]) + np.exp(q[1]) @ letter(q[2], p[2])  # F (K,): divergence of the rest, by first letter
one = np.exp(q[0])
lesson.close(
    "the gradient: that of the first letter, plus q (F - Σ q F)", own + one * (after - one @ after), slope, 1e-8
)
lesson.caught("the gradient with constant prefixes, as in training", own, slope)

# %% [markdown]
# So in practice, on-policy distillation does not use the whole gradient of the divergence of texts. It leaves out a
# part that can only be estimated from samples and is noisy. Agarwal and others (2024) leave it out, and so do we.
#
# ## A teacher and a student that write
#
# Both models read 10 letters, with an embedding and two dense layers. The teacher has 96 hidden units and learns from
# the book. The student has 16. `write` draws one letter at a time: it adds a random number from the Gumbel distribution
# to each logit and takes the largest. This draws from the softmax. (We do not prove it, but a row below tests it.)
#
# <details><summary><b>Guess first:</b> The teacher's loss per letter cannot fall to 0. To about what value can it fall,
# if a sentence has about 22 letters?</summary>
#
# To the entropy of the language, which no model can predict. A sentence has 2·2 choices of singular or plural, 6·6
# nouns and 5 verbs. So its entropy is $\log(4 \cdot 36 \cdot 5) = 6.58$ nats. With about 22 letters, this is 0.30 per
# letter.
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
    """Texts -> the 10 letters before each position (N·LENGTH, CONTEXT), and its letter (N·LENGTH,)."""
    windows = sliding_window_view(texts[:, :-1], CONTEXT, axis=1)
    return windows.reshape(-1, CONTEXT), texts[:, CONTEXT:].ravel()


def learn(model, batches, steps, loss, peak):
    """Train in place on batches of texts; `loss(logits, prefixes, letters)` returns the value and gradient."""
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
lesson.close("200,000 drawn letters: their shares equal the softmax", drawn, np.exp(few[0]), within=0.02)

teacher = writer(96, seed=0)
pages = (book[rng.integers(len(book), size=32)] for _ in lesson.progress(range(TEACHER_STEPS), "teacher"))
value = learn(teacher, pages, TEACHER_STEPS, lambda z, _, letters: losses.cross_entropy(z, letters), 3e-3)
of_teacher = write(teacher, TEXTS, np.random.default_rng(1))
print(f"loss {value:.3f} per letter; {share_right(of_teacher):.1%} of the teacher's sentences are right, such as:")
print("".join(LETTERS[i] for i in of_teacher[0][CONTEXT:]))

# %% [markdown]
# ## Four ways to distill
#
# All students of a seed begin with the same weights and the same training: forward KL on texts of the teacher. The
# result is the **start**. Then each continues for the same number of steps in one of four ways. The divergence is
# forward or reverse. The prefixes are from the teacher or from the student itself, which writes new ones for each step.
# The temperature is 1, because the student should write like the teacher.

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
# We measure four numbers for each student. The first is the **share of right sentences** in its texts. The second is
# the **cost** on its own prefixes, KL(q ‖ p) per letter. It measures how far the student is from the teacher at each
# letter. The third is the same cost on the teacher's prefixes. If mistakes cause more mistakes, the cost on its own
# prefixes is larger. Their ratio measures how much mistakes **compound**. The fourth is KL(p ‖ q) on the teacher's
# prefixes. It is large if the student leaves out what the teacher would write. A student that always writes the same
# right sentence makes no mistakes, but has a large value here.
#
# <details><summary><b>Guess first:</b> The start has learned on the teacher's prefixes. Is its cost on its own prefixes
# twice or ten times as large? Is it larger at the end of a text than at the beginning?</summary>
#
# It is 2.49 times as large in the table below. The grey curve in the figure shows the cost by position. If mistakes
# compounded without limit, the cost would rise along the text. Here a full stop limits them: a new sentence begins, and
# after ten letters the model no longer sees the mistake.
# </details>


# %%
def costs(student, texts):
    """KL(q ‖ p) and KL(p ‖ q) of each letter, (N, LENGTH) each, on the prefixes of these texts."""
    prefixes, _ = places(texts)
    logq, logp = (losses.log_softmax(model(prefixes).astype(np.float64)) for model in (student, teacher))
    return (letter(*pair).reshape(len(texts), LENGTH) for pair in ((logq, logp), (logp, logq)))


def half_width(d):
    """Differences (n,) -> half the width of the 95 % interval of their mean (lesson 13)."""
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
lesson.true("the teacher's own cost is 0", np.all(zeros == 0))
lesson.true("no cost is negative", min(curve.min() for curve in curves.values()) >= 0)

# %% [markdown]
# ## The result

# %%
print("differences in the share of right sentences, and the 95 % interval of their mean")
for what, (better, other) in {
    "reverse minus forward, teacher's prefixes": (("reverse", "teacher"), ("forward", "teacher")),
    "reverse minus forward, own prefixes": (("reverse", "own"), ("forward", "own")),
    "own minus teacher's prefixes, forward": (("forward", "own"), ("forward", "teacher")),
    "own minus teacher's prefixes, reverse": (("reverse", "own"), ("reverse", "teacher")),
}.items():
    d = 100 * (right[better] - right[other])
    low, high = d.mean() - half_width(d), d.mean() + half_width(d)
    verdict = "no difference seen" if low <= 0 <= high else "more" if low > 0 else "fewer"
    print(f"{what:42} {d.mean():+6.1f} points, {low:+6.1f} to {high:+6.1f}: {verdict}")

# %% tags=["hide-input"]
figure = new_figure(10.2, 4.2, f"Four ways to distill a model that writes, {SEEDS} seeds")
left, right_side = figure.subplots(1, 2)
looks = {
    "start": (GREY, "s", "-"),
    ("forward", "teacher"): (ORANGE, "^", "--"),
    ("forward", "own"): (RED, "D", "-."),
    ("reverse", "teacher"): (GREEN, "v", ":"),
    ("reverse", "own"): (BLUE, "o", "-"),
}
names = {way: way if isinstance(way, str) else f"{way[0]},\n{way[1]} prefixes" for way in looks}
tidy(left, "Right sentences; each line is a seed", "", "%")
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
# With five seeds on two cores, the result is: **the direction of the divergence matters, and the student's own prefixes
# do not help.** The start writes 56.7 % right sentences. Its cost on its own prefixes is 2.49 times its cost on the
# teacher's prefixes, so mistakes do cause more mistakes. More training helps most, in all four ways. Reverse KL gives
# more right sentences than forward KL: 2.8 points more on the teacher's prefixes, and 8.1 on the student's own. With
# reverse KL, five seeds show no difference between the student's own prefixes and the teacher's (-0.5 points, -0.9 to
# +0.0). With forward KL, its own prefixes are *worse* (-5.7, -8.0 to -3.5). Reverse KL has a disadvantage: it leaves
# out more of what the teacher would write (0.013 instead of 0.009). So this is **a null result for on-policy
# distillation**, here. There is a possible explanation, which nothing above tests. This student can learn enough to
# avoid wrong prefixes, and then its texts look like the teacher's. So it spent the training steps on wrong prefixes
# that no longer occur.
#
# ## What this does not show
#
# The lesson does not show that on-policy distillation does not help large models. Their texts are thousands of letters
# long, they still see a mistake after ten letters, and the student starts much further from its teacher. Here the
# language is artificial, the student is tiny, and the number of steps is small. Five seeds show only large differences.
#
# ## Read on
#
# - Agarwal et al. 2024, [*On-policy distillation of language models*](https://arxiv.org/abs/2306.13649), §3:
#   generalised distillation, with a mixture of the student's and the teacher's texts and any divergence.
# - Gu et al. 2024, [*MiniLLM*](https://arxiv.org/abs/2306.08543), §2: reverse KL of whole texts, with the part of the
#   gradient that is left out here.
# - Arora et al. 2022, [*Why exposure bias matters*](https://arxiv.org/abs/2204.01171): measurements of accumulating
#   errors.
# - Ross, Gordon and Bagnell 2011, [*A reduction of imitation learning and structured prediction to no-regret online
#   learning*](https://arxiv.org/abs/1011.0686): if a learner sees only the expert's paths, its cost grows with $T^2$.
# - [`minikd/nn/embedding.py`](../minikd/nn/embedding.py),
#   [`minikd/losses/reverse_kl.py`](../minikd/losses/reverse_kl.py).
#
# ## Exercises
#
# The first time, `minikd check 18` creates the skeleton `work/18_on_policy.py`. After that, it checks your solution
# there.
#
# 1. `embedding_backward`: for a batch of texts, that is, letters of shape (N, L).
# 2. `texts_reverse_kl`: KL(q ‖ p) of texts of two letters, from the probabilities of the letters. Whose prefixes do you
#    need?
#
# The solutions are in `lessons/solutions/`.
