"""Every public name that PyTorch has too: its arguments in PyTorch's places, or a refusal, and the same numbers.

PyTorch's arguments are read from its Python signatures, its operators' schemas and its docstrings. Each is
then given, by place and by keyword, values of its kind, in range and out of it. Where ours refuses a call as
such (no such argument), that is well; where it runs, the answer is PyTorch's; where PyTorch refuses, so do we.
"""

import inspect
import itertools
import re
import warnings
from collections import namedtuple

import numpy as np
import pytest
import torch

import minigrad
import nn
from minigrad import Tensor

HOMES = {
    "minigrad": (minigrad, torch),
    "Tensor": (Tensor, torch.Tensor),
    "nn": (nn, torch.nn),
    "functional": (nn.functional, torch.nn.functional),
    "optim": (nn.optim, torch.optim),
    "lr_scheduler": (nn.optim.lr_scheduler, torch.optim.lr_scheduler),
    "init": (nn.init, torch.nn.init),
    "utils": (nn.utils, torch.nn.utils),
}
OURS_ALONE = {  # names that PyTorch has not, or has for something else
    "minigrad": "as_torch compare detect_anomaly grad gradcheck hessian hvp jacobian jvp profile trace value_and_grad vjp "
    "scatter_add random",
    "Tensor": "astype mark_overwritten",
    "nn": "Block CausalSelfAttention MLP PlainBlock PreNormBlock SelfAttentionHead SkipOneBlock SkipTwoBlock "
    "clip_grad_norm_ summary warmup_cosine",
    "functional": "attend attend_to_cache causal_attention",
    "optim": "clip_grad_norm_ warmup_cosine",
    "init": "Generator Tensor namespace value_error",
}
# What runs in PyTorch and is refused here, beyond arguments that ours has not: name, or name and argument: why.
REFUSED: dict[str, str] = {
    "init.trunc_normal_ std": "a negative deviation is a mistake, as in normal_, where PyTorch refuses it",
    "init.trunc_normal_ a": "limits in the wrong order",
    "init.trunc_normal_ b": "limits in the wrong order",
}
# What runs here and not in PyTorch: name, or name and argument: why.
ACCEPTED: dict[str, str] = {
    "minigrad.logsumexp missing": "all axes, as in every other reduction",
    "Tensor.logsumexp missing": "all axes, as in every other reduction",
}

Argument = namedtuple("Argument", "name kind default keyword_only")
NONE = inspect.Parameter.empty
RNG = np.random.default_rng(0)
X = {
    "x23": RNG.uniform(0.1, 0.9, (2, 3)).astype(np.float32),
    "x": np.array(0.7, np.float32),
    "x131": RNG.uniform(0.1, 0.9, (1, 3, 1)).astype(np.float32),
}
OTHER = [RNG.uniform(0.1, 0.9, (2, 3)).astype(np.float32), np.ones(3, np.float32), np.ones(4, np.float32)]
IDS = [
    np.array(ids)
    for ids in ([[0, 1, 0], [1, 0, 1]], [[0, 1, 0]], [[0, 2, 0]], [[0, -1, 0]], [[0, 9, 0]], [0])
]
DIMS = [0, 1, -1, -2, 2, 3, -3, -4, None]
BY_NAME = {
    "index": IDS,
    "mask": [X["x23"] > 0.5, np.ones(3, bool), np.ones(4, bool)],
    "condition": [X["x23"] > 0.5, np.ones(3, bool), np.ones(4, bool)],
    "size": [(2, 3), (0,), (2, -1), (3, 2), (-1,), (6,), (4, 2), (2, 2, 3), (-1, 2), (-1, -1)],
    "split_size": [1, 2, 5, [1, 1], [1, 3], 0, -1],
    "split_size_or_sections": [1, 2, 5, [1, 1], [1, 3], 0, -1],
    "diagonal": [0, 1, -1, 5],
    "correction": [0, 1, 2],
    "requires_grad": [True, False],
    "tensors": [[X["x23"], OTHER[0]], [X["x23"], OTHER[1]], []],
    "equation": ["ij,ij->i"],
    "device": ["cpu"],
    "p": [0.5, 0.0, 1.0, -0.5, 1.5],
    "steps": [5, 1, 0, -1],
    "reduction": ["mean", "sum", "none", "bogus"],
    "approximate": ["none", "tanh", "bogus"],
    "n": [3, 0, -1],
    "m": [2, 0, -1],
    "high": [5, 0],
    "low": [0, 2],
    "std": [0.5, 0.0, -1.0],
    "num_samples": [1, 2, 9],
    "fill_value": [0.5, 2.0],
    "split_sizes": [[1, 1], [1, 3]],
    "dtype": [None],  # how each library names the others is tested with dtypes
    **dict.fromkeys(("layout", "memory_format", "pin_memory", "out", "names", "dimname", "generator"), []),
    **dict.fromkeys(("dim", "axis", "axis0", "axis1", "dim0", "dim1", "start_dim", "end_dim"), DIMS),
}
BY_NAME["shape"] = BY_NAME["dims"] = BY_NAME["size"]
BY_KIND = {
    "bool": [True, False],
    "int": [1, 0, 2, -1],
    "float": [0.5, 2.0, 0.0],
    "number": [0.5, 2, 0.0, -1],
    "Tensor": OTHER,
    "List[int]": [(0, 1), (0,), (0, -1), (0, 0), (0, 5), [1]],
    "str": ["mean", "bogus"],
}


