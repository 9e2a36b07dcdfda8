"""Every public name that PyTorch has too: its arguments in PyTorch's places, or a refusal, and the same numbers.

PyTorch's arguments are read from its Python signatures, its operators' schemas and its docstrings. Each is
then given, by place and by keyword, values of its kind, in range and out of it. Where ours refuses a call as
such (no such argument), that is well; where it runs, the answer is PyTorch's; where PyTorch refuses, so do we.
"""

import functools
import inspect
import itertools
import warnings

import numpy as np
import pytest
import torch

import minigrad
import nn
from minigrad import Tensor, functions
from minigrad.torch_names import lookup
from tests.support.arguments import BY_KIND, BY_NAME, DIMS, OTHER, SPECIAL, Made, X
from tests.support.signatures import NONE, Argument, by_docstring, by_inspection, by_schema

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


SEEDED = minigrad.Generator(0).state()


ANY_NUMBER, ANY_NAME = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


class OURS:
    """minigrad where PyTorch's library is asked for."""

    tensor, optim = minigrad.tensor, nn.optim

    def seed():
        """As manual_seed(0), which takes longer."""
        minigrad.random.default_generator().set_state(SEEDED)


class THEIRS:
    """The same of PyTorch."""

    tensor, optim = torch.tensor, torch.optim

    def seed():
        """As manual_seed(0), which looks for GPUs, too."""
        torch.default_generator.manual_seed(0)


OURS_ALONE = {  # names that PyTorch has not, or has for something else
    "minigrad": "as_torch compare detect_anomaly grad gradcheck hessian hvp jacobian jvp profile trace value_and_grad vjp "
    "scatter_add random get_printoptions printoptions",
    "Tensor": "astype mark_overwritten",
    "nn": "Block CausalSelfAttention GroupedQueryAttention LlamaBlock MLP PlainBlock PreNormBlock SelfAttentionHead "
    "SkipOneBlock SkipTwoBlock SwiGLU clip_grad_norm_ summary warmup_cosine",
    "functional": "attend attend_to_cache attend_with_cache causal_attention rotary",
    "optim": "clip_grad_norm_ warmup_cosine",
    "init": "Generator Tensor namespace value_error",
}
# What runs in PyTorch and is refused here, beyond arguments that ours has not: name, or name and argument: why.
REFUSED: dict[str, str] = {
    **dict.fromkeys(
        ("* sparse", "* scale_grad_by_freq"),
        "there are no sparse gradients here; nobody's script asks for counts",
    ),
    **dict.fromkeys(
        ("nn.MultiheadAttention add_bias_kv", "nn.MultiheadAttention add_zero_attn"),
        "no model here has use for them",
    ),
    **dict.fromkeys(
        (
            "utils.clip_grad_norm max_norm",
            "utils.clip_grad_norm_ max_norm",
            "utils.clip_grads_with_norm_ max_norm",
        ),
        "a negative norm turns the gradients round",
    ),
    **dict.fromkeys(
        ("nn.RNNCell hidden_size", "nn.LSTMCell hidden_size", "nn.GRUCell hidden_size"),
        "a state of no elements",
    ),
    "Tensor.unfold size": "windows of no elements",
    **dict.fromkeys(
        ("Tensor.to non_blocking", "Tensor.to copy"), "x.to(True), where PyTorch takes True for a dtype"
    ),
    "functional.adaptive_avg_pool2d output_size": "two axes, which PyTorch takes for the size 1 alone",
    "utils.clip_grad_value_ clip_value": "limits in the wrong order",
    "init.trunc_normal_ std": "a negative deviation is a mistake, as in normal_, where PyTorch refuses it",
    "init.trunc_normal_ a": "limits in the wrong order",
    "init.trunc_normal_ b": "limits in the wrong order",
}
# What runs here and not in PyTorch: name, or name and argument: why.
ACCEPTED: dict[str, str] = {
    "* capturable": "for a GPU: it changes no number here",
    **dict.fromkeys(
        ("nn.GRU proj_size", "nn.GRU device", "nn.GRU dtype"),
        "where PyTorch's code has it, but not its overload",
    ),
    "nn.RNN device": "where PyTorch's overload has it, but not its code, which takes it for proj_size",
    "nn.Parameter data": "nothing, which is () for us and None for PyTorch",
    "minigrad.meshgrid indexing": "PyTorch's None means ij, and warns",
    "minigrad.searchsorted input": "PyTorch's keyword, which its documentation calls values",
    "Tensor.tensor_split indices_or_sections": "PyTorch's overloads have three names for it, its documentation this one",
    "Tensor.where other": "x.where(condition, other), which PyTorch's schema writes as where(condition, x, other)",
    "Tensor.squeeze_ dim": "None, as in squeeze",
    "minigrad.logsumexp missing": "all axes, as in every other reduction",
    "Tensor.logsumexp missing": "all axes, as in every other reduction",
}

