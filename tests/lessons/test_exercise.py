"""What a reader is told of their work: each verdict, the known mistakes, and what does not run."""

import numpy as np
import pytest

from minikd.errors import ConfigError
from minikd.lessons import Work

pytestmark = pytest.mark.numpy_only("exercises are NumPy")

X = np.random.default_rng(0).standard_normal((4, 3))
W = np.random.default_rng(1).standard_normal((2, 3))

LINEAR = """
import numpy as np

def linear(x, w):
    return x @ w.T, (x, w)

def linear_backward(dy, cache):
    x, w = cache
    return {gradients}
"""


@pytest.fixture
def work(tmp_path):
    def write(text):
        (tmp_path / "mine.py").write_text(f"import numpy as np\n{text}")
        return Work(tmp_path / "mine.py")

    return write


def counts(work):
    return work.right, work.wrong, work.to_do


@pytest.mark.parametrize(
    ("body", "expected", "words"),
    [
        ("return 2 * x", (1, 0, 0), ("ok",)),
        ("raise NotImplementedError('write it')", (0, 0, 1), ("to do",)),
        ("return 2 * x + (x > 1) * 0.5", (0, 1, 0), ("WRONG", "2 of 12 elements differ", "yours", "should be")),
        ("return x + 2", (0, 1, 0), ("10 of 12", "→ this adds two")),
        ("return (2 * x)[0]", (0, 1, 0), ("must return the shape (4, 3)",)),
        ("return x * np.nan", (0, 1, 0), ("12 of 12", "nan")),
        ("return None", (0, 1, 0), ("WRONG", "None")),
        ("return 'two'", (0, 1, 0), ("WRONG",)),
        ("return x[9]", (0, 1, 0), ("double raised IndexError", "mine.py")),
        ("x *= 2; return x", (0, 1, 0), ("raised ValueError", "read-only")),
    ],
)
def test_same_tells_what_is_wrong(work, body, expected, words, capsys):
    mine = work(f"def double(x):\n    {body}\n")
    x = np.where(np.arange(12).reshape(4, 3) < 2, 2.0, -(X**2))
    mine.same("double", (x,), 2 * x, suspects={"this adds two": x + 2, "this is zero": 0 * x})
    said = " ".join(capsys.readouterr().out.split())  # its lines fit the terminal
    assert counts(mine) == expected
    for word in words:
        assert word in said
    assert "this is zero" not in said


def test_a_missing_function_is_named(work, capsys):
    mine = work("double = 3\n")
    mine.same("double", (X,), 2 * X)
    mine.gradients("linear", "linear_backward", {"x": X})
    mine.loss("mse", X, X)
    assert counts(mine) == (0, 3, 0)
    assert capsys.readouterr().out.count("mine.py has no function") == 3


@pytest.mark.parametrize(
    ("gradients", "expected", "words"),
    [
        ("dy @ w, dy.T @ x", (1, 0, 0), ("ok",)),
        ("dy @ w, dy.T @ x / len(x)", (0, 1, 0), ("dw: WRONG in 6 of 6", "dx: right", "1/N", "→ the usual cause")),
        ("dy @ w, x.T @ dy", (0, 1, 0), ("linear_backward: WRONG", "shape", "transpose")),
        ("dy.T @ x, dy @ w", (0, 1, 0), ("dx has shape (2, 3)", "that is w's shape; is the order right?")),
        ("dy @ w", (0, 1, 0), ("gradient for each of x, w",)),
        ("dy @ x, dy.T @ x", (0, 1, 0), ("WRONG", "raised")),
        ("x.fill(0), w", (0, 1, 0), ("WRONG",)),
    ],
)
def test_gradients_are_compared_element_by_element(work, gradients, expected, words, capsys):
    mine = work(LINEAR.format(gradients=gradients))
    mine.gradients("linear", "linear_backward", {"x": X, "w": W}, usual="the usual cause")
    said = " ".join(capsys.readouterr().out.split())  # its lines fit the terminal
    assert counts(mine) == expected
    for word in words:
        assert word in said


def test_a_wrong_forward_must_be_put_right_first(work, capsys):
    mine = work(LINEAR.format(gradients="dy @ w, dy.T @ x").replace("x @ w.T,", "x @ w.T + 1,"))
    mine.same("linear", (X, W), X @ W.T, part=lambda found: found[0])  # (4, 2) = (4, 3) @ (3, 2)
    mine.gradients("linear", "linear_backward", {"x": X, "w": W})
    assert counts(mine) == (0, 1, 1)
    assert "correct linear first" in capsys.readouterr().out


def test_a_forgotten_cache_is_named(work, capsys):
    mine = work("def linear(x, w):\n    return x @ w.T\n")
    mine.same("linear", (X, W), X @ W.T, part=lambda found: found[0])  # (4, 2) = (4, 3) @ (3, 2)
    assert counts(mine) == (0, 1, 0)
    assert "returned an array of shape (4, 2) and dtype float64 alone, not a tuple" in " ".join(
        capsys.readouterr().out.split()
    )


