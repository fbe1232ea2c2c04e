"""Does a finished run hold what the README promises? Usage: check_results.py RUN_FOLDER"""

import json
import sys
from pathlib import Path

FILES = ("config.toml", "history.csv", "results.json", "report.html", "figures/training_curves.svg")
WEIGHTS = ("teacher.safetensors", "student_baseline.safetensors", "student_distilled.safetensors")

folder = Path(sys.argv[1])
missing = [name for name in (*FILES, *WEIGHTS) if not (folder / name).is_file()]
results = json.loads((folder / "results.json").read_text())
teacher, alone, distilled = (results[name] for name in ("teacher", "student_baseline", "student_distilled"))
gain = alone["errors"] - distilled["errors"]
checks = {
    "every file is there": not missing,
    "teacher at least 99.3 % right": teacher["accuracy"] >= 0.993,
    "distilled student at least 98.5 % right": distilled["accuracy"] >= 0.985,
    "distilled student at least 30 errors better than its baseline": gain >= 30,
    "McNemar's p below 0.01": results["mcnemar_p"] < 0.01,
}
print(f"errors: teacher {teacher['errors']}, baseline {alone['errors']}, distilled {distilled['errors']} (gain {gain})")
print(f"seconds: {results['seconds']:.0f}; missing files: {missing or 'none'}")
for text, ok in checks.items():
    print(f"{text:<64} {'ok' if ok else 'FAILED'}")
sys.exit(0 if all(checks.values()) else 1)
