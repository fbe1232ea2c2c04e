"""Exports of a model as ONNX, C or an HTML page, in float32 or in integers that give the same result everywhere.

    chain         a model as a flat list of layers, which all exports start from
    integer       the arithmetic in whole numbers, derived and computed in NumPy
    quantize      from floats to it      calibration   the scales of activations      packing   its weights as bytes
    onnx          float32 as ONNX    onnx_int8   whole numbers as ONNX    graph, runtime          built and run
    c             C99: c_float, c_int8, c_source, and the functions themselves in c_parts/
    write         the files of an export, and their errors on the test images

`minikd.export` is its one public function.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from minikd.nn.renamed import renamed

if TYPE_CHECKING:
    from minikd.data import Dataset
    from minikd.exports.page import Page
    from minikd.exports.write import Exported
    from minikd.nn import Sequential


@renamed(int8="quantize")
def export(
    model: "Sequential",
    data: "Dataset",
    to: str = "onnx",
    *,
    path: str | Path,
    quantize: str = "none",
    temperature: float = 1.0,
) -> "Exported | Page":
    """Write the model to `path` as "onnx", "c" or "html". Return what was written, and its results on `data`.

    Pixels are prepared as in `minikd.train`. quantize: round the weights to "int8", "int4" or "ternary", calibrated on
    the training images. For the last two, the model should be trained with rounding, see `minikd.distill`. temperature:
    the temperature of the soft targets, for the ONNX file's metadata and for the page.

    Raises ConfigError for a layer that cannot be exported, with its name and the reason, and for data with other
    classes than the model's. Also raises the errors of `minikd.evaluate`.
    """
    from minikd.api import matched
    from minikd.arguments import expect_data, expect_model, path_of
    from minikd.data import mean_and_std
    from minikd.exports.integer import check_kind
    from minikd.exports.write import ExportOrder, check_target, write
    from minikd.losses.softmax import check_temperature
    from minikd.weights import Card

    expect_model(model, "model")
    expect_data(data)
    kind, path, temperature = check_kind(quantize), path_of(path), check_temperature(temperature)
    data = matched(model, data, "the model")
    check_target(to, path)
    card = Card.of(path.stem, data, *mean_and_std(data.train_images))
    if to == "html":
        from minikd.exports.page import write_page

        return write_page({card.name: (model, card)}, data, path, kind, temperature)
    return write(ExportOrder(to, path, kind, temperature), model, card, data)
