"""The settings of a GPT, a Llama and of their training: every number a user can choose, with unit, default and check."""

import math
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, get_args

from gpt.memory import check_weights
from minigrad.errors import check_type, value_error
from minigrad.random.no_draws import NO_DRAWS
from nn.activations import ACTIVATIONS

Rule = tuple[str, Callable[[Any], bool]]  # what a value must be, in words and as a test


def setting(default: Any, help: str) -> Any:
    """Return a dataclass field with its explanation, which the command line shows."""
    return field(default=default, metadata={"help": help})


POSITIVE: Rule = "above 0, finite", lambda x: 0 < x < math.inf
SHARE: Rule = "of 0 or more, below 1", lambda x: 0 <= x < 1
TRUTH: Rule = "to be True or False", lambda x: isinstance(x, bool)


def of_type(setting: Field, value: object) -> bool:
    """Whether a setting may be this, by its type, in a file of JSON too: whole numbers, for a float too, below 2**64."""
    types = get_args(setting.type) or (setting.type,)
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**64 and not {int, float}.isdisjoint(types)
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _check_types(config: Any) -> None:
    """Raise for what a checkpoint would not give back."""
    for f in fields(config):
        if not of_type(f, value := getattr(config, f.name)):
            kind = "a text" if f.type is str else "a number in -2**64..2**64"
            raise value_error(type(config).__name__, f"{f.name} to be {kind}", repr(value))


def _whole(least: int) -> Rule:
    def fits(x: object) -> bool:
        return isinstance(x, int) and not isinstance(x, bool) and x >= least

    return f"to be a whole number of {least} or more", fits


def _check(config: Any, rule: Rule, *names: str) -> None:
    """Raise unless each field fits (or is None, where that is its default)."""
    expected, fits = rule
    for name in names:
        value = getattr(config, name)
        try:
            good = (value is None and getattr(type(config), name) is None) or fits(value)
            good = good and (rule is TRUTH or not isinstance(value, bool))  # True is no 1
        except (TypeError, ValueError):  # a word, say, or an array where a number belongs
            good = False
        if not good:
            raise value_error(type(config).__name__, f"{name} {expected}", repr(value))


