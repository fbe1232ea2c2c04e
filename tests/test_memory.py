import platform
import subprocess
import sys

import pytest

from minikd import memory
from minikd.errors import SizeError

STEPS = """
import resource
import numpy as np
from minikd.memory import keep_freed_memory

if {keep}:
    keep_freed_memory()

def step():  # what a training step does to memory: several blocks of some MB, made, held together, freed
    blocks = [np.ones(n, np.float32) for n in (1_500_000, 800_000) * 6]
    return sum(float(block[0]) for block in blocks)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

step(), step()
before = faults()
for _ in range(10):
    step()
print((faults() - before) / 10)
"""


def faults_a_step(keep):
    """In a process of its own: the setting is the process's, and cannot be taken back."""
    run = [sys.executable, "-c", STEPS.format(keep=keep)]
    return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is a function of the GNU C library")
def test_a_step_takes_the_memory_that_the_step_before_it_freed():
    pages = 6 * 2_300_000 * 4 // 4096
    assert faults_a_step(keep=False) > pages / 20  # the C library, left alone
    assert faults_a_step(keep=True) < pages / 100


def test_what_is_larger_than_the_free_memory_is_refused_with_both_numbers_and_the_fix(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3 * 10**9)
    memory.require(2 * 10**9, "a thing", "do otherwise")
    with pytest.raises(SizeError, match=r"a thing would take 14\.4 TB of memory, but 3\.0 GB are free; do otherwise"):
        memory.require(14_400_000_000_000, "a thing", "do otherwise")


def test_a_limit_of_the_process_counts_as_the_memory_there_is():
    asked = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); " + (
        "from minikd.memory import available; print(available())"
    )
    found = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout
    assert 0 < int(found) < 2**30


def test_in_a_page_which_does_not_tell_a_gibibyte_is_taken_to_be_free(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    monkeypatch.setitem(sys.modules, "psutil", None)  # Pyodide has none
    assert memory.available() == memory.IN_A_PAGE == 2**30
    with pytest.raises(SizeError, match=r"1\.1 GB are free"):
        memory.require(2**31, "it", "take less")
