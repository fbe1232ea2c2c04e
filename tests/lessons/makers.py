"""Tiny lessons in a folder of their own, when notebooks can be tested, and a folder served as the site is."""

import threading
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from minikd.lessons.publish import MODULES
from minikd.lessons.serve import address, server

needs_extra = pytest.mark.skipif(
    any(find_spec(name) is None for name in MODULES), reason="needs the extra: pip install '.[lessons]'"
)

LESSON = r"""# %% [markdown]
# # {number}. Lesson {name} & more
#
# **Goal** to see $p_k$ <b>here</b>.
#
# **Needs** nothing.
#
# **You will see** a line that
# goes on.
#
# **Minutes** 1

# %%
from minikd.lessons import Lesson
from minikd.report.style import new_figure

lesson = Lesson("{name}")
print("quick:", lesson.quick)

# %% [markdown]
# The softmax, $\log p_k$, of <i>logits</i> & more:
#
# $$p_k = \frac{{\exp(z_k / T)}}{{\sum_j \exp(z_j / T)}}$$
#
# [next](02_second.py), [file](../minikd/optim.py), [exercise](exercises/02_second.py), [paper](https://arxiv.org/abs/1).

# %%
lesson.close("one is <one>", 1.0, {one})

# %%
figure = new_figure(3, 2, "A line")
figure.add_subplot().plot([0, 1], [0, 1])
lesson.save(figure)
"""

SKELETON = '''def double(x):
    """Return 2x."""
    raise NotImplementedError("write double")


def square(x):
    """Return x²."""
    raise NotImplementedError("write square")
'''

CHECK = """import numpy as np


def check(work):
    x = np.arange(3.0) + 1
    work.same("double", (x,), 2 * x, suspects={"this adds two": x + 2})
    work.same("square", (x,), x * x)
"""


def lesson(number, name, one=1.0):
    """Return a lesson's text; with `one` = 2, its claim is wrong."""
    return LESSON.format(number=number, name=name, one=one)


def write_lessons(folder):
    """Write lessons 1 and 2, with exercises, to `folder`/lessons; lesson 1 stops at its claim. Return that folder."""
    lessons = folder / "lessons"
    for part in ("exercises", "checks"):
        (lessons / part).mkdir(parents=True)
        for name in ("01_first", "02_second"):
            (lessons / part / f"{name}.py").write_text(SKELETON if part == "exercises" else CHECK)
    (lessons / "01_first.py").write_text(lesson(1, "01_first", one=2.0))
    (lessons / "02_second.py").write_text(lesson(2, "02_second"))
    return lessons


@contextmanager
def served(folder):
    """Serve a folder while a test runs; yields its address."""
    with server(folder, 0) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield address(pages)
        pages.shutdown()
