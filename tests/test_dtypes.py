"""Tensors of every dtype: what PyTorch makes of lists, of operands of two dtypes, of integers where floats are wanted."""

import copy
import itertools
import operator
import pickle

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad import functions
from nn.functional.linear import linear

NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
NUMBERS = (True, 2, -3, 2.5)


def operands(library):
    """{name: value}: an array and a single number of every dtype, and Python's own numbers."""
    made = {}
    for name in NAMES:
        dtype = getattr(library, name)
        made[name] = library.tensor([[1, 0, 3]]).to(dtype)
        made[name + " 0-d"] = library.tensor(2).to(dtype)
    return made | {repr(number): number for number in NUMBERS}


OURS, THEIRS = operands(mg), operands(torch)
PAIRS = [
    pair for pair in itertools.product(OURS, OURS) if not all(name in map(repr, NUMBERS) for name in pair)
]


@pytest.mark.parametrize("a, b", PAIRS)
def test_the_dtype_of_a_result_is_pytorchs(a, b):
    expected = torch.result_type(THEIRS[a], THEIRS[b])
    assert str(mg.result_type(OURS[a], OURS[b])) == str(expected)
    assert str((OURS[a] * OURS[b]).dtype) == str(expected)


BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "maximum": None,
    "cat": None,
    "where": None,
}


def outcome(library, name, a, b):
    """(dtype, values) of the operation, or "raises"."""
    tensor = library.tensor
    functions = {
        "maximum": lambda a, b: library.maximum(a, b),
        "cat": lambda a, b: library.cat([a.reshape(-1), b.reshape(-1)]),
        "where": lambda a, b: library.where(tensor([[True, False, True]]), a, b),
    }
    try:
        result = (BINARY[name] or functions[name])(a, b)
    except (TypeError, RuntimeError, ValueError, AttributeError):
        return "raises"
    return str(result.dtype), np.asarray(result.tolist())


@pytest.mark.parametrize("name", BINARY)
def test_an_operation_of_two_dtypes_gives_what_pytorch_gives(name):
    with np.errstate(divide="ignore", invalid="ignore"):
        for a, b in PAIRS:
            theirs = outcome(torch, name, THEIRS[a], THEIRS[b])
            ours = outcome(mg, name, OURS[a], OURS[b])
            if name == "sub" and "True" in (a, b):
                continue  # to floats, True is 1 here
            if name == "pow" and {a.split()[0], b.split()[0]} <= {"bool", "True"}:
                continue  # NumPy's are small integers
            if (
                theirs == "raises"
                and name == "maximum"
                and not (hasattr(OURS[a], "dtype") and hasattr(OURS[b], "dtype"))
            ):
                continue  # a number, which maximum reads as a Tensor of no axes
            assert (ours == "raises") == (theirs == "raises"), (a, b, ours, theirs)
            if ours != "raises":
                assert ours[0] == theirs[0], (a, b)
                np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, err_msg=f"{a} {b}")


UNARY = {
    **{
        name: operator.methodcaller(name)
        for name in ("exp", "sqrt", "tanh", "sigmoid", "relu", "sum", "prod", "cumsum0")
    },
    **{
        name: operator.methodcaller(name)
        for name in ("mean", "max", "min", "argmax", "any", "all", "var", "abs", "erf")
    },
    "neg": operator.neg,
    "invert": operator.invert,
    "cumsum0": lambda x: x.cumsum(-1),
    "logsumexp": lambda x: x.logsumexp(-1),
    "max of dim": lambda x: x.max(-1).indices,
    "clamp": lambda x: x.clip(0, 2),
    "clamp by a float": lambda x: x.clip(0, 2.5),
    "clamp from below": lambda x: x.clip(1),
    "clamp from above": lambda x: x.clip(max=2),
    "masked_fill": lambda x: x.masked_fill(x > 2, 7),
    "reflected": lambda x: 2 - x,
    "over": lambda x: 3 / x,
    "float": lambda x: x.float(),
    "matmul": lambda x: x @ x.reshape(3, 1),
    "floats to ints": lambda x: (x.double() * -2.7).int(),
    "no numbers to ints": lambda x: (x.float() * float("nan")).long(),  # as C does it, without a warning
}


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", NAMES)
def test_an_operation_on_any_dtype_gives_what_pytorch_gives(name, dtype):
    results = []
    for made in (OURS[dtype], THEIRS[dtype]):
        try:
            with np.errstate(divide="ignore", invalid="ignore" if name == "sqrt" else "warn"):
                y = UNARY[name](made)
            results.append((str(y.dtype), y.tolist()))
        except (TypeError, RuntimeError, NotImplementedError, ValueError):
            results.append("raises")
    if (dtype, name) in {("bool", "argmax"), ("bool", "abs")}:
        results[1] = results[0]  # NumPy has an answer where PyTorch has none
    assert (results[0] == "raises") == (results[1] == "raises"), results
    if results[0] != "raises":
        assert results[0][0] == results[1][0]
        np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)