# Values for the arguments of one name, where its kind does not say enough. "first": its first argument.
A, LOGITS = X["x23"], RNG.standard_normal((4, 3)).astype(np.float32)
PROBABILITIES = np.full((4, 3), 1 / 3, np.float32)
WEIGHT3, ONES3 = np.array([1.0, 2.0, 0.5], np.float32), np.ones(3, np.float32)
TARGETS = [np.array(ids) for ids in ([0, 2, 1, 1], [0, 2, -100, 1], [0, 3, 1, 1], [0, -1, 1, 1], [0, 1])]
REDUCTIONS = ["mean", "sum", "none", "bogus"]
QKV = [RNG.standard_normal((2, 4, 3)).astype(np.float32) for _ in "qkv"]
SPECIAL = {
    "functional.cross_entropy": {
        "first": [LOGITS], "target": [*TARGETS, PROBABILITIES], "weight": [WEIGHT3, ONES3[:2]],
        "ignore_index": [-100, 1, 7], "label_smoothing": [0.0, 0.1, 1.5], "reduction": REDUCTIONS,
    },
    "functional.nll_loss": {"first": [LOGITS], "target": TARGETS, "weight": [WEIGHT3], "ignore_index": [-100, 1]},
    "functional.embedding": {
        "first": IDS[:2] + IDS[3:], "weight": [LOGITS], "padding_idx": [0, -1, 3, 4, -5], "max_norm": [],
        "scale_grad_by_freq": [False],
    },
    "functional.layer_norm": {
        "first": [A], "normalized_shape": [(3,), (2, 3), [3], (2,), 3], "weight": [WEIGHT3, ONES3[:2]],
        "bias": [WEIGHT3, ONES3[:2]], "eps": [1e-5, 0.5],
    },
    "functional.linear": {"first": [A], "weight": [LOGITS, A, A.T.copy()], "bias": [np.ones(4, np.float32), ONES3]},
    "functional.dropout": {"first": [A], "p": [0.5, 0.0, 1.0, 1.5, -0.5]},
    "functional.batch_norm": {
        "first": [LOGITS], "running_mean": [ONES3], "running_var": [WEIGHT3], "weight": [WEIGHT3], "bias": [ONES3],
        "momentum": [0.1, 0.5],
    },
    "functional.scaled_dot_product_attention": {
        "first": QKV[:1], "key": [QKV[1], A], "value": [QKV[2], A], "dropout_p": [0.0],
        "attn_mask": [np.tril(np.ones((4, 4), bool)), np.zeros((4, 4), np.float32), np.ones((3, 3), bool)],
        "scale": [0.5, 2.0],
    },
    "functional.one_hot": {"first": [IDS[0]], "num_classes": [-1, 2, 5, 1]},
    "functional.mse_loss": {"first": [A], "target": OTHER, "weight": [A]},
    "functional.gelu": {"first": [A], "approximate": ["none", "tanh", "bogus"]},
    "init.constant_": {"first": [A], "val": [0.5, 2]},
    "minigrad.linspace": {"start": [0.0, 2], "end": [1.0, -1]},
    "minigrad.normal": {"mean": [0.0, 0.5], "std": [1.0, 0.5, -1.0], "size": [(2, 3), (3,), (-1,)]},
    "Tensor.permute": {"first": [A], "dims": [(1, 0), (0, 1), (-1, 0), (0, 0), (0,), (0, 2), (0, 1, 2), (0, -3)]},
    "init.calculate_gain": {"first": ["relu", "tanh", "linear", "leaky_relu", "bogus"], "param": [0.3, None]},
    "nn.Linear": {"in_features": [3], "out_features": [2, 1], "inputs": [A]},
    "nn.Embedding": {"num_embeddings": [4], "embedding_dim": [2], "padding_idx": [0, -1, 4], "inputs": [IDS[2]]},
    "nn.LayerNorm": {"normalized_shape": [3, (2, 3), [3], 2], "eps": [1e-5, 0.5], "inputs": [A]},
    "nn.Dropout": {"p": [0.5, 0.0, 1.0, 1.5], "inputs": [A]},
    "nn.Softmax": {"dim": [-1, 0, 1, 2, -3], "inputs": [A]},
    "nn.GELU": {"approximate": ["none", "tanh", "bogus"], "inputs": [A]},
    "nn.BatchNorm1d": {"num_features": [3, 2], "eps": [1e-5, 0.5], "momentum": [0.1, 0.5], "inputs": [LOGITS]},
    "nn.CrossEntropyLoss": {
        "weight": [WEIGHT3], "ignore_index": [-100, 1], "reduction": REDUCTIONS, "label_smoothing": [0.0, 0.1],
        "inputs": [LOGITS, TARGETS[0]],
    },
    "nn.MSELoss": {"reduction": REDUCTIONS, "inputs": [A, OTHER[0]]},
    "nn.MultiheadAttention": {
        "embed_dim": [4, 3], "num_heads": [2, 1, 3], "dropout": [0.0], "kdim": [], "vdim": [],
        "batch_first": [False, True], "inputs": [RNG.standard_normal((2, 3, 4)).astype(np.float32)] * 3,
    },
    **{f"nn.{name}": {"inputs": [A]} for name in ("Identity", "ReLU", "Sigmoid", "Tanh")},
}  # fmt: skip
NOT_CALLED = {  # nothing of these runs in both when their arguments are made up
    "minigrad.Generator": "a class with methods of its own: tests/test_random.py",
    "minigrad.Tensor": "a class: its methods are called",
    **dict.fromkeys(("minigrad.empty", "minigrad.empty_like"), "PyTorch's show what lay in memory"),
    **dict.fromkeys(("minigrad.dtype", "minigrad.promote_types", "minigrad.result_type"), "tests of dtypes"),
    "minigrad.from_numpy": "takes arrays, not Tensors",
    **dict.fromkeys(("Tensor.register_hook", "Tensor.retain_grad"), "need a graph"),
    "minigrad.einsum": "any number of operands: tests/test_ops.py",
    "Tensor.backward": "needs a graph: tests/test_tape.py",
    **dict.fromkeys(("minigrad.no_grad", "minigrad.enable_grad"), "contexts: tests/test_tape.py"),
    "minigrad.manual_seed": "returns a Generator of each library: tests/test_random.py",
}


