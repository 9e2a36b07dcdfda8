#!/bin/sh
# All that needs a GPU, in one command of less than eight minutes: sh tests/gpu.sh
# It needs CuPy, NumPy, pytest, pytest-xdist and hypothesis; with PyTorch's CUDA build the report compares with it.
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH=. HYPOTHESIS_PROFILE=ci
status=0
try() {
    printf '\n== %s\n' "$*"
    timeout "$@" || { echo "== exit status $?"; status=1; }
}
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
try 90 python3 -m pytest -p no:cacheprovider -n 4 tests/test_gpu.py
try 150 python3 examples/gpu_report.py
try 30 python3 examples/gpu_report.py --where
try 30 python3 -m gpt train --device cuda --max_iters 300 --eval_interval 100 --dropout 0.1 --out /tmp/gpu_run
try 20 python3 -m gpt train --device cuda --max_iters 400 --eval_interval 100 --resume --out /tmp/gpu_run
try 20 python3 -m gpt sample --device cuda --checkpoint /tmp/gpu_run --max_new_tokens 200
try 120 python3 -m pytest -p no:cacheprovider -n 12 tests/test_ops.py -k "another_array_library and cupy"
exit $status
