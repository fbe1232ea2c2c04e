"""The stand-in for another array library: what it lets pass, what it refuses, and what it counts."""

import operator
import sys

import numpy as np
import pytest

from minikd import losses
from minikd.backends import Backend, module_of, to_host
from minikd.lessons.elsewhere import elsewhere

HOST = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)


@pytest.fixture
def other():
    with elsewhere() as library:
        yield library


def test_it_stands_where_cupy_would_and_leaves_as_it_came():
    before = sys.modules.get("cupy")
    with elsewhere() as library:
        assert module_of(library.asarray(HOST)) is library
        assert module_of(HOST) is np
    assert sys.modules.get("cupy") is before


@pytest.mark.parametrize(
    ("name", "misuse"),
    [
        ("np.exp", np.exp),
        ("np.sum", np.sum),
        ("np.zeros_like", np.zeros_like),
        ("np.concatenate", lambda x: np.concatenate([x, x])),
        ("cannot read", np.asarray),
        ("cannot read", lambda x: np.eye(3)[x]),
        (r"\(2, 3\)", lambda x: x + HOST),
        (r"\(2, 3\)", lambda x: HOST + x),
        (r"\(2,\)", lambda x: x[np.arange(2)]),
    ],
)
def test_what_numpy_does_on_its_arrays_is_refused(name, misuse, other):
    with pytest.raises(TypeError, match=name):
        misuse(other.asarray(HOST))


@pytest.mark.parametrize("work", [operator.add, operator.sub, operator.truediv, operator.lt, operator.eq])
def test_operators_give_numpys_numbers_there(work, other):
    x = other.asarray(HOST)
    for got, want in (work(x, x), work(HOST, HOST)), (work(x, 2.0), work(HOST, 2.0)), (work(2.0, x), work(2.0, HOST)):
        assert isinstance(got, other.ndarray)
        np.testing.assert_array_equal(to_host(got), want)


def test_in_place_changes_the_array_itself_and_keeps_its_dtype(other):
    x = other.asarray(HOST)
    same = x
    x *= np.float64(2)
    assert x is same
    assert x.dtype == np.float32
    np.testing.assert_array_equal(to_host(x), 2 * HOST)
    assert (np.float64(2) * x).dtype == np.float64


def test_copies_and_launches_are_counted_and_views_are_not(other):
    x = Backend("cupy", "the stand-in").put(HOST)
    float(x.reshape(6).sum())
    other.asarray(x)
    assert dict(+other.calls) == {"copy to the device": 1, "sum": 1, "copy to the host": 1}


def test_the_engine_runs_there(other):
    q = losses.softmax(other.asarray(HOST), 4.0)
    assert isinstance(q, other.ndarray)
    np.testing.assert_array_equal(to_host(q), losses.softmax(HOST, 4.0))
