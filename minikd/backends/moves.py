"""The settings of a block's layers that the compiled loops and the kernels for a device need."""

from typing import NamedTuple

from minikd.typing import HeightWidth


class Block(NamedTuple):
    """The convolution's stride, padding and dilation, the pooling's window, whether a ReLU follows, and the groups.

    groups: the number of parts into which the convolution's channels are divided, see `nn.conv`.
    """

    stride: HeightWidth
    padding: HeightWidth
    dilation: HeightWidth
    window: HeightWidth
    relu: bool
    groups: int = 1
