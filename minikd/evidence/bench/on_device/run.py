"""Times the works of the table on a device, one after the other. A work that fails also gives a row."""

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import NamedTuple, TypedDict

from minikd.evidence.bench.on_device import ours, theirs
from minikd.evidence.bench.theirs import TorchSettings
from minikd.evidence.bench.works import WORKS, Benchmark, Problem, TeacherAndStudent
from minikd.evidence.gpu_check.device import Device, described_device, held_memory

COUNT, QUICK_COUNT, IMAGES = 50, 2, 16_384
NAMES = tuple(work.name for work in WORKS)


class DeviceRow(TypedDict):
    """One side of a work: microseconds on the host and on the device, MiB on the device; `error` if it failed."""

    work: str
    title: str
    batch: int
    side: str
    how: str
    host_us: float
    device_us: float
    mib: float
    error: str


class CardReport(TypedDict):
    """The output of `--json`."""

    device: Device
    tf32: bool
    torch: str | None
    rows: list[DeviceRow]


class CardSettings(NamedTuple):
    """The settings: images in a step, TF32 or float32, few repeats, and with or without torch.compile."""

    batches: Sequence[int]
    tf32: bool
    quick: bool
    compiled: bool


def run(names: Sequence[str], way: CardSettings, each: Callable[[CardReport], None]) -> CardReport:
    """Measure the works of these names. `each` gets the report after every row. torch.compile comes last."""
    torch_version = version_with_cuda()
    report = CardReport(device=described_device(), tf32=way.tf32, torch=torch_version, rows=[])
    if torch_version:
        theirs.allow_tf32(way.tf32)
    stage = TeacherAndStudent.of(max(IMAGES // (8 if way.quick else 1), *way.batches), map, 1)
    for compiled in (False, True) if way.compiled else (False,):
        for batch in way.batches:
            for work in WORKS:
                if work.name in names:
                    for row in rows_of(
                        work, stage, batch, QUICK_COUNT if way.quick else COUNT, compiled, bool(torch_version)
                    ):
                        report["rows"].append(row)
                        each(report)
    return report


def version_with_cuda() -> str | None:
    """Return PyTorch's version if it can use a device, else None."""
    if find_spec("torch") is None:
        return None
    import torch

    return str(torch.__version__) if torch.cuda.is_available() else None


def rows_of(
    work: Benchmark, stage: TeacherAndStudent, batch: int, count: int, compiled: bool, with_torch: bool
) -> Iterator[DeviceRow]:
    """Yield the times of minikd and PyTorch for a work, or only of PyTorch's compiled ways."""
    problem = work.problem(stage)
    if not compiled:
        yield from timed_rows(
            work, batch, "minikd", "", lambda: ours.our_times(problem, stage, batch, count), held_memory
        )
    for settings in theirs.settings_of(problem, compiled) if with_torch else ():
        times = times_of(problem, stage, batch, count, settings)
        yield from timed_rows(
            work, batch, "PyTorch", settings.name.removeprefix("PyTorch").strip(", "), times, theirs.memory
        )


def times_of(
    problem: Problem, stage: TeacherAndStudent, batch: int, count: int, settings: TorchSettings
) -> Callable[[], ours.Rows]:
    """Return a function that times PyTorch with these settings."""
    return lambda: theirs.their_times(problem, stage, batch, count, settings)


def timed_rows(
    work: Benchmark, batch: int, side: str, settings: str, times: Callable[[], ours.Rows], held: Callable[[], float]
) -> Iterator[DeviceRow]:
    """Yield a side's rows, and a row with the error if it fails."""
    row = DeviceRow(
        work=work.name, title=work.title, batch=batch, side=side, how=settings, host_us=0, device_us=0, mib=0, error=""
    )
    try:
        for how, took in times():
            named = ", ".join(filter(None, (how, settings)))
            yield {**row, "how": named, "host_us": took.host, "device_us": took.device, "mib": held()}
    except Exception as error:  # after any error, the others must still be timed
        yield {**row, "error": f"{type(error).__name__}: {error}"}
