"""The main job on the device: its flags (`job.py flags FOLDER`), and its errors beside NumPy's (`job.py compare ...`).

NumPy's errors for seed 0 stand in the README. Rounding grows over thousands of steps, so a device's differ by what
seeds differ; a wrong gradient shows as hundreds more.
"""

import json
import os
import sys
from pathlib import Path

NUMPY = {"teacher": 64, "student_baseline": 182, "student_distilled": 111}


def flags(folder):
    """Print the flags that make the job small where the script is only tried."""
    if os.environ.get("DRY"):
        import numpy as np

        rng = np.random.default_rng(0)
        images, labels = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 3
        np.savez(Path(folder) / "tiny.npz", images=images, labels=labels)
        print(f"--data {folder}/tiny.npz --teacher-epochs 1 --student-epochs 1 --teacher-warm-up 0")
    else:
        print("--seed 0")


def compare(results, found):
    """Add the job's errors to the findings; fail where they lie far from NumPy's."""
    told = json.loads(Path(results).read_text(encoding="utf-8"))
    errors = {name: told[name]["errors"] for name in NUMPY}
    row = {
        "job": errors,
        "numpy": NUMPY,
        "stages": told["stages"],
        "seconds": told["seconds"],
        "backend": told["backend"],
    }
    with open(found, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(row)
    if os.environ.get("DRY"):
        return 0
    # An error count of e has a spread of about √e between seeds.
    far = [name for name, count in errors.items() if abs(count - NUMPY[name]) > 4 * NUMPY[name] ** 0.5 + 20]
    return f"far from NumPy: {', '.join(far)}" if far else 0


if __name__ == "__main__":
    sys.exit({"flags": flags, "compare": compare}[sys.argv[1]](*sys.argv[2:]))
