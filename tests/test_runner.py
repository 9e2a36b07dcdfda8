"""`python -m minigrad run`, `as_torch`, and what scripts say to a machine."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import minigrad as mg
import nn
from minigrad.torch_names.device import device
from minigrad.torch_names.lacking import OURS, missing
from nn.torch_names.faces import SOURCES, face, names

ROOT = Path(__file__).parent.parent


def python(*words, cwd=ROOT):
    """Run Python with the product in reach; return the finished process."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, timeout=100
    )


# --- the command ---

SCRIPT = '''
import sys
from dataclasses import dataclass, fields
import torch, torch.nn as nn, torch.nn.functional as F
import torch.backends.cudnn as cudnn
from torch import Tensor, optim
from torch.autograd import Variable, grad
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.nn.utils import clip_grad_norm_
from importlib.metadata import version
import helper

@dataclass
class Config:
    size: int = 2

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(Config.size, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)

cudnn.deterministic = torch.backends.cuda.matmul.allow_tf32 = True
torch.manual_seed(0)
net = torch.compile(Net())
with torch.no_grad():
    torch.save({"net": net.state_dict(), "config": vars(Config())}, sys.argv[1])
    print(torch.load(sys.argv[1])["config"], net(torch.ones(1, 2)).sum().item())
print(__name__, __file__ == helper.FOLDER + "/script.py", sys.argv[0], sys.argv[2:], sys.path[0] == helper.FOLDER, sys.modules["__main__"].Net is Net)
print(torch.__version__ == version("torch"), torch.Tensor, nn.Linear, type(net), optim.SGD, helper.torch is torch)
x = torch.tensor([3.0], requires_grad=True)
assert torch.autograd.gradcheck(lambda x: x * x, torch.tensor([3.0], requires_grad=True).double())
print(grad(x * x, x)[0].item(), repr(torch.device("cuda", 0)), cudnn.deterministic)
torch.zeros(1).log(), 1 / torch.zeros(1), torch.zeros(1) / 0, torch.ones(1) * 1e38 * 1e38  # PyTorch says nothing
def fail():
    net(torch.ones(1, 5))
fail()
'''  # fmt: skip
PRINTED = """{'size': 2} %s
__main__ True sub/script.py ['--lr', '-1e-3', '--', '-m'] True True
True <class 'torch.Tensor'> <class 'torch.nn.modules.linear.Linear'> <class '__main__.Net'> <class 'torch.optim.sgd.SGD'> True
6.0 device(type='cuda', index=0) True
"""


def test_a_script_runs_as_python_runs_it_and_its_error_shows_its_own_lines(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "script.py").write_text(SCRIPT)
    (tmp_path / "sub" / "helper.py").write_text(
        "import os, torch\nFOLDER = os.path.dirname(os.path.abspath(__file__))\n"
    )
    ran = python("-m", "minigrad", "run", "sub/script.py", "a.pt", "--lr", "-1e-3", "--", "-m", cwd=tmp_path)
    mg.manual_seed(0)
    assert ran.stdout == PRINTED % nn.Linear(2, 3)(mg.ones(1, 2)).sum().item(), ran.stderr
    assert ran.returncode == 1
    lines = ran.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and lines[-1].startswith(
        "RuntimeError: linear: expected "
    )
    frames = [Path(line.split('"')[1]).name for line in lines if line.startswith("  File")]
    assert frames == [
        "script.py",
        "script.py",
        "module.py",
        "script.py",
    ]  # a module's forward is called by __call__


@pytest.mark.parametrize(
    "text, code, said",
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit('bye')", 1, "bye"),
        ("import torch.fft", 1, "ModuleNotFoundError: torch.fft: minigrad has none"),
        ("from torch import concatenat", 1, "ModuleNotFoundError: torch.concatenat: minigrad has none; did you mean torch.concatenate?"),
        ("import torch\ntorch.fft", 1, "AttributeError: torch.fft: minigrad has none"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
        ("x = (", 1, "SyntaxError: '(' was never closed"),
        ("import sys\nsys.excepthook = lambda *error: print('mine', file=sys.stderr)\n1 / 0", 1, "mine"),
    ],
)  # fmt: skip
def test_what_a_script_ends_with_is_what_python_ends_with(tmp_path, text, code, said):
    (tmp_path / "it.py").write_text(text)
    ran = python("-m", "minigrad", "run", "-m", "it", cwd=tmp_path) if "7" in text else None
    ran = ran or python("-m", "minigrad", "run", tmp_path / "it.py")
    assert ran.returncode == code
    assert (ran.stderr.splitlines() or [""])[-1].startswith(said)
    assert all("it.py" in line for line in ran.stderr.splitlines() if line.startswith("  File"))


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere.py"], "expected a script; got nowhere.py (No such file or directory)"),
        (["-m", "nowhere"], "expected the name of a module; got nowhere"),
        ([], "expected a script, or -m and a module; got nothing"),
    ],
)
def test_a_script_that_is_not_there_is_one_line(words, said):
    ran = python("-m", "minigrad", "run", *words)
    assert (ran.returncode, ran.stderr) == (2, f"python -m minigrad run: {said}\n")


