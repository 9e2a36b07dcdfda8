"""The GPU's forms of operations, on a stand-in for CuPy whose kernels `cc` compiles for the CPU (tests/support/device.py).

tests/test_ops.py and tests/test_layers.py run every operation and layer there, in float64 and with one thread; here
are several threads, float32, what a form leaves to the operation itself, and what a GPT's step costs.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import nn
from gpt import GPT, GPTConfig, decay_groups
from gpt.config import LlamaConfig
from gpt.llama import Llama
from gpt.train import training_step
from minigrad import backend, random
from minigrad.gpu import form, many, sums
from minigrad.gpu.device import allow_tf32, array_library
from minigrad.gpu.launch import launch
from minigrad.gpu.masks import Masks
from minigrad.parallel import Way, Workers
from minigrad.random import Generator
from minigrad.switches import no_grad
from nn import functional as F
from nn.functional.attention import causal_attention
from nn.functional.cross_entropy import nll
from nn.functional.dropout import keep_mask
from nn.functional.gelu import gelu_tanh
from nn.functional.layer_norm import layer_norm
from nn.functional.rms_norm import scale_rows
from nn.functional.rotary import rotary
from nn.functional.scaled_dot_product import attend
from nn.functional.silu import times_sigmoid
from nn.functional.softmax import softmax
from nn.optim import Adam, AdamW, clip_grad_norm_
from nn.torch_names.faces import face
from tests.support import cupy_surface, device, foreign
from tests.support.chapter import ROOT

torch = face("torch")


@pytest.fixture
def cupy(monkeypatch):
    return foreign.install(monkeypatch)


@pytest.fixture(params=["stand-in", "cupy"])
def library(request, monkeypatch):
    """The stand-in, and CuPy itself, where there is a GPU."""
    if request.param == "stand-in":
        return foreign.install(monkeypatch)
    try:
        return array_library("cuda")
    except (ImportError, ValueError) as error:
        pytest.skip(f"no GPU: {error}")


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def kept(*shape):
    return np.random.default_rng(1).random(shape) < 0.7


TARGETS = np.array([3, 0, -1, 69, 3])
CASES = {  # the operation, its arrays, its constants: rows longer than the threads are many, and shorter
    "gelu": (gelu_tanh, [3 * numbers(5, 70)], {}),
    "layer_norm": (layer_norm, [numbers(3, 5, 70), numbers(70), numbers(70)], {}),
    "layer_norm of short rows": (layer_norm, [numbers(9, 3), numbers(3), None], {"eps": 1e-3}),
    "layer_norm of many rows": (layer_norm, [numbers(150, 5), numbers(5), numbers(5)], {}),
    "layer_norm, plain": (layer_norm, [numbers(9, 3) + 1e4], {}),
    "scale_rows": (scale_rows, [numbers(3, 5, 70), numbers(70)], {"eps": 1e-5}),
    "scale_rows of short rows, plain": (scale_rows, [numbers(9, 3), None], {"eps": 1e-3}),
    "times_sigmoid": (times_sigmoid, [9 * numbers(5, 70)], {}),
    "rotary": (rotary, [numbers(2, 3, 20, 6)], {}),
    "rotary from a place on": (rotary, [numbers(70, 2)], {"start": 1000, "theta": 500.0}),
    "softmax": (softmax, [9 * numbers(5, 70)], {}),
    "softmax of one large number": (softmax, [numbers(5, 70) + 1e4 * (np.arange(70) == 36)], {}),
    "nll of one large number": (nll, [numbers(5, 70) + 1e4 * (np.arange(70) == 37)], {"targets": abs(TARGETS)}),
    "nll": (nll, [9 * numbers(5, 70)], {"targets": TARGETS, "ignore_index": -1, "reduction": "mean"}),
    "nll, smoothed": (nll, [numbers(5, 70)], {"targets": abs(TARGETS), "label_smoothing": 0.2}),
    "nll of large logits": (nll, [numbers(5, 70) + 1e4], {"targets": abs(TARGETS), "reduction": "sum"}),
    "causal attention": (causal_attention, [numbers(2, 20, 24)], {"n_head": 2}),
    "with dropout": (causal_attention, [numbers(2, 9, 24)], {"n_head": 2, "keep": kept(2, 2, 9, 9), "p": 0.3}),
    "attend": (attend, [numbers(2, 9, 4), numbers(2, 11, 4), numbers(2, 11, 5)], {"is_causal": True}),
    "attend to fewer keys": (attend, [numbers(9, 4), numbers(5, 4), numbers(5, 4)], {"is_causal": True}),
    "attend where allowed": (
        attend,
        [numbers(2, 3, 9, 4), numbers(2, 1, 20, 4), numbers(2, 1, 20, 4)],
        {"mask": kept(9, 20) & (np.arange(9) > 1)[:, None], "keep": kept(2, 3, 9, 20), "p": 0.3},
    ),
    "attend, a mask added": (attend, [numbers(9, 4), numbers(7, 4), numbers(7, 4)], {"mask": numbers(9, 7)}),
}  # fmt: skip


def run(operation, arrays, constants, asarray):
    """[output, *gradients], on the host."""
    arrays = [a if a is None else asarray(a) for a in arrays]
    constants = {name: asarray(c) if isinstance(c, np.ndarray) else c for name, c in constants.items()}
    y, vjp = form(operation.array, arrays)(*arrays, **constants)
    dy = asarray(numbers(*y.shape, seed=2).astype(arrays[0].dtype))
    return [x if x is None else backend.to_numpy(x) for x in (y, *vjp(dy))]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("case", CASES)
def test_a_form_computes_what_the_operation_does(case, threads, dtype, library, monkeypatch):
    operation, arrays, constants = CASES[case]
    arrays = [a if a is None else a.astype(dtype) for a in arrays]
    constants = {
        k: c.astype(dtype) if getattr(getattr(c, "dtype", None), "kind", "") == "f" else c
        for k, c in constants.items()
    }
    monkeypatch.setattr(device, "THREADS", threads)
    before = device.launched.copy()
    found = run(operation, arrays, constants, library.asarray)
    assert device.launched - before or library.__name__ == "cupy" and library.__file__
    exact = [a if a is None else a.astype(float) for a in arrays]
    wanted = run(operation, exact, constants, np.asarray)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        assert (a is None) == (b is None)
        if a is not None:
            tolerance = 1e-11 if dtype is np.float64 else 2e-5 if abs(arrays[0]).max() < 1e3 else 5e-3
            assert a.dtype == dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, abs(b).max()))


def launch_every_kernel():
    """Run each kernel on the stand-in, in blocks of several threads."""
    cupy = foreign.install(pytest.MonkeyPatch())
    device.THREADS, sums.ONE_HOT = 8, 0
    for operation, arrays, constants in CASES.values():
        run(operation, arrays, constants, cupy.asarray)
    Masks(1).at(rows=2, of=2).keep_mask(0.5, (2, 9))
    backend.scatter_add_rows(cupy.asarray(numbers(9, 2)), cupy.asarray(np.arange(9) % 2), 2)
    p = nn.Parameter(cupy.asarray(numbers(40)))
    p.grad = cupy.asarray(numbers(40))
    clip_grad_norm_([p], 1.0)
    AdamW([p]).step()
    print(*device.launched)


def test_no_two_threads_write_and_read_a_number_without_a_barrier_between():
    ask = ["cc", "-print-file-name=libtsan.so"]
    library = shutil.which("cc") and subprocess.run(ask, capture_output=True, text=True).stdout.strip()
    if not library or not Path(library).is_file():
        pytest.skip("no ThreadSanitizer beside the C compiler")
    command = [sys.executable, "-c", "from tests.test_gpu import launch_every_kernel as run; run()"]
    flags = "-fsanitize=thread -g -ftls-model=initial-exec"  # or it warns of memory that the loader frees
    sanitized = {"KERNEL_FLAGS": flags, "LD_PRELOAD": library}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | sanitized, capture_output=True, text=True, timeout=60
    )
    if "FATAL: ThreadSanitizer" in done.stderr:
        pytest.skip("ThreadSanitizer does not run on this system: " + done.stderr.splitlines()[0])
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr[-3000:]
    kernels = (ROOT / "minigrad" / "gpu" / "kernels.cu").read_text()
    assert set(done.stdout.split()) == set(re.findall(r"__global__ void (\w+)", kernels))


def make_steps(config, where, steps=1):
    """A GPT after some steps on batches of the host, and the losses."""
    model = GPT(config, rng=Generator(0, "fast")).to(where)
    optimizer = AdamW(decay_groups(model, 0.1), 1e-2)
    workers, losses = Workers(Way(1, 1), 5, model.loss, model.parameters()), []
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (2, config.block_size + 1))
    for step in range(steps):
        foreign.counts.clear()
        device.launched.clear()
        losses.append(
            training_step(workers, optimizer, [(ids[:, :-1], ids[:, 1:])], lr=1e-2, grad_clip=1.0, step=step)
        )
    return model, losses


def held():
    """The bytes that live on the stand-in."""
    return sum(x._hidden.nbytes for x in list(foreign.MEMORY.values()))


@pytest.mark.parametrize("operation", [causal_attention, attend])
def test_attention_keeps_no_mask_until_the_backward_pass(operation, cupy):
    arrays = [numbers(2, 9, 24)] if operation is causal_attention else [numbers(2, 2, 9, 4)] * 3
    options, more = {"n_head": 2} if operation is causal_attention else {}, []
    for p in (0.0, 0.3):
        before, inputs = held(), [cupy.asarray(a) for a in arrays]
        dropped = {"keep": cupy.asarray(kept(2, 2, 9, 9)), "p": p} if p else {}
        y, vjp = form(operation.array, inputs)(*inputs, **options, **dropped)
        del dropped
        more.append(held() - before)
        assert vjp(y)[0].shape == arrays[0].shape
        del inputs, y, vjp
    assert more[0] == more[1] > 0


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_the_mask_of_the_backward_pass_is_that_of_the_forward_pass(p, library):
    x, dy = numbers(3, 5, 12), numbers(3, 5, 4, seed=2)
    masks = Masks(7)

    def loss(x):
        with random.using(masks.at(1, 0, 0, 3, 3)):
            keep = keep_mask(library.asarray(x), p, shape=(3, 2, 5, 5))
        y, vjp = form(causal_attention.array, [library.asarray(x)])(
            library.asarray(x), n_head=2, keep=keep, p=p
        )
        del keep
        return float((y.get() * dy).sum()), vjp

    dx = loss(x)[1](library.asarray(dy))[0].get()
    direction, h = numbers(3, 5, 12, seed=3), 1e-5
    slope = (loss(x + h * direction)[0] - loss(x - h * direction)[0]) / (2 * h)
    np.testing.assert_allclose((dx * direction).sum(), slope, rtol=1e-8, atol=1e-12)
    assert (slope == 0) == (p == 1)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_step_of_gpt2s_depth_takes_few_launches_and_one_wait(dropout, cupy):
    config = GPTConfig(n_layer=12, n_head=2, n_embd=8, block_size=5, vocab_size=65, dropout=dropout)
    make_steps(config, "cuda", 2)
    launches = foreign.counts["launches"] + sum(device.launched.values())
    assert (
        600 < launches <= 1000
    )  # of them products with the weights 146; CuPy itself makes 718 without dropout
    assert foreign.counts["waits"] == 1  # for the loss
    assert foreign.counts["uploads"] <= 10
    assert device.launched["adam"] == 2 and device.launched["softmax"] == 12  # two groups of parameters


def test_a_token_of_a_llama_takes_24_launches_a_block_and_one_wait(cupy):
    sizes = {"n_layer": 10, "n_head": 4, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24}
    model = Llama(LlamaConfig(**sizes, vocab_size=65), rng=Generator(0, "fast")).to("cuda").eval()
    cache = model.new_cache()

    def read(tokens):
        foreign.counts.clear()
        device.launched.clear()
        with no_grad():
            return model(np.arange(tokens)[None], None, cache)[0].array.get()

    read(9), read(1)
    launches = foreign.counts["launches"] + sum(device.launched.values())
    assert 200 < launches <= 240 and foreign.counts["waits"] == 1  # a product with a weight counts one
    assert device.launched == {"layer_norm": 21, "rotary": 20, "softmax": 10, "times_sigmoid": 10}


@pytest.mark.parametrize(
    "options",
    [{}, {"amsgrad": True}, {"maximize": True}, {"decoupled": False}, {"weight_decay": 0.0}],
    ids=str,
)
@pytest.mark.parametrize("grad", [1e-3, 1e3, np.nan])
def test_clipping_and_adam_are_those_of_the_cpu(grad, options, library, monkeypatch):
    monkeypatch.setattr(many, "PIECE", 7)
    monkeypatch.setattr(device, "THREADS", 4)
    found = []
    for xp in (np, library):
        params = [nn.Parameter(xp.asarray(numbers(*shape))) for shape in ((5, 3), (1,), (20,))]
        if "decoupled" in options:
            optimizer = Adam(params, 1e-2, weight_decay=0.1)
        else:
            optimizer = AdamW(params, 1e-2, **options)
        for step in range(3):
            for p in params:
                p.grad = xp.asarray(grad * numbers(*p.shape, seed=step))
            with np.errstate(invalid="ignore"):
                norm = clip_grad_norm_(params, 1.0)
                optimizer.step()
        found.append([backend.to_numpy(x.array) for x in (norm, *params)])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_parameter_that_lies_in_another_order_learns_too(library):
    found = []
    for xp in (np, library):
        p = nn.Parameter(xp.asarray(numbers(3, 5)).T)
        p.grad = xp.asarray(numbers(5, 3))
        AdamW([p], 0.1).step()
        found.append(backend.to_numpy(p.array))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_parameters_without_a_gradient_are_left_alone(cupy):
    p, q = (nn.Parameter(cupy.asarray(numbers(3))) for _ in range(2))
    optimizer, before = AdamW([p, q], 1e-2), device.launched["adam"]
    p.grad = cupy.asarray(numbers(3))
    optimizer.step()
    assert (q.array.get() == numbers(3)).all() and (p.array.get() != numbers(3)).all()
    assert device.launched["adam"] == before
    with pytest.raises(RuntimeError, match="expected gradients of a finite norm; got inf"):
        p.grad = cupy.asarray(np.array([np.inf, 0, 0]))
        clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


def philox(counter, key):
    """Four words of Philox4x32 with ten rounds, in whole numbers of Python."""
    c, (k0, k1), low = list(counter), key, 2**32 - 1
    for number in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        keys = k0 + number * 0x9E3779B9, k1 + number * 0xBB67AE85
        c = [b >> 32 ^ c[1] ^ keys[0] & low, b & low, a >> 32 ^ c[3] ^ keys[1] & low, a & low]
    return c


def test_masks_are_philoxs_whatever_the_threads_and_whoever_has_the_rows(library, monkeypatch):
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]  # known answers of Random123, its kat_vectors
    assert philox(pi, [0xA4093822, 0x299F31D0]) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
    assert philox([2**32 - 1] * 4, [2**32 - 1] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    seed, p = 2**40 + 17, 0.3
    masks = Masks(seed).at(3, 1, 0, 5, 5)
    place, both = masks._next, []
    whole = [masks.keep_mask(p, (5, 2, 7)).get(), masks.keep_mask(p, (5, 8)).get()]
    for row, column in np.ndindex(5, 14):
        where = place + 4 * row + column // 4
        word = philox([where >> 32 * k & 2**32 - 1 for k in range(4)], [seed & 2**32 - 1, seed >> 32])
        assert whole[0].reshape(5, 14)[row, column] == (word[column % 4] >= p * 2**32)
    monkeypatch.setattr(device, "THREADS", 8)
    for first, rows in ((0, 2), (2, 3)):
        masks.at(3, 1, first, rows, 5)
        both.append([masks.keep_mask(p, (rows, 2, 7)).get(), masks.keep_mask(p, (rows, 8)).get()])
    for a, parts in zip(whole, zip(*both)):
        np.testing.assert_array_equal(a, np.concatenate(parts))
    assert not (masks.at(4, 1, 0, 5, 5).keep_mask(p, (5, 2, 7)).get() == whole[0]).all()
    assert masks.keep_mask(0.0, (3,)).all() and not masks.keep_mask(1.0, (3,)).any()
    assert abs(masks.keep_mask(p, (100, 999)).get().mean() - 0.7) < 0.005


def test_a_counter_carries_over_its_first_64_bits(library):
    masks = Masks(1)
    masks._next = 2**64 - 1
    found = masks.keep_mask(0.5, (8,)).get()
    words = philox([2**32 - 1, 2**32 - 1, 0, 0], [1, 0]) + philox([0, 0, 1, 0], [1, 0])
    np.testing.assert_array_equal(found, np.array(words) >= 2**31)


def test_layer_norm_of_equal_numbers_is_exactly_zero_there_too(library):
    for dtype in (np.float32, np.float64):
        for number in (12345.678, -3e20, 0.1):
            x = np.full((3, 100), number, dtype)
            y, _ = form(layer_norm.array, [library.asarray(x)])(library.asarray(x))
            assert not y.get().any()


@pytest.mark.parametrize("threads", [1, 8])
def test_rows_of_one_id_are_added_in_their_order(threads, library, monkeypatch):
    monkeypatch.setattr(device, "THREADS", threads)
    monkeypatch.setattr(sums, "ONE_HOT", 0)
    values, ids = numbers(40, 3).astype(np.float32), np.random.default_rng(3).integers(0, 9, 40) % 7
    wanted = np.zeros((9, 3), np.float32)
    for row, number in zip(values, ids):
        wanted[number] += row
    found = backend.scatter_add_rows(library.asarray(values), library.asarray(ids.astype(np.int32)), 9)
    np.testing.assert_array_equal(found.get(), wanted)  # bit for bit, whatever the threads
    monkeypatch.setattr(sums, "ONE_HOT", 1 << 24)
    found = backend.scatter_add_rows(library.asarray(values), library.asarray(ids), 9)
    np.testing.assert_allclose(found.get(), wanted, rtol=1e-6, atol=1e-6)


def test_elements_are_added_at_any_index_as_numpy_does(library):
    rng = np.random.default_rng(4)
    for index in (
        (rng.integers(-4, 4, (3, 1)), rng.integers(0, 5, 6)),
        (slice(1, None), rng.integers(0, 5, 7)),
    ):
        wanted = np.zeros((4, 5))
        values = numbers(*wanted[index].shape)
        np.add.at(wanted, index, values)
        there = tuple(library.asarray(i) if isinstance(i, np.ndarray) else i for i in index)
        found = backend.scatter_add(library.asarray(values), there, (4, 5))
        np.testing.assert_allclose(found.get(), wanted, rtol=1e-13, atol=1e-13)


def test_a_target_that_is_no_column_makes_the_loss_not_a_number(library):
    for target in (70, -2):
        options = {"targets": np.array([1, target]), "ignore_index": -1, "reduction": "mean"}
        loss, *_ = run(nll, [numbers(2, 70)], options, library.asarray)
        assert np.isnan(loss)


@pytest.mark.parametrize(
    "case",
    [
        (layer_norm, [numbers(0, 3)], {}),
        (softmax, [numbers(3, 4)], {"axis": 0}),
        (softmax, [numbers(3, 4, 2)], {"axis": -2}),
    ],
    ids=["no row", "another axis", "the middle axis"],
)
def test_what_a_form_does_not_fit_the_operation_itself_computes(case, cupy):
    before = device.launched.copy()
    for a, b in zip(run(*case, cupy.asarray), run(*case, np.asarray)):
        np.testing.assert_array_equal(a, b)
    assert device.launched == before


def test_mistakes_are_refused_by_the_operation_itself(cupy):
    x = cupy.asarray(numbers(3, 4))
    with pytest.raises(ValueError, match=r"layer_norm: expected weight \(4,\) for x \(3, 4\)"):
        layer_norm(x, cupy.asarray(numbers(3)))
    with pytest.raises(ValueError, match='"mean", "sum" or "none"'):
        F.cross_entropy(layer_norm(x), cupy.asarray(np.array([0, 1, 2])), reduction="median")
    with pytest.raises(TypeError, match="inputs of one float dtype"):
        layer_norm(x, cupy.asarray(numbers(4).astype(np.float32)))
    with pytest.raises(ValueError, match=r"embedding: expected ids in 0\.\.2; got 1\.\.3"):
        F.embedding(np.array([1, 3]), layer_norm(x))


def test_tf32_is_allowed_where_pytorchs_names_say_so(monkeypatch):
    asked = []
    monkeypatch.setattr("nn.torch_names.cuda.is_available", lambda: True)
    monkeypatch.setattr("nn.torch_names.backends.allow_tf32", asked.append)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("highest")
    assert torch.backends.cuda.matmul.allow_tf32 is False
    torch.set_float32_matmul_precision("high")
    assert torch.backends.cuda.matmul.allow_tf32 is True
    torch.set_float32_matmul_precision("highest")
    assert asked == [True, False, True, False]
    monkeypatch.setattr("nn.torch_names.cuda.is_available", lambda: False)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = False
    assert len(asked) == 4


def test_tf32_sets_both_of_cupys_switches(cupy, monkeypatch):
    said = []
    linalg = SimpleNamespace(
        COMPUTE_TYPE_TF32="tf32",
        COMPUTE_TYPE_DEFAULT="default",
        set_compute_type=lambda *kind: said.append(kind),
    )
    monkeypatch.setitem(sys.modules, "cupy._core._routines_linalg", linalg)
    monkeypatch.setattr(cupy.cuda, "device", SimpleNamespace(get_cublas_handle=lambda: 9), raising=False)
    cublas = SimpleNamespace(setMathMode=lambda *mode: said.append(mode))
    monkeypatch.setattr(cupy.cuda, "cublas", cublas, raising=False)
    allow_tf32(True)
    allow_tf32(False)
    assert said == [("float32", "tf32"), (9, 3), ("float32", "default"), (9, 0)]


def test_the_stand_in_has_what_cupy_has_and_refuses_what_it_has_not(cupy):
    x = cupy.asarray(numbers(3, 4))
    refused = [
        (lambda: cupy.vecdot(x, x), AttributeError, "cupy has no vecdot"),
        (lambda: cupy.max(x, initial=0.0), TypeError, r"cupy.max takes \(a, axis=, out=, keepdims=\)"),
        (lambda: x.max(initial=0.0), TypeError, "cupy.ndarray.max takes"),
        (lambda: cupy.add(x, x, where=x > 0), TypeError, "cupy.add takes"),
        (lambda: cupy.tri(3, -1), ValueError, "negative dimensions"),
        (lambda: cupy.exp(numbers(3)), TypeError, "a NumPy array"),
    ]
    for call, kind, words in refused:
        with pytest.raises(kind, match=words):
            call()


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy's wheel is not installed")
def test_the_list_of_cupys_names_is_that_of_the_wheel():
    listed = cupy_surface.LIST.read_text().splitlines()
    found = list(cupy_surface.lines())
    if listed[0].split(",")[0] != found[0].split(",")[0]:
        pytest.skip(f"the list is of another version: {listed[0]}; installed: {found[0]}")
    assert set(found[1:]) == set(listed[1:]) or listed[0] != found[0]


def test_without_a_gpu_one_line_says_so(monkeypatch):
    found = ModuleType("cupy")
    found.cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "cupy", found)
    with pytest.raises(ValueError, match='device: expected a GPU for "cuda"; got none that CuPy finds'):
        array_library("cuda")


def test_a_kernel_takes_arrays_without_gaps_alone(cupy):
    x = cupy.asarray(numbers(4, 4))
    with pytest.raises(AssertionError, match="without gaps"):
        launch("gelu_tanh", x, 1, x.swapaxes(0, 1), x, None, 16)
