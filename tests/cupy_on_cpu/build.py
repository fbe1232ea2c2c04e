"""Builds the stand-in device, once: `python tests/cupy_on_cpu/build.py [FOLDER]`, half a minute and 510 MB.

Everything comes from the package index and lands in one folder (default: `home()`); the environment is not touched.
Needs g++ and Python's headers (`--check` only looks for both). No NVIDIA library is linked, or loaded to run kernels:
of NVIDIA's packages only the public headers are used, at build time, and NVRTC, which checks the kernels' source where
CPUCUDA_NVRTC asks for it.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CUPY = "14.2.0"  # the rebuilt module must match the wheel
RUNTIME = "cupy_backends/cuda/api/runtime"
SITE = [f"cupy-cuda12x=={CUPY}", "cuda-pathfinder>=1.3.4,<2", "nvidia-cuda-nvrtc-cu12==12.9.*"]
TOOLS = ["Cython==3.2.4", "setuptools", "nvidia-cuda-runtime-cu12==12.9.*", "nvidia-cuda-nvcc-cu12==12.9.*"]

CYTHONIZE = f"""
import Cython
from Cython.Build import cythonize
from setuptools import Extension
module = Extension("{RUNTIME.replace("/", ".")}", ["{RUNTIME}.pyx"], language="c++")
directives = {{"embedsignature": True, "c_api_binop_methods": True, "binding": False, "warn.deprecated.IF": False,
              "freethreading_compatible": True}}
settings = {{"CUPY_USE_CUDA_PYTHON": False, "CUPY_CUFFT_STATIC": False, "CUPY_CYTHON_VERSION": Cython.__version__,
            "CUPY_CUDA_VERSION": 12090, "CUPY_HIP_VERSION": 0}}
cythonize([module], language_level=3, quiet=True, compiler_directives=directives, compile_time_env=settings)
"""

PROFILER = """#pragma once
#include <cuda_runtime_api.h>
extern "C" cudaError_t cudaProfilerStart(void);
extern "C" cudaError_t cudaProfilerStop(void);
"""


def home():
    """Return the folder of the stand-in: $CPUCUDA_HOME, or minikd/cupy_on_cpu in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("CPUCUDA_HOME") or cache / "minikd" / "cupy_on_cpu")


def is_built(folder):
    """True where the stand-in in this folder is finished and was made from the sources beside this file."""
    stamp = folder / "built"
    return stamp.exists() and stamp.read_text() == version()


def version():
    """Return what a finished folder was made of."""
    parts = [CUPY, sysconfig.get_config_var("EXT_SUFFIX"), *((HERE / s).read_text() for s in sorted(SOURCES))]
    return "\n".join(parts)


def build(folder):
    """Make the stand-in in `folder`: site/ holds CuPy, libs/ the device."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        tools, scratch = Path(name) / "tools", Path(name) / "scratch"
        scratch.mkdir()
        pip("install", "--no-deps", "--target", folder / "site", *SITE)
        pip("install", "--no-deps", "--target", tools, *TOOLS)
        rebuild_runtime(folder / "libs", tools, scratch)
        for source, soname, client, prefix, refusal in libraries(folder):
            library(folder / "libs", tools, scratch, source, soname, client, prefix, refusal)
        run("gcc", "-shared", "-fPIC", "-x", "c", os.devnull, *named(folder / "libs", "libcublasLt.so.12"))
    (folder / "built").write_text(version())


def rebuild_runtime(libs, tools, scratch):
    """Rebuild CuPy's thin wrapper of the CUDA runtime from its MIT source, so that it links to the stand-in."""
    libs.mkdir()
    # The variable lets the source's metadata step run with no CUDA.
    pip("download", "--no-deps", "--no-binary", "cupy", "-d", scratch, f"cupy=={CUPY}", CUPY_INSTALL_USE_STUB="1")
    with tarfile.open(scratch / f"cupy-{CUPY}.tar.gz") as archive:
        archive.extractall(scratch, filter="data")
    source = scratch / f"cupy-{CUPY}"
    (source / "cuda_profiler_api.h").write_text(PROFILER)
    run(sys.executable, "-c", CYTHONIZE, cwd=source, PYTHONPATH=str(tools))
    flags = ["-std=c++17", "-O1", "-w", "-fPIC", "-shared", '-DCYTHON_EXTERN_C=extern "C"', "-D_FORCE_INLINES=1"]
    includes = [f"-I{sysconfig.get_paths()['include']}", *headers(tools), "-I."]
    run("g++", *flags, *includes, f"{RUNTIME}.cpp", "-o", libs / runtime_name(), cwd=source)