# --- PyTorch's signatures ---


def by_inspection(fn):
    """The arguments of a function or class written in Python, without self."""
    makers = [fn.__init__, fn.__new__] if inspect.isclass(fn) else [fn]
    every = [inspect.signature(maker).parameters for maker in makers]
    named = [p for p in every if {"args", "kwargs"} - p.keys()] or every
    given = [p for p in named[0].values() if p.name not in ("self", "cls")]
    known = [p for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [[Argument(p.name, "", p.default, p.kind is p.KEYWORD_ONLY) for p in known]]


def by_schema(name):
    """The arguments of each overload of an operator."""
    found = []
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{name}"):
        arguments = [
            Argument(
                a.name,
                re.sub(r"Optional\[(.*)\]", r"\1", str(a.type)),
                a.default_value if a.has_default_value() else NONE,
                a.kwarg_only,
            )
            for a in schema.arguments
        ]
        kinds = {a.kind for a in arguments}
        out = any(a.name == "out" for a in arguments)
        if not out and not (schema.overload_name and "name" in schema.overload_name.lower()):
            if not kinds & {"str", "List[str]", "List[bool]", "List[float]", "List[complex]", "Any", "t"}:
                if arguments and (arguments[0].name != "self" or arguments[0].kind == "Tensor"):
                    found.append(arguments)
    if f"minigrad.{name}" in SPECIAL:  # says itself what the arguments may be
        return found
    on_tensors = [arguments for arguments in found if arguments and arguments[0].kind == "Tensor"]
    return on_tensors or found


def by_docstring(fn, name):
    """The arguments of each call in the docstring, name(a, b=1, *, c=2) -> Tensor."""
    found = []
    for text in re.findall(rf"^(?:\.\. function:: )?{name}\(([^()]*)\)\s*->", fn.__doc__ or "", re.M):
        arguments, keyword_only = [], False
        for part in re.split(r",\s*(?![^\[(]*[\])])", text):
            word, _, default = part.strip().partition("=")
            word, default = word.split(":")[0].strip(), default.strip(" '\"")
            if word == "*":
                keyword_only = True
            elif re.fullmatch(r"\w+", word):
                value = (
                    NONE
                    if not default
                    else {"None": None, "True": True, "False": False}.get(default, default)
                )
                arguments.append(Argument(word, "", _number(value), keyword_only))
        found.append(arguments)
    return found


def _number(value):
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def overloads(home, name):
    """PyTorch's signatures of a name, `self` and `input` left out for methods."""
    theirs = getattr(HOMES[home][1], name)
    found = []
    try:
        found = by_inspection(theirs)
    except (ValueError, TypeError):
        pass
    if not any(found) and not inspect.isclass(theirs):
        found = by_schema(name) or by_docstring(theirs, name)
    if home == "Tensor":
        found = [
            arguments[1:] if arguments and arguments[0].name == "self" else arguments for arguments in found
        ]
    return found


# --- calls ---


def samples(argument, special):
    """Values for an argument of PyTorch's, the first of them valid in most places."""
    if argument.name in special:
        return special[argument.name]
    if argument.name in BY_NAME:
        values = BY_NAME[argument.name]
        return BY_KIND["List[int]"] + DIMS if argument.kind == "List[int]" and values is DIMS else values
    if argument.kind in BY_KIND:
        return BY_KIND[argument.kind]
    if isinstance(argument.default, bool):
        return BY_KIND["bool"]
    if isinstance(argument.default, (int, float)):
        return BY_KIND["number"]
    return OTHER if argument.default is NONE else []


def calls(arguments, first, special):
    """(args, kwargs, the argument that varies): each argument through its values, by place and by keyword."""
    others = arguments[1:] if first is not None else arguments
    needed = [a for a in others if a.default is NONE]
    if any(not samples(a, special) for a in needed):
        return
    base = {a.name: samples(a, special)[0] for a in needed}
    lead = () if first is None else (first,)
    yield (*lead, *base.values()), {}, ""
    if base:
        yield (*lead, *list(base.values())[:-1]), {}, "missing"
    places = [a for a in others if not a.keyword_only]
    for a in others:
        for value in samples(a, special):
            given = {**base, a.name: value}
            yield lead, given, a.name
            if a in places:
                upto = places[: places.index(a) + 1]
                later = {n: v for n, v in given.items() if n not in [p.name for p in upto]}
                yield (*lead, *(given.get(p.name, p.default) for p in upto)), later, a.name
    yield (*lead, *(base.get(p.name, p.default) for p in places), *[0.5] * 3), {}, "more"


def given_to(make, value):
    """The value as one library takes it: arrays as its Tensors."""
    if isinstance(value, np.ndarray):
        return make(value)
    if isinstance(value, dict):
        return {name: given_to(make, v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(given_to(make, v) for v in value)
    return value


def ours_of(array):
    """A Tensor of ours; a plain array where we have none of its dtype."""
    try:
        return minigrad.tensor(array.copy())
    except TypeError:
        return array


def outcome(fn, make, seed, args, kwargs):
    """What a call returns, as arrays and lists, or the error that it raises."""
    seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = fn(*given_to(make, args), **given_to(make, kwargs))
            return plain(result), None
    except Exception as error:
        return None, error


def plain(result):
    if isinstance(result, torch.Tensor):
        return result.detach().numpy()
    if isinstance(result, Tensor):
        return result.detach().numpy()
    if isinstance(result, (list, tuple)):
        return [plain(r) for r in result]
    return result


def differ(a, b):
    """Why two results are not the same, or nothing."""
    if isinstance(a, list) or isinstance(b, list):
        if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)):
            return f"{a!r:.60} and not {b!r:.60}"
        return next((why for why in map(differ, a, b) if why), "")
    if not isinstance(b, (np.ndarray, bool, int, float)):
        return ""
    if not isinstance(b, np.ndarray):
        return "" if a == pytest.approx(b) else f"{a!r:.60} and not {b!r}"
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype} {a.shape} and not {b.dtype} {b.shape}"
    return "" if np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) else f"{a} and not {b}"


