"""Every function that makes a new Tensor, against PyTorch's of the same name."""

import inspect

import numpy as np
import pytest
import torch

import minigrad as mg
from tests.support import foreign

# name, arguments, options: the same call for both; numbers that are drawn come from the same seed
CALLS = [
    ("zeros", (2, 3), {}),
    ("zeros", ((2, 3),), {"dtype": "float64"}),
    ("ones", ([4],), {}),
    ("ones", ((),), {}),
    ("full", ((2, 2), 1.5), {}),
    ("eye", (3,), {}),
    ("eye", (3, 2), {"dtype": "float64"}),
    ("arange", (-3, 3.1, 0.1), {}),
    ("arange", (1, -7.3, -0.01), {}),
    ("arange", (5,), {}),
    ("arange", (0,), {}),
    ("arange", (2, 2), {}),
    ("arange", (2, 2, -1), {}),
    ("arange", (7, 1, -2), {}),
    ("arange", (5,), {"dtype": "float64"}),
    ("arange", (32,), {"dtype": "float32"}),
    *[("arange", (0.1, 0.1 + 0.3 * n - 0.1, 0.3), {}) for n in (1, 15, 16, 17, 31, 32)],
    ("linspace", (-1.0, 2.0, 5), {"dtype": "float64"}),
    *[("linspace", (-1.0, 2.0, n), {}) for n in range(4)],
    ("rand", (2, 3), {}),
    ("rand", ((40,),), {"dtype": "float64"}),
    ("randn", (3, 7), {}),
    ("randn", ((5,),), {"dtype": "float64"}),
    ("normal", (1.0, 0.5, (4, 5)), {}),
    ("randint", (7, (3, 4)), {}),
    ("randint", (-5, 7, (9,)), {}),
    ("randint", (), {"high": 7, "size": (5,)}),
    ("randint", (7, (4,)), {"dtype": "float64"}),
    ("randperm", (11,), {}),
]


def both(name, args, options):
    """The results of minigrad's and PyTorch's function of a name, from the same seed."""
    results = []
    for library in (mg, torch):
        library.manual_seed(11)
        given = {k: getattr(library, v) if isinstance(v, str) else v for k, v in options.items()}
        results.append(np.asarray(getattr(library, name)(*args, **given)))
    return results


@pytest.mark.parametrize("name, args, options", CALLS, ids=[f"{n}{a}{o or ''}" for n, a, o in CALLS])
def test_it_makes_what_pytorch_makes(name, args, options):
    ours, theirs = both(name, args, options)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("steps", [2, 4, 10, 31])
def test_linspace_is_counted_from_the_nearer_end(steps):
    there, back = mg.linspace(0.1, 0.7, steps).tolist(), mg.linspace(0.7, 0.1, steps).tolist()
    assert [there[0], there[-1]] == [np.float32(0.1), np.float32(0.7)]
    half = steps // 2
    assert there[:half] == back[::-1][:half] and there[-half:] == back[::-1][-half:]


