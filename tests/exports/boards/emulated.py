"""Build a C export for a small processor, with its memory enforced by the linker, and run it on an emulated one."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent

ARM = ("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
AVR = ("avr-gcc", "avr-size", "simavr")
INSTALL = "apt-get install gcc-arm-none-eabi qemu-system-arm gcc-avr avr-libc simavr"

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion")


class Run(NamedTuple):
    """What was found: bytes of flash and of static RAM, of stack; selftest's status; classes and logits; the cost.

    cost: instructions an image on the Cortex-M3, clocks on the AVR.
    """

    flash: int
    static: int
    stack: int
    selftest: int
    classes: np.ndarray
    logits: np.ndarray
    cost: float


class DoesNotFit(Exception):
    """The linker's words."""


def missing(tools):
    """Return why a board cannot be emulated here, or an empty text."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    return f"{', '.join(absent)} not installed: {INSTALL}" if absent else ""


def compiled(command, folder):
    """Run a compiler, or say what does not fit."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if re.search(r"overflowed by|will not fit|does not fit|is not within region|is too large", done.stderr):
        raise DoesNotFit(
            "\n".join(line for line in done.stderr.splitlines() if re.search("flow|fit|region|large", line))
        )
    assert done.returncode == 0, done.stderr[-4000:]


def sections(tool, program):
    """Return the bytes of flash and of static RAM that a program takes."""
    words = subprocess.run([tool, program], check=True, capture_output=True, text=True).stdout.splitlines()[1].split()
    text, data, bss = map(int, words[:3])
    return text + data, data + bss


def cortex_m(folder, images, number="int32_t", working=0):
    """Build folder/student.c for an STM32VL Discovery, 128 kB and 8 kB, and answer images in qemu.

    Raises DoesNotFit with the linker's words.
    """
    program = Path(folder) / "program.elf"
    command = [
        *("arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-std=gnu99", "-O2", "-ffreestanding", *WARNINGS),
        *(f"-DNUMBER={number}", "-nostdlib", "-T", HERE / "stm32vl.ld", f"-Wl,--defsym=NEEDED={working + 1024}"),
        *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
        *(HERE / "cortex_m.c", "student.c", "-I.", "-lgcc", "-o", program),
    ]
    compiled(command, folder)
    (Path(folder) / "images.bin").write_bytes(images.tobytes())
    machine = ["qemu-system-arm", "-M", "stm32vldiscovery", "-nographic", "-monitor", "none", "-serial", "none"]
    run = [*machine, "-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel", program]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=3600)
    return parsed(done.stdout + done.stderr, *sections("arm-none-eabi-size", program), number)


def parsed(text, flash, static, number):
    """Return what a run on the Cortex-M3 said."""
    lines = [line.split("\t") for line in text.splitlines()]
    rows = np.array([line[1:] for line in lines if line[0] == "image"], np.int64)
    said = {line[0]: int(line[1]) for line in lines if line[0] in ("selftest", "stack")}
    logits = rows[:, 1:-1].astype(np.int32)
    per_tick = 1e9 / 24e6  # an instruction takes a nanosecond of the emulator's time, a tick 1/24 of a microsecond
    return Run(
        flash,
        static,
        said["stack"],
        said["selftest"],
        rows[:, 0],
        logits.view(np.float32) if number == "float" else logits,
        float(rows[:, -1].mean() * per_tick),
    )


def avr(folder, flash=("-DMINIKD_FLASH=__flash",)):
    """Build folder/student.c for an ATmega328P, 32 kB and 2 kB, and let it check itself in simavr.

    Raises DoesNotFit with the linker's words.
    """
    program = Path(folder) / "program-avr.elf"
    command = [
        *("avr-gcc", "-mmcu=atmega328p", "-DF_CPU=16000000UL", "-std=gnu99", "-Os", *WARNINGS),
        *(f"-Wl,--defsym=__TEXT_REGION_LENGTH__={32 * 1024}", f"-Wl,--defsym=__DATA_REGION_LENGTH__={2 * 1024}"),
        *(*flash, "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
        *(HERE / "avr.c", "student.c", "-I.", "-o", program),
    ]
    compiled(command, folder)
    run = ["simavr", "-m", "atmega328p", "-f", "16000000", program]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=3600)
    found = re.search(r"selftest (\d+) stack (\d+) clocks (\d+)", done.stdout + done.stderr)
    assert found, (done.stdout + done.stderr)[-2000:]
    selftest, stack, clocks = map(int, found.groups())
    return Run(*sections("avr-size", program), stack, selftest, np.zeros(0), np.zeros(0), clocks)
