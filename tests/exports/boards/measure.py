"""Print the table of results/export.md: `python -m tests.exports.boards.measure WEIGHTS ... [--quantize KIND]`."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from minikd.data import load_dataset
from minikd.exports.c import integer_c
from minikd.exports.integer import LEVELS, integer_logits
from minikd.exports.quantize import quantize
from minikd.models import describe
from minikd.weights import load_model
from tests.exports import compiled
from tests.exports.boards import emulated

HEADER = (
    "| network | board | constants | flash | static RAM | stack | for one image | equal |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--quantize", choices=LEVELS, default="int8")
    arguments = parser.parse_args()
    digits = load_dataset("mnist")
    print(HEADER, flush=True)
    for path in arguments.weights:
        model, card = load_model(path)
        whole = quantize(model, card, digits.train_images, kind=arguments.quantize)
        images = digits.test_images[: arguments.images]
        files = integer_c(whole, card, "student", describe(model), images)
        with tempfile.TemporaryDirectory() as folder:
            compiled.write(files, Path(folder))
            first = f"| {describe(model)}, {arguments.quantize} | "
            print(first + on_arm(folder, files, images, integer_logits(whole, images)), flush=True)
            print(first + on_avr(folder, files), flush=True)


def on_arm(folder, files, images, right):
    """Return the row of the Cortex-M3."""
    board = f"Cortex-M3, 128 kB and 8 kB | {files.constant_bytes:,} | "
    try:
        run = emulated.cortex_m(folder, images, working=files.working_bytes)
    except emulated.DoesNotFit as error:
        return board + refused(error)
    same = int((run.logits == right).all(1).sum())
    cost = f"{run.cost:,.0f} instructions"
    return board + f"{run.flash:,} | {run.static:,} | {run.stack:,} | {cost} | {same:,} of {len(images):,} images |"


def on_avr(folder, files):
    """Return the row of the AVR."""
    board = f"ATmega328P, 32 kB and 2 kB | {files.constant_bytes:,} | "
    try:
        run = emulated.avr(folder)
    except emulated.DoesNotFit as error:
        return board + refused(error)
    milliseconds = f"{run.cost:,.0f} clocks, {run.cost / 16e3:.0f} ms at 16 MHz"
    alike = "its selftest" if run.selftest == 0 else f"selftest {run.selftest}"
    return board + f"{run.flash:,} | {run.static:,} | {run.stack:,} | {milliseconds} | {alike} |"


def refused(error):
    """Return the rest of a row, in the linker's words."""
    words = "; ".join(line.split(": ")[-1] for line in str(error).splitlines() if "will not fit" not in line)
    return f"does not fit: {words} | | | | |"


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
