"""The size and shape of a GPT."""

from dataclasses import dataclass, field, replace

from minigrad.checks import value_error


def setting(default: object, help: str) -> object:
    """Return a dataclass field with its explanation, which the command line shows."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class GPTConfig:
    """A GPT in nanoGPT's terms; each field says its unit.

    Raises    ValueError, naming the field, for a value that cannot work.
    """

    block_size: int = setting(1024, "context length, in tokens")
    vocab_size: int = setting(
        50304, "number of different tokens (GPT-2's 50257 rounded up to a multiple of 64)"
    )
    n_layer: int = setting(12, "number of blocks")
    n_head: int = setting(12, "number of attention heads; divides n_embd")
    n_embd: int = setting(768, "width of the residual stream, in channels")
    dropout: float = setting(0.0, "probability of zeroing an activation while training, 0..1")
    bias: bool = setting(True, "biases in the linear layers and layer norms, as in GPT-2")

    def __post_init__(self) -> None:
        for name in ("block_size", "vocab_size", "n_layer", "n_head", "n_embd"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise value_error("GPTConfig", f"{name} to be a whole number of 1 or more", repr(value))
        if self.n_embd % self.n_head:
            raise value_error("GPTConfig", "n_embd divisible by n_head", f"{self.n_embd} and {self.n_head}")
        if not 0 <= self.dropout <= 1:
            raise value_error("GPTConfig", "0 <= dropout <= 1", self.dropout)

    @classmethod
    def preset(cls, name: str, **changes: object) -> "GPTConfig":
        """Return a published size: gpt2, gpt2-medium, gpt2-large, gpt2-xl, or nano for a laptop.

        Raises    ValueError for another name.
        Source    Radford et al. 2019, table 2; nano: nanoGPT's README, "I only have a macbook".
        """
        if name not in PRESETS:
            raise value_error("GPTConfig.preset", f"one of {', '.join(PRESETS)}", repr(name))
        return replace(cls(**PRESETS[name]), **changes)


def _gpt2(n_layer: int, n_head: int, n_embd: int) -> dict:
    return {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "vocab_size": 50257}


PRESETS: dict[str, dict] = {
    "gpt2": _gpt2(12, 12, 768),  # 124 M parameters
    "gpt2-medium": _gpt2(24, 16, 1024),  # 350 M
    "gpt2-large": _gpt2(36, 20, 1280),  # 774 M
    "gpt2-xl": _gpt2(48, 25, 1600),  # 1558 M
    "nano": {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": 64, "vocab_size": 65, "bias": False},
}
