"""The benchmark for the terminal: the time of each side, the ratios to minikd, and the machine."""

from collections.abc import Sequence

from minikd.console.layout import aligned, paragraph
from minikd.errors import how_to_install
from minikd.evidence.bench.circumstances import BenchConditions
from minikd.evidence.bench.engines import ENGINES
from minikd.evidence.bench.rows import BenchRow
from minikd.evidence.bench.run import BenchReport

INSTALL = f"PyTorch is not installed, so minikd is compared with nothing: {how_to_install('bench')}"

BUSY = 0.1
"""The spread above which a ratio is not reliable."""


def text(report: BenchReport) -> str:
    """Return the times, the ratios, and notes for judging them."""
    notes = [*busy_warning(report["rows"]), *([INSTALL] if report["machine"]["torch"] is None else [])]
    return "\n\n".join(
        [amounts(report), ratios(report), *map(paragraph, notes), machine_lines(report["machine"], report["rows"])]
    )


def amounts(report: BenchReport) -> str:
    """Return the table with the time or memory of each side."""
    engines = [name for name in ENGINES if any(name in row["engines_ms"] for row in report["rows"])]
    alone = any(row["numpy_ms"] is not None for row in report["rows"])  # minikd without compiled loops
    header = (
        ("what it takes", "", *["minikd,"] * alone, "PyTorch", "PyTorch", "products", *("" for _ in engines), ""),
        ("", "minikd", *["no loops"] * alone, "defaults", "best", "alone", *engines, "spread"),
    )
    rows = []
    for row in report["rows"]:
        others = [milliseconds(row["engines_ms"].get(name)) for name in engines]
        if row["minikd_mb"] is not None:
            ours, default, best = megabytes(row["minikd_mb"]), megabytes(row["torch_default_mb"]), "–"
        else:
            ours, default, best = (milliseconds(row[key]) for key in ("minikd_ms", "torch_default_ms", "torch_best_ms"))
        rows.append(
            (
                *(row["title"], ours, *[milliseconds(row["numpy_ms"])] * alone, default, best),
                *(milliseconds(row["roofline_ms"]), *others, percent(spread(row))),
            )
        )
    return aligned(header, rows)


def ratios(report: BenchReport) -> str:
    """Return the table of the ratios to minikd, each with its target."""
    header = (
        ("how many times", "PyTorch defaults", "PyTorch best", "minikd", "best of PyTorch"),
        ("", "/ minikd", "/ minikd", "/ products", ""),
    )
    rows = [
        (
            row["title"],
            ratio_and_target(row["ratio_default"], row["target_default"]),
            ratio_and_target(row["ratio_best"], row["target_best"]),
            ratio_and_target(row["ratio_roofline"], row["target_roofline"], at_most=True),
            configuration(row["best"]),
        )
        for row in report["rows"]
    ]
    return aligned(header, rows)


def configuration(best: str | None) -> str:
    """Return what distinguishes PyTorch's fastest configuration."""
    if best is None:
        return "–"
    return "its defaults" if best == "PyTorch" else best.removeprefix("PyTorch, ")


def milliseconds(value: float | None) -> str:
    """Return a time with its unit: 17.3 µs, 0.93 ms, 18.2 ms, 42.9 s."""
    if value is None:
        return "–"
    if value < 0.9995:
        return f"{three_digits(1e3 * value)} µs"
    return f"{three_digits(value)} ms" if value < 999.5 else f"{three_digits(value / 1e3)} s"


def megabytes(value: float | None) -> str:
    """Return millions of bytes."""
    return "–" if value is None else f"{three_digits(value)} MB"


def three_digits(value: float) -> str:
    """Return 1.73, 17.3, 173."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def spread(row: BenchRow) -> float | None:
    """Return the largest half interquartile range of minikd and PyTorch's two sides, relative to the median."""
    shown = {"minikd", "PyTorch", row["best"]} & row["spread_ms"].keys()
    widths = [(high - low) / 2 / row["all_ms"][name] for name, (low, high) in row["spread_ms"].items() if name in shown]
    return max(widths) if widths and row["repeats"] > 1 else None


def percent(part: float | None) -> str:
    """Return ±3 %."""
    return "–" if part is None else f"±{100 * part:.0f} %"


def busy_warning(rows: Sequence[BenchRow]) -> list[str]:
    """Return a warning if other work kept the machine busy, which slows sides with many threads most."""
    names = [row["work"] for row in rows if (spread(row) or 0.0) > BUSY]
    if not names:
        return []
    return [f"spread above {BUSY:.0%}: the machine was busy, measure again with --only {' '.join(names)} --repeats 50"]


def ratio_and_target(value: float | None, target: float | None, at_most: bool = False) -> str:
    """Return a ratio, its target, and whether the target is reached."""
    if value is None:
        return "–"
    if target is None:
        return f"{value:.2f}"
    reached = value <= target if at_most else value >= target
    return f"{value:.2f} ({'≤' if at_most else '≥'} {target:.3g}) {'ok' if reached else '– '}"


def missing_text(rows: Sequence[BenchRow]) -> str:
    """Return why some engines cannot do some of the works."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, lack in row["lacking"].items():
            found.setdefault(name, {})[lack] = None
    return "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in found.items())


def machine_lines(here: BenchConditions, rows: Sequence[BenchRow]) -> str:
    """Return the machine and the libraries of the measurement."""
    blas = ", ".join(f"{one['loaded_by']}: {one['library']} {one['version']} {one['kernels']}" for one in here["blas"])
    lines = {
        "machine": f"{here['cpu']}, {here['cores']} cores; every side on {here['threads']} threads",
        "BLAS": blas,
        "versions": ", ".join(f"{name} {value}" for name, value in here["versions"].items()),
    }
    if here["torch"]:
        lines["PyTorch"] = here["torch"]
    if first := [seconds for row in rows for seconds in row["first_call_s"].values()]:
        lines["torch.compile"] = (
            f"its first calls took {min(first):.1f} to {max(first):.1f} s, which no time above holds"
        )
    if lack := missing_text(rows):
        lines["lacking"] = lack
    if here["environment"]:
        lines["set"] = " ".join(f"{name}={value}" for name, value in here["environment"].items())
    return "\n".join(paragraph(f"{name:<9} {value}", hanging=10) for name, value in lines.items())
