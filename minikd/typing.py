"""Names for the arrays that travel through the package.

A CuPy array has the type of a NumPy array, because the engine's code is the same for both.
"""

from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating]
"""float32 or float64: normalised images, activations, logits, parameters, gradients."""

FLOATS = frozenset({np.dtype(np.float32), np.dtype(np.float64)})
"""The dtypes of `Floats`: what the engine computes in."""

Ints: TypeAlias = npt.NDArray[np.integer]
"""Labels and sample indices, on the host."""

Pixels: TypeAlias = npt.NDArray[np.uint8] | Floats
"""Images as they are stored: (N, C, H, W), uint8 in 0-255 or floats in 0-1."""

Array: TypeAlias = npt.NDArray[np.generic]
"""Any of these."""

ArrayT = TypeVar("ArrayT", bound=Array)

Scalar: TypeAlias = np.floating | float
"""A loss: a 0-d value of the logits' dtype, on the device that computed it."""

Shape: TypeAlias = tuple[int, ...]

Mask: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.unsignedinteger]
"""True or False, or a small code, for each element of another array."""

HeightWidth: TypeAlias = tuple[int, int]
"""A number for the rows and one for the columns: of a kernel, its stride, an image."""
