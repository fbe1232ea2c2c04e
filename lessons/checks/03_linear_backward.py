"""What lesson 3's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work


def check(work: Work) -> None:
    """Check both layers forwards by a formula of their own, backwards numerically."""
    rng = np.random.default_rng(3)
    x, g, b = rng.standard_normal((5, 4)), rng.standard_normal(4), rng.standard_normal(4)
    want = np.einsum("nc,c->nc", x, g) + b
    work.same(
        "scale_shift",
        (x, g, b),
        want,
        part=lambda found: found[0],
        suspects={"the shift is missing": want - b, "the shift is scaled too: g (x + b)": want - b + g * b},
    )
    work.gradients(
        "scale_shift",
        "scale_shift_backward",
        {"x": x, "g": g, "b": b},
        usual="x_nc affects only y_nc, with the factor g_c; g_c and b_c affect every sample n, so dg and db are sums "
        "over n (axis 0), of dy * x and of dy, without a mean",
    )
    x, w, mask = (
        rng.standard_normal((5, 4)),
        rng.standard_normal((3, 4)),
        np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1] * 4], bool),
    )
    want = np.einsum("nc,oc,oc->no", x, w, mask)
    work.same(
        "masked",
        (x, w, mask),
        want,
        part=lambda found: found[0],
        suspects={"the mask is missing": np.einsum("nc,oc->no", x, w)},
    )
    work.gradients(
        "masked",
        "masked_backward",
        {"x": x, "w": w, "mask": mask},
        usual="dx needs the weights of the forward pass, mask * w; and dw_oc has the factor mask_oc, so a "
        "weight that is off has the gradient 0",
    )
