"""Convolutions as matrix products, without the matrix of windows in memory: each tile of it is gathered when needed.

A convolution is a product of the matrix of windows and the weights (`nn.conv`):

    y[m, o] = Σ_k A[m, k] w[k, o],   m = (n, p, q) an output's place,   k = (r, s, c) a pixel of its window

A would hold R·S copies of each pixel. So the device's memory never holds A. A block of threads computes a tile of y. It
gathers the tiles of A from the image into shared memory, one after the other. With groups, each group of channels is a
separate product, computed by separate blocks.

    product(A, w)     y of a convolution; with dy instead of x, dx: a pixel sums over its windows
    product(Aᵀ, dy)   dw and db: the bias is a weight whose input is always 1, so A gets one more column, of ones

Each thread computes a small tile of its block's tile in registers, so it uses each number from shared memory several
times. Sums run in a fixed order, so a result is the same in every run.
"""

from functools import cache
from typing import NamedTuple

import cupy
import numpy as np

from minikd.typing import Array, Floats, HeightWidth

THREADS = 256
"""Threads of a block, as 16 rows of 16."""

TALL = 8
"""Rows of y that a thread computes. A block computes 16 times as many."""

BLOCKS = 528
"""The most blocks of a weight gradient. A GPU has about a hundred processors, and each gets a few blocks."""

LARGEST = 2**31
"""The kernels take smaller arrays: they count elements in 32 bits, which a device divides several times faster."""

# A pixel of a window is at "point + tap": the position of the window plus the position in it.
# The forward pass reads x at  p·stride - padding + r·dilation.
# dx reads dy at  (h + padding - r·dilation) / stride,  if that is a whole number. DIVIDE: a stride is not 1.
_GATHER = """
typedef TYPE T;
struct Image { int N, H, W, C, n, h, w, c; };                        // its sizes, and the strides between its elements
struct Moves { int P, Q, R, S, step_y, step_x, from_y, from_x, tap_y, tap_x, divide_y, divide_x; };
struct Place { int y, x, at; };                                      // of a window, or in it; `at` in memory

__device__ inline Place point_of(int m, int M, Image image, Moves move) {
    if (m >= M) return {-(1 << 30), 0, 0};                           // beyond the last: every read is outside
    int q = m % move.Q, p = m / move.Q % move.P, n = m / (move.Q * move.P);
    int y = p * move.step_y + move.from_y, x = q * move.step_x + move.from_x;
    return {y, x, n * image.n + (DIVIDE ? 0 : y * image.h + x * image.w)};
}

__device__ inline Place tap_of(int r, int s, int c, Image image, Moves move) {
    int y = r * move.tap_y, x = s * move.tap_x;
    return {y, x, c * image.c + (DIVIDE ? 0 : y * image.h + x * image.w)};
}

__device__ inline T pixel(const T* image_, Place point, Place tap, Image image, Moves move) {
    int y = point.y + tap.y, x = point.x + tap.x, at = point.at + tap.at;
    if (DIVIDE) {
        if (y < 0 || x < 0 || y % move.divide_y || x % move.divide_x) return 0;
        y /= move.divide_y, x /= move.divide_x;
        at += y * image.h + x * image.w;
    }
    bool inside = (unsigned)y < (unsigned)image.H && (unsigned)x < (unsigned)image.W;  // a negative one is very large
    return inside ? image_[at] : T(0);
}
"""

_FORWARD = """
struct Weight { int r, s, in, out, group; };                         // the strides between its elements

// y (M, O·groups), M = N·P·Q. A thread computes TALL rows and WIDE columns of its block's tile, 16 times as large.
extern "C" __global__ void __launch_bounds__(256) convolution(
    const T* x, const T* w, const T* bias, T* y, Image image, Moves move, Weight weight, int O, int has_bias, int relu
) {
    __shared__ __align__(16) T left[16][16 * TALL + 4], right[16][16 * WIDE + 4];  // + 4: fewer threads share a bank
    int M = image.N * move.P * move.Q, K = move.R * move.S * image.C, group = blockIdx.z, groups = gridDim.z;
    int row0 = blockIdx.x * 16 * TALL, column0 = blockIdx.y * 16 * WIDE;
    x += group * image.C * image.c, w += group * weight.group, bias += group * O;
    int across = threadIdx.x % 16, down = threadIdx.x / 16;
    Place points[TALL];                                              // of the rows that this thread gathers
    for (int i = 0; i < TALL; ++i) points[i] = point_of(row0 + down + 16 * i, M, image, move);
    T sum[TALL][WIDE] = {}, a[TALL], b[WIDE];
    for (int k0 = -16; k0 < K; k0 += 16) {
        if (k0 >= 0) {                                               // the tiles that were gathered in the last round
            __syncthreads();
            for (int i = 0; i < TALL; ++i) left[across][down + 16 * i] = a[i];
            for (int j = 0; j < WIDE; ++j) right[across][down + 16 * j] = b[j];
            __syncthreads();
        }
        int k = k0 + 16 + across, c = k % image.C, s = k / image.C % move.S, r = k / (image.C * move.S);
        Place tap = tap_of(r, s, c, image, move);
        const T* row = w + r * weight.r + s * weight.s + c * weight.in;
        for (int i = 0; i < TALL; ++i) a[i] = k < K ? pixel(x, points[i], tap, image, move) : T(0);
        for (int j = 0; j < WIDE; ++j) {
            int o = column0 + down + 16 * j;
            b[j] = k < K && o < O ? row[o * weight.out] : T(0);
        }
        if (k0 < 0) continue;
        #pragma unroll
        for (int k = 0; k < 16; ++k) {
            T u[TALL], v[WIDE];
            for (int i = 0; i < TALL; ++i) u[i] = left[k][TALL * down + i];
            for (int j = 0; j < WIDE; ++j) v[j] = right[k][WIDE * across + j];
            for (int i = 0; i < TALL; ++i) for (int j = 0; j < WIDE; ++j) sum[i][j] += u[i] * v[j];
        }
    }
    for (int i = 0; i < TALL; ++i) for (int j = 0; j < WIDE; ++j) {
        int m = row0 + TALL * down + i, o = column0 + WIDE * across + j;
        if (m >= M || o >= O) continue;
        T value = sum[i][j] + (has_bias ? bias[o] : T(0));
        y[((long long)m * groups + group) * O + o] = relu && value < 0 ? T(0) : value;  // NaN stays
    }
}
"""