NOT_CALLED = {  # nothing of these runs in both when their arguments are made up
    **dict.fromkeys(
        "nn.Buffer nn.Module nn.ModuleDict nn.ModuleList nn.Parameter nn.ParameterDict nn.ParameterList nn.Sequential".split(),
        "tests/test_module.py",
    ),
    **dict.fromkeys(("nn.TransformerDecoder", "nn.TransformerEncoder"), "take a layer: tests/test_layers.py"),
    **dict.fromkeys(("optim.Optimizer", "lr_scheduler.LRScheduler"), "for subclasses: tests/test_optim.py"),
    "Tensor.data_ptr": "an address in memory: tests/test_in_place.py",
    "lr_scheduler.SequentialLR": "takes schedulers: tests/test_optim.py",
    **dict.fromkeys(
        ("minigrad.broadcast_tensors", "minigrad.cartesian_prod", "minigrad.meshgrid"),
        "any number of Tensors",
    ),
    **dict.fromkeys(
        ("minigrad.can_cast", "minigrad.iinfo", "minigrad.finfo"), "of dtypes: tests/test_dtypes.py"
    ),
    **dict.fromkeys(
        ("minigrad.svd", "minigrad.qr"), "the signs are those of each LAPACK: tests/test_torch_names.py"
    ),
    "minigrad.Generator": "a class with methods of its own: tests/test_random.py",
    "minigrad.Tensor": "a class: its methods are called",
    **dict.fromkeys(("Tensor.half", "Tensor.bfloat16"), "refused: nothing is computed in half precision"),
    **dict.fromkeys(("Tensor.cuda", "Tensor.pin_memory"), "need a GPU in PyTorch"),
    "Tensor.share_memory_": "leaves memory with the operating system in PyTorch",
    **dict.fromkeys(
        ("minigrad.empty", "minigrad.empty_like", "Tensor.new_empty"), "PyTorch's show what lay in memory"
    ),
    **dict.fromkeys(("minigrad.dtype", "minigrad.promote_types", "minigrad.result_type"), "tests of dtypes"),
    "minigrad.from_numpy": "takes arrays, not Tensors",
    **dict.fromkeys(("Tensor.register_hook", "Tensor.retain_grad"), "need a graph"),
    "minigrad.einsum": "any number of operands: tests/test_ops.py",
    "Tensor.backward": "needs a graph: tests/test_tape.py",
    **dict.fromkeys(("minigrad.no_grad", "minigrad.enable_grad"), "contexts: tests/test_tape.py"),
    "minigrad.manual_seed": "returns a Generator of each library: tests/test_random.py",
}


# --- PyTorch's signatures ---


def mine_of(home, name):
    """What we have under that name."""
    here = HOMES[home][0]
    return lookup.find_method(name) if here is Tensor and not hasattr(Tensor, name) else getattr(here, name)


def special_of(home, name):
    """The values of SPECIAL; a method's and a function's of nn.functional are those of the function of torch."""
    labels = [f"{home}.{name}", f"minigrad.{name.rstrip('_')}", f"Tensor.{name.rstrip('_')}"]
    return (
        next((SPECIAL[label] for label in labels if label in SPECIAL), {})
        if home != "nn"
        else SPECIAL[labels[0]]
    )


def overloads(home, name):
    """PyTorch's signatures of a name, `self` left out for methods."""
    theirs = getattr(HOMES[home][1], name)
    theirs = getattr(HOMES[home][1], f"_{name}", theirs) if name.startswith("max_pool") else theirs
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
    if argument.name.startswith("_"):  # private
        return []
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
    base = {a.name: samples(a, special)[0] for a in needed} | special.get("always", {})
    lead = () if first is None else (first,)
    by_place = [base[a.name] for a in needed if not a.keyword_only]
    named = {a.name: base[a.name] for a in needed if a.keyword_only} | special.get("always", {})
    yield (*lead, *by_place), named, ""
    if by_place:
        yield (*lead, *by_place[:-1]), named, "missing"
    places = [a for a in others if not a.keyword_only]
    for a in others:
        for value in samples(a, special):
            given = {**base, a.name: value}
            yield lead, given, a.name
            if a in places:
                upto = places[: places.index(a) + 1]
                later = {n: v for n, v in given.items() if n not in [p.name for p in upto]}
                yield (*lead, *(given.get(p.name, default_of(p)) for p in upto)), later, a.name
    yield (*lead, *(base.get(p.name, default_of(p)) for p in places), *[0.5] * 3), named, "more"


