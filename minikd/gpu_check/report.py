"""The whole check as one value, for the file that can be sent, and as text."""

from typing import TypedDict

from minikd.backend import Backend
from minikd.gpu_check.cases import BOUNDS, Difference, differences
from minikd.gpu_check.device import Device, describe
from minikd.gpu_check.steps import AGREEMENT, Step, trainings
from minikd.machine import machine, versions
from minikd.report.evidence import Machine


class Report(TypedDict):
    """What was found; `ok` where no difference exceeds its bound."""

    ok: bool
    device: Device
    batch_size: int
    trainings: list[Step]
    cases: list[Difference]
    machine: Machine
    versions: dict[str, str]


def run(device: Backend, batch_size: int = 128, count: int = 50) -> Report:
    """Compare every case and every training with NumPy, and time the training steps on the device."""
    cases, steps = list(differences(device)), list(trainings(device, batch_size, count))
    return Report(
        ok=all(one["ok"] for one in cases) and all(step["ok"] for step in steps),
        device=describe(),
        batch_size=batch_size,
        trainings=steps,
        cases=cases,
        machine=machine(),
        versions=versions(),
    )


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
        worst = max(found, key=lambda one: one["difference"])
        right, name = sum(one["ok"] for one in found), f"{worst['array']} of {worst['name']}"
        lines.append(
            f"  {dtype}: {right} of {len(found)} cases within {bound:.0e}, at most {worst['difference']:.1e} ({name})"
        )
    title = f"training step, batch {report['batch_size']}"
    lines += ["", f"{title:30} copies to device, host  ms      images/s"]
    for step in report["trainings"]:
        copies = f"{step['copies_to_device']}, {step['copies_to_host']}"
        lines.append(f"  {step['name']:28} {copies:>22}  {step['milliseconds']:<7.2f} {step['images_per_second']:,.0f}")
    lines += ["", "losses of the training steps, largest relative difference from NumPy"]
    for step in report["trainings"]:
        parts = [f"{dtype} {step['difference'][dtype]:.1e} in {steps} steps" for dtype, (steps, _) in AGREEMENT.items()]
        lines.append(f"  {step['name']:28} {'; '.join(parts)}{'' if step['ok'] else '  TOO FAR'}")
    far = [one for one in report["cases"] if not one["ok"]]
    lines += [
        f"DIFFERS: {one['name']}, {one['dtype']}: {one['array']} by {one['difference']:.1e}, bound {one['bound']:.0e}"
        for one in far
    ]
    return "\n".join([*lines, "", "all within bounds" if report["ok"] else "SOME DIFFER: please send the file"])
