"""A device's products beside NumPy's, however the operands lie, and as a part of a captured graph."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from minikd.backends import Backend, device_errors, to_host
from minikd.errors import BackendError
from minikd.nn.products import product
from tests import border

DEVICE = Backend("cupy", "")
DTYPES = ("float32", "float64")
WITHIN = {"float32": 1e-5, "float64": 1e-13}

# shapes of a, of b: matrices, a vector on either side or both, one line, nothing, stacks
SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((1, 4), (4, 1)),
    ((3, 1), (1, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((3, 4), (4, 0)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 4), (2, 4, 5)),
    ((1, 3, 4), (1, 4, 5)),
    ((2, 3, 0), (2, 0, 5)),
]


@pytest.fixture(autouse=True)
def on_a_device(backend):
    if backend.name == "numpy":
        pytest.skip("of CuPy alone: pytest --backend cupy")
    with border.closed():
        yield


def lying(x, order):
    """Return x on the device: row by row, column by column, or neither."""
    if order == "rows":
        return DEVICE.put(x)
    if order == "columns":
        return DEVICE.put(np.ascontiguousarray(x.swapaxes(-1, -2))).swapaxes(-1, -2) if x.ndim > 1 else DEVICE.put(x)
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return DEVICE.put(wide)[..., ::2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_a_product_is_numpys_however_the_operands_lie(shapes, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    for left in ("rows", "columns", "neither"):
        for right in ("rows", "columns", "neither"):
            found = product(lying(a, left), lying(b, right))
            assert (found.shape, found.dtype) == ((a @ b).shape, a.dtype)
            np.testing.assert_allclose(to_host(found), a @ b, rtol=WITHIN[dtype], atol=WITHIN[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_fills_its_part_of_a_flat_vector_and_no_more(dtype, counters):
    a, b = (np.random.default_rng(0).standard_normal(shape).astype(dtype) for shape in ((3, 4), (4, 5)))
    flat, there = DEVICE.put(np.full(17, 7, dtype)), (DEVICE.put(a), DEVICE.put(b))
    before = counters()
    assert product(*there, flat[1:16].reshape(3, 5)).base is not None
    spent = {name: count - before[name] for name, count in counters().items() if count != before[name]}
    assert spent == {"products": 1}
    np.testing.assert_allclose(to_host(flat)[1:16].reshape(3, 5), a @ b, rtol=WITHIN[dtype], atol=WITHIN[dtype])
    assert to_host(flat)[[0, 16]].tolist() == [7, 7]


def test_a_product_fills_what_lies_otherwise_too():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)
    wide = DEVICE.put(np.zeros((2, 4)))
    product(DEVICE.put(a), DEVICE.put(b), wide[:, ::2])
    np.testing.assert_array_equal(to_host(wide), [[10, 0, 13, 0], [28, 0, 40, 0]])


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((2, 3, 4), (3, 4, 5)), ((3, 4), (2, 4, 5))], ids=str)
def test_operands_that_do_not_fit_are_refused_as_numpy_does(shapes):
    with pytest.raises(ValueError, match="a product of shapes"):
        product(*(DEVICE.put(np.ones(shape)) for shape in shapes))
    with pytest.raises(ValueError, match="does not fit out"):
        product(DEVICE.put(np.ones((2, 3))), DEVICE.put(np.ones((3, 2))), DEVICE.put(np.ones((3, 2))))


@pytest.mark.parametrize("shapes", [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5))], ids=["matrices", "stacks"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_captured_product_is_computed_when_its_graph_is_launched(shapes, dtype):
    import cupy

    a, b = (DEVICE.put(np.random.default_rng(0).standard_normal(shape).astype(dtype)) for shape in shapes)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        wanted = product(a, b)
        out = cupy.zeros_like(wanted)
        stream.synchronize()
        stream.begin_capture()
        product(a, b, out)
        graph = stream.end_capture()
        assert not out.any()
        graph.launch(stream)
        np.testing.assert_array_equal(to_host(out), to_host(wanted))
        a *= 2
        graph.launch(stream)
        np.testing.assert_array_equal(to_host(out), 2 * to_host(wanted))


def test_an_error_of_cublas_is_one_of_the_device(monkeypatch):
    from minikd.backends.cuda import products

    x = DEVICE.put(np.ones((2, 2)))
    product(x, x)
    handle = products.handle_of(0, 0)
    monkeypatch.setattr(handle, "blas", SimpleNamespace(cublasDgemm_v2=lambda *_: 13))
    with pytest.raises(BackendError, match="CUBLASError: CUBLAS_STATUS_EXECUTION_FAILED"), device_errors():
        product(x, x)


@pytest.mark.parametrize("asked", [False, True])
def test_products_are_rounded_to_tf32_only_where_cupy_is_asked_for_it(asked, monkeypatch):
    from minikd.backends.cuda import products

    monkeypatch.setenv("CUPY_TF32", "1" if asked else "0")
    found, handle = ctypes.c_int(), products.Handle(products.library(), 0)
    handle.call("cublasGetMathMode", ctypes.byref(found))
    handle.call("cublasSetMathMode", 0)
    assert found.value == (products.TF32 if asked else 0)
