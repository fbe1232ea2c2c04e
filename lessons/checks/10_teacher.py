"""What lesson 10's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work
from minikd.losses import cross_entropy
from minikd.nn import Conv2d, Flatten, Linear, MaxPool2d, Sequential

Described = list[tuple[str, *tuple[int, ...]]]

TEACHER: Described = [("conv", 32, 3, 1, 1), ("pool", 2), ("conv", 64, 3, 1, 1), ("pool", 2), ("dense", 128)]
OTHER: Described = [("conv", 6, 5, 2, 0), ("conv", 9, 3, 1, 1), ("pool", 3), ("dense", 20), ("dense", 4)]


def check(work: Work) -> None:
    """Check the three functions: counts against the engine's layers, the mean against one large batch."""
    counts(work, "the parameters and multiply-adds of the lesson's teacher", TEACHER, (1, 28, 28))
    counts(work, "those of a network with a stride, for colour images that are not square", OTHER, (3, 32, 26))
    top_k(work)
    epoch(work)


def counts(work: Work, claim: str, layers: Described, image: tuple[int, int, int]) -> None:
    """Check `cost` for one network."""
    model = engines(layers, image)
    parameters, macs = model.size, model.macs(image)
    biases = sum(value.size for name, value in model.params.items() if name.endswith("bias"))
    bare, pooled = [layer for layer in layers if layer[0] != "pool"], engines(layers, image)
    unpooled = engines(bare, image)
    at_input, once, square, shape = 0, 0, 0, image
    for layer in pooled.layers:
        out = layer.output_shape(shape)
        if isinstance(layer, Conv2d):
            weights = layer.params["weight"].size
            at_input, once = at_input + weights * shape[1] * shape[2], once + weights
            square += weights * out[1] * out[1]
        else:
            at_input, once = at_input + layer.macs(shape), once + layer.macs(shape)
            square += layer.macs(shape)
        shape = out
    suspects: dict[str, object] = {
        "the biases are missing among the parameters: one for each filter and each dense unit": (
            parameters - biases,
            macs,
        ),
        "biases need no product: do not count them as multiply-adds": (parameters, macs + biases),
        "a convolution uses its weights once for each output position, P·Q; here they are counted once": (
            parameters,
            once,
        ),
        "count the output positions of a convolution, P·Q, not the input positions, H·W": (parameters, at_input),
        "P and Q differ if the image is not square: P·P was counted": (parameters, square),
        "pooling makes the image smaller for the layers after it": (unpooled.size, unpooled.macs(image)),
        "the two numbers are in the wrong order": (macs, parameters),
    }
    work.same("cost", (layers, image), (parameters, macs), claim=claim, within=0, suspects=suspects)


def engines(layers: Described, image: tuple[int, int, int]) -> Sequential:
    """Return the network that is described, of the engine's layers."""
    rng, made, shape = np.random.default_rng(0), Sequential(), image
    for kind, *numbers in layers:
        if kind == "pool":
            new = [MaxPool2d(numbers[0])]
        elif kind == "conv":
            out, size, stride, padding = numbers
            new = [Conv2d(shape[0], out, size, rng, stride=stride, padding=padding)]
        else:
            new = [Flatten(), Linear(int(np.prod(shape)), numbers[0], rng)]
        made = Sequential(*(layer.copy() for layer in made.layers), *new)
        shape = made.output_shape(image)
    return made


def top_k(work: Work) -> None:
    """Check `top_k_accuracy`; the oracle counts how many logits are larger than the label's."""
    rng = np.random.default_rng(10)
    logits, labels = rng.standard_normal((60, 8)), rng.integers(8, size=60)
    for k in (1, 3, 8):
        larger = (logits > logits[np.arange(60), labels][:, None]).sum(1)
        smaller = (logits < logits[np.arange(60), labels][:, None]).sum(1)
        work.same(
            "top_k_accuracy",
            (logits, labels, k),
            np.mean(larger < k),
            claim=f"top_k_accuracy for k = {k}",
            suspects={
                "these are the k smallest logits: np.argsort sorts from small to large": np.mean(smaller < k),
                "the label must be among the k, not at position k": np.mean(larger == k - 1),
                "one too many: k + 1 classes were used": np.mean(larger < k + 1),
                "one too few: k - 1 classes were used": np.mean(larger < k - 1),
                "this is the count, not the share: divide by N": np.sum(larger < k),
                "a sample has one label: divide by N, not by N·k": np.mean(larger < k) / k,
            },
        )


def epoch(work: Work) -> None:
    """Check `mean_over_batches` against the loss of all samples as one batch."""
    rng = np.random.default_rng(11)
    logits, labels = 3 * rng.standard_normal((70, 5)), rng.integers(5, size=70)
    parts = [slice(start, start + 32) for start in range(0, 70, 32)]
    means = np.array([cross_entropy(logits[part], labels[part])[0] for part in parts])
    sizes = np.array([len(labels[part]) for part in parts])
    work.same(
        "mean_over_batches",
        (means, sizes),
        cross_entropy(logits, labels)[0],
        suspects={
            "the mean of the batches' means: the samples of the small last batch count too much": means.mean(),
            "this is the sum over the samples: divide by their number": np.sum(means * sizes),
            "the sum is divided by the number of batches, not of samples": np.sum(means * sizes) / len(sizes),
            "the last batch counts as if it were full": np.sum(means * sizes) / (len(sizes) * sizes[0]),
        },
    )
