"""Features as rows, one a sample, with the checks that every loss of features begins with."""

from minikd.checks import check_alike, check_float
from minikd.errors import ShapeError
from minikd.typing import Floats


def feature_rows(fs: Floats, ft: Floats, least: int = 1) -> tuple[Floats, Floats]:
    """Return the student's and the teacher's feature as (N, Ds) and (N, Dt), maps flattened sample by sample.

    Refuses what is no feature, two dtypes or array libraries, two batches, and batches of fewer than `least` samples.
    """
    for f, name in ((fs, "fs"), (ft, "ft")):
        if f.ndim not in (2, 4) or 0 in f.shape:
            raise ShapeError(f"{name} has shape {f.shape}, but a feature is (N, D), or maps (N, C, H, W); no axis is 0")
        check_float(f, name)
    check_alike(fs, ft, "fs", "ft")
    if len(fs) != len(ft):
        raise ShapeError(
            f"fs has {len(fs)} samples, but ft has {len(ft)}: both must come from the same batch, in the same order"
        )
    if len(fs) < least:
        raise ShapeError(
            f"fs has a batch of {len(fs)}, but this loss compares samples with one another: it needs {least} or more; "
            "use larger batches, or leave out the rest of the data"
        )
    return fs.reshape(len(fs), -1), ft.reshape(len(ft), -1)