LISTS = [
    *(
        1,
        True,
        2.5,
        [],
        [1, 2],
        [True, False],
        [1, 2.5],
        [True, 2],
        [[1], [2]],
        (1, 2),
        [[]],
        range(3),
        [1.0, float("nan")],
    ),
    *(
        np.arange(3),
        np.float64(2),
        np.ones(2, np.float32),
        [np.float32(1.5), 2],
        [np.float64(1)],
        np.array(True),
    ),
    *(np.ones(2, np.uint8), [np.int32(3)], [np.ones(2), np.zeros(2)]),
]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy:UserWarning")
@pytest.mark.parametrize("data", LISTS, ids=repr)
def test_a_list_becomes_what_torch_tensor_makes_of_it(data):
    for dtype in (None, "float64", "int64"):
        options = [{} if dtype is None else {"dtype": getattr(library, dtype)} for library in (mg, torch)]
        if dtype == "int64" and (
            np.isnan(np.asarray(data, np.float64)).any() or np.float32(1.5) in np.asarray(data)
        ):
            continue  # what C makes of NaN; what PyTorch refuses
        ours, theirs = mg.tensor(data, **options[0]), torch.tensor(data, **options[1])
        assert (str(ours.dtype), tuple(ours.shape)) == (str(theirs.dtype), tuple(theirs.shape))
        np.testing.assert_array_equal(ours, theirs)


def test_lists_may_hold_tensors_of_one_element():
    assert mg.tensor([mg.tensor(1), mg.tensor(2.5)]).tolist() == [1.0, 2.5]
    assert mg.tensor([[mg.tensor(1), 2]]).dtype == mg.int64
    w = mg.tensor([1.5, 2.5], requires_grad=True)
    assert mg.tensor([[w[0], 2], [w[1], 3]]).tolist() == [[1.5, 2.0], [2.5, 3.0]]


@pytest.mark.parametrize(
    "args", [(), (2, 3), ([1, 2],), ((2, 3),), ([[1.5]],), (np.array([1.5, 2]),), (np.array([1]),)], ids=repr
)
def test_the_constructor_is_pytorchs(args):
    ours, theirs = mg.Tensor(*args), torch.Tensor(*args)
    assert ours.shape == theirs.shape and str(ours.dtype) == str(theirs.dtype)
    if not args or isinstance(args[0], int):
        return  # PyTorch's are not initialised
    np.testing.assert_array_equal(ours, theirs)


def test_a_value_of_every_dtype_is_kept_to_the_last_bit():
    assert mg.tensor(0.1, dtype=mg.float64).item() == 0.1 and mg.tensor([0.1]).double().tolist() != [0.1]
    assert mg.tensor(2**62 + 1).item() == 2**62 + 1
    with pytest.raises(ValueError, match="tensor: expected integers of 64 bits"):
        mg.tensor(2**64)


@pytest.mark.parametrize("name", [name for name in NAMES if "int" in name])
def test_integers_are_kept_up_to_the_last_that_the_dtype_holds(name):
    limits = np.iinfo(name)
    least = limits.min or -limits.max  # negative ones wrap round in uint8
    for library in (mg, torch):
        for make in (
            library.tensor,
            lambda number, dtype, library=library: library.full((), number, dtype=dtype),
        ):
            kept = [make(number, dtype=getattr(library, name)).item() for number in (limits.max, least)]
            assert kept == [limits.max, least if limits.min else 1]
            for beyond in (limits.max + 1, least - 1):
                with pytest.raises((ValueError, RuntimeError, OverflowError)):
                    make(beyond, dtype=getattr(library, name))


@pytest.mark.parametrize("wrong", [(), (2, [3]), ([1], 2), (1.5,), ([2, 3], [4])], ids=repr)
def test_the_constructor_takes_lengths_or_one_sequence(wrong):
    for library in (mg, torch):
        x = library.Tensor([1.0, 2.0])
        assert library.Tensor(x).tolist() == x.tolist() and library.Tensor(x.shape).shape == x.shape
        if wrong:
            with pytest.raises(TypeError):
                library.Tensor(*wrong)


