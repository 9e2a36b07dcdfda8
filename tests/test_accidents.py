"""Accidents: whatever is done to a file it is refused or read as it was; whatever ends a run, what was saved is whole."""

import copy
import multiprocessing
import os
import pickle
import random
import time
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import minigrad as mg
import nn
from gpt import checkpoint
from gpt.run import Run
from minigrad.random import Generator
from nn.torch_names import saving
from tests.accidents import damage
from tests.accidents.readers import READERS, outcome

# ---- every reader ----


@pytest.fixture(scope="module", params=READERS)
def whole(request, tmp_path_factory):
    """A reader, a whole file of its kind, and what it holds."""
    path = READERS[request.param].make(tmp_path_factory.mktemp("whole"))
    return READERS[request.param], path, path.read_bytes(), READERS[request.param].read(path)


def judge(whole, damaged):
    """Read each of these files; return how many are refused. Those that are not give what the whole one does."""
    reader, path, data, wanted = whole
    refused = 0
    for where, changed in damaged:
        path.write_bytes(changed)
        verdict, found = outcome(reader, path)
        refused += verdict == "refused"
        assert verdict == "refused" or not reader.verified or found == wanted, where
    path.write_bytes(data)
    return refused


def test_a_file_cut_anywhere_is_refused(whole):
    cuts = list(damage.cuts(whole[2]))
    assert judge(whole, cuts) >= (len(cuts) if whole[0].verified else 1)


def test_flipped_bits_are_refused_or_harmless(whole):
    rng = random.Random(1)
    places = [rng.randrange(len(whole[2])) for _ in range(200)]
    changed = [next(damage.every_byte(whole[2], [place], 1 << rng.randrange(8))) for place in places]
    assert judge(whole, changed) > 100 or not whole[0].verified


def test_files_changed_at_random_are_refused_or_read_without_a_traceback(whole):
    reader, path, data, _ = whole
    rng = random.Random(2)
    for _ in range(60):
        path.write_bytes(damage.rewritten(data, rng) if reader.zipped else damage.mutant(data, rng))
        outcome(reader, path)
    path.write_bytes(data)


@pytest.fixture
def archive(tmp_path):
    """A checkpoint with arrays above 100 kB, which NumPy reads otherwise than small ones, and what it holds."""
    rng = np.random.default_rng(0)
    arrays = {
        "small": np.asfortranarray(rng.standard_normal((3, 100))),
        "large": rng.standard_normal((130, 100)),
    }
    arrays |= {"none": np.zeros((0, 3)), "one": np.array(2.5)}
    checkpoint.save(tmp_path / "c.npz", {"text": "grün", "n": [1, None]}, arrays)
    return tmp_path / "c.npz", (tmp_path / "c.npz").read_bytes(), arrays


@pytest.mark.parametrize("change", [0x20, 0x01, 0xFF])
def test_a_changed_byte_of_any_header_is_refused_or_changes_no_number(archive, change):
    path, data, arrays = archive
    assert arrays["large"].nbytes > 100_000
    places, refused = damage.headers(data)[:: 1 if change == 0x20 else 5], 0
    for place, changed in damage.every_byte(data, places, change):
        path.write_bytes(changed)
        try:
            info, found = checkpoint.load(path)
        except ValueError as error:
            assert str(error).startswith("checkpoint: expected ")
            refused += 1
        else:
            assert info == {"text": "grün", "n": [1, None]} and found.keys() == arrays.keys()
            for name, array in arrays.items():
                assert found[name].dtype == array.dtype, place
                assert_array_equal(found[name], array, err_msg=str(place))
    assert len(places) > 200 and refused > 0.7 * len(places)


def npy(text, numbers=bytes(64)):
    """A .npy file whose header says `text`."""
    header = text.encode() + b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + numbers


SAID = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
HEADER = b'{"format": "minigrad checkpoint 2", "arrays": ["a"]}'
WHOLE = [("header.json", HEADER), ("a.npy", npy(SAID.format("<f4", "(16,)")))]