def shown(home, name, args, kwargs):
    def short(value):
        if isinstance(value, np.ndarray):
            return (
                f"{value.dtype}{list(value.shape)}"
                if value.size > 6 or value.dtype.kind == "f"
                else value.tolist()
            )
        return [short(v) for v in value] if isinstance(value, list) else value

    words = [*(str(short(a)) for a in args), *(f"{k}={short(v)}" for k, v in kwargs.items())]
    return f"{home}.{name}({', '.join(words)})"


def is_refusal(fn, error, args, kwargs):
    """Does ours lack the argument, by its signature or by its own word?"""
    try:
        inspect.signature(fn).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return True
    return isinstance(error, TypeError) and ("unexpected keyword" in str(error) or "positional" in str(error))


def is_left_out(fn, varied, args, kwargs):
    """Is the argument None, ours' default, where PyTorch has another form without it?"""
    if not has_signature_of(fn) or not [*args, *kwargs.values()]:
        return False
    default = getattr(inspect.signature(fn).parameters.get(varied), "default", NONE)
    return default is None and (kwargs[varied] if varied in kwargs else args[-1]) is None


def has_signature_of(fn):
    try:
        inspect.signature(fn)
    except (ValueError, TypeError):
        return False
    return True


def names(home):
    """The public functions and classes that both have."""
    mine, theirs = HOMES[home]
    found = [n for n in dir(mine) if not n.startswith("_") and n not in OURS_ALONE.get(home, "").split()]
    return [n for n in found if callable(getattr(mine, n)) and not inspect.ismodule(getattr(mine, n))]


