"""The benchmark of a device as text for the terminal, and as a table in Markdown."""

from minikd.console.layout import aligned, paragraph
from minikd.evidence.bench.on_device.run import CardReport, DeviceRow


def best(rows: list[DeviceRow], side: str, how: str) -> DeviceRow | None:
    """Return the fastest row of a side, eager or as a graph."""
    found = [row for row in rows if row["side"] == side and row["how"].startswith(how) and not row["error"]]
    return min(found, key=lambda row: row["device_us"], default=None)


def cells(report: CardReport) -> list[tuple[str, ...]]:
    """Return a line for each work and batch: µs on the device, the fastest of PyTorch's ways, and the ratio."""
    lines = []
    for title, batch in dict.fromkeys((row["title"], row["batch"]) for row in report["rows"]):
        rows = [row for row in report["rows"] if (row["title"], row["batch"]) == (title, batch)]
        found = [best(rows, side, how) for side in ("minikd", "PyTorch") for how in ("eager", "graph")]
        times = [f"{row['device_us']:,.0f}" if row else "–" for row in found]
        ours, theirs = found[1] or found[0], found[3]
        ratio = f"{theirs['device_us'] / ours['device_us']:.2f}" if ours and theirs else "–"
        lines.append((title, f"{batch:,}", *times, ratio))
    return lines


def text(report: CardReport) -> str:
    """Return the table for the terminal, the failures, and the machine."""
    header = (
        ("µs on the device", "", "minikd", "minikd", "PyTorch", "PyTorch", "PyTorch graph"),
        (
            *("", "batch", "eager", "graph"),
            *("eager", "graph", "/ minikd"),
        ),
    )
    failed = [f"{row['title']}, {row['side']} {row['how']}: {row['error']}" for row in report["rows"] if row["error"]]
    card, mode = report["device"], "TF32" if report["tf32"] else "float32"
    on = f"{card['name']}, {mode}; PyTorch {report['torch'] or 'with CUDA is not installed'}; its fastest way counts"
    return "\n\n".join([aligned(header, cells(report)), *map(paragraph, failed), paragraph(on)])


def markdown(report: CardReport) -> list[str]:
    """Return the table as lines of Markdown."""
    names = ("work", "batch", "minikd eager", "minikd graph", "PyTorch eager", "PyTorch graph", "ratio of the graphs")
    lines = [f"| {' | '.join(names)} |", "|---|" + "---|" * (len(names) - 1)]
    return lines + [f"| {' | '.join(line)} |" for line in cells(report)]
