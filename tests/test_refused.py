"""What cannot be is refused in one line that says what was expected: no error comes from the inside."""

import pytest

from gpt.config import GPTConfig, LlamaConfig, TrainConfig
from gpt.llama import Llama
from gpt.memory import check_training
from gpt.model import GPT
from minigrad.random import Generator

SMALL = {"block_size": 5, "vocab_size": 11, "n_layer": 3, "n_embd": 8, "n_head": 4}
SIZES = {
    "tied": GPTConfig(**SMALL), "a head of its own": GPTConfig(**SMALL, tied=False),
    "a Llama": LlamaConfig(**SMALL, n_kv_head=2, n_hidden=7), "its own head": LlamaConfig(**SMALL, n_kv_head=4, tied=False),
}  # fmt: skip


# ---- more than the machine can hold ----


@pytest.mark.parametrize("name", SIZES)
def test_the_weights_of_a_size_are_counted_before_they_are_made(name):
    made = GPT if isinstance(SIZES[name], GPTConfig) else Llama
    matrices = [p for p in made(SIZES[name], rng=Generator(0)).parameters() if p.ndim == 2]
    assert SIZES[name].weights == sum(p.numel() for p in matrices)


@pytest.fixture
def memory(monkeypatch):
    """A function that gives this machine so many bytes of memory."""
    return lambda size: monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": size}.get)


@pytest.mark.parametrize("name", SIZES)
def test_a_model_is_made_where_it_fits_and_refused_where_a_byte_is_missing(memory, name):
    size = SIZES[name]
    made, need = GPT if isinstance(size, GPTConfig) else Llama, 4 * (size.weights + 3 * 2000)
    memory(need)
    made(size)
    memory(need - 1)
    expected = (
        rf"^{made.__name__}: expected what fits .* 0.0 GB of memory; got {size.weights:,} weights: at least"
    )
    with pytest.raises(ValueError, match=expected):
        made(size)


@pytest.mark.parametrize(
    ("settings", "ranks", "copies", "ids"),
    [
        ({"batch_size": 2}, 1, 4, 40),
        ({"batch_size": 2, "gradient_accumulation_steps": 3}, 1, 4, 120),
        ({"batch_size": 2, "lora": 1}, 1, 1, 40),
        ({"batch_size": 4}, 2, 4, 80),
    ],
)
def test_training_needs_room_for_gradients_averages_and_what_a_batch_saves(
    memory, settings, ranks, copies, ids
):
    """Two rows of five tokens for each rank, of which each saves six rows of 8 in each of 3 blocks, and 11 logits."""
    size, config = SIZES["tied"], TrainConfig(**settings)
    numbers = copies * size.weights + 3 * 2000 + 2 * 5 * (6 * 3 * 8 + 11) + ids
    memory(4 * numbers)
    check_training(config, size, 0, ranks)
    memory(4 * numbers - 1)
    with pytest.raises(ValueError, match=rf"^train: expected .*; got {size.weights:,} weights that learn"):
        check_training(config, size, 5, ranks)


def test_where_the_system_does_not_say_how_much_memory_there_is_nothing_is_refused(monkeypatch):
    for error in (AttributeError, OSError, ValueError):

        def sysconf(name, error=error):
            raise error

        monkeypatch.setattr("os.sysconf", sysconf)
        assert check_training(TrainConfig(batch_size=10**9), GPTConfig(n_layer=10**9), 0, 1) is None
