"""Convolutions of 3x3 at stride 1 with Winograd's transform, which needs 16 products instead of 36.

A tile of 2x2 outputs reads 4x4 inputs. Winograd's minimal filtering F(2x2, 3x3) computes the outputs from 16 products:

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A        d: 4x4 inputs, g: 3x3 kernel, Y: 2x2 outputs, ⊙: element by element

         1  0 -1  0           1   0   0
    Bᵀ = 0  1  1  0      G =  ½   ½   ½      Aᵀ = 1  1  1  0
         0 -1  1  0           ½  -½   ½           0  1 -1 -1
         0  1  0 -1           0   0   1

The sum over input channels can be computed before Aᵀ…A. For each of the 16 positions in a tile, it is a matrix product
of all tiles (T, C) and the kernels (C, O). The transforms are linear, so the gradient with respect to g uses the
transposed transforms:

    V = Bᵀ d B     dM = A dY Aᵀ     dU = Vᵀ dM, summed over tiles     dg = Gᵀ dU G

dx is a separate convolution, see `nn.conv`. Winograd's results differ from those of the convolution by rounding errors.
If two pixels of a pooling window differ only in the last bit, another one may win.
Measured by `minikd bench --only teacher`. Lavin & Gray 2016, "Fast algorithms for convolutional neural networks".
"""

import numpy as np

from minikd.backends.loops.any_convolution import place_inside, take_out
from minikd.backends.loops.compiling import kernel, wide
from minikd.backends.loops.pool_relu import Winners, pool_relu, unpool
from minikd.typing import Floats, HeightWidth

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])

FLOATS_AT_A_TIME = 2**18
"""About the number of floats in the tiles that are computed together: 1 MiB, which fits a core's cache."""


def transformed(w: Floats) -> Floats:
    """Return U (16, C, O) from the kernels (O, C, 3, 3): G g Gᵀ of each, by the Kronecker square of G."""
    O, C = w.shape[:2]
    taps = w.transpose(2, 3, 1, 0).reshape(9, C * O)
    U: Floats = np.kron(G, G).astype(w.dtype) @ taps  # (16, CO) = (16, 9) @ (9, CO)
    return U.reshape(16, C, O)


def transformed_back(dU: Floats) -> Floats:
    """Return dw (O, C, 3, 3) from dU (16, C, O): Gᵀ dU G of each."""
    _, C, O = dU.shape
    taps = np.kron(G, G).T.astype(dU.dtype) @ dU.reshape(16, C * O)  # (9, CO) = (9, 16) @ (16, CO)
    return np.ascontiguousarray(taps.reshape(3, 3, C, O).transpose(3, 2, 0, 1))


@kernel
def forward(
    x: Floats,
    U: Floats,
    b: Floats,
    y: Floats,
    winner: Winners,
    size: HeightWidth,
    padding: HeightWidth,
    window: HeightWidth,
    relu: bool,
) -> None:
    """Fill y and winner (N, P, Q, O) from x (N, H, W, C) and U (16, C, O). size: the convolution's output."""
    N, O = len(x), U.shape[2]
    padded, V, M, z = room(x, O, size)
    for start in range(0, N, V.shape[1]):
        here = min(V.shape[1], N - start)
        for n in range(here):
            place_inside(x[start + n], padded, padding)
            to_tiles(padded, V, n)
        multiply(V, U, M, here)
        for n in range(here):
            from_tiles(M, z, n)
            pool_relu(z, b, y[start + n], winner[start + n], window[0], window[1], relu)


@kernel
def backward(
    x: Floats,
    turned: Floats,
    dy: Floats,
    winner: Winners,
    dU: Floats,
    db: Floats,
    dx: Floats,
    size: HeightWidth,
    padding: HeightWidth,
    window: HeightWidth,
) -> None:
    """Fill dU (16, C, O), db, and dx unless it is empty, from dy and winner (N, P, Q, O).

    dx is a convolution too, of dz with the kernels rotated by 180 degrees. `turned` (16, O, C) holds them, transformed.
    """
    (N, H, W, C), O = x.shape, dy.shape[3]
    padded, V, dM, dz = room(x, O, size)
    dpadded, back, Mx, image = room_back(dz, C, (H, W), V.shape[1])
    part = np.empty((C, O), x.dtype)
    dz[:] = 0
    dU[:] = 0
    db[:] = 0
    for start in range(0, N, V.shape[1]):
        here = min(V.shape[1], N - start)
        for n in range(here):
            place_inside(x[start + n], padded, padding)
            to_tiles(padded, V, n)
            unpool(dy[start + n], winner[start + n], dz, db, window[0], window[1])
            gradient_to_tiles(dz, dM, n)
            if dx.size:
                place_inside(dz[: size[0], : size[1]], dpadded, (2 - padding[0], 2 - padding[1]))
                to_tiles(dpadded, back, n)
        multiply_transposed(V, dM, dU, part, here)
        if dx.size:
            multiply(back, turned, Mx, here)
            for n in range(here):
                from_tiles(Mx, image, n)
                take_out(image, dx[start + n], (0, 0))