NAMED = [(home, name) for home in HOMES for name in names(home)]
EVERY = [(home, name) for home, name in NAMED if hasattr(HOMES[home][1], name)]
CALLED = [
    (home, name)
    for home, name in EVERY
    if home in ("minigrad", "Tensor", "functional", "init") or f"{home}.{name}" in SPECIAL
    if f"{home}.{name}" not in NOT_CALLED
]
LABELS = [f"{home}.{name}" for home, name in CALLED]


def test_every_name_is_pytorchs_or_listed_as_ours():
    assert [f"{home}.{name}" for home, name in NAMED if (home, name) not in EVERY] == []
    for home, listed in OURS_ALONE.items():
        assert [n for n in listed.split() if n not in dir(HOMES[home][0])] == [], home


def misplaced(home, name):
    """Arguments of ours that stand where PyTorch has another, or have another default."""
    mine, theirs = getattr(HOMES[home][0], name), overloads(home, name)
    described = by_docstring(getattr(HOMES[home][1], name), name)
    theirs += described if home != "Tensor" or not theirs else []
    theirs += by_schema(name) if home == "minigrad" and not inspect.isclass(mine) else []
    parameters = list(inspect.signature(mine).parameters.values())[1 if home == "Tensor" else 0 :]
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wrong = []
    for i, p in enumerate(itertools.takewhile(lambda p: p.kind in by_place, parameters)):
        at = {
            arguments[i].name for arguments in theirs if len(arguments) > i and not arguments[i].keyword_only
        }
        at |= {"input", "x", "self"} if i == 0 and at & {"self", "input", "tensor"} else set()
        if any(theirs) and p.name not in at:
            wrong.append(f"{p.name} at place {i}, where PyTorch has {' or '.join(sorted(at)) or 'none'}")
    for p in parameters:
        defaults = [a.default for arguments in theirs for a in arguments if a.name == p.name]
        optional = (
            not theirs or min(len([a for a in arguments if a.name == p.name]) for arguments in theirs) == 0
        )
        if p.default is None and optional:  # as PyTorch's form without it
            defaults = []
        if p.name == "dtype" or f"{home}.{name} {p.name}" in ACCEPTED:  # None too is called with
            defaults = []
        defaults = [d for d in defaults if d is not NONE]  # leaving out what PyTorch needs is a call, below
        if p.default is not NONE and defaults and not any(_same(p.default, d) for d in defaults):
            wrong.append(f"{p.name}={p.default!r}, PyTorch's {list(dict.fromkeys(map(repr, defaults)))}")
    return wrong


