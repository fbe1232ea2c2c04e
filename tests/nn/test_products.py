import numpy as np
import pytest

from minikd.nn import products

# rows, K, N: whole pieces, a rest, fewer rows than a piece, too wide to be cut
SHAPES = [(12, 3, 2), (17, 3, 2), (3, 3, 2), (17, 3, 40)]


def operands(M, K, N):
    rng = np.random.default_rng(0)
    return rng.standard_normal((M, K)), rng.standard_normal((K, N)), rng.standard_normal((M, N))


@pytest.fixture
def pieces_of_four(monkeypatch):
    monkeypatch.setattr(products, "UNPACKED", 4 * 3 * 2 + 5)


@pytest.mark.usefixtures("pieces_of_four")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_tall_product_in_pieces_is_the_whole_product(shape):
    tall, matrix, _ = operands(*shape)
    out = np.full((shape[0], shape[2] + 1), 7.0)  # the result goes into a part of a wider array, as a group's does
    products.tall_product(tall, matrix, out[:, 1:])
    np.testing.assert_allclose(out[:, 1:], tall @ matrix, rtol=1e-13, atol=1e-13)
    assert (out[:, 0] == 7).all()


@pytest.mark.usefixtures("pieces_of_four")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_inner_product_in_pieces_is_the_whole_product(shape, order):
    tall, _, other = operands(*shape)
    found = products.inner_product(np.asarray(tall, order=order), other)
    np.testing.assert_allclose(found, tall.T @ other, rtol=1e-13, atol=1e-13)


def test_pieces_have_the_size_that_is_not_packed():
    like = np.zeros(1)
    assert products._rows_a_piece(10_000, 9, 32, like) == 3472  # 3472 · 9 · 32 ≤ 10⁶ < 3473 · 9 · 32
    assert products._rows_a_piece(3000, 9, 32, like) == 3000
    assert products._rows_a_piece(10_000, 9, 33, like) == 10_000
    assert products._rows_a_piece(10, 10**7, 1, like) == 1


@pytest.mark.numpy_only("of NumPy's bits")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_on_numpy_a_product_has_the_bits_of_the_operator(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 300)).astype(dtype), rng.standard_normal((300, 41)).astype(dtype)
    w = np.ascontiguousarray(b.T)
    for left, right in ((a, b), (a, w.T), (a[0], b), (a, b[:, 0]), (a[0], a[1]), (a.T, a), (a[None], b[None])):
        assert np.asarray(products.product(left, right)).tobytes() == np.asarray(left @ right).tobytes()
    flat = np.zeros(37 * 41, dtype)
    products.product(a, w.T, flat.reshape(37, 41))
    assert flat.tobytes() == (a @ w.T).tobytes()