def test_a_number_beside_a_tensor_keeps_its_digits():
    for dtype in ("float32", "float64"):
        for first in (True, False):
            results = []
            for library in (mg, torch):
                x = library.tensor([0.3, 0.7], dtype=getattr(library, dtype))
                pair = (0.1, x) if first else (x, 0.1)
                results.append(library.where(x > 0.5, *pair))
            assert str(results[0].dtype) == str(results[1].dtype)
            assert results[0].tolist() == results[1].tolist()


def test_numbers_do_not_decide_in_products_and_fused_operations_either():
    for dtype, other in (("float32", "float64"), ("float64", "float32")):
        x, number = mg.tensor([0.3, 0.7], dtype=dtype), mg.tensor(2.0, dtype=other)
        assert (
            functions.einsum(",i->i", number, x).dtype == functions.einsum("i,->i", x, number).dtype == dtype
        )
        y = linear(x, [[0.1, 0.2]])  # a list, and no bias
        assert y.dtype == dtype and y.tolist() == (x.array @ np.array([[0.1, 0.2]], dtype).T).tolist()


def test_a_dtype_is_pytorchs_and_numpys():
    for name in NAMES:
        ours, theirs = getattr(mg, name if name != "bool" else "bool"), getattr(torch, name)
        assert repr(ours) == repr(theirs) and ours.itemsize == theirs.itemsize
        assert ours.is_floating_point == theirs.is_floating_point and ours.is_signed == theirs.is_signed
        assert ours == np.dtype(name) and np.dtype(name) == ours and ours in (np.dtype(name),)
        assert np.zeros(1, ours).dtype == name and {np.dtype(name): 1}[ours] == 1
        assert pickle.loads(pickle.dumps(ours)) is ours and copy.deepcopy(ours) is ours
    assert mg.float32 != mg.float64 and mg.float32 != "nonsense" and mg.bfloat16 != mg.float16
    assert mg.float64 != None and mg.bfloat16 != None  # noqa: E711
    assert not any(getattr(mg, name).is_complex for name in (*NAMES, "float16", "bfloat16"))


def test_a_shape_is_pytorchs():
    ours, theirs = mg.zeros(2, 3, 4).shape, torch.zeros(2, 3, 4).shape
    for see in (
        repr,
        str,
        lambda s: s[1:],
        lambda s: s[0],
        lambda s: s + (5,),
        lambda s: s.numel(),
        len,
        lambda s: s[-1],
    ):
        assert repr(see(ours)) == repr(see(theirs))
    assert ours == (2, 3, 4) and hash(ours) == hash((2, 3, 4))


def test_comparisons_with_what_is_no_number():
    x = mg.tensor([1.0, 2.0])
    assert not x == None and x != None and not x == "a"  # noqa: E711
    with pytest.raises(TypeError):
        x < None  # noqa: B015


def test_indices_may_be_tensors():
    x, t = mg.arange(12).reshape(3, 4), torch.arange(12).reshape(3, 4)
    for index in (
        lambda lib: lib.tensor([0, 2]),
        lambda lib: lib.tensor(1),
        lambda lib: (lib.tensor([0, 1]), lib.tensor([3, 2])),
        lambda lib: (slice(None), lib.tensor([True, False, True, False])),
        lambda lib: (lib.arange(12) * 7 > 20).reshape(3, 4),
        lambda lib: (lib.tensor([[0], [1]]), [1, 2]),
        lambda lib: (None, ..., lib.tensor(-1)),
        lambda lib: slice(lib.tensor(1), None),
    ):
        ours, theirs = x[index(mg)], t[index(torch)]
        assert ours.shape == theirs.shape and ours.tolist() == theirs.tolist()
    assert [list(range(4))[i] for i in mg.tensor([1, 2])] == [1, 2]


def test_a_small_sigmoid_keeps_its_digits():
    x = mg.tensor([-20.0, -80.0, 0.0, 3.0, 200.0, -200.0], requires_grad=True)
    t = torch.tensor(x.tolist(), requires_grad=True)
    y = x.sigmoid()
    np.testing.assert_allclose(y.array, t.sigmoid().detach(), rtol=1e-6)
    y[:4].log().sum().backward()
    t.sigmoid()[:4].log().sum().backward()
    np.testing.assert_allclose(x.grad, t.grad, rtol=1e-5, atol=1e-9)
