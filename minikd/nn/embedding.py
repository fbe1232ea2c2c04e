"""The embedding: a row of a table for each whole number, such as a vector for each character of a text.

y[m, d] = w[ids[m], d]. With a one-hot row for each id, e[m, v] = 1 where v = ids[m] and else 0, that is a dense layer:

    y[m, d] = Σ_v e[m, v] w[v, d]                                         y = e w

Derivation of the backward pass, by indices (m: place in the text, v: row of the table, d: feature):

    dw[v, d] = Σ_m dy[m, d] ∂y[m, d]/∂w[v, d] = Σ_m e[m, v] dy[m, d]      dw = eᵀ dy

So dw[v] is the sum of dy over all places of the text with v. A row that does not occur has the gradient 0. A row that
occurs twice gets the sum of both. `dw[ids] = dy` would keep only the last one. So would `dw[ids] += dy`, because NumPy
adds only once for each row.

The ids are whole numbers. y does not change continuously with them, so they have no gradient.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.checks import check_float, check_generator, whole_number
from minikd.errors import DataError, DtypeError, ShapeError
from minikd.memory import require
from minikd.nn.initialization import DRAWING, shape_text
from minikd.nn.layer import Grads, Layer, check_upstream, expect_cache
from minikd.nn.products import product
from minikd.typing import Floats, Ints, Shape


class EmbeddingCache(NamedTuple):
    """What the backward pass needs: the ids (N, ...), and the table's shape (V, D) and dtype."""

    ids: Ints | Floats
    shape: Shape
    dtype: np.dtype[np.floating]


def embedding(ids: Ints | Floats, w: Floats) -> tuple[Floats, EmbeddingCache]:
    """Return the rows of w with the numbers `ids`, and the cache.

    Shapes: ids (N, ...) of whole numbers from 0 to V - 1, w (V, D); the result is (N, ..., D). Raises DtypeError for
    ids that are not whole numbers, DataError for ids without a row in w, and ShapeError.
    """
    check_float(w, "embedding: w")
    if w.ndim != 2:
        raise ShapeError(f"embedding: w has shape {w.shape}, but must have 2 axes, (V, D)")
    if ids.dtype.kind not in "iu":
        raise DtypeError(f"embedding: ids is {ids.dtype}, but must be whole numbers; use ids.astype('int64')")
    if module_of(ids) is not module_of(w):
        raise DtypeError(
            f"embedding: ids is a {module_of(ids).__name__} array, but w is a {module_of(w).__name__} array; move one "
            "of them with backend.put(...)"
        )
    if ids.size and (bool(ids.min() < 0) or bool(ids.max() >= len(w))):  # CuPy would silently read another row
        raise DataError(
            f"embedding: the ids are from {int(ids.min())} to {int(ids.max())}, but a table of {len(w)} rows has 0 to "
            f"{len(w) - 1}"
        )
    return w[ids], EmbeddingCache(ids, w.shape, w.dtype)


def embedding_backward(dy: Floats, cache: EmbeddingCache) -> Floats:
    """Return dw (V, D) from dy (N, ..., D).

    The product with the one-hot rows sums in one call on every backend, always in the same order. (A scatter with
    atomic additions on a device would have another order each time.) It needs M·V numbers: one for each id and row of
    the table.
    """
    ids, (V, D), dtype = cache
    check_upstream(dy, (*ids.shape, D), dtype, "embedding")
    e = (ids.reshape(-1, 1) == module_of(dy).arange(V)).astype(dtype)
    dw = product(e.T, dy.reshape(-1, D))  # (V, D) = (V, M) @ (M, D)
    return dw


class Embedding(Layer):
    """A table `weight` (num_embeddings, embedding_dim), which starts from N(0, 1) as PyTorch's does.

    The first layer of a model for texts. Its input is whole numbers (N, ...), its output is (N, ..., embedding_dim). It
    cannot be exported, because the exports support only models for images.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.num_embeddings = whole_number(num_embeddings, "Embedding's num_embeddings", 1)
        self.embedding_dim = whole_number(embedding_dim, "Embedding's embedding_dim", 1)
        shape = self.num_embeddings, self.embedding_dim
        check_generator(rng, "a layer's rng")
        require(
            DRAWING * shape[0] * shape[1], f"Embedding's weight of {shape_text(shape)}", "use fewer rows or features"
        )
        self.params["weight"] = rng.standard_normal(shape).astype(np.float32)

    def forward(
        self, x: Floats | Ints, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, EmbeddingCache]:
        return embedding(x, self.params["weight"])

    def backward(self, dy: Floats, cache: object) -> tuple[Floats, Grads]:
        """Return dx and dw. The ids have no gradient, so dx is zeros in their shape."""
        own = expect_cache(cache, EmbeddingCache, self)
        return module_of(dy).zeros(own.ids.shape, own.dtype), self.parameter_gradients(dy, own)

    def parameter_gradients(self, dy: Floats, cache: object) -> Grads:
        return {"weight": embedding_backward(dy, expect_cache(cache, EmbeddingCache, self))}

    def config(self) -> Mapping[str, object]:
        return {"num_embeddings": self.num_embeddings, "embedding_dim": self.embedding_dim}

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.embedding_dim)