def big(data):
    """The same zip, saying of its last member that it has 3 GiB."""
    place = data.rindex(b"PK\1\2")
    size = (3 << 30).to_bytes(4, "little")
    return data[: place + 20] + size + size + data[place + 28 :]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (damage.zipped([*WHOLE, WHOLE[1]]), "each name once"),
        (damage.zipped([*WHOLE, ("b.npy", WHOLE[1][1])]), "arrays missing"),
        (damage.zipped(WHOLE[:1]), "arrays missing"),
        (damage.zipped(WHOLE, zipfile.ZIP_DEFLATED), "'header.json' is compressed"),
        (damage.zipped([WHOLE[0], ("a.npy", bytes(1 << 22))], zipfile.ZIP_LZMA), "compressed"),
        (damage.zipped(WHOLE) + b"\0", "something else, or cut short"),
        (b"more" + damage.zipped(WHOLE), "told of in two ways"),
        (damage.zipped(WHOLE).replace(b"PK\1\2", b"more" + b"PK\1\2", 1), ""),
        (damage.zipped(WHOLE).replace(b"a.npy", b"b.npy", 1), "told of in two ways"),
        (big(damage.zipped(WHOLE)), "told of in two ways"),
        (damage.zipped([("header.json", HEADER.replace(b" 2", b" 3")), WHOLE[1]]), "a newer minigrad wrote it"),
        (damage.zipped([("header.json", HEADER.replace(b"checkpoint 2", b"save 1")), WHOLE[1]]), "its format is"),
        (damage.zipped([("header.json", HEADER[:-1] + b', "x": NaN}')]), "NaN is no number"),
        (damage.zipped([("header.json", b"[" * 100_000)]), ""),
        (damage.zipped([("header.json", b"\xff")]), ""),
        *[
            (damage.zipped([WHOLE[0], ("a.npy", content)]), said)
            for content, said in (
                (npy(SAID.format("<f4", "(17,)")), "not the size that it says"),
                (npy(SAID.format("<f4", "(15,)")), "not the size that it says"),
                (npy(SAID.format("<f4", "(4294967296, 4294967296)")), "not the size that it says"),
                (npy(SAID.format("<f4", "(-16,)")), "no array of numbers"),
                (npy(SAID.format("<f4", "(16, )")), "no array of numbers"),
                (npy(SAID.format("|O", "(8,)")), "no array of numbers"),
                (npy(SAID.format("<f3", "(8,)")), ""),
                (npy(SAID.format("<f4", "(16,)").replace("False", "1")), "no array of numbers"),
                (npy(SAID.format("<f4", "(16,)")).replace(b"\1\0", b"\2\0"), "no array of numbers"),
                (npy("__import__('os').abort()"), "no array of numbers"),
                (b"", "no array of numbers"),
            )
        ],
    ],
)  # fmt: skip
def test_a_crafted_file_is_refused_before_it_takes_memory(tmp_path, data, said):
    path = tmp_path / "c.npz"
    path.write_bytes(damage.zipped(WHOLE))
    assert_array_equal(checkpoint.load(path)[1]["a"], np.zeros(16, "f4"))
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"^checkpoint: expected a whole file .*{said}"):
        checkpoint.load(path)


def test_a_file_of_the_first_format_is_read(tmp_path):
    header = '{"format": "minigrad checkpoint 1", "arrays": ["a/b"], "n": 1}'
    with open(tmp_path / "c.npz", "wb") as file:
        np.savez(file, header=np.array(header), **{"a/b": np.arange(3)})
    info, arrays = checkpoint.load(tmp_path / "c.npz")
    assert info == {"n": 1} and arrays["a"]["b"].tolist() == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_and_a_device_are_no_files_to_wait_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        for read in (checkpoint.load, saving.load):
            with pytest.raises(
                OSError, match=r"(checkpoint|load): expected a file; got .* \(no regular file\)"
            ):
                read(path)


# ---- what a file says is checked before it is believed ----

