"""Train the default run on the data sets of `sets`, and write what came of it: python -m tests.own_data FOLDER

Each set and seed is one `minikd distill --data SET.npz --seed SEED`, and beside it one with `--no-search`, which takes
MNIST's settings. What has ended is kept, so the command goes on where it was stopped. Needs the extra `bench`.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t

from tests.own_data.sets import SETS

MODELS = {"teacher": "teacher", "baseline": "student_baseline", "distilled": "student_distilled"}


def run(folder: Path, name: str, seed: int, flags: list[str]) -> dict[str, float]:
    """Return the errors of the three models of a run, and its seconds, from its folder or from training it now.

    seconds: processor time, on all cores together.
    """
    data, runs = folder / "sets" / f"{name}.npz", folder / "runs"
    label = f"{name}-{seed}{''.join(flags)}"
    kept = runs / label / "results.json"
    if not kept.exists():
        begun = ["--resume", str(runs / label)] if (runs / label).exists() else None
        new = ["--data", str(data), "--runs", str(runs), "--name", label, "--seed", str(seed), *flags]
        command = [sys.executable, "-m", "minikd", "distill", "--quiet", *(begun or new)]
        begin = processor_seconds()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{label}: {done.stderr}")
        (runs / label / "seconds.json").write_text(json.dumps(processor_seconds() - begin))
    found = json.loads(kept.read_text())
    errors = {model: found[key]["errors"] for model, key in MODELS.items()}
    return {
        **errors,
        "images": found["dataset"]["test"],
        "seconds": json.loads((kept.parent / "seconds.json").read_text()),
    }


def processor_seconds() -> float:
    """Return the processor time of all runs so far; the clock's would count what else this machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def interval(values: list[float]) -> float:
    """Return half the width of the mean's 95 % interval."""
    return stdev(values) / math.sqrt(len(values)) * t.ppf(0.975, len(values) - 1) if len(values) > 1 else math.nan


def table(rows: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Return the results as a table of Markdown."""
    lines = [
        "| data | settings | teacher | baseline | distilled | baseline − distilled | processor seconds |",
        "|---|" + "---|" * 6,
    ]
    for name, kinds in rows.items():
        for kind, runs in kinds.items():
            errors = [f"{mean(one[model] for one in runs):.1f}" for model in MODELS]
            gained = [one["baseline"] - one["distilled"] for one in runs]
            seconds = mean(one["seconds"] for one in runs)
            test = f"{runs[0]['images']:,.0f}"
            gain = f"{mean(gained):.1f} ± {interval(gained):.1f}"
            lines.append(f"| {name}, of {test} | {kind} | {' | '.join(errors)} | {gain} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.own_data", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    (arguments.folder / "sets").mkdir(parents=True, exist_ok=True)
    rows = {}
    for name in arguments.sets.split(","):
        if not (path := arguments.folder / "sets" / f"{name}.npz").exists():
            SETS[name](path)
        kinds = {"MNIST's": ["--no-search"], "found": []}
        rows[name] = {
            kind: [run(arguments.folder, name, seed, flags) for seed in range(arguments.seeds)]
            for kind, flags in kinds.items()
        }
        print(table({name: rows[name]}), flush=True)
    print(table(rows))
    (arguments.folder / "own-data.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