# name, the arguments that it needs: every function of this kind, with whatever options it has
MAKERS = {
    **dict.fromkeys(("zeros", "ones", "empty", "rand", "randn"), (2, 3)),
    "full": ((2, 3), 1.5),
    **dict.fromkeys(
        ("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like"), (mg.full((2, 3), 0.5),)
    ),
    "full_like": (mg.zeros(2, 3), 1.5),
    "tensor": ([0.5, 1.5],),
    "as_tensor": ([0.5, 1.5],),
    "eye": (3,),
    "arange": (4.0,),
    "linspace": (0.0, 1.0, 5),
    "normal": (0.0, 1.0, (4,)),
    "randint": (7, (4,)),
    "randperm": (7,),
    "bernoulli": (mg.full((20,), 0.5),),
    "multinomial": (mg.full((20,), 0.5), 3),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_option_arrives(name, monkeypatch):
    """Each changes what it says, and nothing of that happens without it."""
    cupy = foreign.install(monkeypatch)
    make, args, given = getattr(mg, name), MAKERS[name], inspect.signature(getattr(mg, name)).parameters
    mg.manual_seed(1)
    plain = make(*args)
    mg.manual_seed(1)
    again, state = make(*args), mg.random.default_generator().state()
    assert (
        again.tolist() == plain.tolist() and not plain.requires_grad and isinstance(plain.array, np.ndarray)
    )
    if "requires_grad" in given:
        assert make(*args, dtype=mg.float64, requires_grad=True).requires_grad
    if "device" in given:
        assert isinstance(make(*args, device="cuda").array, cupy.ndarray)
    if "dtype" in given:
        assert [make(*args, dtype=dtype).dtype for dtype in (mg.float32, mg.float64)] == [
            mg.float32,
            mg.float64,
        ]
    if "generator" in given:
        mg.manual_seed(2)
        before = mg.random.default_generator().state()
        assert make(*args, generator=mg.Generator(1)).tolist() == plain.tolist()
        assert str(mg.random.default_generator().state()) == str(before) != str(state)


def test_what_is_to_be_filled_is_zeros():
    assert mg.empty(2, 3).tolist() == mg.empty_like(mg.ones(2, 3)).tolist() == [[0.0] * 3] * 2


def test_as_tensor_changes_a_tensor_where_an_option_says_so(monkeypatch):
    cupy = foreign.install(monkeypatch)
    x = mg.ones(2)
    assert mg.as_tensor(x) is x and mg.as_tensor(x, dtype=mg.float32, device="cpu") is x
    assert mg.as_tensor(x, dtype=mg.float64).dtype == mg.float64
    assert isinstance(mg.as_tensor(x, device="cuda").array, cupy.ndarray)


@pytest.mark.parametrize("name", ["rand_like", "randn_like", "zeros_like", "ones_like"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_like_has_the_shape_and_dtype_of_its_model(name, dtype):
    model = np.empty((3, 5), dtype)
    mg.manual_seed(5)
    torch.manual_seed(5)
    ours = getattr(mg, name)(mg.tensor(model, dtype=dtype))
    np.testing.assert_array_equal(ours, getattr(torch, name)(torch.from_numpy(model)))
    assert ours.dtype == dtype


@pytest.mark.parametrize("name, args, options", CALLS, ids=[f"{n}{a}{o or ''}" for n, a, o in CALLS])
def test_device_makes_the_same_elsewhere(name, args, options, monkeypatch):
    cupy = foreign.install(monkeypatch)
    here, there = (
        (mg.manual_seed(11), getattr(mg, name)(*args, **options, device=place))[1]
        for place in ("cpu", "cuda:0")
    )
    assert isinstance(there.array, cupy.ndarray) and there.dtype == here.dtype
    np.testing.assert_array_equal(there.array.get(), here.array)


def test_a_tensor_moves_with_its_wish_for_a_gradient_and_back(monkeypatch):
    cupy = foreign.install(monkeypatch)
    for wish in (True, False):
        x = mg.tensor([1.0, 2.0], requires_grad=wish)
        there = x.to("cuda")
        assert isinstance(there.array, cupy.ndarray) and there.requires_grad == wish and there.is_leaf
        assert there.to("cuda") is there and x.to("cpu") is x
        back = there.to("cpu")
        assert back.requires_grad == wish and isinstance(back.array, np.ndarray)
        np.testing.assert_array_equal(back.array, x.array)
    with pytest.raises(RuntimeError, match="to: expected a leaf; move data before computing with it"):
        (mg.ones(2, requires_grad=True) * 2.0).to("cuda")


@pytest.mark.parametrize(
    "given, options",
    [(("cpu",), {}), (("float32",), {}), (("cpu", "float32"), {}), ((), {"dtype": "float32"})],
)
def test_to_returns_the_tensor_itself_unless_a_copy_is_asked_for_by_name_or_place(given, options):
    for library in (mg, torch):
        x, kinds = library.ones(2), {"float32": library.float32}
        args = [kinds.get(each, each) for each in given]
        more = {name: kinds[value] for name, value in options.items()}
        assert x.to(*args, **more) is x and x.to(*args, **more, non_blocking=True) is x
        if "float32" in given:
            assert x.to(*args, False) is x.to(*args, True) is x.to(*args, False, False) is x
            for wrong in ((False, False, False), ("a",)):
                with pytest.raises(TypeError):
                    x.to(*args, *wrong)
        copies = [x.to(*args, **more, copy=True)] + ([x.to(*args, False, True)] if "float32" in given else [])
        for y in copies:
            assert y is not x and y.tolist() == [1.0, 1.0]
            x[0] = 5.0
            assert y.tolist() == [1.0, 1.0] and x.fill_(1.0) is x


def test_probabilities_are_drawn_from_as_pytorch_does():
    p = np.random.default_rng(0).random((4, 6), np.float32)
    for draw in (lambda x, p: x.bernoulli(p), lambda x, p: x.multinomial(p, 3)):
        for dtype in (np.float32, np.float64):
            mg.manual_seed(3)
            torch.manual_seed(3)
            ours, theirs = (
                draw(mg, mg.from_numpy(p.astype(dtype))),
                draw(torch, torch.from_numpy(p.astype(dtype))),
            )
            np.testing.assert_array_equal(ours, theirs)
            assert str(ours.dtype) == str(theirs.dtype)


def test_a_tensor_is_a_copy_and_a_leaf():
    data = np.arange(3.0)
    x = mg.tensor(data, requires_grad=True)
    data[0] = 9.0
    assert x.tolist() == [0.0, 1.0, 2.0] and x.is_leaf and x.requires_grad and x.dtype == np.float64
    assert mg.tensor([1, 2]).dtype == np.int64 and mg.tensor([1, 2.0]).dtype == np.float32
    assert mg.zeros(2, requires_grad=True).requires_grad and not mg.zeros(2).requires_grad


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: mg.zeros(2, -1), ValueError, r"zeros: expected sizes that are integers >= 0; got \(2, -1\)"),
        (lambda: mg.ones(1.5), TypeError, r"ones: expected sizes that are integers >= 0; got \(1.5,\)"),
        (lambda: mg.zeros("a"), TypeError, r"zeros: expected sizes that are integers >= 0; got \('a',\)"),
        (lambda: mg.rand((2, 3), 4), TypeError, r"rand: expected .* integers >= 0; got \(\(2, 3\), 4\)"),
        (lambda: mg.zeros(2).reshape(-2), ValueError, "reshape: expected sizes that are integers >= -1"),
        (lambda: mg.zeros(2).expand(-2), ValueError, "expand: expected sizes that are integers >= -1"),
        (
            lambda: mg.zeros(2).broadcast_to(-2),
            ValueError,
            "broadcast_to: expected sizes that are integers >= -1",
        ),
        (
            lambda: mg.zeros(2, 3).permute(0, 0.5),
            TypeError,
            "permute: expected sizes that are integers >= -2",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "sizes", [(2, 3), [2, 3], np.array([2, 3]), (np.int64(2), np.int32(3)), map(int, "23")]
)
def test_sizes_come_one_by_one_or_together(sizes):
    assert mg.ones(6).reshape(sizes).shape == (2, 3)
    assert mg.zeros(np.array(6)).shape == mg.zeros(6).shape == mg.zeros((6,)).shape == (6,)


@pytest.mark.parametrize("dtype", [np.float16, mg.bfloat16, np.complex64, "quaternion"])
def test_what_nothing_is_computed_in_is_not_made(dtype):
    with pytest.raises(
        TypeError, match="zeros: expected a dtype of bool, uint8, .*, float64; got .*compute in float32"
    ):
        mg.zeros(2, dtype=dtype)
