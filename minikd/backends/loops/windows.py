"""The adjoint of "take windows" as one loop: the gradient of each window is added to the pixels that it read.

NumPy adds once for each position of the kernel, for all windows.
"""

from minikd.backends.loops.compiling import kernel, wide
from minikd.typing import Floats, Shape


def gather_windows(
    dcols: Floats, dpadded: Floats, outputs: Shape, kernel_size: Shape, stride: Shape, dilation: Shape
) -> None:
    """Add each row of dcols (N·P·Q, R·S·C) to the pixels of dpadded (N, H, W, C) that its window read; it was 0."""
    (P, Q), (R, S), C = outputs, kernel_size, dpadded.shape[3]
    _add_windows(dcols.reshape(-1, P, Q, R, S, C), dpadded, *stride, *dilation)


@kernel
def _add_windows(dcols: Floats, dpadded: Floats, sy: int, sx: int, dy: int, dx: int) -> None:
    wide()
    N, P, Q, R, S, C = dcols.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for r in range(R):
                    for s in range(S):
                        for c in range(C):
                            dpadded[n, p * sy + r * dy, q * sx + s * dx, c] += dcols[n, p, q, r, s, c]
