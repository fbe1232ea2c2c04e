"""What a training step of minikd costs: the host to ask for it, the device to do it, the memory to hold it.

Usage: steps.py FOUND.jsonl LABEL BATCH ... (LABEL says how the process was started: CuPy reads CUPY_TF32 once).
"""

import json
import sys

import cupy

from minikd.backends import Backend
from minikd.evidence.gpu_check.steps import KINDS, images, training

DEVICE, COUNT = Backend("cupy", "asked for by the script"), 60


def main(path, label, *batches):
    pool = cupy.get_default_memory_pool()
    for batch in map(int, batches):
        views = images(max(1000, batch))
        for kind in KINDS:
            pool.free_all_blocks()
            row = {"side": "minikd", "how": label, "kind": kind, "batch": batch}
            try:
                step = training(kind, DEVICE, views, batch, COUNT if batch >= 128 else 2)
                row |= {"host_us": 1000 * step["host_ms"], "device_us": 1000 * step["device_ms"]}
                row |= {"images_per_second": step["images_per_second"], "mib": pool.total_bytes() >> 20}
            except Exception as error:  # whatever it is, the other trainings must still be timed
                row["error"] = f"{type(error).__name__}: {error}"
            print(row)
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
