"""Logits, labels and temperatures for hypothesis to vary."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

DTYPES = ["float32", "float64"]

temperatures = st.floats(np.log(0.01), np.log(1000)).map(lambda power: float(np.clip(np.exp(power), 0.01, 1000)))
many = settings(max_examples=60, deadline=None, derandomize=True)


def floats(shape, most, dtype="float64"):
    return arrays(dtype, shape, elements=st.floats(-most, most, width=32))


@st.composite
def logits(draw, count=1, most=1e4, dtypes=DTYPES):
    """Return `count` arrays of one shape (N, K) and one dtype."""
    shape, dtype = draw(st.tuples(st.integers(1, 4), st.integers(1, 6))), draw(st.sampled_from(dtypes))
    made = tuple(draw(floats(shape, most, dtype)) for _ in range(count))
    return made if count > 1 else made[0]


def labels_for(z):
    """Return a class for each sample, the last one for the last sample."""
    return np.arange(z.shape[1] - len(z), z.shape[1]) % z.shape[1]