def test_a_module_sees_what_it_sees_under_python(tmp_path):
    text = "import sys\nprint(__name__, __file__, sys.argv, sys.modules['__main__'].__file__, __spec__.name)"
    (tmp_path / "it.py").write_text(text)
    words = ("-m", "it", "--lr", "1")
    shown = [python(*words, cwd=tmp_path), python("-m", "minigrad", "run", *words, cwd=tmp_path)]
    assert shown[0].stdout == shown[1].stdout != "", shown[1].stderr


def test_a_notebook_says_it_once_and_there_is_a_way_back():
    code = (
        "import minigrad; minigrad.as_torch(); minigrad.as_torch()\n"
        "import torch; from torch.nn import *; assert Linear.__module__ == 'torch.nn.modules.linear'\n"
        "assert torch.tensor is minigrad.tensor and torch.nn.Linear is Linear and '(minigrad)' in repr(torch)\n"
        "minigrad.as_torch(False)\n"
        "assert Linear.__module__ == 'nn.layers' and minigrad.Tensor.__module__ == 'minigrad.tensor'\n"
        "import torch as real; assert real is not torch and real.jit\n"
        "try: minigrad.as_torch()\n"
        "except RuntimeError as error: print(error)"
    )
    ran = python("-c", code)
    assert ran.stdout.startswith("as_torch: expected no torch yet; got PyTorch, imported already; "), (
        ran.stderr
    )


# --- names ---


@pytest.mark.parametrize("where", [name for name in SOURCES if name != "minigrad"])
def test_every_module_that_answers_is_one_of_pytorchs_and_finds_each_of_its_names(where):
    place = Path(torch.__file__).parent.joinpath(*where.split(".")[1:])
    assert place.is_dir() or place.with_suffix(".py").is_file()
    for name in names(where):
        assert getattr(face(where), name) is not None


def test_no_name_leaks_that_our_own_code_reads():
    for where in SOURCES:
        assert not names(where) & {
            "Any",
            "np",
            "type_error",
            "value_error",
            "values_of",
            "Tensors",
            "array_library",
        }


def test_a_missing_name_is_one_line_with_the_nearest_or_our_own_way():
    assert missing("torch", "fft", dir(mg)) == "torch.fft: minigrad has none"
    assert (
        missing("torch", "catt", ["cat", "stack"]) == "torch.catt: minigrad has none; did you mean torch.cat?"
    )
    assert missing("torch", "LogSumExp", ["logsumexp"]).endswith("did you mean torch.logsumexp?")
    assert missing("torch", "profiler") == f"torch.profiler: minigrad has none; {OURS['torch.profiler']}"
    for ask in (
        lambda: face("torch").fftt,
        lambda: face("torch.nn.functional").soft_max,
        lambda: face("torch").vmap,
    ):
        with pytest.raises(AttributeError, match=r"^torch\.[\w.]+: minigrad has none") as error:
            ask()
        assert "\n" not in str(error.value)


# --- machines ---


@pytest.mark.parametrize("given", [("cpu",), ("cuda",), ("cuda:0",), ("cuda", 1), ("mps",), ("cpu", 0)])
def test_a_device_is_pytorchs_in_every_letter(given):
    mine, theirs = device(*given), torch.device(*given)
    assert (str(mine), repr(mine), mine.type, mine.index) == (
        str(theirs),
        repr(theirs),
        theirs.type,
        theirs.index,
    )
    assert mine == device(str(theirs)) and hash(mine) == hash(device(mine)) and f"{mine}" == f"{theirs}"


