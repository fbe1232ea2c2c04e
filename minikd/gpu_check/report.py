"""The whole check as one value, for the file that can be sent, and as text."""

import json
from pathlib import Path
from typing import TypedDict

from minikd.backend import Backend
from minikd.files import write_atomically
from minikd.gpu_check.cases import BOUNDS, Difference, differences
from minikd.gpu_check.device import Device, describe
from minikd.gpu_check.steps import AGREEMENT, Step, trainings
from minikd.machine import machine, versions
from minikd.report.evidence import Machine

WRITE_EVERY = 20
"""Cases between two writings of the report."""


class Report(TypedDict):
    """What was found; `ok` where no difference exceeds its bound."""

    ok: bool
    device: Device
    batch_size: int
    trainings: list[Step]
    cases: list[Difference]
    machine: Machine
    versions: dict[str, str]


def run(device: Backend, path: Path, batch_size: int = 128, count: int = 50) -> Report:
    """Compare every case and every training with NumPy, and time the training steps on the device.

    The report is written to `path` as JSON after each training and after all cases: what was found stays, whatever
    comes after it. Returns the whole of it.
    """
    report = Report(
        ok=False,
        device=describe(),
        batch_size=batch_size,
        trainings=[],
        cases=[],
        machine=machine(),
        versions=versions(),
    )
    for step in trainings(device, batch_size, count):
        report["trainings"].append(step)
        write(path, report)
    for number, one in enumerate(differences(device)):
        report["cases"].append(one)
        if number % WRITE_EVERY == 0:
            write(path, report)
    report["ok"] = all(one["ok"] for one in (*report["cases"], *report["trainings"]))
    write(path, report)
    return report


def write(path: Path, report: Report) -> None:
    """Write the report; the file appears whole or not at all."""
    write_atomically(path, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())


def text(report: Report) -> str:
    """Return the report as text: the device, the largest differences, the steps, and each case that differs."""
    here = report["device"]
    lines = [
        f"device        {here['name']}, compute capability {here['compute_capability']}, {here['memory_gib']} GiB",
        f"driver        {here['driver']}, CUDA {here['driver_cuda']}",
        f"CuPy          {here['cupy']}, for CUDA {here['cupy_cuda']}",
        f"versions      {', '.join(f'{name} {value}' for name, value in report['versions'].items())}",
        "",
        "largest differences from NumPy, relative to an array's largest element",
    ]
    for dtype, bound in BOUNDS.items():
        found = [one for one in report["cases"] if one["dtype"] == dtype]
        worst = max(found, key=lambda one: one["difference"] or 0.0)
        right, name = sum(one["ok"] for one in found), f"{worst['array']} of {worst['name']}"
        largest = worst["difference"] or 0.0
        lines.append(f"  {dtype}: {right} of {len(found)} cases within {bound:.0e}, at most {largest:.1e} ({name})")
    title = f"training step, batch {report['batch_size']}"
    lines += ["", f"{title:30} copies to device, host  host ms  device ms  images/s"]
    ran = [step for step in report["trainings"] if not step["error"]]
    for step in ran:
        copies = f"{step['copies_to_device']}, {step['copies_to_host']}"
        times = f"{step['host_ms']:<7.2f}  {step['device_ms']:<9.2f}"
        lines.append(f"  {step['name']:28} {copies:>22}  {times}  {step['images_per_second']:,.0f}")
    lines += ["", "losses of the training steps, largest relative difference from NumPy"]
    for step in ran:
        parts = [f"{dtype} {step['difference'][dtype]:.1e} in {steps} steps" for dtype, (steps, _) in AGREEMENT.items()]
        lines.append(f"  {step['name']:28} {'; '.join(parts)}{'' if step['ok'] else '  TOO FAR'}")
    lines += [f"FAILED: {step['name']}: {step['error']}" for step in report["trainings"] if step["error"]]
    lines += [failure(one) for one in report["cases"] if not one["ok"]]
    return "\n".join([*lines, "", "all within bounds" if report["ok"] else "SOME DIFFER: please send the file"])


def failure(one: Difference) -> str:
    """Return the line of a case that differs, or that could not be run."""
    if one["error"]:
        return f"FAILED: {one['name']}, {one['dtype']}: {one['error']}"
    by = "is not finite, or of another shape" if one["difference"] is None else f"by {one['difference']:.1e}"
    return f"DIFFERS: {one['name']}, {one['dtype']}: {one['array']} {by}, bound {one['bound']:.0e}"