RUN = {
    "n_layer 1000000": lambda i, a: i["model"].update(n_layer=10**6),
    "block_size 1000000000": lambda i, a: i["model"].update(block_size=10**9),
    "vocab_size 1000000000": lambda i, a: i["model"].update(vocab_size=10**9),
    "n_layer to be a whole number": lambda i, a: i["model"].update(n_layer=0),
    "a setting n_layer of GPTConfig; got '1'": lambda i, a: i["model"].update(n_layer="1"),
    "a setting bias of GPTConfig; got 1": lambda i, a: i["model"].update(bias=1),
    "settings of GPTConfig; got n_wings; did a newer": lambda i, a: i["model"].update(n_wings=2),
    "settings of TrainConfig; got depth; did a newer": lambda i, a: i["training"].update(depth=2),
    "a setting data of TrainConfig; got 3": lambda i, a: i["training"].update(data=3),
    "settings of GPTConfig; got None": lambda i, a: i.update(model=None),
    "a vocabulary of 31 tokens or more, as many as the tokeniser has; got 30": lambda i, a: (
        i.pop("tokenizer"),
        i.update(characters="".join(map(chr, range(31)))),
    ),
    "characters in order": lambda i, a: (i.pop("tokenizer"), i.update(characters="ba")),
    "damaged": lambda i, a: i.update(tokenizer=i["tokenizer"].replace("quick", "quack").replace("b", "B")),
    "a tokeniser; got 3": lambda i, a: i.update(tokenizer=3),
    "finite numbers in wte.weight; got NaN": lambda i, a: a["model"]["wte.weight"].__setitem__((0, 0), np.nan),
    "finite numbers in ln_f.weight; got NaN": lambda i, a: a["model"]["ln_f.weight"].__setitem__(0, -np.inf),
    "finite numbers in wte.weight; got <U": lambda i, a: a["model"].update({"wte.weight": np.array(["a"])}),
    "finite numbers in optimizer/state/0/exp_avg": lambda i, a: a["optimizer"]["state"]["0"]["exp_avg"].fill(np.inf),
    "finite numbers in losses": lambda i, a: a["losses"].fill(np.nan),
    "another way": lambda i, a: i.update(way=[1, -1]),
    "the state of a run; got another way": lambda i, a: i.update(way=[10**6, 1]),
    "a run; got another way": lambda i, a: i.update(way=[0, 1]),
    "run; got another way": lambda i, a: i.update(way=[1.0, 1]),
    "a checkpoint without": lambda i, a: i.update(way=[1]),
    "a checkpoint without .'batch_rng'": lambda i, a: a.pop("batch_rng"),
    "pos of shape": lambda i, a: a["batch_rng"].update(pos=np.int64(10**6)),
    "one without .'key'": lambda i, a: a["batch_rng"].pop("key"),
    "key of shape .* got float64 .300, 3.$": lambda i, a: a["batch_rng"].update(key=np.ones((300, 3))),
    "another losses": lambda i, a: a.update(losses=np.zeros((2, 1))),
    "another evaluations": lambda i, a: a.update(evaluations=np.zeros((2, 2))),
    "run; got another evaluations": lambda i, a: a["evaluations"].__setitem__((0, 0), -1),
    "a run; got another evaluations": lambda i, a: a["evaluations"].__setitem__((0, 0), 0.5),
    "of a run; got another evaluations": lambda i, a: a["evaluations"].__setitem__((0, 0), 2.0**70),
    "state of a run; got another evaluations": lambda i, a: a.update(evaluations=a["evaluations"][::-1]),
    "another step": lambda i, a: a.update(losses=a["losses"][:1]),
    "a run; got another step": lambda i, a: i.update(step=i["step"] + 1),
    "another lora": lambda i, a: i["training"].update(lora=2),
    "another optimizer": lambda i, a: a["optimizer"]["state"].pop("3"),
    "a run; got another optimizer": lambda i, a: a.pop("optimizer"),
    "run; got another optimizer": lambda i, a: a["optimizer"]["state"]["0"].update(step=np.float32(1e30)),
    "weights of one dtype; got float32 and float64": lambda i, a: a["model"].update(
        {"ln_f.weight": a["model"]["ln_f.weight"].astype(float)}
    ),
    "the text of before": lambda i, a: i.update(sha256="0"),
    "another sha256": lambda i, a: i.update(sha256=None),
}  # fmt: skip


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """The checkpoint of a run."""
    return READERS["run"].make(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("said", RUN)
def test_what_a_checkpoint_says_is_compared_and_refused_in_one_line(a_run, tmp_path, said):
    info, arrays = checkpoint.load(a_run)
    RUN[said](info, arrays)
    checkpoint.save(tmp_path / "checkpoint.npz", info, arrays)
    began = time.process_time()
    with pytest.raises(ValueError, match=said) as refusal:
        Run.resume(str(tmp_path))
    assert "\n" not in str(refusal.value) and time.process_time() - began < 5


# ---- random sources travel ----


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


@pytest.mark.parametrize("stream", ["torch", "torch-mkl", "fast"])
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_random_source_goes_on_as_it_would_and_by_itself(how, stream):
    rng = Generator(3, stream)
    rng.randn(5)  # an odd number, of which one is spared
    twin = COPIES[how](rng)
    wanted = [rng.randn(5), rng.rand(3), rng.keep_mask(0.5, 9), rng.initial_seed()]
    rng.manual_seed(0)
    for a, b in zip([twin.randn(5), twin.rand(3), twin.keep_mask(0.5, 9), twin.initial_seed()], wanted):
        assert_array_equal(a, b)
    twin.spawn(2)
    assert_array_equal(rng.rand(3), Generator(0, stream).rand(3))


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_module_with_a_random_source_travels_and_drops_the_same(how):
    x = mg.ones(4, 50)
    model = nn.Sequential(nn.Linear(50, 50), nn.Dropout(0.5, rng=Generator(1, "fast")))
    model(x)
    twin = COPIES[how](model)
    for _ in range(2):
        assert_array_equal(twin(x)._data, model(x)._data)


def drawn(rng):
    return rng.rand(3)


def test_a_random_source_goes_to_another_process():
    rng = Generator(5)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert_array_equal(pool.apply(drawn, (rng,)), rng.rand(3))


def test_a_name_of_two_lines_in_a_file_is_told_in_one(tmp_path):
    (tmp_path / "a.pt").write_bytes(damage.zipped([("two\nlines", b"")]))
    for refused in (
        lambda: saving.load(tmp_path / "a.pt"),
        lambda: nn.Linear(1, 1).load_state_dict({"two\nlines": np.ones(1)}),
    ):
        with pytest.raises(ValueError, match=r"two\\nlines") as refusal:
            refused()
        assert "\n" not in str(refusal.value)