@kernel
def room(x: Floats, O: int, size: HeightWidth) -> tuple[Floats, Floats, Floats, Floats]:
    """Return arrays to fill: a padded image, some images' tiles with C and with O channels, an image's outputs."""
    N, C, (down, across) = len(x), x.shape[3], ((size[0] + 1) // 2, (size[1] + 1) // 2)
    T = down * across
    images = max(1, min(N, FLOATS_AT_A_TIME // (16 * T * (C + O))))
    padded = np.zeros((2 * down + 2, 2 * across + 2, C), x.dtype)
    z = np.empty((2 * down, 2 * across, O), x.dtype)
    return padded, np.empty((16, images, T, C), x.dtype), np.empty((16, images, T, O), x.dtype), z


@kernel
def room_back(dz: Floats, C: int, size: HeightWidth, images: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the same for the convolution that computes dx, for this many images at a time."""
    O, (down, across) = dz.shape[2], ((size[0] + 1) // 2, (size[1] + 1) // 2)
    T = down * across
    padded = np.zeros((2 * down + 2, 2 * across + 2, O), dz.dtype)
    image = np.empty((2 * down, 2 * across, C), dz.dtype)
    return padded, np.empty((16, images, T, O), dz.dtype), np.empty((16, images, T, C), dz.dtype), image


@kernel
def multiply(V: Floats, U: Floats, M: Floats, images: int) -> None:
    """Fill M with the product of the tiles and the kernels, for each of the 16 positions in a tile."""
    _, _, T, C = V.shape
    for f in range(16):
        tiles, products = V[f].reshape(-1, C), M[f].reshape(-1, M.shape[3])
        np.dot(tiles[: images * T], U[f], products[: images * T])  # (T, O) = (T, C) @ (C, O)


@kernel
def multiply_transposed(V: Floats, dM: Floats, dU: Floats, part: Floats, images: int) -> None:
    """Add to dU the product of the transposed tiles and their gradients, for each of the 16 positions in a tile."""
    _, _, T, C = V.shape
    for f in range(16):
        tiles, gradients, total = V[f].reshape(-1, C), dM[f].reshape(-1, dM.shape[3]), dU[f]
        np.dot(tiles[: images * T].T, gradients[: images * T], part)  # (C, O) = (C, T) @ (T, O)
        total += part


@kernel
def to_tiles(padded: Floats, V: Floats, n: int) -> None:
    """Fill V[:, n] (16, T, C) with Bᵀ d B of every tile d of an image (H + 2, W + 2, C), line after line of tiles.

    Line a of Bᵀ d is a line of d plus or minus another. Then the columns are added in the same way.
    """
    wide()
    T, C, across = V.shape[2], padded.shape[2], padded.shape[1] // 2 - 1
    one = V.dtype.type(1)
    for t in range(T):
        i, j = t // across * 2, t % across * 2
        for a, p, q, sign in ((0, 0, 2, -one), (4, 1, 2, one), (8, 2, 1, -one), (12, 1, 3, -one)):
            up, down = padded[i + p], padded[i + q]
            for c in range(C):
                d0 = up[j, c] + sign * down[j, c]
                d1 = up[j + 1, c] + sign * down[j + 1, c]
                d2 = up[j + 2, c] + sign * down[j + 2, c]
                d3 = up[j + 3, c] + sign * down[j + 3, c]
                V[a, n, t, c] = d0 - d2
                V[a + 1, n, t, c] = d1 + d2
                V[a + 2, n, t, c] = d2 - d1
                V[a + 3, n, t, c] = d1 - d3


@kernel
def from_tiles(M: Floats, z: Floats, n: int) -> None:
    """Fill z (H, W, O) with Aᵀ m A of every tile m of M[:, n] (16, T, O)."""
    wide()
    T, O, across = M.shape[2], M.shape[3], z.shape[1] // 2
    one = M.dtype.type(1)
    for t in range(T):
        i, j = t // across * 2, t % across * 2
        for line, p, q, r, sign in ((0, 0, 4, 8, one), (1, 4, 8, 12, -one)):
            for o in range(O):
                m0 = M[p, n, t, o] + sign * M[q, n, t, o] + sign * M[r, n, t, o]
                m1 = M[p + 1, n, t, o] + sign * M[q + 1, n, t, o] + sign * M[r + 1, n, t, o]
                m2 = M[p + 2, n, t, o] + sign * M[q + 2, n, t, o] + sign * M[r + 2, n, t, o]
                m3 = M[p + 3, n, t, o] + sign * M[q + 3, n, t, o] + sign * M[r + 3, n, t, o]
                z[i + line, j, o] = m0 + m1 + m2
                z[i + line, j + 1, o] = m1 - m2 - m3


@kernel
def gradient_to_tiles(dz: Floats, dM: Floats, n: int) -> None:
    """Fill dM[:, n] (16, T, O) with A d Aᵀ of every tile d of dz (H, W, O)."""
    wide()
    T, O, across = dM.shape[2], dM.shape[3], dz.shape[1] // 2
    one, zero = dz.dtype.type(1), dz.dtype.type(0)
    for t in range(T):
        i, j = t // across * 2, t % across * 2
        up, down = dz[i], dz[i + 1]
        for a, of_up, of_down in ((0, one, zero), (4, one, one), (8, one, -one), (12, zero, -one)):
            for o in range(O):
                left = of_up * up[j, o] + of_down * down[j, o]
                right = of_up * up[j + 1, o] + of_down * down[j + 1, o]
                dM[a, n, t, o] = left
                dM[a + 1, n, t, o] = left + right
                dM[a + 2, n, t, o] = left - right
                dM[a + 3, n, t, o] = -right