@pytest.mark.parametrize("word", ["CPU", "gpu", "cuda:", "cuda:-1", "cuda:01", "cpu:x", ""])
def test_a_device_that_pytorch_refuses_is_refused(word):
    with pytest.raises(RuntimeError):
        torch.device(word)
    with pytest.raises(ValueError, match="^device: expected "):
        device(word)


@pytest.mark.filterwarnings("ignore:.*Disabling:UserWarning")
@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("enabled", [True, False])
def test_autocast_is_refused_exactly_where_pytorch_would_change_the_numbers(kind, dtype, enabled):
    def made(library):
        return library.autocast(kind, dtype=dtype and getattr(library, dtype), enabled=enabled)

    with made(torch):
        changes = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype != torch.float32
    with pytest.raises(TypeError, match=r"^autocast\(.cpu.\): expected ") if changes else nullcontext():
        with made(face("torch")):
            pass
        assert made(face("torch"))(lambda x: x + 1)(1) == 2


def test_a_scaler_that_is_off_steps_and_scales_as_pytorchs_that_is_off():
    for library in (torch, face("torch")):
        scaler = (
            library.cuda.amp.GradScaler(enabled=False)
            if library is not torch
            else torch.amp.GradScaler(enabled=False)
        )
        p = library.nn.Parameter(library.ones(2))
        optimizer = library.optim.SGD([p], lr=0.5)
        scaler.scale((p * 2).sum()).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert p.tolist() == [0.0, 0.0] and scaler.get_scale() == 1.0 and scaler.state_dict() == {}


@pytest.mark.parametrize(
    "asked",
    "cuda.is_available cuda.device_count cuda.memory_allocated cuda.max_memory_allocated cuda.memory_reserved "
    "cuda.empty_cache cuda.is_initialized backends.mps.is_available backends.mps.is_built "
    "backends.cudnn.is_available get_float32_matmul_precision is_grad_enabled is_autocast_enabled "
    "distributed.is_initialized backends.cuda.is_built is_inference_mode_enabled initial_seed".split(),
)
def test_questions_about_the_machine_have_the_answers_of_a_pytorch_without_a_gpu(asked):
    def answer(library):
        library.manual_seed(5)
        for name in asked.split("."):
            library = getattr(library, name)
        return library()

    if asked.startswith("cuda") and face("torch").cuda.is_available():
        pytest.skip("CuPy sees a GPU here, PyTorch's build for the CPU none")
    assert answer(face("torch")) == answer(torch)


def test_what_scripts_say_to_a_machine_is_accepted_and_what_would_change_numbers_refused():
    t = face("torch")
    for call in (
        lambda: t.cuda.manual_seed_all(3), lambda: t.cuda.synchronize(), lambda: t.set_num_threads(2),
        lambda: t.use_deterministic_algorithms(True), lambda: t.set_float32_matmul_precision("high"),
        lambda: t.set_default_dtype(mg.float32), lambda: t.set_default_device("cpu"), lambda: t.device("cpu").__enter__(),
        lambda: setattr(t.backends.cudnn, "benchmark", True), lambda: t.distributed.barrier(),
    ):  # fmt: skip
        assert call() is None or call() == "cpu"
    t.set_float32_matmul_precision("highest")
    t.backends.cudnn.benchmark = False  # as before
    for refused, line in {
        lambda: t.set_default_dtype(np.float64): "set_default_dtype: expected torch.float32; got",
        lambda: t.set_default_device("cuda"): "set_default_device: expected ",
        lambda: t.set_float32_matmul_precision("low"): "set_float32_matmul_precision: expected ",
        lambda: t.distributed.init_process_group("nccl"): "init_process_group: expected one process",
        lambda: t.cuda.get_device_name(
            0
        ): "get_device_name: expected a GPU; got none; ask torch.cuda.is_available",
        lambda: t.zeros(2, dtype=t.bfloat16): "compute in float32",
        lambda: t.autograd.set_detect_anomaly(True): "set_detect_anomaly: expected False",
    }.items():
        with pytest.raises((TypeError, ValueError, RuntimeError)) as error:
            refused()
        assert line in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["float32", "float64", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64"]
)
def test_the_limits_of_a_dtype_are_pytorchs(name):
    found = []
    for library in (torch, face("torch")):
        limits = (library.finfo if "float" in name else library.iinfo)(getattr(library, name))
        keys = (
            "bits",
            "min",
            "max",
            "dtype",
            *(("eps", "tiny", "smallest_normal", "resolution") if "float" in name else ()),
        )
        found.append([repr(limits), *(getattr(limits, key) for key in keys)])
    assert found[0] == found[1]


