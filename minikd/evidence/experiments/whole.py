"""A whole experiment in a folder: its stages, its table's rows, results.json and the figure."""

import time
from pathlib import Path

from minikd.console.terminal import one_line, say
from minikd.distillation.folder import locked, remove_abandoned
from minikd.evidence.experiments.cell import Cell
from minikd.evidence.experiments.experiment import Experiment
from minikd.evidence.experiments.rows import ExperimentReport, PublishedComparison, ResultRow, rows_of
from minikd.evidence.experiments.run import Progress, run_cells
from minikd.machine import machine, versions
from minikd.storage.files import make_folder, write_atomically
from minikd.storage.jsonfiles import write_json


def run(
    experiment: Experiment, preset: str = "short", seeds: int = 5, jobs: int = 1, folder: Path | None = None,
    quiet: bool = True,
) -> ExperimentReport:  # fmt: skip
    """Run an experiment, or resume it in its folder, and return its rows.

    Writes results.json, figure.png and, in cells/, each cell's outcome and model. Raises ConfigError for a preset that
    the experiment lacks, and for a folder that holds another experiment or that another process uses.
    """
    experiment.check(preset)
    folder = (folder or experiment.folder(preset)).absolute()
    make_folder(folder)
    with locked(folder):
        remove_abandoned(folder / "cells")
        if not quiet:
            say(one_line(f"experiment folder: {folder}"))
        return run_held(experiment, preset, seeds, jobs, folder, quiet)


def run_held(experiment: Experiment, preset: str, seeds: int, jobs: int, folder: Path, quiet: bool) -> ExperimentReport:
    """Run an experiment in a folder that no other process uses."""
    begin = time.perf_counter()
    setup, progress, cells = experiment.setup(preset, seeds, folder), Progress(), list[Cell]()
    for stage in experiment.stages:
        new = stage(setup, progress.outcomes)
        cells += new
        run_cells(new, folder, jobs, progress, quiet)
    rows = rows_of(cells, progress.outcomes)
    report = ExperimentReport(
        experiment=experiment.name,
        preset=preset,
        seeds=seeds,
        against=list(experiment.against),
        rows=rows,
        beside=with_published(experiment, rows),
        failed=progress.failed,
        seconds=time.perf_counter() - begin,
        machine=machine(),
        versions=versions(),
    )
    write_json(folder / "results.json", report, indent=2)
    if report["rows"]:
        draw(experiment, report, folder / "figure.png")
    return report


def with_published(experiment: Experiment, rows: list[ResultRow]) -> list[PublishedComparison]:
    """Return the published numbers together with ours."""
    ours = {row["name"]: {"": row["mean"], **row["parts"]} for row in rows}
    return [
        PublishedComparison(what=one.what, ours=ours.get(one.row, {}).get(one.part), published=one.number)
        for one in experiment.published
    ]


def draw(experiment: Experiment, report: ExperimentReport, path: Path) -> None:
    """Write the experiment's figure."""
    from minikd.report import style
    from minikd.report.figures import png

    with style.defaults():
        write_atomically(path, png(experiment.draw(report)))
