"""Random numbers that depend on a sample, not on the order in which samples are drawn.

With an ordinary generator, the numbers of a sample would depend on the numbers drawn before. The state of SplitMix64
(Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014, figure 17) is a counter, key + n · GAMMA.
So its n-th number can be computed directly, for many n in one expression and on any number of threads.
"""

import numpy as np
import numpy.typing as npt

from minikd.backends import kernels_of
from minikd.typing import Floats, Ints

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio, made odd


def keys(seed: int, epoch: int, count: int) -> npt.NDArray[np.uint64]:
    """Return `count` keys of one epoch of one run, for as many independent streams."""
    state: npt.NDArray[np.uint64] = np.random.SeedSequence((seed, epoch)).generate_state(count, np.uint64).astype("u8")
    return state


def uniform(key: np.uint64, index: Ints, count: int) -> Floats:
    """Return `count` float32 numbers in [0, 1) for each sample number in `index`: (N, count).

    Row i holds numbers from the stream of `key`, beginning at number index[i] · ⌈count / 2⌉. Each 64-bit number gives
    two, one from each half.
    """
    drawn = np.empty((len(index), count), np.float32)
    if kernels := kernels_of(drawn):
        kernels.uniform(key, index, drawn)
        return drawn
    pairs = (count + 1) // 2
    first = index.astype(np.uint64) * np.uint64(pairs)
    z: npt.NDArray[np.uint64] = np.add(first[:, None], np.arange(1, pairs + 1, dtype=np.uint64))
    z *= GAMMA
    z += key
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    halves = z.astype("<u8", copy=False).view("<u4")[:, :count]
    halves = halves >> np.uint32(8)  # 24 bits, the precision of a float32
    np.multiply(halves, np.float32(2.0**-24), out=drawn)
    return drawn
