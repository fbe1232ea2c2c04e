"""Run the default recipe on random data sets, and look for what goes wrong: python -m tests.own_data.random_runs FOLDER

Each run goes the whole way of `minikd distill`: the search, the training with its steps back, the measurement and the
verdict. Only its budgets are small and its figures are not drawn. A run's number decides its data. What has ended is
kept in FOLDER/random.jsonl, so the command goes on where it was stopped. Its status is 1 where something went wrong.
"""

import argparse
import json
import math
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np

from minikd.distillation import budgets, run, search
from minikd.distillation.recipe import SEARCHED, Recipe
from minikd.distillation.results import MODELS, Results
from minikd.errors import Diverged
from minikd.report import summary_table, verdict

BUDGETS = {
    "FEWEST_STEPS": 20,
    "TEACHER_IMAGES": (1500, 1, 3000),
    "STUDENT_IMAGES": (6000, 2, 12_000),
    **{"TEACHER_MACS": 1e10, "LIVE_MACS": 2e10, "STUDENT_MACS": 1e10},
}
"""A twentieth of the default budgets, about."""

TINY = {**BUDGETS, "FEWEST_STEPS": 4, "TEACHER_IMAGES": (200, 1, 400), "STUDENT_IMAGES": (800, 2, 1600)}
"""Enough steps to go every way, and too few to learn much."""

PIXELS = 250_000
"""Pixels of all training images, about: large images are few."""

LIGHTS = ("plain", "dark", "bright", "offset", "noise", "outliers", "flat")
"""How images look: contrast of 8, 10 and 4 of 255 steps; no class in them; one pixel in 100 at an end; one grey."""


def data(number: int, most: int, side: int) -> tuple[dict[str, np.ndarray], str]:
    """Return a random data set as the arrays of an .npz, and what it is in words; at most so many images and pixels."""
    rng = np.random.default_rng((2026, number))
    height = int(np.exp(rng.uniform(np.log(8), np.log(side))))
    width = height if rng.random() < 0.6 else int(rng.integers(8, side + 1))
    channels, light = int(rng.choice([1, 3])), str(rng.choice(LIGHTS))
    count = int(np.exp(rng.uniform(np.log(100), np.log(max(101, min(most, PIXELS / (height * width)))))))
    classes = int(np.exp(rng.uniform(np.log(2), np.log(min(200, count // 2)))))
    unbalanced, dtype = bool(rng.random() < 0.5), str(rng.choice(["uint8", "uint8", "float32", "float64"]))
    share = 0.9 ** np.arange(classes) if unbalanced else np.ones(classes)
    labels = np.concatenate([np.arange(classes), rng.choice(classes, count - classes, p=share / share.sum())])
    test = rng.choice(classes, int(rng.integers(10, 120)), p=share / share.sum())
    pictures = rng.random((classes, channels, 4, 4)).repeat(-(-height // 4), axis=2).repeat(-(-width // 4), axis=3)
    parts = {"train": rng.permutation(labels), "test": test}
    arrays = {f"{part}_labels": one for part, one in parts.items()}
    for part, one in parts.items():
        arrays[f"{part}_images"] = seen(pictures[:, :, :height, :width][one], light, dtype, rng)
    balance = "unbalanced" if unbalanced else "balanced"
    return arrays, f"{count} of {height}x{width}x{channels}, {classes} classes, {balance}, {light}, {dtype}"


def seen(images: np.ndarray, light: str, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Return images in 0-1 in such a light, with noise, as numbers of such a type."""
    if light == "noise":
        images = np.full_like(images, 0.5)
    images = images + rng.normal(0, 0.2, images.shape)
    low, high = {"dark": (0, 0.03), "bright": (0.96, 1), "offset": (0.5, 0.516)}.get(light, (0, 1))
    images = low + (high - low) * np.clip(images, 0, 1)
    if light == "outliers":
        images = np.where(rng.random(images.shape) < 0.01, rng.integers(0, 2, images.shape), images)
    if light == "flat":
        images = np.broadcast_to(images.mean(axis=(1, 2, 3), keepdims=True), images.shape)
    return np.round(255 * images).astype(np.uint8) if dtype == "uint8" else images.astype(dtype)


def one_run(
    number: int, folder: Path, most: int = 4000, side: int = 96, steps: Mapping[str, object] = BUDGETS
) -> dict[str, object]:
    """Return what came of a run: its errors, its trials and stages whose loss ran away, and what went wrong."""
    arrays, what = data(number, most, side)
    np.savez(folder / f"{number}.npz", **arrays)
    recipe = Recipe(str(folder / f"{number}.npz"), seed=number, search=SEARCHED)
    fitted, wild = search.fit, []

    def fit(*arguments: object) -> object:
        try:
            return fitted(*arguments)
        except Diverged as error:
            wild.append(str(error))
            raise

    found: dict[str, object] = {"number": number, "data": what}
    begin = time.process_time()
    with (
        mock.patch.multiple(budgets, **steps),
        mock.patch.object(search, "fit", fit),
        mock.patch.object(run, "draw", return_value={}),
        warnings.catch_warnings(record=True) as notices,
    ):
        warnings.simplefilter("always")
        try:
            results = run.distill(recipe, folder / str(number))
            wrong = [text for text, bad in faults(results).items() if bad]
            found["errors"] = {name: results[key]["errors"] for key, name in MODELS.items()}
            found["of"] = results["dataset"]["test"]
        except Exception:
            wrong = [traceback.format_exc()]
    back = [str(one.message) for one in notices if "ran away" in str(one.message)]
    others = [str(one.message) for one in notices if issubclass(one.category, RuntimeWarning)]
    return {**found, "wild_trials": wild, "steps_back": back, "wrong": wrong + others, "s": time.process_time() - begin}


def faults(results: Results) -> dict[str, bool]:
    """Return what must not be, and whether it is: numbers that are none, and claims that the numbers do not bear."""
    alone, taught = results["student_baseline"], results["student_distilled"]
    gain, bounds = alone["errors"] - taught["errors"], results["mcnemar"]["fewer_errors_interval"]
    said, table = " ".join(verdict.sentences(results)), summary_table(results)
    best = "student_distilled" if gain > 0 else "student_baseline"
    numbers = [value for key in MODELS for value in results[key].values() if isinstance(value, int | float)]
    return {
        "a number is not finite": not all(map(math.isfinite, numbers)),
        "the interval does not hold the difference": not bounds["low"] <= gain <= bounds["high"],
        "a win that its interval does not bear": ("beats" in said) != (bounds["low"] > 0),
        "a headline that its interval does not bear": ("Distillation helped" in verdict.headline(results))
        != (bounds["low"] > 0),
        "another student is recommended": results["recommended"] != best or f"Use {best}.safetensors" not in said,
        "the table is wider than the terminal": max(map(len, table.splitlines())) > 80,
    }


def main() -> None:
    """Make the runs that are not there yet, and say what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.own_data.random_runs", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    record = arguments.folder / "random.jsonl"
    done = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    for number in sorted(set(range(arguments.runs)) - {one["number"] for one in done}):
        found = one_run(number, arguments.folder)
        done.append(found)
        with record.open("a") as file:
            print(json.dumps(found), file=file)
        print(number, found["data"], found.get("errors", ""), *found["wrong"], sep="  ", flush=True)
    wrong, back = [one for one in done if one["wrong"]], [one for one in done if one["steps_back"]]
    trials = sum(len(one["wild_trials"]) for one in done)
    print(
        f"{len(done)} runs, {len(wrong)} went wrong; {len(back)} stepped back, {trials} trials of the search diverged"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
