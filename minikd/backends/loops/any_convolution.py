"""A convolution with any kernel, stride and dilation, together with its pooling, for some lines of an image at a time.

The method is that of `nn.conv`: windows as rows of a matrix, one matrix product, and the transposed products for the
gradients. Here the windows of a few lines stay in the core's cache until their outputs are computed. A shard is one
call, without the interpreter's lock. Measured by `minikd bench --only original-teacher`.
"""

import numpy as np

from minikd.backends.loops.compiling import kernel, wide
from minikd.backends.loops.pool_relu import Winners, pool_relu, unpool
from minikd.typing import Floats, HeightWidth

WindowGrid = tuple[HeightWidth, HeightWidth, HeightWidth]
"""A window's size, stride and dilation."""

UNPACKED = 10**6
"""Multiply-adds of the largest product for which OpenBLAS packs nothing. Without packing, it is up to twice as fast."""


@kernel
def forward(
    x: Floats,
    matrix: Floats,
    b: Floats,
    y: Floats,
    winner: Winners,
    size: HeightWidth,
    stride: HeightWidth,
    padding: HeightWidth,
    dilation: HeightWidth,
    window: HeightWidth,
    relu: bool,
) -> None:
    """Fill y and winner (N, P, Q, O) from x (N, H, W, C), matrix (R·S·C, O) and b (O,).

    `window` is the pooling window.
    """
    (N, P, Q, O), (rows, columns), moves = y.shape, window, (size, stride, dilation)
    padded = bordered(x, padding)
    lines = lines_at_a_time(P, rows * Q * columns * matrix.size)
    cols, z = room(lines * rows * Q * columns, matrix)
    for n in range(N):
        place_inside(x[n], padded, padding)
        for top in range(0, P, lines):
            bottom = min(top + lines, P)
            image = z[: (bottom - top) * rows * Q * columns].reshape(-1, Q * columns, O)
            convolve(padded, cols, matrix, image, top * rows, moves)
            pool_relu(image, b, y[n, top:bottom], winner[n, top:bottom], rows, columns, relu)


@kernel
def backward(
    x: Floats,
    matrix: Floats,
    dy: Floats,
    winner: Winners,
    dmatrix: Floats,
    db: Floats,
    dx: Floats,
    size: HeightWidth,
    stride: HeightWidth,
    padding: HeightWidth,
    dilation: HeightWidth,
    window: HeightWidth,
) -> None:
    """Fill dmatrix, db, and dx unless it is empty, from dy and winner (N, P, Q, O). The windows are taken again."""
    (N, P, Q, O), (rows, columns), moves = dy.shape, window, (size, stride, dilation)
    padded, dpadded = bordered(x, padding), bordered(x, padding)
    lines = lines_at_a_time(P, rows * Q * columns * matrix.size)
    cols, dz = room(lines * rows * Q * columns, matrix)
    part, turned = np.empty_like(dmatrix), np.ascontiguousarray(matrix.T)
    dmatrix[:] = 0
    db[:] = 0
    for n in range(N):
        place_inside(x[n], padded, padding)
        dpadded[:] = 0
        for top in range(0, P, lines):
            bottom = min(top + lines, P)
            image = dz[: (bottom - top) * rows * Q * columns].reshape(-1, Q * columns, O)
            unpool(dy[n, top:bottom], winner[n, top:bottom], image, db, rows, columns)
            weigh(padded, cols, image, part, top * rows, moves)
            dmatrix += part
            if dx.size:
                send_back(image, turned, cols, dpadded, top * rows, moves)
        if dx.size:
            take_out(dpadded, dx[n], padding)


@kernel
def convolve(
    padded: Floats,
    spare: Floats,
    matrix: Floats,
    z: Floats,
    top: int,
    moves: WindowGrid,
) -> None:
    """Fill z (L, Q, O) with the product of the windows, from line `top` on, and the matrix."""
    L, Q, O = z.shape
    z, K = z.reshape(L * Q, O), len(matrix)
    if padded.shape[2] == 1:
        planes = spare[: K * L * Q].reshape(K, L, Q)
        take_planes(padded[:, :, 0], planes, top, moves)
        np.dot(planes.reshape(K, L * Q).T, matrix, z)  # (LQ, O) = (LQ, RS) @ (RS, O)
    else:
        cols = spare[: K * L * Q].reshape(L * Q, K)
        take_windows(padded, cols, top, Q, moves)
        np.dot(cols, matrix, z)  # (LQ, O) = (LQ, RSC) @ (RSC, O)