def test_other_words_mean_what_they_mean_in_pytorch():
    t = face("torch")
    for name in "bool short int long half float double pi e inf float32 uint8".split():
        assert repr(getattr(t, name)) == repr(getattr(torch, name))
    for name in ("FloatTensor", "DoubleTensor", "LongTensor", "IntTensor", "BoolTensor", "ByteTensor"):
        for given in ([[1, 0, 2]], [2, 3]):
            mine, theirs = getattr(t, name)(*given), getattr(torch, name)(*given)
            assert (tuple(mine.shape), repr(mine.dtype)) == (tuple(theirs.shape), repr(theirs.dtype))
        assert getattr(t, name)([1, 0, 2]).tolist() == getattr(torch, name)([1, 0, 2]).tolist()
    assert t.is_tensor(mg.ones(1)) and not t.is_tensor([1])


def test_the_state_of_the_generator_is_pytorchs_and_goes_on_from_it():
    t = face("torch")
    t.manual_seed(3), torch.manual_seed(3)
    with t.random.fork_rng():
        t.rand(5)
    assert t.get_rng_state().tolist() == torch.get_rng_state().tolist() and t.initial_seed() == 3
    torch.rand(7)
    state = torch.get_rng_state()
    t.set_rng_state(state.numpy())
    assert t.rand(3).tolist() == torch.rand(3).tolist()
    torch.set_rng_state(state)
    t.set_rng_state(mg.tensor(state.numpy()))
    assert t.rand(3).tolist() == torch.rand(3).tolist()


def test_what_is_asked_of_a_gpu_reaches_cupy(monkeypatch):
    asked = []

    class Event:
        def __init__(self, **options):
            asked.append(options)

        def record(self):
            asked.append("record")

        def synchronize(self):
            asked.append("synchronize")

    class Device:
        id = 3

        def __init__(self, *number):
            asked.append(["device", *number])

        def use(self):
            asked.append("use")

        def synchronize(self):
            asked.append("wait")

    properties = {"name": b"GPU", "major": 9, "minor": 1}
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1, getDeviceProperties=lambda n: asked.append(n) or properties
    )
    pool = SimpleNamespace(
        used_bytes=lambda: 5, total_bytes=lambda: 7, free_all_blocks=lambda: asked.append("free")
    )
    cuda = SimpleNamespace(Event=Event, Device=Device, runtime=runtime, get_elapsed_time=lambda a, b: 1.5)
    cupy = SimpleNamespace(cuda=cuda, get_default_memory_pool=lambda: pool)
    monkeypatch.setattr("nn.torch_names.cuda.array_library", lambda name: cupy)
    t = face("torch").cuda
    start, end = t.Event(enable_timing=True), t.Event(blocking=True)
    start.record(), end.synchronize()
    assert start.elapsed_time(end) == 1.5
    assert asked == [
        {"block": False, "disable_timing": False},
        {"block": True, "disable_timing": True},
        "record",
        "synchronize",
    ]
    asked.clear()
    (
        t.set_device("cuda:2"),
        t.set_device(1),
        t.synchronize(),
        t.empty_cache(),
        face("torch").accelerator.synchronize(),
    )
    assert asked == [
        ["device", 2],
        "use",
        ["device", 1],
        "use",
        ["device"],
        "wait",
        "free",
        ["device"],
        "wait",
    ]
    asked.clear()
    found = [
        t.get_device_name(),
        t.get_device_name("cuda:2"),
        t.get_device_name("cuda"),
        t.get_device_name(None),
        t.get_device_capability(1),
    ]
    assert found == ["GPU"] * 4 + [(9, 1)] and asked == [0, 2, 0, 0, 1]
    assert (t.current_device(), t.memory_allocated(), t.memory_reserved(), t.max_memory_allocated()) == (
        3,
        5,
        7,
        7,
    )
    assert (
        t.is_available()
        and t.device_count() == 1
        and face("torch").accelerator.current_accelerator() == device("cuda")
    )


