"""A GPU's kernels on a CPU: minigrad/gpu/kernels.cu compiled as C by `cc`, and run as a device would run it.

`RawModule` has CuPy's signature. What CUDA adds to C is a handful of words, which PRELUDE defines: a thread of a
block is a thread of this process, `__syncthreads()` a barrier, shared memory a static array. Blocks come one after
the other. The loops of the kernels suit any number of blocks and threads, so few are started: BLOCKS and THREADS.
"""

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

BLOCKS, THREADS = 2, 1
launched = Counter()  # how often each kernel ran
PRELUDE = """
#include <pthread.h>
#include <tgmath.h>
typedef struct { int x, y, z; } place;
static _Thread_local place threadIdx;
static place blockIdx, blockDim, gridDim;
static pthread_barrier_t barrier;
void start(int block, int blocks, int threads)
{
    blockIdx.x = block, gridDim.x = blocks, blockDim.x = threads;
    pthread_barrier_init(&barrier, 0, threads);
}
void enter(int thread) { threadIdx.x = thread; }
#define __syncthreads() pthread_barrier_wait(&barrier)
#define __shared__ static
#define __device__ static
"""


@functools.cache
def compiled(code, options):
    """The library that `cc` makes of CUDA C; the test is skipped where there is no compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler, cc, to run the kernels with")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "kernels.c", Path(folder) / "kernels.so"
        source.write_text(PRELUDE + code.replace('extern "C" __global__', ""))
        flags = [
            "-O1",
            "-std=gnu11",
            "-shared",
            "-fPIC",
            "-pthread",
            "-Wall",
            "-Werror",
            "-Wno-unused-function",
        ]
        flags += os.environ.get("KERNEL_FLAGS", "").split()  # for a sanitizer
        subprocess.run(["cc", *flags, *options, "-o", library, source, "-lm"], check=True)
        return ctypes.CDLL(str(library))


class RawModule:
    """Kernels that run on the arrays which a stand-in for CuPy hides."""

    def __init__(self, code, options=()):
        self.library = compiled(code, options)

    def get_function(self, name):
        function, library = getattr(self.library, name), self.library

        def kernel(grid, block, args):
            assert grid[0] > 0 and block[0] & (block[0] - 1) == 0 < block[0] <= 1024
            given = [as_c(x) for x in args]
            launched[name] += 1
            blocks = min(grid[0], BLOCKS)
            for number in range(blocks):
                library.start(number, blocks, THREADS)
                run(function, library, given)

        return kernel


def run(function, library, args):
    """Run one block."""

    def thread(number):
        library.enter(number)
        function(*args)

    others = [threading.Thread(target=thread, args=(n,)) for n in range(1, THREADS)]
    for each in others:
        each.start()
    thread(0)
    for each in others:
        each.join()


def as_c(x):
    """An argument as CuPy passes it on: the address of an array, a 64-bit number; None is null."""
    if x is None:
        return ctypes.c_void_p(None)
    if isinstance(x, np.int64):
        return ctypes.c_longlong(int(x))
    if isinstance(x, np.float64):
        return ctypes.c_double(float(x))
    hidden = x._hidden
    assert hidden.flags.c_contiguous and hidden.size, (
        "kernels take arrays without gaps, of one element at least"
    )
    return ctypes.c_void_p(hidden.ctypes.data)