def default_of(argument):
    """PyTorch's default; of a function, which would be PyTorch's own, the name."""
    return argument.default.__name__ if inspect.isfunction(argument.default) else argument.default


def given_to(library, value):
    """The value as one library takes it: arrays as its Tensors, each made anew."""
    if isinstance(value, np.ndarray):
        return library.tensor(value.copy())
    if isinstance(value, Made):
        return value.make(library)
    if isinstance(value, dict):
        return {name: given_to(library, v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(given_to(library, v) for v in value)
    return value


def outcome(fn, library, args, kwargs):
    """What a call returns, as arrays and lists, or the error that it raises."""
    library.seed()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return plain(fn(*given_to(library, args), **given_to(library, kwargs))), None
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
        return "" if b is None or not isinstance(a, np.ndarray) else f"an array and not {b!r:.60}"
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
    """Does ours lack the argument, by its signature, or where that says *args or **options, by its own word?"""
    try:
        signature = inspect.signature(fn)
        signature.bind(*args, **kwargs)
    except (TypeError, ValueError):
        return True
    if not {p.kind for p in signature.parameters.values()} & {ANY_NUMBER, ANY_NAME}:
        return False
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
    every = (
        {*dir(mine), *lookup.method_names(), *(f"{n}_" for n in lookup.IN_PLACE)}
        if mine is Tensor
        else dir(mine)
    )
    found = sorted(n for n in every if not n.startswith("_") and n not in OURS_ALONE.get(home, "").split())
    return [n for n in found if callable(mine_of(home, n)) and not inspect.ismodule(mine_of(home, n))]


NAMED = [(home, name) for home in HOMES for name in names(home)]
EVERY = [(home, name) for home, name in NAMED if hasattr(HOMES[home][1], name)]
CALLED = [
    (home, name)
    for home, name in EVERY
    if f"{home}.{name}" not in NOT_CALLED and f"minigrad.{name}" not in NOT_CALLED
]
LABELS = [f"{home}.{name}" for home, name in CALLED]


def test_every_name_is_pytorchs_or_listed_as_ours():
    assert [f"{home}.{name}" for home, name in NAMED if (home, name) not in EVERY] == []
    for home, listed in OURS_ALONE.items():
        assert [n for n in listed.split() if n not in dir(HOMES[home][0])] == [], home


NUMPYS = {
    "axis": None,
    "keepdims": False,
}  # arguments of NumPy's that stand beside PyTorch's, and their defaults


def misplaced(home, name):
    """Arguments of ours that stand where PyTorch has another, or have another default."""
    mine, theirs = mine_of(home, name), overloads(home, name)
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
        if any(theirs) and p.name not in at and f"{home}.{name} {p.name}" not in ACCEPTED:
            wrong.append(f"{p.name} at place {i}, where PyTorch has {' or '.join(sorted(at)) or 'none'}")
    for p in parameters:
        defaults = [a.default for arguments in theirs for a in arguments if a.name == p.name]
        optional = (
            not theirs or min(len([a for a in arguments if a.name == p.name]) for arguments in theirs) == 0
        )
        if p.default is None and optional:  # as PyTorch's form without it
            defaults = []
        if (
            p.name in ("dtype", "memory_format") or f"{home}.{name} {p.name}" in ACCEPTED
        ):  # None too is called with
            defaults = []
        defaults = [d for d in defaults if d is not NONE]  # leaving out what PyTorch needs is a call, below
        if p.name in NUMPYS:
            defaults = [NUMPYS[p.name]]
        if p.default is not NONE and defaults and not any(_same(p.default, d) for d in defaults):
            wrong.append(f"{p.name}={p.default!r}, PyTorch's {list(dict.fromkeys(map(repr, defaults)))}")
    return wrong


def _same(mine, theirs):
    """Are two defaults one? None says what False and the empty list say; an activation may be given by name."""
    if theirs is None or theirs == []:
        return mine is None or mine is False
    mine = list(mine) if isinstance(mine, tuple) else mine
    theirs = list(theirs) if isinstance(theirs, tuple) else theirs
    return mine == (theirs.__name__ if callable(theirs) and theirs is not NONE else theirs)


def has_signature(home, name):
    return has_signature_of(mine_of(home, name))


def test_arguments_stand_in_pytorchs_places_with_its_defaults():
    found = {f"{home}.{name}": misplaced(home, name) for home, name in EVERY if has_signature(home, name)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def those_with_an_axis():
    """(name, function) of all that takes NumPy's `axis` for PyTorch's `dim`, what array functions find on Tensors too."""
    every = [(f"{home}.{name}", mine_of(home, name)) for home, name in NAMED]
    every += [(f"functions.{name}", fn) for name, fn in vars(functions).items() if inspect.isfunction(fn)]
    return [
        (name, fn)
        for name, fn in every
        if has_signature_of(fn) and "axis" in inspect.signature(fn).parameters
    ]


def test_numpys_axis_and_keepdims_say_what_pytorchs_dim_and_keepdim_say():
    x = minigrad.tensor(np.random.default_rng(0).random((2, 3, 4)))
    found = those_with_an_axis()
    assert len(found) > 40
    for label, fn in found:
        name = label.partition(".")[2]
        first = {"squeeze": x[:1, :, :1]}.get(
            name, [x, x[:, ::-1]] if "cat" in name or name == "stack" else x
        )
        call = functools.partial(fn, first, *[2] * (name == "split"))
        values = (lambda result: result.values) if name in ("max", "min") else (lambda result: result)
        for dim in (0, 1, 2, -1):
            wanted = plain(values(call(dim=dim)))
            assert differ(plain(call(axis=dim)), wanted) == "", f"{label} axis={dim}"
            if "keepdims" in inspect.signature(fn).parameters:
                kept = plain(values(call(dim=dim, keepdim=True)))
                assert kept.ndim == 3 and wanted.ndim == 2, label
                assert differ(plain(values(call(dim=dim, keepdims=True))), kept) == "", f"{label} keepdims"


@pytest.mark.parametrize("home, name", CALLED, ids=LABELS)
def test_calls_give_what_pytorchs_give(home, name):
    wrong, ran = found_wrong(home, name)
    assert wrong == []
    assert ran, "nothing runs in both: give it values in SPECIAL, or say why not in NOT_CALLED"


def used(home, thing, library, inputs):
    """A function that calls `thing`, uses what it makes and returns the numbers: of weights, rates, gradients."""

    def layer(*args, **kwargs):
        made = thing(*args, **kwargs)
        return [*(p.detach() + 0 for p in made.parameters()), made(*given_to(library, inputs))]

    def optimiser(params, *args, **kwargs):
        made = thing(params, *args, **kwargs)
        return [p.detach() + 0 for _ in range(2) for _ in [made.step()] for p in params]

    def schedule(optimizer, *args, **kwargs):
        made, rates = thing(optimizer, *args, **kwargs), []
        for _ in range(5):
            rates += [optimizer.param_groups[0][key] for key in ("lr", "momentum")]
            optimizer.step()
            made.step(*[1.0] * hasattr(made, "patience"))
        return rates

    def utility(*args, **kwargs):
        lists = [x for x in (*args, *kwargs.values()) if isinstance(x, list)]
        return [thing(*args, **kwargs), *([x.detach(), x.grad] for each in lists for x in each)]

    ways = {"nn": layer, "optim": optimiser, "lr_scheduler": schedule, "utils": utility}
    return ways.get(home, thing)


def found_wrong(home, name):
    """(the calls that differ, how many ran in both)."""
    mine, special = mine_of(home, name), special_of(home, name)
    sides = [(mine, OURS), (getattr(HOMES[home][1], name), THEIRS)]
    sides = [(used(home, thing, library, special.get("inputs")), library) for thing, library in sides]
    wrong, ran = [], 0
    for arguments in overloads(home, name):
        takes = home == "Tensor" or (arguments and arguments[0].name in ("self", "input", "tensor", "data"))
        if home == "Tensor":
            arguments = [Argument("self", "Tensor", NONE, False), *arguments]
        firsts = special.get("first", X.values() if takes and home != "nn" else None) or [None]
        for args, kwargs, varied in itertools.chain(*(calls(arguments, first, special) for first in firsts)):
            (a, error), (b, other) = (outcome(thing, library, args, kwargs) for thing, library in sides)
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
