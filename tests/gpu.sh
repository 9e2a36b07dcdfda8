#!/bin/sh
# All that needs a GPU, in one command of less than eight minutes: sh tests/gpu.sh
# It needs CuPy, NumPy, pytest, pytest-xdist and hypothesis; with PyTorch's CUDA build the report compares with it.
# The end of what each command says is printed, and all of it is in a file of the folder $OUT, or of a new one.
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH=. PYTHONUNBUFFERED=1 HYPOTHESIS_PROFILE=ci
logs=${OUT:-$(mktemp -d)}
run=$(mktemp -d)
number=0
status=0
try() {
    number=$((number + 1))
    printf '\n== %s   (%s/%s.txt)\n' "$*" "$logs" "$number"
    timeout -k 5 "$@" >"$logs/$number.txt" 2>&1 || { echo "== exit status $?"; status=1; }
    tail -c 1500 "$logs/$number.txt"
}
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
try 80 python3 -m pytest -W ignore::DeprecationWarning -p no:cacheprovider --tb=short -r N -n 8 tests/test_gpu.py
try 130 python3 examples/gpu_report.py
try 30 python3 examples/gpu_report.py --where
try 60 python3 -m gpt train --device cuda --max_iters 300 --eval_interval 100 --dropout 0.1 --out "$run"
try 30 python3 -m gpt train --device cuda --max_iters 400 --eval_interval 100 --resume --out "$run"
try 30 python3 -m gpt sample --device cuda --checkpoint "$run" --max_new_tokens 200
try 110 python3 -m pytest -W ignore::DeprecationWarning -p no:cacheprovider --tb=short -r N -n 12 tests/test_ops.py -k "another_array_library and cupy"
exit $status
