"""What lesson 16's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work


def check(work: Work) -> None:
    """Check against the same sums written out channel by channel; O = C, so that a wrong axis has the right shape."""
    w = np.random.default_rng(16).standard_normal((3, 3, 2, 2)) * np.array([1, 5, 0.2])[:, None, None, None]
    scale = np.array([max(abs(v) for v in channel.ravel()) / 127 for channel in w])
    q = np.stack([np.rint(channel / s) for channel, s in zip(w, scale, strict=True)])
    work.same(
        "scales",
        (w,),
        scale,
        suspects={
            "the largest of each input channel: this is the wrong axis": np.abs(w).max(axis=(0, 2, 3)) / 127,
            "one scale for all: each output channel has its own": np.full(3, np.abs(w).max() / 127),
            "the largest w, not the largest |w|": w.max(axis=(1, 2, 3)) / 127,
            "divided by 128: then the largest would round to 128, which is outside int8": scale * 127 / 128,
            "divided by 255, which is for uint8: int8 is symmetric, -127 to 127": scale * 127 / 255,
        },
    )
    work.same(
        "quantise",
        (w, scale),
        q,
        suspects={
            "truncated, not rounded: a cast removes the fraction": np.trunc(w / scale[:, None, None, None]),
            "rounded down, not to the nearest": np.floor(w / scale[:, None, None, None]),
            "uint8 has no negative numbers, so they wrapped around: use int8": q % 256,
            "the scale is applied to the wrong axis: it belongs to the first axis": np.rint(w / scale[:, None, None])
            .astype(np.int64)
            .astype(np.int8),
        },
    )
    work.same(
        "quantise",
        (w, scale),
        1.0,
        claim="quantise returns int8: one byte for each weight",
        part=lambda found: float(np.asarray(found).dtype == np.int8),
        suspects={"the dtype is not int8: use .astype(np.int8)": 0.0},
    )
    work.same(
        "dequantise",
        (q.astype(np.int8), scale),
        np.stack([channel * s for channel, s in zip(q, scale, strict=True)]),
        suspects={
            "the scale is applied to the wrong axis: it belongs to the first": q * scale[:, None, None],
            "divided by the scale: quantise did that": q / scale[:, None, None, None],
            "cast back to whole numbers: the result must be floats": np.trunc(q * scale[:, None, None, None]),
        },
    )
