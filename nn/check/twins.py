"""The layers of a GPT in PyTorch, parameter for parameter, for those that `torch.nn` has not.

Each is a function of the module torch, which is imported where it is installed, and never here.
"""

from collections.abc import Callable
from typing import Any


def causal_attention(torch: Any) -> Callable[..., Any]:
    """Return `F.causal_attention`: qkv (B, T, 3C) -> (B, T, C)."""

    def attend(qkv: Any, n_head: int) -> Any:
        q, k, v = (x.unflatten(-1, (n_head, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=-1))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.transpose(1, 2).flatten(2)

    return attend


def scatter_add(torch: Any) -> Callable[..., Any]:
    """Return `scatter_add`: rows added to those of zeros that the index names."""
    return lambda rows, index, shape: torch.zeros(shape, dtype=rows.dtype).index_add(0, index, rows)


def attention(torch: Any, width: int, n_head: int) -> Any:
    """Return `CausalSelfAttention`."""
    parts = {"c_attn": torch.nn.Linear(width, 3 * width), "c_proj": torch.nn.Linear(width, width)}
    return _module(torch, parts, lambda own, x: own.c_proj(causal_attention(torch)(own.c_attn(x), n_head)))


def mlp(torch: Any, width: int) -> Any:
    """Return `MLP`."""
    parts = {"c_fc": torch.nn.Linear(width, 4 * width), "c_proj": torch.nn.Linear(4 * width, width)}
    gelu = torch.nn.GELU(approximate="tanh")
    return _module(torch, parts, lambda own, x: own.c_proj(gelu(own.c_fc(x))))


def block(torch: Any, width: int, n_head: int) -> Any:
    """Return `Block`."""
    parts = {f"ln_{i}": torch.nn.LayerNorm(width) for i in (1, 2)}
    parts |= {"attn": attention(torch, width, n_head), "mlp": mlp(torch, width)}

    def forward(own: Any, x: Any) -> Any:
        x = x + own.attn(own.ln_1(x))
        return x + own.mlp(own.ln_2(x))

    return _module(torch, parts, forward)


def head(torch: Any, width: int, size: int) -> Any:
    """Return `SelfAttentionHead` without dropout."""
    parts = {name: torch.nn.Linear(width, size, bias=False) for name in ("Wq", "Wk", "Wv")}
    attend = torch.nn.functional.scaled_dot_product_attention
    return _module(torch, parts, lambda own, x: attend(own.Wq(x), own.Wk(x), own.Wv(x), is_causal=True))


def _module(torch: Any, parts: dict[str, Any], run: Callable[[Any, Any], Any]) -> Any:
    """Return a module with these parts under their names, whose forward is `run(module, x)`."""

    class Twin(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return run(self, x)

    twin = Twin()
    for name, part in parts.items():
        twin.add_module(name, part)
    return twin