_WEIGHTS = """
// parts (runs of rows, groups, K + 1, O): each run's part of dw; the last of the K + 1 rows is its part of db.
extern "C" __global__ void __launch_bounds__(256) weight_gradient(
    const T* x, const T* dy, T* parts, Image image, Moves move, int O, int groups, int rows
) {
    __shared__ __align__(16) T left[16][16 * TALL], right[16][16 * WIDE];
    int M = image.N * move.P * move.Q, K = move.R * move.S * image.C;
    int k0 = blockIdx.x * 16 * TALL, column0 = blockIdx.y * 16 * WIDE;
    int group = blockIdx.z % groups, first = blockIdx.z / groups * rows;
    x += group * image.C * image.c;
    int across = threadIdx.x % 16, down = threadIdx.x / 16, last = min(M, first + rows);
    Place taps[TALL];                                                // of the columns of A that this thread gathers
    for (int i = 0; i < TALL; ++i) {
        int k = k0 + across + 16 * i;
        taps[i] = tap_of(k / (image.C * move.S), k / image.C % move.S, k % image.C, image, move);
    }
    T sum[TALL][WIDE] = {};
    for (int m0 = first; m0 < last; m0 += 16) {
        int m = m0 + down;
        Place point = point_of(m, last, image, move);
        for (int i = 0; i < TALL; ++i) {
            int k = k0 + across + 16 * i;
            left[down][across + 16 * i] = k < K ? pixel(x, point, taps[i], image, move) : T(k == K && m < last);
        }
        for (int j = 0; j < WIDE; ++j) {
            int o = column0 + across + 16 * j;
            right[down][across + 16 * j] = m < last && o < O ? dy[((long long)m * groups + group) * O + o] : T(0);
        }
        __syncthreads();
        #pragma unroll
        for (int i16 = 0; i16 < 16; ++i16) {
            T a[TALL], b[WIDE];
            for (int i = 0; i < TALL; ++i) a[i] = left[i16][TALL * down + i];
            for (int j = 0; j < WIDE; ++j) b[j] = right[i16][WIDE * across + j];
            for (int i = 0; i < TALL; ++i) for (int j = 0; j < WIDE; ++j) sum[i][j] += a[i] * b[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < TALL; ++i) for (int j = 0; j < WIDE; ++j) {
        int k = k0 + TALL * down + i, o = column0 + WIDE * across + j;
        if (k <= K && o < O) parts[((long long)blockIdx.z * (K + 1) + k) * O + o] = sum[i][j];
    }
}

// dw (O·groups, C, R, S) and db from the parts. For each element, eight threads add every eighth part, then their sums.
extern "C" __global__ void add_parts(const T* parts, T* dw, T* db, int count, int groups, int C, int RS, int O) {
    __shared__ T sums[8][32];
    int K = RS * C, size = groups * (K + 1) * O, i = blockIdx.x * 32 + threadIdx.x;
    T sum = 0;
    if (i < size)
        for (int part = threadIdx.y; part < count; part += 8) sum += parts[(long long)part * size + i];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || i >= size) return;
    for (int y = 1; y < 8; ++y) sum += sums[y][threadIdx.x];
    int k = i / O % (K + 1), o = i / O / (K + 1) * O + i % O;
    if (k == K) db[o] = sum;
    else dw[(o * C + k % C) * RS + k / C] = sum;
}
"""


class Moves(NamedTuple):
    """Stride, padding and dilation of a convolution, and its number of groups."""

    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth
    groups: int


class Tile(NamedTuple):
    """Rows and columns that a thread computes. A block computes 16 times as many of each."""

    tall: int
    wide: int


class KernelArguments(NamedTuple):
    """A kernel's arguments: sizes of the result, the structs `Moves` and `Weight`, groups, whether it divides."""

    outputs: HeightWidth
    moves: Array
    weight: Array
    groups: int
    divide: bool