def _same(mine, theirs):
    """Are two defaults one? None says what False and the empty list say; an activation may be given by name."""
    if theirs is None or theirs == []:
        return mine is None or mine is False
    return mine == (theirs.__name__ if callable(theirs) and theirs is not NONE else theirs)


def has_signature(home, name):
    return has_signature_of(getattr(HOMES[home][0], name))


@pytest.mark.parametrize("home, name", EVERY, ids=[f"{h}.{n}" for h, n in EVERY])
def test_arguments_stand_in_pytorchs_places_with_its_defaults(home, name):
    assert not has_signature(home, name) or misplaced(home, name) == []


@pytest.mark.parametrize("home, name", CALLED, ids=LABELS)
def test_calls_give_what_pytorchs_give(home, name):
    wrong, ran = found_wrong(home, name)
    assert wrong == []
    assert ran, "nothing runs in both: give it values in SPECIAL, or say why not in NOT_CALLED"


def used(layer, inputs):
    """A function that makes a layer of these arguments and returns its first weights and what it computes."""

    def make_and_call(*args, **kwargs):
        made = layer(*args, **kwargs)
        return [*made.parameters(), made(*inputs)]

    return make_and_call


def found_wrong(home, name):
    """(the calls that differ, how many ran in both)."""
    mine, theirs = (getattr(side, name) for side in HOMES[home])
    special = SPECIAL.get(f"{home}.{name}", {})
    called = [mine, theirs]
    if home == "nn":
        makers = (ours_of, torch.tensor)
        called = [used(f, given_to(make, special["inputs"])) for f, make in zip(called, makers)]
    wrong, ran = [], 0
    for arguments in overloads(home, name):
        takes = home == "Tensor" or (arguments and arguments[0].name in ("self", "input", "tensor", "data"))
        if home == "Tensor":
            arguments = [Argument("self", "Tensor", NONE, False), *arguments]
        firsts = special.get("first") or (X.values() if takes and home != "nn" else [None])
        for args, kwargs, varied in itertools.chain(*(calls(arguments, first, special) for first in firsts)):
            a, error = outcome(called[0], ours_of, minigrad.manual_seed, args, kwargs)
            b, other = outcome(called[1], torch.tensor, torch.manual_seed, args, kwargs)
            keys = {f"{home}.{name}", f"{home}.{name} {varied}", f"* {varied}"}
            ran, why = ran + (error is other is None), ""
            if error is None and other is None:
                why = differ(a, b)
            elif other is None and not keys & REFUSED.keys() and not is_refusal(mine, error, args, kwargs):
                why = f"{type(error).__name__}: {error!s:.80}"
            elif error is None and not keys & ACCEPTED.keys() and not is_left_out(mine, varied, args, kwargs):
                why = f"ran; PyTorch: {type(other).__name__}: {other!s:.60}"
            if why:
                wrong.append(f"{shown(home, name, args, kwargs)}: {why}".replace("\n", " "))
    return list(dict.fromkeys(wrong)), ran
