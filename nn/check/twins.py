"""The layers of a GPT and a Llama in PyTorch, parameter for parameter, for those that `torch.nn` has not.

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


def rotary(torch: Any) -> Callable[..., Any]:
    """Return `F.rotary`: a multiplication of complex numbers, one for each pair of channels."""

    def turn(x: Any, start: int = 0, theta: float = 10000.0) -> Any:
        half, T = x.shape[-1] // 2, x.shape[-2]
        speeds = theta ** -(torch.arange(half, dtype=torch.float64) / max(half, 1))
        angles = torch.outer(torch.arange(start, start + T, dtype=torch.float64), speeds)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        y = torch.complex(x[..., :half], x[..., half:]) * torch.complex(cos, sin)
        return torch.cat([y.real, y.imag], -1)

    return turn


def grouped_attention(torch: Any, width: int, n_head: int, n_kv_head: int, theta: float = 10000.0) -> Any:
    """Return `GroupedQueryAttention`."""
    D, linear = width // n_head, torch.nn.Linear
    outputs = {"q_proj": width, "k_proj": n_kv_head * D, "v_proj": n_kv_head * D, "o_proj": width}
    parts = {name: linear(width, out, bias=False) for name, out in outputs.items()}

    def forward(own: Any, x: Any) -> Any:
        q, k, v = (
            project(x).unflatten(-1, (-1, D)).transpose(1, 2)
            for project in (own.q_proj, own.k_proj, own.v_proj)
        )
        q, k = (rotary(torch)(heads, theta=theta) for heads in (q, k))
        k, v = (heads.repeat_interleave(n_head // n_kv_head, 1) for heads in (k, v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return own.o_proj(y.transpose(1, 2).flatten(2))

    return _module(torch, parts, forward)


def swiglu(torch: Any, width: int, hidden: int) -> Any:
    """Return `SwiGLU`."""
    sizes = {"gate_proj": (width, hidden), "up_proj": (width, hidden), "down_proj": (hidden, width)}
    parts = {name: torch.nn.Linear(*each, bias=False) for name, each in sizes.items()}
    silu = torch.nn.functional.silu
    return _module(torch, parts, lambda own, x: own.down_proj(silu(own.gate_proj(x)) * own.up_proj(x)))


def llama_block(
    torch: Any, width: int, n_head: int, n_kv_head: int, hidden: int, *, theta: float = 1e4, eps: float = 1e-5
) -> Any:
    """Return `LlamaBlock`."""
    parts = {"input_layernorm": torch.nn.RMSNorm(width, eps)}
    parts |= {"self_attn": grouped_attention(torch, width, n_head, n_kv_head, theta)}
    parts |= {"post_attention_layernorm": torch.nn.RMSNorm(width, eps), "mlp": swiglu(torch, width, hidden)}

    def forward(own: Any, x: Any) -> Any:
        x = x + own.self_attn(own.input_layernorm(x))
        return x + own.mlp(own.post_attention_layernorm(x))

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