def forward(x: Floats, w: Floats, b: Floats | None, moves: Moves, outputs: HeightWidth, relu: bool) -> Floats:
    """Return the convolution with its bias, channels-last: (N, P, Q, O). With `relu`, negative values become 0.

    Shapes: x (N, H, W, C), with any strides; w (O, C/groups, R, S); b (O,).
    """
    R, S = w.shape[2:]
    weight = _struct(S, 1, R * S, w[0].size, w.size // moves.groups)
    walk = KernelArguments(outputs, _forward_moves(w, moves, outputs), weight, moves.groups, False)
    return _convolved(x, w, b, len(w) // moves.groups, walk, relu)


def backward_input(dz: Floats, w: Floats, moves: Moves, size: HeightWidth) -> Floats:
    """Return dx (N, H, W, C) from dz (N, P, Q, O): a convolution of dz, with input and output channels exchanged."""
    R, S = w.shape[2:]
    (sy, sx), (py, px), (dy, dx), groups = moves
    move, weight = (
        _struct(*size, R, S, 1, 1, py, px, -dy, -dx, sy, sx),
        _struct(S, 1, w[0].size, R * S, w.size // groups),
    )
    return _convolved(
        dz, w, None, w.shape[1], KernelArguments(size, move, weight, groups, max(moves.stride) > 1), False
    )


def _forward_moves(w: Floats, moves: Moves, outputs: HeightWidth) -> Array:
    """Return the kernels' `Moves` for reading windows as in the forward pass."""
    (sy, sx), (py, px), (dy, dx), _ = moves
    return _struct(*outputs, *w.shape[2:], sy, sx, -py, -px, dy, dx, 1, 1)


def _convolved(x: Floats, w: Floats, b: Floats | None, O: int, walk: KernelArguments, relu: bool) -> Floats:
    """Return y (N, P, Q, O·groups), with O columns for each group."""
    y: Floats = cupy.empty((len(x), *walk.outputs, O * walk.groups), x.dtype)
    wide = _wide(O)
    grid = -(-(y.size // y.shape[3]) // (16 * TALL)), -(-O // (16 * wide)), walk.groups
    numbers = (np.int32(O), np.int32(b is not None), np.int32(relu))
    arguments = (x, w, w if b is None else b, y, _image(x, walk.groups), walk.moves, walk.weight, *numbers)
    _kernel("convolution", _FORWARD, x.dtype.char, Tile(TALL, wide), walk.divide)(grid, (THREADS,), arguments)
    return y


def backward_parameters(x: Floats, dz: Floats, moves: Moves, dw: Floats, db: Floats) -> None:
    """Fill dw (O, C/groups, R, S) and db (O,) from dz (N, P, Q, O), which is contiguous."""
    groups, (C, R, S) = moves.groups, dw.shape[1:]
    O = len(dw) // groups
    M, K, wide = dz.size // len(dw), C * R * S, _wide(O)
    tall = 4 if K + 1 > 16 else 1
    tiles = -(-(K + 1) // (16 * tall)), -(-O // (16 * wide))
    count = max(1, min(-(-M // 64), BLOCKS // (tiles[0] * tiles[1] * groups)))
    rows = -(-M // count)
    parts = cupy.empty((count, groups, K + 1, O), dw.dtype)
    walk = _image(x, groups), _forward_moves(dw, moves, dz.shape[1:3])
    arguments = (x, dz, parts, *walk, np.int32(O), np.int32(groups), np.int32(rows))
    grid = (*tiles, count * groups)
    _kernel("weight_gradient", _WEIGHTS, x.dtype.char, Tile(tall, wide))(grid, (THREADS,), arguments)
    numbers = map(np.int32, (count, groups, C, R * S, O))
    blocks = -(-groups * (K + 1) * O // 32)
    _kernel("add_parts", _WEIGHTS, x.dtype.char, Tile(tall, wide))((blocks,), (32, 8), (parts, dw, db, *numbers))


def _image(x: Floats, groups: int) -> Array:
    """Return the kernels' `Image`: the sizes and strides of x (N, H, W, C), with the channels of one group."""
    return _struct(*x.shape[:3], x.shape[3] // groups, *(stride // x.itemsize for stride in x.strides))


def _struct(*numbers: int) -> Array:
    """Return integers as a C struct, which a launch takes by value."""
    struct: Array = np.array([numbers], "i4").view(np.dtype((np.void, 4 * len(numbers))))[0]
    return struct


def _wide(O: int) -> int:
    """Return how many columns a thread computes: few channels fill only a narrow tile."""
    return 4 if O > 32 else 2 if O > 16 else 1


@cache
def _kernel(name: str, source: str, char: str, tile: Tile, divide: bool = False) -> cupy.RawKernel:
    """Return a kernel for a dtype and a tile."""
    number = {"f": "float", "d": "double"}[char]
    names = {"TYPE": number, "TALL": tile.tall, "WIDE": tile.wide, "DIVIDE": int(divide)}
    lines = [f"#define {name} {value}" for name, value in names.items()]
    return cupy.RawKernel("\n".join([*lines, _GATHER, source]), name)
