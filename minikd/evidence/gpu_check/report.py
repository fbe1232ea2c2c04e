"""The results of the whole check as one value, for the report file, and as text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from minikd.backends import Backend
from minikd.console.layout import aligned, paragraph
from minikd.evidence.gpu_check.cases import BOUNDS, Difference, differences
from minikd.evidence.gpu_check.device import Device, described_device
from minikd.evidence.gpu_check.steps import AGREEMENT, DeviceTraining, trainings
from minikd.machine import Machine, machine, versions
from minikd.storage.files import write_atomically

WRITE_EVERY = 20
"""The report is written after this many cases."""


class DeviceReport(TypedDict):
    """The results; `ok` is true if no difference exceeds its bound."""

    ok: bool
    device: Device
    batch_size: int
    trainings: list[DeviceTraining]
    cases: list[Difference]
    machine: Machine
    versions: dict[str, str]


def run(device: Backend, path: Path, batch_size: int = 128, count: int = 50, quick: bool = False) -> DeviceReport:
    """Compare every case and every training with NumPy, and time the training steps on the device.

    quick: only in float32. The report is written to `path` as JSON after each training and after all cases, so that
    results are kept if a later step fails. Returns the whole report.
    """
    report = DeviceReport(
        ok=False,
        device=described_device(),
        batch_size=batch_size,
        trainings=[],
        cases=[],
        machine=machine(),
        versions=versions(),
    )
    dtypes = ("float32",) if quick else tuple(BOUNDS)
    for step in trainings(device, batch_size, count, dtypes):
        report["trainings"].append(step)
        write(path, report)
    for number, one in enumerate(differences(device, dtypes)):
        report["cases"].append(one)
        if number % WRITE_EVERY == 0:
            write(path, report)
    report["ok"] = all(one["ok"] for one in (*report["cases"], *report["trainings"]))
    write(path, report)
    return report


def write(path: Path, report: DeviceReport) -> None:
    """Write the report completely or not at all."""
    write_atomically(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())


def text(report: DeviceReport) -> str:
    """Return the report as text: the device, the largest differences, the steps, and each case that differs."""
    here = report["device"]
    head = [
        f"device        {here['name']}, compute capability {here['compute_capability']}, {here['memory_gib']} GiB",
        f"driver        {here['driver']}, CUDA {here['driver_cuda']}",
        f"CuPy          {here['cupy']}, for CUDA {here['cupy_cuda']}",
        f"versions      {', '.join(f'{name} {value}' for name, value in report['versions'].items())}",
    ]
    lines = [paragraph(line, hanging=14) for line in head]
    lines += ["", paragraph("largest differences from NumPy, relative to an array's largest element")]
    for dtype, bound in BOUNDS.items():
        found = [one for one in report["cases"] if one["dtype"] == dtype]
        if not found:
            continue  # --quick
        worst = max(found, key=lambda one: one["difference"] or 0.0)
        right, name = sum(one["ok"] for one in found), f"{worst['array']} of {worst['name']}"
        largest = worst["difference"] or 0.0
        within = f"{dtype}: {right} of {len(found)} cases within {bound:.0e}, at most {largest:.1e} ({name})"
        lines.append(paragraph(within, 2, 4))
    ran = [step for step in report["trainings"] if not step["error"]]
    lines += ["", step_table(ran, report["batch_size"])]
    lines += ["", paragraph("losses of the training steps, largest relative difference from NumPy")]
    for step in ran:
        parts = [f"{dtype} {apart:.1e} in {AGREEMENT[dtype][0]} steps" for dtype, apart in step["difference"].items()]
        told = f"{step['name']}: {'; '.join(parts)}{'' if step['ok'] else '  TOO FAR'}"
        lines.append(paragraph(told, 2, 4))
    failures = [f"FAILED: {step['name']}: {step['error']}" for step in report["trainings"] if step["error"]]
    failures += [failure(one) for one in report["cases"] if not one["ok"]]
    lines += [paragraph(one, hanging=2) for one in failures]
    return "\n".join([*lines, "", "all within bounds" if report["ok"] else "SOME DIFFER: please send the file"])


def step_table(steps: Sequence[DeviceTraining], batch_size: int) -> str:
    """Return a line for each training step: what is copied, and how long it takes."""
    header = (("", "copies to", "", "host", "device", ""), ("", "device", "host", "ms", "ms", "images/s"))
    rows = [
        (
            f"{step['name']}, batch {batch_size}",
            str(step["copies_to_device"]),
            str(step["copies_to_host"]),
            f"{step['host_ms']:.2f}",
            f"{step['device_ms']:.2f}",
            f"{step['images_per_second']:,.0f}",
        )
        for step in steps
    ]
    return aligned(header, rows)


def failure(one: Difference) -> str:
    """Return the line of a case that differs or could not be run."""
    if one["error"]:
        return f"FAILED: {one['name']}, {one['dtype']}: {one['error']}"
    by = "is not finite, or of another shape" if one["difference"] is None else f"by {one['difference']:.1e}"
    return f"DIFFERS: {one['name']}, {one['dtype']}: {one['array']} {by}, bound {one['bound']:.0e}"
