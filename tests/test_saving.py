"""torch.save and torch.load: what comes back is what went in, and what cannot be is one line."""

import argparse
import io
import itertools
import json
import os
import subprocess
import sys
import zipfile
from collections import OrderedDict, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn
from minigrad.torch_names.device import device
from nn.torch_names.saving import load, save
from nn.torch_names.storages import pack, unpack

ROOT = Path(__file__).parent.parent


def again(value, **options):
    """What `load` makes of what `save` wrote."""
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return load(file, **options)


def assert_same(a, b):
    """The same types, in the same order, and every number bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert_same(list(a.items()), list(b.items()))
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(a, mg.Tensor):
        assert a.requires_grad == b.requires_grad
        assert_same(a._data, b._data)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    elif isinstance(a, argparse.Namespace):
        assert_same(vars(a), vars(b))
    else:
        assert repr(a) == repr(b)


KEYS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.tuples(st.integers(), st.text())
)
ARRAYS = st.builds(
    lambda dtype, shape, seed: np.random.default_rng(seed).integers(0, 256, (*shape, dtype.itemsize), np.uint8)
    .view(np.uint8 if dtype.kind == "b" else dtype)[..., 0].astype(dtype),
    st.sampled_from([np.dtype(name) for name in ("bool", "u1", "i1", "i2", "i4", "i8", "f4", "f8")]),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 9),
)  # fmt: skip
TENSORS = st.builds(
    lambda shape, grad, kind: (
        kind(mg.randn(*shape)) if kind is nn.Parameter else mg.randn(*shape).requires_grad_(grad)
    ),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([mg.Tensor, nn.Parameter]),
)
VALUES = st.recursive(
    KEYS
    | st.complex_numbers()
    | st.binary()
    | ARRAYS
    | ARRAYS.filter(np.size).map(lambda a: a.flat[0])
    | TENSORS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(KEYS, inner).map(OrderedDict)
        | st.dictionaries(st.text("abc", min_size=1), inner).map(lambda d: argparse.Namespace(**d))
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_comes_back_is_what_went_in(value):
    assert_same(again(value), value)


def test_names_sets_and_layouts_come_back():
    odd = [
        float("inf"),
        -float("inf"),
        float("nan"),
        -0.0,
        1e-320,
        2**70,
        "\ud800\0",
        {0: 1, "0": 2, None: 3, 0.5: 4},
    ]
    assert_same(again(odd), odd)
    size = mg.ones(2, 3).shape
    value = [
        size,
        {1, 2},
        frozenset("a"),
        device("cuda:1"),
        mg.bfloat16,
        np.ones((3, 2), "f4").T,
        mg.ones(1).dtype,
    ]
    back = again(value)
    assert back[:5] == value[:5] and type(back[0]) is type(size) and back[6] == value[6]
    assert back[5].shape == (2, 3) and (back[5] == 1).all()


def test_a_shared_tensor_is_shared_when_it_is_loaded():
    weight = nn.Parameter(np.arange(6.0, dtype="f4").reshape(2, 3))
    seen = weight.detach()  # another Tensor over the same memory
    a, b, c, other = again([weight, weight, seen, mg.tensor(weight._data.copy())])
    assert a is b and a._data is c._data and c is not a and other._data is not a._data
    a._data[0, 0] = 7
    assert c._data[0, 0] == 7 and other._data[0, 0] == 0


@given(
    st.lists(
        st.sampled_from(
            ["[:]", ".T", "[1:, ::2]", "[::-1, 1]", "[2:]", "[:1]", "[3, 4]", "[:0]", ".reshape(-1)"]
        ),
        min_size=2,
    )
)
def test_views_of_one_another_share_the_same_elements_when_they_are_loaded(cuts):
    def made():
        memory = np.arange(30.0, dtype="f4").reshape(5, 6)
        return [eval(f"memory{cut}") if cut != "[3, 4]" else memory[3:4, 4:5] for cut in cuts]

    before, after = made(), again([mg.tensor(0) if a is None else a for a in made()])
    for i in range(len(cuts)):
        assert_same(after[i].copy(), before[i].copy())
        before[i][...] = after[i][...] = -i
        for a, b in zip(after, before):
            assert_same(a.copy(), b.copy())


def test_a_view_is_read_exactly_if_all_of_its_elements_are_in_the_block():
    block, accepted = np.arange(6), 0
    for offset, shape in itertools.product(range(-1, 7), ([], [1], [2], [3], [0], [2, 2], [2, 0])):
        for strides in itertools.product(range(-3, 4), repeat=len(shape)):
            steps = [np.arange(n) * step for n, step in zip(shape, strides)]
            places = offset + sum(np.ix_(*steps)) if shape else np.array(offset)
            if places.size and places.min() >= 0 and places.max() < 6:
                [view] = unpack([block], [[0, offset, shape, strides]])
                np.testing.assert_array_equal(view, block[places])
                accepted += 1
            else:
                with pytest.raises(ValueError, match="a view"):
                    unpack([block], [[0, offset, shape, strides]])
    assert accepted > 100
    for wrong in ([np.arange(6).reshape(2, 3)], [np.array(1)]):
        with pytest.raises(ValueError, match="a view"):
            unpack(wrong, [[0, 0, [1], [1]]])


def test_arrays_share_a_block_exactly_if_their_memory_overlaps():
    x, y = np.arange(12.0), np.arange(4)
    cuts = [x[8:], x[4:6], x[:5], y, x[5:8], x[6:7], x[:0]]
    blocks, views = pack(cuts)
    assert [len(view) for view in views] == [1, 4, 4, 1, 4, 4, 1]
    assert [view[0] for view in views][1] == views[4][0] == views[5][0] == views[2][0]
    assert len(blocks) == 4 and sorted(block.size for block in blocks) == [0, 4, 4, 8]
    for cut, back in zip(cuts, unpack(blocks, views)):
        np.testing.assert_array_equal(cut, back)
    blocks, views = pack([x[:4], x[:4].view(np.int64), x[2:4]])  # two dtypes: each by itself
    assert [len(view) for view in views] == [1, 1, 1] and len(blocks) == 3


def test_memory_that_is_seen_twice_is_written_once():
    weight, file = np.zeros(10_000, "f4"), io.BytesIO()
    save(
        {
            "rows": weight.reshape(100, 100),
            "again": weight.reshape(100, 100),
            "all": weight,
            "part": weight[7:],
        },
        file,
    )
    assert len(file.getvalue()) < 2 * weight.nbytes


def test_a_model_and_its_optimiser_go_on_as_if_nothing_had_happened(tmp_path):
    def made():
        mg.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        return model, nn.optim.AdamW(model.parameters(), lr=0.1)

    def step(model, optimizer):
        loss = (model(mg.ones(2, 3)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    model, optimizer = made()
    step(model, optimizer)
    path = tmp_path / "ckpt.pt"
    save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iter_num": 1, "best": 1e-3}, path
    )
    after = [step(model, optimizer) for _ in range(3)]
    model, optimizer = made()
    checkpoint = load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    assert [step(model, optimizer) for _ in range(3)] == after and checkpoint["best"] == 1e-3


Point = namedtuple("Point", "x y")
LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value, line",
    [
        (nn.Linear(1, 1), "save: expected dicts, lists, numbers, strings and Tensors; got a Linear; save its state_dict()"),
        ({"m": [nn.GELU()]}, "got GELU at ['m'][0]; save its state_dict()"),
        (nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1), "got a SGD; save its state_dict()"),
        ({"f": len}, "got builtin_function_or_method at ['f']"),
        ([Point(1, 2)], "got Point at [0]; save x._asdict()"),
        (np.array([{}]), "save: expected arrays of numbers; got object at the top"),
        (LOOP, "save: expected values that do not contain themselves"),
        (torch.ones(2, dtype=torch.bfloat16), "save x.float()"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_named_with_its_place_and_nothing_is_written(tmp_path, value, line):
    path = tmp_path / "a.pt"
    save(1, path)
    with pytest.raises((TypeError, ValueError)) as error:
        save(value, path)
    assert line in str(error.value) and "\n" not in str(error.value)
    assert load(path) == 1 and os.listdir(tmp_path) == ["a.pt"]


def test_a_path_a_link_and_a_file_of_the_user_are_all_files(tmp_path):
    save([1], str(tmp_path / "a.pt"))
    (tmp_path / "link.pt").symlink_to(tmp_path / "a.pt")
    save([2], tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink() and load(tmp_path / "a.pt") == [2]
    with open(tmp_path / "b.pt", "wb") as file:
        save([3], file)
    with open(tmp_path / "b.pt", "rb") as file:
        assert load(file) == [3]
    save([4], os.devnull)
    with pytest.raises(FileNotFoundError, match="save: expected a place to write to; got .*nowhere"):
        save(1, tmp_path / "nowhere" / "a.pt")
    with pytest.raises(FileNotFoundError, match="load: expected a file; got .*c.pt"):
        load(tmp_path / "c.pt")


def damaged():
    """(what is wrong, the bytes) of files that are not what they should be."""
    file = io.BytesIO()
    save({"a": mg.ones(3), "b": (1,)}, file)
    whole = file.getvalue()
    yield "empty", b""
    yield "text", b"hello world"
    for part in (10, len(whole) // 2, len(whole) - 1):
        yield f"cut at {part}", whole[:part]
    members = {name: zipfile.ZipFile(file).read(name) for name in zipfile.ZipFile(file).namelist()}
    tree = json.loads(members["tree.json"])
    for name, change in {
        "no arrays": lambda m: m.pop("arrays/0.npy"),
        "no tree": lambda m: m.pop("tree.json"),
        "tree": lambda m: m.update({"tree.json": b"{"}),
        "format": lambda m: m.update({"tree.json": json.dumps({**tree, "format": "x"}).encode()}),
        "view": lambda m: m.update(
            {"tree.json": json.dumps({**tree, "arrays": [[0, 1, [3], [1]]]}).encode()}
        ),
        "kind": lambda m: m.update({"tree.json": json.dumps({**tree, "tree": {"code": 1}}).encode()}),
        "place": lambda m: m.update({"tree.json": json.dumps({**tree, "tree": {"tensor": -1}}).encode()}),
        "two": lambda m: m.update(
            {"tree.json": json.dumps({**tree, "tree": {"list": [], "set": []}}).encode()}
        ),
        "short": lambda m: m.update({"arrays/0.npy": m["arrays/0.npy"][:-1]}),
        "long": lambda m: m.update({"arrays/0.npy": m["arrays/0.npy"] + b"0"}),
    }.items():
        changed, out = dict(members), io.BytesIO()
        change(changed)
        with zipfile.ZipFile(out, "w") as archive:
            for member, data in changed.items():
                archive.writestr(member, data)
        yield name, out.getvalue()


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in damaged()])
def test_a_damaged_file_is_one_line(data):
    with pytest.raises(
        ValueError, match="^load: expected a file that torch.save wrote; got the file, "
    ) as error:
        load(io.BytesIO(data))
    assert "\n" not in str(error.value)


def test_a_changed_byte_is_noticed_or_changes_nothing():
    file = io.BytesIO()
    value = {"weight": mg.ones(4), "n": 3}
    save(value, file)
    for place in range(0, len(file.getvalue()), 7):
        data = bytearray(file.getvalue())
        data[place] ^= 0x55
        try:
            back = load(io.BytesIO(bytes(data)))
        except ValueError as error:
            assert str(error).startswith("load: expected ")
        else:
            assert_same(back, value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_pytorchs_says_how_to_convert_it_and_the_command_does(tmp_path, zipped):
    state = {
        "model": torch.nn.Linear(2, 3).state_dict(),
        "step": torch.tensor(3),
        "args": {"lr": 1e-3},
        "shape": torch.Size([1]),
    }
    state["tied"] = [torch.nn.Parameter(torch.ones(2))] * 2
    torch.save(state, tmp_path / "it's.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="which PyTorch wrote with pickle; convert it") as error:
        load(tmp_path / "it's.pt")
    command = str(error.value).partition("python -c ")[2].strip()
    assert command.startswith('"') and command.endswith('"')
    if not zipped:  # once is enough: it takes an import of PyTorch
        return
    code = command.strip('"').replace("map_location='cpu'", "map_location='cpu', weights_only=False")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    back = load(tmp_path / "it's.minigrad.pt")
    assert list(back) == list(state) and back["args"] == {"lr": 1e-3} and tuple(back["shape"]) == (1,)
    for name, value in state["model"].items():
        np.testing.assert_array_equal(back["model"][name]._data, value.numpy())
    assert back["tied"][0] is back["tied"][1] and isinstance(back["tied"][0], nn.Parameter)


def test_arrays_of_numpys_own_are_named():
    file = io.BytesIO()
    np.savez(file, a=np.ones(2))
    with pytest.raises(ValueError, match="arrays of np.savez; read it with np.load"):
        load(io.BytesIO(file.getvalue()))
