"""summary.md: what the script found, as a page. Usage: summary.py FOLDER"""

import json
import sys
from collections import Counter
from pathlib import Path

from minikd.evidence.bench.on_device.table import markdown


def rows_of(folder):
    """Return the findings, the last of a name where one was found more than once."""
    return [json.loads(line) for line in (folder / "findings.jsonl").read_text(encoding="utf-8").splitlines() if line]


def last(rows, key):
    """Return the last finding that has this key, {} where there is none."""
    return next((row for row in reversed(rows) if key in row), {})


def machine(rows):
    env = last(rows, "env").get("env")
    if not env:
        return ["The step `env` has not run: card and versions are not known."]
    card, packages = env["device"], [f"{name} {value}" for name, value in env["versions"].items() if value]
    lines = [
        f"{card['name']}, compute capability {card['compute_capability']}, {card['memory_gib']} GiB. "
        f"Driver {card['driver']} (CUDA {card['driver_cuda']}), CuPy {card['cupy']} for CUDA {card['cupy_cuda']}. "
        f"{', '.join(packages)}.",
    ]
    if isinstance(env.get("ceilings"), dict):
        lines += ["", "Ceilings: " + "; ".join(f"{name} {value:.3g}" for name, value in env["ceilings"].items()) + "."]
    if isinstance(env.get("a launch"), dict):
        lines += ["", "A launch: " + "; ".join(f"{name} {value:.3g}" for name, value in env["a launch"].items()) + "."]
    return lines


def steps(rows):
    """Return what became of each step; the last try counts."""
    tried = {row["step"]: row for row in rows if "step" in row}
    absent = last(rows, "missing").get("missing")
    lines = [f"Not installed, and needed by some steps: {', '.join(absent)}.", ""] if absent else []
    lines += ["| step | result | seconds |", "|---|---|---|"]
    return lines + [f"| {name} | {row['result']} | {row['seconds']} |" for name, row in tried.items()]


def differences(folder):
    path = folder / "gpu-check.json"
    if not path.exists():
        return ["`gpu-check.json` is not there: nothing was compared with NumPy."]
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    lines = ["| dtype | cases within bounds | largest difference | of |", "|---|---|---|---|"]
    for dtype in ("float64", "float32"):
        found = [case for case in cases if case["dtype"] == dtype and case["difference"] is not None]
        worst = max(found, key=lambda case: case["difference"], default=None)
        if worst:
            right = sum(case["ok"] for case in found)
            name = f"{worst['array']} of {worst['name']}"
            lines.append(f"| {dtype} | {right} of {len(found)} | {worst['difference']:.1e} | {name} |")
    bad = [
        f"{case['name']}, {case['dtype']}: {case['error'] or case['difference']}" for case in cases if not case["ok"]
    ]
    return [*lines, *(f"\nNot within bounds: {name}" for name in bad)]


def times(folder):
    lines = []
    for file, how in (("bench", "float32"), ("tf32", "TF32"), ("compiled", "float32, with torch.compile")):
        if not (path := folder / f"{file}.json").exists():
            lines += [f"`{file}.json` is not there: {how} was not timed.", ""]
            continue
        report = json.loads(path.read_text(encoding="utf-8"))
        lines += [
            f"Microseconds of the device, {how}. Of PyTorch's ways the fastest counts.",
            "",
            *markdown(report),
            "",
        ]
        lines += [f"- {row['title']}, {row['side']}: {row['error']}" for row in report["rows"] if row["error"]]
    return lines


def job(rows):
    found = last(rows, "job")
    if not found:
        return ["The main job has not run to its end."]
    lines = ["| model | errors | NumPy's, seed 0 |", "|---|---|---|"]
    lines += [f"| {name} | {count} | {found['numpy'][name]} |" for name, count in found["job"].items()]
    return [*lines, "", f"{found['seconds']:.0f} seconds in all, on {found['backend']}."]


def tests(folder):
    lines = []
    for name, path in (("all that meets the device", "suite.jsonl"), ("the rest", "rest.jsonl")):
        if not (folder / path).exists():
            lines.append(f"- {name}: not run.")
            continue
        ended = {row["test"]: row["outcome"] for row in map(json.loads, (folder / path).read_text().splitlines())}
        counts = Counter(ended.values())
        said = f"{counts['passed']:,} passed, {counts['failed']:,} failed, {counts['skipped']:,} skipped"
        lines += [f"- {name}: {said}.", *(f"  - failed: `{test}`" for test, how in ended.items() if how == "failed")]
    return lines


def page(folder):
    """Return the page."""
    rows = rows_of(folder)
    card = (last(rows, "env").get("env") or {}).get("device", {}).get("name", "a GPU")
    parts = {
        f"minikd on {card}": machine(rows),
        "Steps of the script": steps(rows),
        "Differences from NumPy": differences(folder),
        "Beside PyTorch": times(folder),
        "The main job": job(rows),
        "The test suite on CuPy": tests(folder),
    }
    heads = ["#", *["##"] * (len(parts) - 1)]
    texts = (f"{head} {title}\n\n" + "\n".join(body) for head, (title, body) in zip(heads, parts.items(), strict=True))
    return "\n\n".join(texts) + "\n"


if __name__ == "__main__":
    where = Path(sys.argv[1])
    (where / "summary.md").write_text(page(where), encoding="utf-8")