@kernel
def weigh(
    padded: Floats,
    spare: Floats,
    dz: Floats,
    dmatrix: Floats,
    top: int,
    moves: WindowGrid,
) -> None:
    """Fill dmatrix with the product of the windows, from line `top` on, transposed, and dz (L, Q, O)."""
    L, Q, O = dz.shape
    dz, K = dz.reshape(L * Q, O), len(dmatrix)
    if padded.shape[2] == 1:
        planes = spare[: K * L * Q].reshape(K, L, Q)
        take_planes(padded[:, :, 0], planes, top, moves)
        np.dot(planes.reshape(K, L * Q), dz, dmatrix)  # (RS, O) = (RS, LQ) @ (LQ, O)
    else:
        cols = spare[: K * L * Q].reshape(L * Q, K)
        take_windows(padded, cols, top, Q, moves)
        np.dot(cols.T, dz, dmatrix)  # (RSC, O) = (RSC, LQ) @ (LQ, O)


@kernel
def send_back(
    dz: Floats,
    turned: Floats,
    spare: Floats,
    dpadded: Floats,
    top: int,
    moves: WindowGrid,
) -> None:
    """Add the product of dz (L, Q, O) and the matrix, transposed, to the pixels of dpadded that each window read."""
    (L, Q, O), ((R, S), stride, dilation), C = dz.shape, moves, dpadded.shape[2]
    dcols = spare[: L * Q * turned.shape[1]].reshape(L * Q, -1)
    np.dot(dz.reshape(L * Q, O), turned, dcols)  # (LQ, RSC) = (LQ, O) @ (O, RSC)
    lines, (run, runs) = dpadded.reshape(len(dpadded), -1), runs_of(S, C, dilation)
    for i in range(L * Q):
        p, q = top + i // Q, i % Q
        for r in range(R):
            for s in range(runs):
                pixels = lines[p * stride[0] + r * dilation[0], (q * stride[1] + s * dilation[1]) * C :]
                back = dcols[i, (r * S + s) * C : (r * S + s) * C + run]
                for k in range(run):
                    pixels[k] += back[k]


@kernel
def take_windows(padded: Floats, cols: Floats, top: int, Q: int, moves: WindowGrid) -> None:
    """Fill cols (L·Q, R·S·C) with the windows of an image (H, W, C), one in each row, from line `top` on."""
    wide()
    ((R, S), stride, dilation), C = moves, padded.shape[2]
    lines, (run, runs) = padded.reshape(len(padded), -1), runs_of(S, C, dilation)
    for i in range(len(cols)):
        p, q = top + i // Q, i % Q
        for r in range(R):
            for s in range(runs):
                pixels = lines[p * stride[0] + r * dilation[0], (q * stride[1] + s * dilation[1]) * C :]
                to = cols[i, (r * S + s) * C : (r * S + s) * C + run]
                for k in range(run):
                    to[k] = pixels[k]


@kernel
def runs_of(S: int, C: int, dilation: HeightWidth) -> HeightWidth:
    """Return how many neighbouring floats a line of a window reads at a time, and how often."""
    return (S * C, 1) if dilation[1] == 1 else (C, S)


@kernel
def take_planes(padded: Floats, planes: Floats, top: int, moves: WindowGrid) -> None:
    """Fill planes (R·S, L, Q) with what each position of the kernel reads of a grey image (H, W).

    These are longer runs.
    """
    wide()
    (_, S), (sy, sx), (dy, dx) = moves
    for k in range(len(planes)):
        for p in range(planes.shape[1]):
            i, j = (top + p) * sy + k // S * dy, k % S * dx
            if sx == 1:
                for q in range(planes.shape[2]):
                    planes[k, p, q] = padded[i, j + q]
            else:
                for q in range(planes.shape[2]):
                    planes[k, p, q] = padded[i, j + q * sx]


@kernel
def bordered(x: Floats, padding: HeightWidth) -> Floats:
    """Return zeros for one image of x (N, H, W, C), with its border."""
    _, H, W, C = x.shape
    return np.zeros((H + 2 * padding[0], W + 2 * padding[1], C), x.dtype)


@kernel
def place_inside(x: Floats, padded: Floats, padding: HeightWidth) -> None:
    """Copy an image x (H, W, C) inside the border of zeros of `padded`."""
    H, W, C = x.shape
    for i in range(H):
        for j in range(W):
            for c in range(C):
                padded[i + padding[0], j + padding[1], c] = x[i, j, c]


@kernel
def take_out(padded: Floats, x: Floats, padding: HeightWidth) -> None:
    """Copy what lies inside the border of `padded` to an image x (H, W, C).

    There is no assignment of arrays, because Numba would take seconds to compile it, with NumPy's error messages.
    """
    H, W, C = x.shape
    for i in range(H):
        for j in range(W):
            for c in range(C):
                x[i, j, c] = padded[i + padding[0], j + padding[1], c]


@kernel
def lines_at_a_time(P: int, products: int) -> int:
    """Return how many lines of pooled outputs to compute at a time, if one takes this many multiply-adds."""
    return max(1, min(P, UNPACKED // max(1, products)))


@kernel
def room(M: int, matrix: Floats) -> tuple[Floats, Floats]:
    """Return space for M windows, and for their products with the matrix, (M, O)."""
    return np.empty(M * len(matrix), matrix.dtype), np.empty((M, matrix.shape[1]), matrix.dtype)
