"""Attention of new tokens to all so far, whose keys and values are kept from call to call. For sampling."""

from typing import Any

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor, wrap
from nn.functional.scaled_dot_product import attend, scaled_dot_product_attention


def attend_to_cache(qkv: Tensor, cache: dict, n_head: int) -> Tensor:
    """Append the new keys and values to the cache, and attend to all of it. No gradient.

    Shapes    qkv (B, T, 3C), as `causal_attention` -> (B, T, C); the cache starts as {"length": 0}
    """
    B, T, width = qkv.shape
    q, k, v = qkv.array.reshape(B, T, 3, n_head, -1).transpose(2, 0, 3, 1, 4)  # (B, H, T, D) each
    return attend_with_cache(wrap(q), wrap(k), wrap(v), cache).swapaxes(1, 2).reshape(B, T, width // 3)


def attend_with_cache(q: Tensor, k: Tensor, v: Tensor, cache: dict) -> Tensor:
    """As `attend_to_cache`, with heads apart; each head of k and v serves as many of q as there are for it.

    Shapes    q (B, H, T, D), k and v (B, G, T, D), H a multiple of G -> (B, H, T, D)
    """
    xp, (B, H, T, D), start = namespace(q.array), q.shape, cache["length"]
    keys, values = (wrap(_appended(cache, name, new.array)) for name, new in (("k", k), ("v", v)))
    cache["length"] = start + T
    if T == 1:  # the heads of a group are rows of one product
        return attend(q.reshape(B, keys.shape[1], -1, D), keys, values).reshape(B, H, 1, D)
    mask = xp.tri(T, start + T, start, dtype=bool) if start else None
    return scaled_dot_product_attention(q, keys, values, mask, is_causal=not start, enable_gqa=True)


def _appended(cache: dict, name: str, new: Any) -> Any:
    """Return what the cache has under the name, the new rows (B, G, T, D) behind it: (B, G, start + T, D)."""
    (B, G, T, D), start = new.shape, cache["length"]
    if start and (held := cache[name].shape)[:2] + held[3:] != (B, G, D):
        raise value_error("cache", f"{name} of {B} rows and {G} heads of {D}, as the new", f"an array {held}")
    if name not in cache or cache[name].shape[2] < start + T:  # double the room: appending stays cheap
        room = namespace(new).empty((B, G, 2 * (start + T), D), new.dtype)
        if start:
            room[:, :, :start] = cache[name][:, :, :start]
        cache[name] = room
    cache[name][:, :, start : start + T] = new
    return cache[name][:, :, : start + T]