def test_gradients_that_are_not_written_are_to_do(work, capsys):
    mine = work(LINEAR.format(gradients="dy").replace("x, w = cache", "raise NotImplementedError('write it')"))
    mine.gradients("linear", "linear_backward", {"x": X, "w": W})
    assert counts(mine) == (0, 0, 1)
    assert "to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "expected", "words"),
    [
        ("return ((z - y)**2).sum() / 2, z - y", (1, 0, 0), ("ok",)),
        ("return ((z - y)**2).sum() / 2, y - z", (0, 1, 0), ("WRONG", "→ the sign")),
        ("return ((z - y)**2).sum() / 2", (0, 1, 0), ("WRONG",)),
        ("raise NotImplementedError('write it')", (0, 0, 1), ("to do",)),
        ("return z[99]", (0, 1, 0), ("raised IndexError",)),
    ],
)
def test_a_loss_is_held_against_its_own_gradient(work, body, expected, words, capsys):
    mine = work(f"def half_square(z, y):\n    {body}\n")
    mine.loss("half_square", X, X + 1, usual="the sign")
    said = " ".join(capsys.readouterr().out.split())  # its lines fit the terminal
    assert counts(mine) == expected
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("text", "words"),
    [("def f(:\n", "line 2"), ("1 / 0\n", "ZeroDivisionError"), ("import nowhere_at_all\n", "nowhere")],
)
def test_a_file_that_does_not_run_is_named_with_its_line(work, text, words):
    with pytest.raises(ConfigError, match=words) as raised:
        work(text)
    assert "mine.py" in str(raised.value)


CHAIN = """
def log_softmax(z):
    {body}

def entropy(z):
    def summed(p, logp):
        return -(p * logp).sum(1)
    logp = log_softmax(z)
    return summed(np.exp(logp), logp)
"""
RIGHT = "return z - np.log(np.exp(z).sum(1, keepdims=True))"


def check_chain(mine):
    want = X - np.log(np.exp(X).sum(1, keepdims=True))
    mine.same("log_softmax", (X,), want)
    mine.same("log_softmax", (X[:2],), want[:2], claim="of two samples")
    mine.same("entropy", (X,), -(np.exp(want) * want).sum(1))


@pytest.mark.parametrize("body", [RIGHT.replace("np.log(", "2 * np.log("), "return z @ z"])
def test_the_first_function_that_is_wrong_is_blamed_and_those_that_call_it_wait(work, body, capsys):
    mine = work(CHAIN.format(body=body))
    check_chain(mine)
    said = capsys.readouterr().out
    assert counts(mine) == (0, 2, 1)
    assert "entropy calls log_softmax, which is wrong: correct log_softmax first" in " ".join(said.split())


def test_what_calls_a_right_function_is_blamed_itself(work, capsys):
    mine = work(CHAIN.format(body=RIGHT).replace("-(p", "(p"))
    check_chain(mine)
    assert counts(mine) == (2, 1, 0)
    assert "waits" not in capsys.readouterr().out


def test_an_exception_is_told_once(work, capsys):
    mine = work("def double(x):\n    return x.nothing\n")
    for claim in ("first", "second", "third"):
        mine.same("double", (X,), 2 * X, claim=claim)
    mine.loss("double", X)
    said = " ".join(capsys.readouterr().out.split())
    assert counts(mine) == (0, 4, 0)
    assert said.count("has no attribute 'nothing'") == 1
    assert said.count("double raised the same AttributeError as above") == 3


def test_an_exception_in_a_helper_of_the_readers_names_the_helper(work, capsys):
    mine = work("def helper(x):\n    return x.nothing\n\ndef double(x):\n    return helper(x)\n")
    mine.same("double", (X,), 2 * X)
    assert "double called helper, which raised AttributeError" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("body", "expected", "words"),
    [
        ("return np.log(0 * x)", (0, 1, 0), "divide by zero encountered in log. The logarithm of 0 is minus infinity"),
        ("return np.exp(1000 + x)", (0, 1, 0), "overflow encountered in exp. Exp of a large number is infinity"),
        ("return 2 * x + 0 / (0 * np.exp(1000 + x))", (0, 1, 0), "NaN"),
        ("np.log(0 * x); return 2 * x", (1, 0, 0), "mine.py, line 4: divide by zero encountered in log"),
    ],
)
def test_numpys_warnings_are_told_in_words_with_their_line(work, body, expected, words, capsys):
    mine = work(f"\ndef double(x):\n    {body}\n")
    mine.same("double", (X,), 2 * X)
    shown = capsys.readouterr()
    assert counts(mine) == expected
    assert words in " ".join(shown.out.split())
    assert "RuntimeWarning" not in shown.out + shown.err