def runtime_name():
    """Return the file name of the rebuilt module."""
    return "runtime" + sysconfig.get_config_var("EXT_SUFFIX")


def headers(tools):
    """Return where NVIDIA's public headers are."""
    return [f"-I{tools}/nvidia/cuda_runtime/include", f"-I{tools}/nvidia/cuda_nvcc/include"]


SOURCES = ("cpucuda.cpp", "cublas.cpp", "curand.cpp")


def libraries(folder):
    """Return each library: source, name, who calls it, its functions' prefix, and what the missing ones answer."""
    clients = folder / "site" / "cupy_backends" / "cuda" / "libs"
    return [
        ("cpucuda.cpp", "libcuda.so.1", folder / "libs" / runtime_name(), "cu", 801),
        ("cublas.cpp", "libcublas.so.12", next(clients.glob("cublas.*.so")), "cublas", 15),
        ("curand.cpp", "libcurand.so.10", next(clients.glob("curand.*.so")), "curand", 102),
    ]


def library(libs, tools, scratch, source, soname, client, prefix, refusal):
    """Compile `source`; whatever else `client` wants of that library becomes a function that answers `refusal`."""
    flags = ["-std=c++17", "-O3", *cpu_flags(), "-fPIC", "-shared", *headers(tools)]
    command = ["g++", *flags, HERE / source, *named(libs, soname), "-ldl"]
    run(*command)
    missing = sorted(symbols(client, "--undefined-only", prefix) - symbols(libs / soname, "--defined-only", prefix))
    rest = scratch / "rest.c"
    rest.write_text("".join(f"int {name}(void) {{ return {refusal}; }}\n" for name in missing))
    run("gcc", "-c", "-fPIC", rest, "-o", scratch / "rest.o")
    run(*command, scratch / "rest.o")


def cpu_flags():
    """Return flags for the plain loops that stand in for cuBLAS: AVX2 where this processor has it."""
    try:
        return ["-march=x86-64-v3"] if " avx2 " in Path("/proc/cpuinfo").read_text() else []
    except OSError:
        return []


def named(libs, soname):
    """Return the linker's flags for a library that is found again by name."""
    return [f"-Wl,-soname,{soname}", "-o", libs / soname]


def symbols(file, flag, prefix):
    """Return the library's symbols of that prefix, defined or undefined."""
    text = subprocess.run(["nm", "-D", flag, file], capture_output=True, text=True, check=True).stdout
    words = (line.split()[-1].split("@")[0] for line in text.splitlines())
    return {word for word in words if word.startswith(prefix)}


def pip(*arguments, **variables):
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments, **variables)


def run(*command, cwd=None, **variables):
    subprocess.run([str(part) for part in command], check=True, cwd=cwd, env={**os.environ, **variables})


def missing():
    """Return what the machine lacks to compile the stand-in, or nothing."""
    if not shutil.which("g++") or not shutil.which("nm"):
        return "g++ (Debian: apt-get install g++)"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "Python's headers (Debian: apt-get install python3-dev)"
    return None


if __name__ == "__main__":
    if lacking := missing():
        sys.exit(f"the stand-in is compiled: install {lacking}")
    if "--check" in sys.argv:
        sys.exit()
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else home()
    if is_built(folder):
        print(f"the stand-in is there already: {folder}")
    else:
        build(folder)
        print(f"built; run the suite on it with: CPUCUDA_HOME={folder} python -m pytest --backend cupy")