@dataclass(frozen=True)
class GPTConfig:
    """A GPT in nanoGPT's terms; each field says its unit.

    Raises    ValueError, naming the field, for a value that cannot work.
    """

    block_size: int = setting(1024, "context length, in tokens")
    vocab_size: int = setting(50304, "number of tokens (GPT-2's 50257 rounded up to a multiple of 64)")
    n_layer: int = setting(12, "number of blocks")
    n_head: int = setting(12, "number of attention heads; divides n_embd")
    n_embd: int = setting(768, "width of the residual stream, in channels")
    dropout: float = setting(0.0, "probability of zeroing an activation while training, 0..1")
    bias: bool = setting(True, "biases in the linear layers and layer norms, as in GPT-2")
    init_std: float = setting(0.02, "standard deviation of the linear layers' first weights; GPT-2's is 0.02")
    norm_eps: float = setting(1e-5, "what the layer norms add to each variance")
    activation: str = setting("gelu_new", f"what is between the MLP's two layers: {', '.join(ACTIVATIONS)}")
    tied: bool = setting(True, "the head's weights are the token embedding, as in GPT-2")

    def __post_init__(self) -> None:
        _check(self, _whole(1), "block_size", "vocab_size", "n_layer", "n_head", "n_embd")
        _check(self, POSITIVE, "init_std", "norm_eps")
        _check(self, SHARE, "dropout")
        _check(self, TRUTH, "bias", "tied")
        known = f"to be one of {', '.join(ACTIVATIONS)}"
        _check(self, (known, lambda x: x in list(ACTIVATIONS)), "activation")
        _check_types(self)
        if self.n_embd % self.n_head:
            raise value_error("GPTConfig", "n_embd divisible by n_head", f"{self.n_embd} and {self.n_head}")

    @property
    def weights(self) -> int:
        """How many numbers the matrices of the model hold; those of norms and biases are few."""
        tables = self.vocab_size * (2 - self.tied) + self.block_size
        return self.n_embd * (tables + 12 * self.n_layer * self.n_embd)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "GPTConfig":
        """Return a published size: gpt2, gpt2-medium, gpt2-large, gpt2-xl, or nano for a laptop.

        Raises    ValueError for another name.
        Source    Radford et al. 2019, table 2; nano: nanoGPT's README, "I only have a macbook".
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise value_error("GPTConfig.preset", f"one of {', '.join(PRESETS)}", repr(name))
        return replace(cls(**PRESETS[name]), **changes)


PRESETS: dict[str, dict] = {
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50257},  # 124 M parameters
    "gpt2-medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024, "vocab_size": 50257},  # 350 M
    "gpt2-large": {"n_layer": 36, "n_head": 20, "n_embd": 1280, "vocab_size": 50257},  # 774 M
    "gpt2-xl": {"n_layer": 48, "n_head": 25, "n_embd": 1600, "vocab_size": 50257},  # 1558 M
    # GPT-2's 0.02 suits its width of 768; sums over fewer channels need larger weights: 0.02 sqrt(768 / 128) = 0.05
    "nano": {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 65}
    | {"block_size": 64, "bias": False, "init_std": 0.05},
}


@dataclass(frozen=True)
class LlamaConfig:
    """A Llama, in GPTConfig's terms where it has them; the defaults are SmolLM2-135M's.

    This is all that may be chosen. Of what other files' settings say: the switch is SiLU, no linear layer
    has a bias, a head has n_embd / n_head channels, and angles are not rescaled for longer contexts.

    Raises    ValueError, naming the field, for a value that cannot work.
    """

    block_size: int = setting(8192, "context length, in tokens")
    vocab_size: int = setting(49152, "number of tokens")
    n_layer: int = setting(30, "number of blocks")
    n_head: int = setting(9, "number of heads of queries; n_embd is an even multiple of it")
    n_kv_head: int = setting(3, "number of heads of keys and values; divides n_head")
    n_embd: int = setting(576, "width of the residual stream, in channels")
    n_hidden: int = setting(1536, "width inside the SwiGLU, in channels")
    rope_theta: float = setting(100_000.0, "base of the rotary frequencies: the larger, the slower")
    norm_eps: float = setting(1e-5, "what RMSNorm adds to the mean square")
    tied: bool = setting(True, "whether the head is the token embedding")
    init_std: float = setting(0.02, "standard deviation of the first weights")

    def __post_init__(self) -> None:
        _check(self, _whole(1), "block_size", "vocab_size", "n_layer", "n_embd", "n_hidden")
        _check(self, _whole(1), "n_head", "n_kv_head")
        _check(self, POSITIVE, "rope_theta", "norm_eps", "init_std")
        _check(self, TRUTH, "tied")
        _check_types(self)
        sizes = f"{self.n_embd}, {self.n_head} and {self.n_kv_head}"
        if self.n_embd % (2 * self.n_head) or self.n_head % self.n_kv_head:
            expected = "n_embd divisible by 2 n_head, and n_head by n_kv_head"
            raise value_error("LlamaConfig", expected, sizes)

    @property
    def weights(self) -> int:
        """How many numbers the matrices of the model hold; those of norms are few."""
        shared = self.n_embd // self.n_head * self.n_kv_head
        block = 2 * self.n_embd + 2 * shared + 3 * self.n_hidden
        return self.n_embd * (self.vocab_size * (2 - self.tied) + self.n_layer * block)


def checked(config: Any, kind: Any, rng: Any) -> Any:
    """Return the configuration of a model that is to be made, whose weights `rng` draws.

    Raises    TypeError for what is none of this kind; ValueError for more weights than this machine can hold.
    """
    where = kind.__name__.removesuffix("Config")
    check_type(where, config, kind, f"a {kind.__name__}")
    if rng is not NO_DRAWS:  # which takes no memory
        check_weights(where, config)
    return config


@dataclass(frozen=True)
class TrainConfig:
    """How to train, in nanoGPT's terms; each field says its unit. The defaults suit `PRESETS["nano"]`.

    Raises    ValueError, naming the field, for a value that cannot work.
    Source    nanoGPT, train.py; the defaults are its README's for a laptop
    """

    data: str = setting("", "text file in UTF-8 to train on; by default this Python's language reference")
    out: str = setting("out", "folder for the checkpoint and the loss curve")
    tokenizer: str = setting(
        "", "characters, bytes, gpt2, bpe:SIZE to learn one, or the path of one (default: characters)"
    )
    init_from: str = setting(
        "", "a model to start from: smollm2, gguf:FILE, a folder of Hugging Face's, or of training"
    )
    lora: int = setting(0, "rank of the updates that learn beside a frozen model (LoRA); 0: all of it learns")
    seed: int = setting(1337, "seed of the weights, batches, dropout and samples")
    max_iters: int = setting(2000, "length of training, in steps: updates of the weights")
    batch_size: int = setting(12, "stretches of text in a batch, each of block_size tokens")
    gradient_accumulation_steps: int = setting(1, "batches whose gradients are averaged in one step")
    learning_rate: float = setting(1e-3, "highest learning rate, per step")
    min_lr: float | None = setting(None, "last learning rate, per step; by default learning_rate / 10")
    warmup_iters: int = setting(100, "steps in which the learning rate rises to its highest")
    lr_decay_iters: int | None = setting(None, "step at which it has come down; by default max_iters")
    weight_decay: float = setting(0.1, "pull of matrices towards zero, per step and unit of learning rate")
    beta1: float = setting(0.9, "memory of AdamW's mean gradient, 0..1")
    beta2: float = setting(0.99, "memory of AdamW's mean squared gradient, 0..1")
    grad_clip: float = setting(1.0, "largest norm of the gradient; 0 for no limit")
    eval_interval: int = setting(250, "steps from one evaluation and checkpoint to the next")
    sample_interval: int = setting(
        500, "steps from one sample to the next, max_iters for both ends alone; 0: none at all"
    )
    eval_iters: int | None = setting(None, "batches an evaluation averages; by default 20, of large models 4")
    workers: int = setting(0, "threads that split a batch; 0: as many as the model and the batch keep busy")
    device: str = setting("cpu", "cpu, or cuda to compute on a GPU")
    log: str = setting("", "tensorboard: note the losses for it, in the folder --out, as they come")

    def __post_init__(self) -> None:
        _check(self, _whole(1), "max_iters", "batch_size", "gradient_accumulation_steps")
        _check(self, _whole(1), "eval_interval", "eval_iters", "lr_decay_iters")
        _check(self, _whole(0), "seed", "warmup_iters", "workers", "sample_interval", "lora")
        _check(self, POSITIVE, "learning_rate")
        highest = self.learning_rate
        _check(self, (f"from 0 to learning_rate ({highest})", lambda x: 0 <= x <= highest), "min_lr")
        _check(self, ("of 0 or more, finite", lambda x: 0 <= x < math.inf), "weight_decay", "grad_clip")
        _check(self, SHARE, "beta1", "beta2")
        _check(self, ("to be cpu or cuda", lambda x: x in ("cpu", "cuda")), "device")
        _check_types(self)
        if self.device != "cpu" and self.workers > 1:
            raise value_error("TrainConfig", "one of workers on a GPU", self.workers)
        _check(self, ("to be tensorboard, or empty", lambda x: x in ("", "tensorboard")), "log")
