"""What ran the race: processor, system, Python, BLAS."""

import os
import platform
from pathlib import Path

import numpy as np

from minigrad.parallel import cores


def processor() -> str:
    """Return the model of the CPU."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def blas() -> str:
    """Return NumPy's BLAS, its version and the kind of processor it chose its kernels for."""
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return (
            'BLAS threads left as they are; to let us choose, install threadpoolctl: pip install -e ".[race]"'
        )
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return "; ".join(
        f"{p['internal_api']} {p['version']} ({p.get('architecture', 'unknown')})" for p in pools
    )


def describe() -> dict[str, str]:
    """Return what to know about the machine and the run, by name."""
    set_by_user = {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS")}
    return {
        "processor": f"{processor()}, {cores()} cores for this process",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__}, {blas()}",
        "thread settings": " ".join(f"{k}={v}" for k, v in set_by_user.items()) or "none in the environment",
    }
