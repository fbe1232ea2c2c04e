"""Kernels for the stand-in device: CuPy's generated CUDA C++, compiled by g++ instead of NVRTC, once and then kept."""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNEL = re.compile(r'extern\s*"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')
FLAGS = ("-std=c++17", "-U_FORTIFY_SOURCE", "-O1", "-w", "-fpermissive", "-fPIC", "-fno-strict-aliasing")
GPU_ROUNDING = ("-fexpensive-optimizations", "-mfma", "-ffp-contract=fast", "-DCPUCUDA_FLUSH")
"""Multiply and add are fused and float32's subnormals are 0, as CuPy has a GPU do it."""
LINKER = ("-fuse-ld=gold",) if shutil.which("ld.gold") else ()
"""The faster of two linkers: with many small kernels, linking is a quarter of the work."""
CUPY_HEADERS = ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h")

checked = set()
"""Name and a digest of the source of each kernel that NVIDIA's compiler has accepted in this process."""


def gpu_rounding():
    """True where kernels shall round as a GPU's do."""
    return os.environ.get("CPUCUDA_ROUNDING") == "gpu"


def load_nvrtc(site):
    """Load NVIDIA's compiler, so that CuPy finds it by its name."""
    ctypes.CDLL(str(next((site / "nvidia" / "cuda_nvrtc" / "lib").glob("libnvrtc.so.*"))), mode=ctypes.RTLD_GLOBAL)


def take_over(cache):
    """Let CuPy compile its kernels here; `cache` keeps them."""
    from cupy.cuda import compiler, function

    cache.mkdir(exist_ok=True)

    def compile_module(source, options=(), *, name_expressions=None, **others):
        if os.environ.get("CPUCUDA_NVRTC") and not cupys_own(source):
            check_with_nvrtc(cache, source, options, name_expressions)
        names = {e: f"template{i}" for i, e in enumerate(sorted(name_expressions or ()))}
        module = function.Module()
        module.load(b"CPUMOD:" + str(compiled(cache, source, options, names)).encode() + b"\0")
        module._set_mapping(names or None)
        return module

    compiler._compile_module_with_cache = compile_module


def cupys_own(source):
    """True for a source with CuPy's own kernels alone: NVIDIA's compiler takes those wherever CuPy is installed."""
    names = KERNEL.findall(source)
    return bool(names) and all(name.startswith("cupy_") for name in names)


def check_with_nvrtc(cache, source, options, name_expressions):
    """Compile for sm_$CPUCUDA_NVRTC with NVIDIA's compiler, once for all processes: a file in `cache` tells the others.

    The compiler's error is CuPy's CompileException.
    """
    from cupy.cuda import compiler

    arch = f"-arch=sm_{os.environ['CPUCUDA_NVRTC']}"
    accepted = cache / (
        hashlib.sha1(repr((source, options, name_expressions, arch)).encode()).hexdigest() + ".accepted"
    )
    if not accepted.exists():
        program = compiler._NVRTCProgram(source, "kernel.cu", (), (), name_expressions=name_expressions, method="cubin")
        program.compile((*options, arch, "--device-as-default-execution-space", "-ftz=true"))
        accepted.touch()
    digest = hashlib.sha1(source.encode()).hexdigest()
    checked.update((name, digest) for name in KERNEL.findall(source) or ["a template"])


def compiled(cache, source, options, templates):
    """Return the path of a host library that holds the kernels of `source`."""
    names = {name: name for name in KERNEL.findall(source)} | {new: old for old, new in templates.items()}
    assert names, f"no kernel found in\n{source}"
    waits = "__syncthreads" in source or "_sync(" in source or "__syncwarp" in source
    # One thread can do all of a grid-stride loop, unless its body returns early: CuPy then launches one an element.
    body = source[source.rindex("CUPY_FOR") :] if "CUPY_FOR" in source else "return"
    alone = not waits and not re.search(r"\breturn\b|no_thread_divergence", body)
    rounding = GPU_ROUNDING if gpu_rounding() else ()
    flags = (*FLAGS, *rounding, f"-I{HERE / 'shim'}", f"-I{include()}", *(o for o in options if o.startswith("-D")))
    header, header_key = prologue(cache, flags)
    tail = "".join(launcher(new, old, alone, waits) for new, old in names.items())
    shared = re.sub(r"extern\s+__shared__\s+([\w:<> ]+?)\s+(\w+)\[\]", r"static \1 \2[12288]", source)
    text = f"{shared}\n{tail}"
    library = cache / (hashlib.sha1((header_key + text).encode()).hexdigest() + ".so")
    if not library.exists():
        host_compile(library, text, flags, header)
    return library


def launcher(new, old, alone, waits):
    """Return the C++ of the function that the device calls to launch a kernel."""
    arguments = "".join(f"unsigned {letter}," for letter in "abcdefg")
    call = f"cpucuda::launch(&{old},a,b,c,d,e,f,p,{str(alone).lower()},{str(waits).lower()});"
    return f'extern "C" void __cpucuda_launch_{new}({arguments}void** p){{{call}}}\n'


def host_compile(library, text, flags, header):
    """Compile a kernel's text; two processes or threads that compile one kernel do not disturb each other."""
    mine = f"{os.getpid()}-{threading.get_ident()}"
    source, made = library.with_suffix(f".{mine}.cpp"), library.with_suffix(f".{mine}.tmp")
    source.write_text(text)
    command = ["g++", *flags, *LINKER, "-shared", "-include", header, source, "-o", made]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"g++ refused {source}\n{done.stderr[:3000]}")
    made.replace(library)
    source.unlink()


def prologue(cache, flags):
    """Return the header that makes CUDA C++ of C++, precompiled since it is most of the work, and its digest."""
    includes = "".join(f"#include <cupy/{name}>\n" for name in CUPY_HEADERS)
    text = (HERE / "kernel_prologue.h").read_text() + includes
    key = hashlib.sha1((text + repr(flags)).encode()).hexdigest()[:16]
    header, ready = cache / f"prologue-{key}.h", cache / f"prologue-{key}.h.gch"
    if not ready.exists():
        made = cache / f"prologue-{key}.{os.getpid()}-{threading.get_ident()}.tmp"
        header.write_text(text)
        subprocess.run(["g++", *flags, "-x", "c++-header", header, "-o", made], check=True)
        made.replace(ready)
    return header, key


def include():
    """Return the folder of CuPy's own kernel headers."""
    import cupy

    return Path(cupy.__file__).parent / "_core" / "include"
