import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd.data.draws import GAMMA, keys, uniform

MASK = 2**64 - 1


def splitmix64(key, n):
    """The n-th output of SplitMix64 from the state `key`, in Python's own integers, step by step."""
    state = (key + n * int(GAMMA)) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_the_reference_is_the_published_generator():
    # the first outputs from the state 1234567, as the reference C code of the authors' generator prints them
    assert [splitmix64(1234567, n) for n in (1, 2, 3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@settings(deadline=None)
@given(key=st.integers(0, MASK), sample=st.integers(0, 10**6), count=st.integers(1, 7))
def test_numbers_are_the_halves_of_the_stream_at_the_samples_place(key, sample, count):
    pairs = (count + 1) // 2
    words = [splitmix64(key, sample * pairs + n) for n in range(1, pairs + 1)]
    halves = [half for word in words for half in (word & 0xFFFFFFFF, word >> 32)]
    expected = [(half >> 8) / 2**24 for half in halves[:count]]
    np.testing.assert_array_equal(uniform(np.uint64(key), np.array([sample]), count)[0], expected)


def test_uniform_and_independent_enough():
    x = uniform(keys(0, 0, 1)[0], np.arange(20000), 5)
    assert x.dtype == np.float32
    assert x.min() >= 0
    assert x.max() < 1
    np.testing.assert_allclose(x.mean(0), 0.5, atol=4 * np.sqrt(1 / 12 / 20000))
    np.testing.assert_allclose(np.cov(x.T), np.eye(5) / 12, atol=4 / 12 / np.sqrt(20000))
    neighbours = np.corrcoef(x[1:, 0], x[:-1, 0])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(20000)


def test_keys_differ_by_seed_epoch_and_stream():
    all_keys = np.concatenate([keys(seed, epoch, 2) for seed in range(4) for epoch in range(4)])
    assert len(np.unique(all_keys)) == 32
