"""Softmax and the losses that use it, with their gradients."""

from functools import cache
from typing import NamedTuple

import cupy
import numpy as np

from minikd.typing import Floats, Ints, Scalar

# One thread computes a row: the largest logit, the sum of the exponentials, the result. It suits some hundred classes.
_log_softmax = cupy.ElementwiseKernel(
    "raw T z, T temperature, int64 K",
    "raw T logq",
    """
    T largest = z[i * K] / temperature, sum = 0;
    for (long long k = 1; k < K; ++k) {
        T value = z[i * K + k] / temperature;
        if (value > largest || value != value) largest = value;
    }
    for (long long k = 0; k < K; ++k) sum += exp(z[i * K + k] / temperature - largest);
    T rest = log(sum);
    for (long long k = 0; k < K; ++k) logq[i * K + k] = z[i * K + k] / temperature - largest - rest;
    """,
    "minikd_log_softmax",
)


def log_softmax(logits: Floats, temperature: float) -> Floats:
    """Return log softmax(logits / temperature), (N, K)."""
    logq: Floats = cupy.empty(logits.shape, logits.dtype)
    _log_softmax(logits, temperature, logits.shape[1], logq, size=len(logits))
    return logq


# The loss of row n and its gradient, each term times its weight. z: the student's logits, v: the teacher's.
#
#     soft · T²·Σ_k p_k (log p_k − log q_k),  p = softmax(v/T), q = softmax(z/T);    soft · T (q − p)/N
#     −hard · Σ_k t_k log q_k,                t = (1 − ε)·[k is the label] + ε/K;    hard · (q − t)/N,  q = softmax(z)
#
# One thread computes a row; a block computes up to 1,024 rows. The block adds their losses in a fixed order.
# If a label is no class, its row becomes NaN: the host does not check labels on a device.
_LOSSES = """
struct Row { T largest, rest; };                                     // log softmax(z/T)_k = z_k/T - largest - rest

__device__ Row row_of(const T* z, int K, T temperature) {
    T largest = z[0] / temperature, sum = 0;
    for (int k = 1; k < K; ++k) {
        T value = z[k] / temperature;
        if (value > largest || value != value) largest = value;
    }
    for (int k = 0; k < K; ++k) sum += exp(z[k] / temperature - largest);
    return {largest, log(sum)};
}

extern "C" __global__ void minikd_losses(
    const T* z, const T* v, const long long* labels, T* dz, T* losses, int N, int K,
    T temperature, T soft, T hard, T smoothing
) {
    __shared__ double sums[1024];
    int n = blockIdx.x * blockDim.x + threadIdx.x;
    double loss = 0;
    if (n < N) {
        z += (long long)n * K, dz += (long long)n * K;
        for (int k = 0; k < K; ++k) dz[k] = 0;
        if (soft != 0) {
            v += (long long)n * K;
            Row of_z = row_of(z, K, temperature), of_v = row_of(v, K, temperature);
            for (int k = 0; k < K; ++k) {
                T logp = v[k] / temperature - of_v.largest - of_v.rest, p = exp(logp);
                T logq = z[k] / temperature - of_z.largest - of_z.rest;
                if (p != 0) loss += soft * temperature * temperature * p * (logp - logq);
                dz[k] = soft * temperature * (exp(logq) - p) / N;
            }
        }
        if (hard != 0) {
            Row of_z = row_of(z, K, 1);
            long long label = labels[n];
            T one = label >= 0 && label < K ? T(1) : T(nan(""));
            for (int k = 0; k < K; ++k) {
                T logq = z[k] - of_z.largest - of_z.rest;
                T target = one * ((k == label ? 1 - smoothing : T(0)) + smoothing / K);
                if (target != 0) loss -= hard * target * logq;
                dz[k] += hard * (exp(logq) - target) / N;
            }
        }
    }
    sums[threadIdx.x] = loss;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) losses[blockIdx.x] = sums[0] / N;
}
"""

ROWS = 1024
"""Rows of a block. With more rows, a second launch adds the sums of the blocks."""


@cache
def _losses(char: str) -> cupy.RawKernel:
    """Return the kernel for a dtype."""
    return cupy.RawKernel(f"typedef {'float' if char == 'f' else 'double'} T;{_LOSSES}", "minikd_losses")


class TermWeights(NamedTuple):
    """The weight of the soft term, the weight of the hard term, and the label smoothing of the hard term."""

    soft: float
    hard: float
    smoothing: float


def _weighted(z: Floats, v: Floats, labels: Ints, temperature: float, weights: TermWeights) -> tuple[Scalar, Floats]:
    """Return the weighted loss, () on the device, and its gradient with respect to z, (N, K)."""
    z, v, (N, K) = cupy.ascontiguousarray(z), cupy.ascontiguousarray(v), z.shape
    threads = min(ROWS, 1 << max(5, (N - 1).bit_length()))
    blocks = -(-N // threads)
    dz, losses = cupy.empty_like(z), cupy.empty(blocks, z.dtype)
    numbers = (z.dtype.type(number) for number in (temperature, *weights))
    _losses(z.dtype.char)((blocks,), (threads,), (z, v, labels, dz, losses, np.int32(N), np.int32(K), *numbers))
    return losses[0] if blocks == 1 else losses.sum(), dz


def cross_entropy(logits: Floats, labels: Ints, smoothing: float) -> tuple[Scalar, Floats]:
    """Return the mean cross-entropy against class numbers (N,), int64, and its gradient (N, K)."""
    return _weighted(logits, logits, cupy.asarray(labels), 1.0, TermWeights(0.0, 1.0, smoothing))


def kl_divergence(student_logits: Floats, teacher_logits: Floats, temperature: float) -> tuple[Scalar, Floats]:
    """Return T²·KL(teacher ‖ student), a mean over the batch, and its gradient with respect to student_logits."""
    no_labels = cupy.empty(0, "i8")
    return _weighted(student_logits, teacher_logits, no_labels, temperature, TermWeights(1.0, 0.0, 0.0))


def distillation_loss(
    student_logits: Floats, teacher_logits: Floats, labels: Ints, temperature: float, alpha: float
) -> tuple[Scalar, Floats]:
    """Return alpha·`kl_divergence` + (1 - alpha)·`cross_entropy`, and its gradient, in one launch."""
    there = cupy.asarray(labels)
    return _weighted(student_logits, teacher_logits, there, temperature, TermWeights(alpha, 1.0 - alpha, 0.0))


# α a + β b
_mix = cupy.ElementwiseKernel("T a, T b, T alpha, T beta", "T mixed", "mixed = alpha * a + beta * b", "minikd_mix")


def mix(a: Floats, alpha: float, b: Floats, beta: float) -> Floats:
    """Return alpha·a + beta·b."""
    mixed: Floats = _mix(a, b, alpha, beta)
    return mixed
