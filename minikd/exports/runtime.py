"""Runs an exported ONNX file in onnxruntime."""

from types import ModuleType

import numpy as np

from minikd.errors import BackendError, how_to_install
from minikd.typing import Floats, Pixels

AT_ONCE = 100
"""The number of images in a call of the runtime."""


def runtime() -> ModuleType:
    """Return the package onnxruntime. Raises BackendError if it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(f"checking ONNX needs the extra `export`: {how_to_install('export')} ({error})") from error
    found: ModuleType = onnxruntime
    return found


def runtime_logits(model: bytes, pixels: Pixels, optimize: bool = True) -> Floats:
    """Return the logits (N, K) that onnxruntime computes for raw pixels, on the CPU.

    optimize: whether it may rewrite and fuse the graph, as it does by default. Raises BackendError if it is not
    installed.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    parts = (pixels[i : i + AT_ONCE] for i in range(0, len(pixels), AT_ONCE))
    logits: Floats = np.concatenate([session.run(["logits"], {"pixels": part})[0] for part in parts])
    return logits
