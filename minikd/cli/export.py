"""`minikd export`: lists what can be exported, or writes an export and prints its results on the test images."""

import argparse
from dataclasses import asdict
from pathlib import Path

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import SHIP, as_typed, lesson, print_next, python_as_typed, with_layers
from minikd.cli.shared_flags import add_json, add_layers
from minikd.console import units
from minikd.console.layout import paragraph
from minikd.console.notices import notice
from minikd.distillation.folder import quoted
from minikd.distillation.results import read_results
from minikd.errors import ConfigError
from minikd.exports.integer import LEVELS, NONE, check_kind
from minikd.exports.listing import KINDS, compile_line, export_report, listing, sizes
from minikd.exports.subjects import FILES, Subjects, subjects
from minikd.exports.write import SUFFIXES, ExportOrder, check_target, write
from minikd.nn import Sequential
from minikd.report.verdict import recommended
from minikd.storage.files import make_folder
from minikd.weights import Card


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add flags for what to export, in which format, and where."""
    to.usage = "minikd export RUN_OR_WEIGHTS [options]"
    to.add_argument(
        "source", type=Path, metavar="RUN_OR_WEIGHTS", help="folder of a run, or a .safetensors file with a model"
    )
    to.add_argument("--to", choices=("onnx", "c", "html"), help="format to write (default: list the formats)")
    to.add_argument(
        "--quantize", choices=(NONE, *LEVELS),
        help="export in whole numbers, with weights of this kind (default: as the student was trained, or none)",
    )  # fmt: skip
    to.add_argument(
        "--int8", dest="quantize", action="store_const", const="int8", help="short for --quantize int8 (default: no)"
    )
    to.add_argument(
        "--model",
        choices=("teacher", "baseline", "student"),
        help="which model of a run (default: the better student; html: all)",
    )
    to.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write (default: in a folder export/ next to the source)",
    )
    add_layers(to)
    to.add_argument("--data", help="test and calibration images, as for distill --data (default: the run's, or mnist)")
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Write one export, or list what there is. Return 1 if the export's results differ from the package's."""
    if not arguments.to:
        check_plain(arguments)
        return export_list(arguments, subjects(arguments.source, arguments.model))
    if arguments.to == "html":
        return export_page(arguments, subjects(arguments.source, arguments.model))
    model = arguments.model or (recommended_model(arguments.source) if arguments.source.is_dir() else None)
    return export_model(arguments, subjects(arguments.source, model))


def recommended_model(folder: Path) -> str:
    """Return the student that a run's results recommend, or the distilled student if the run lacks results of both."""
    results = read_results(folder)
    if "student_distilled" not in results:
        return "student"
    better = recommended(results)
    if better == FILES["student"]:
        return "student"
    notice(
        f"exporting the baseline, which this run recommends: it makes {units.errors(results[better]['errors'])} on the "
        f"test images, the distilled student {results[FILES['student']]['errors']:,}; to export that one, add "
        "--model student"
    )
    return "baseline"


def export_list(arguments: argparse.Namespace, found: Subjects) -> int:
    """List what can be exported, with sizes."""
    made = sizes(found, found.data(arguments.data))
    if arguments.json:
        print(json_text(made))
        return 0
    print(listing(made))
    begin = f"{as_typed()} export {next_export(arguments)}"
    print_next({f"{begin} --to {kind}": what for kind, what in KINDS.items()})
    return 0


def next_export(arguments: argparse.Namespace) -> str:
    """Return the beginning of a next `export` command: the source, and the layers that it needs."""
    return f"{quoted(arguments.source)}{with_layers(arguments.layers)}"


def check_plain(arguments: argparse.Namespace) -> None:
    """Refuse flags that say how to write if no flag says what to write."""
    given = [flag for flag, value in {"--quantize": arguments.quantize, "-o": arguments.output}.items() if value]
    if given:
        raise ConfigError(f"{given[0]} needs a format; add --to onnx, --to c or --to html")


def export_model(arguments: argparse.Namespace, found: Subjects) -> int:
    """Write one model as ONNX or C."""
    ((name, (model, card)),) = found.models.items()
    kind = check_kind(arguments.quantize or found.trained_for(name))
    path = arguments.output or default_path(found.folder, name, arguments.to, kind)
    order = ExportOrder(arguments.to, path, kind, found.temperature)
    exported = write(order, model, card, found.data(arguments.data))
    if arguments.json:
        print(json_text({"ok": exported.right, **asdict(exported), "files": list(map(str, exported.files))}))
        return 0 if exported.right else 1
    print("\n".join(map(paragraph, export_report(order, exported))))
    compiling = {compile_line(path): "compile it with its example"} if arguments.to == "c" else {}
    print_next(
        compiling
        | lesson(python_as_typed(), SHIP, "how it is quantised, written and checked")
        | {f"{as_typed()} export {next_export(arguments)} --to html": "a page to draw on, which answers"}
    )
    return 0 if exported.right else 1


def export_page(arguments: argparse.Namespace, found: Subjects) -> int:
    """Write one page for all the models."""
    from minikd.exports.page import write_page

    small = found.trained_for("student") != NONE
    kind = check_kind(arguments.quantize or ("int8" if small else NONE))  # int8 suits all of them
    path = arguments.output or default_path(found.folder, "page", "html", kind)
    check_target("html", path)
    make_folder(path.parent)
    settings = {} if found.temperature is None else {"temperature": found.temperature}
    page = write_page(by_key(found), found.data(arguments.data), path, kind, **settings)
    if arguments.json:
        print(json_text({**page._asdict(), "path": str(page.path)}))
        return 0
    print(f"wrote {page.path}, {units.size(page.size)}")
    apart = f"; the models disagree on {page.disagreements:,} of all" if len(found.models) > 1 else ""
    print(paragraph(f"{page.images} test images are in it{apart}"))
    print_next({f"open {quoted(page.path)}": "in any browser; it needs no network"})
    return 0


def default_path(folder: Path, name: str, to: str, quantized: str) -> Path:
    """Return the default path of an export. C has its own folder, because it is three files."""
    kind = f"-{quantized}" if quantized else ""
    path = folder / f"{name}-c{kind}" / f"{name}.c" if to == "c" else folder / f"{name}{kind}{SUFFIXES[to]}"
    place, home = path.parent.resolve(), folder.parent.resolve()
    if not place.is_relative_to(home):
        raise ConfigError(
            f"{path.parent} is a link, or is behind a link, to {place}, and nothing is written outside "
            f"{folder.parent}; remove the link, or give the path with -o"
        )
    return path


def by_key(found: Subjects) -> dict[str, tuple[Sequential, Card]]:
    """Return the models by the names that they have in a run's files and on the page."""
    return {FILES.get(name, name): pair for name, pair in found.models.items()}