def test_compile_returns_what_it_is_given_in_each_of_its_forms():
    t, model = face("torch"), nn.Linear(1, 1)
    assert t.compile(model, mode="max-autotune") is model and t.compile(fullgraph=True)(model) is model


# --- recording ---


def trail(library):
    """Whether operations record, at each station of every form."""
    seen = []

    def look(*_):
        seen.append(library.is_grad_enabled())

    with library.set_grad_enabled(False):
        look()
        with library.set_grad_enabled(True):
            look()
        look()
    library.set_grad_enabled(False)
    look()
    library.set_grad_enabled(True)
    off = library.set_grad_enabled(False)(look)
    for call in (look, off, off, library.inference_mode()(look), library.inference_mode(look), look):
        call()
    for mode in (True, False):
        with library.inference_mode(mode):
            look()
    return seen


def test_every_form_of_switching_records_where_pytorch_records():
    assert trail(face("torch")) == trail(torch)


# --- autograd.grad ---


def gradients(library, **options):
    """Gradients of two outputs for a leaf, an inner Tensor, one below it, and one that nothing reads."""
    x = library.tensor([1.0, -2.0, 3.0], requires_grad=True)
    unread = library.tensor([1.0], requires_grad=True)
    inner = x * x
    below = inner.exp() * 0.001
    y, z = (below * x).sum(), inner * 3.0
    found = library.autograd.grad(
        [y, z], [x, inner, below, unread], [None, library.ones(3)], allow_unused=True, **options
    )
    return [g if g is None else g.tolist() for g in found], x.grad


@pytest.mark.parametrize("retain", [True, False])
def test_autograd_grad_reaches_every_tensor_that_pytorchs_reaches(retain):
    mine, theirs = gradients(face("torch"), retain_graph=retain), gradients(torch, retain_graph=retain)
    assert mine[1] is theirs[1] is None and mine[0][3] is theirs[0][3] is None
    np.testing.assert_allclose(mine[0][:3], theirs[0][:3], rtol=1e-6)


def test_autograd_grad_refuses_what_pytorchs_refuses():
    for library in (torch, face("torch")):
        x, other = (library.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        with pytest.raises(RuntimeError):
            library.autograd.grad(x.sum(), other)
        with pytest.raises(RuntimeError):
            library.autograd.grad(x * 2.0, x)
        with pytest.raises(RuntimeError):
            library.autograd.grad(x.sum(), library.tensor([1.0]))


# --- norms, closeness ---


@pytest.mark.parametrize("order", [2, 1, 3, 0, float("inf"), -float("inf")])
@pytest.mark.parametrize("dim, keepdim", [(None, False), (0, True), ((0, 1), False), (-1, False)])
@pytest.mark.parametrize("row", [[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
def test_norms_and_their_gradients_are_pytorchs(order, dim, keepdim, row):
    array = np.array([row, [0.0, 3.0, -4.0]] if any(row) else [row, row])
    x, t = mg.tensor(array.copy(), requires_grad=True), torch.tensor(array, requires_grad=True)
    y = face("torch").linalg.vector_norm(x, order, dim, keepdim)
    u = torch.linalg.vector_norm(t, order, dim, keepdim)
    np.testing.assert_allclose(y._data, u.detach().numpy())
    if any(row) and order:
        y.sum().backward()
        u.sum().backward()
        np.testing.assert_allclose(x._node.grad, t.grad.numpy())


@pytest.mark.parametrize("shift", [0.0, 5e-8, 2e-7, 3e-6, 2e-5, 5e-5, 2e-4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_assert_close_draws_the_line_where_pytorch_draws_it(shift, dtype):
    a = np.array([1.0, 1e-6, 100.0], dtype)
    verdicts = []
    for library, made in ((torch, torch.from_numpy), (face("torch"), mg.tensor)):
        try:
            library.testing.assert_close(made(a), made((a + a.dtype.type(shift)).astype(dtype)))
            verdicts.append(True)
        except AssertionError:
            verdicts.append(False)
    assert verdicts[0] == verdicts[1]


def test_a_log_of_scalars_is_a_table(tmp_path):
    with face("torch").utils.tensorboard.SummaryWriter(log_dir=tmp_path / "log") as writer:
        writer.add_scalar("Loss/train", np.float32(0.5), 10)
    assert (tmp_path / "log" / "scalars.csv").read_text() == "Loss/train,10,0.5\n"
