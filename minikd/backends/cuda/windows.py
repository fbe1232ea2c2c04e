"""The adjoint of taking windows: each pixel sums the values that its windows send back."""

import cupy

from minikd.typing import Floats, Shape

# Each pixel of dx̄ (N, H, W, C) sums the elements of dcols (N, P, Q, R, S, C) that were copied from it.
_gather_windows = cupy.ElementwiseKernel(
    "raw T dcols, int64 H, int64 W, int64 C, int64 P, int64 Q, int64 R, int64 S, "
    "int64 sy, int64 sx, int64 dy, int64 dx",
    "T dpadded",
    """
    long long c = i % C, column = i / C % W, row = i / C / W % H, n = i / C / W / H;
    T sum = 0;
    for (long long r = 0; r < R; ++r) {
        long long p = row - r * dy;
        if (p < 0 || p % sy || p / sy >= P) continue;
        for (long long s = 0; s < S; ++s) {
            long long q = column - s * dx;
            if (q < 0 || q % sx || q / sx >= Q) continue;
            sum += dcols[((((n * P + p / sy) * Q + q / sx) * R + r) * S + s) * C + c];
        }
    }
    dpadded = sum;
    """,
    "minikd_gather_windows",
)


def gather_windows(
    dcols: Floats, dpadded: Floats, outputs: Shape, kernel: Shape, stride: Shape, dilation: Shape
) -> None:
    """Fill dpadded (N, H, W, C): each pixel is the sum of the values that all windows send back to it."""
    _gather_windows(dcols, *dpadded.shape[1:], *outputs, *kernel, *stride, *dilation, dpadded)
