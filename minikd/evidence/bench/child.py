"""Run by its path: python child.py THREADS COMMAND... Runs the command, then prints its time and memory as JSON.

This is a separate process because a process inherits the peak memory of the process that started it. If the benchmark
itself, with PyTorch in memory, started the command, it would pass on its own peak. This process uses almost no memory.
"""

import json
import os
import sys
import time


def main(threads: int, command: list[str]) -> int:
    """Run the command on this many cores, and return its exit status."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": usage.ru_maxrss * unit}), flush=True)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
