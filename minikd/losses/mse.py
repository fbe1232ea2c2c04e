"""Mean squared error, over all elements of any shape.

L = (1/size) Σ (prediction - target)²,   so   dprediction = (2/size) (prediction - target)
"""

from minikd.errors import ShapeError
from minikd.losses.softmax import check_pair
from minikd.typing import Floats, Scalar


def mse(prediction: Floats, target: Floats) -> tuple[Scalar, Floats]:
    """Return the mean squared error over all elements, and its gradient with respect to the prediction.

    Shapes: any, the same for both; one dtype. Infinite elements have no distance: NaN. Raises ShapeError and
    DtypeError.
    """
    check_pair(prediction, target, "prediction", "target")
    if prediction.size == 0:
        raise ShapeError(f"prediction has shape {prediction.shape}: the mean of no elements is undefined")
    difference = prediction - target
    loss: Scalar = (difference * difference).mean()
    return loss, difference * (2.0 / prediction.size)
