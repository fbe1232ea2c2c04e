"""How the layers of a block move: what the compiled loops and a device's kernels are told of it."""

from typing import NamedTuple

from minikd.typing import HeightWidth


class Block(NamedTuple):
    """How the layers of a block move: the convolution's stride, padding and dilation, the pooling's window, ReLU.

    groups: into how many runs the convolution's channels are cut, see `nn.conv`.
    """

    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth
    window: HeightWidth
    relu: bool
    groups: int = 1
