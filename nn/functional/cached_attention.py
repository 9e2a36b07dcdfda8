"""Attention of new tokens to all so far, whose keys and values are kept from call to call. For sampling."""

from minigrad.backend import namespace
from minigrad.tensor import Tensor, wrap
from nn.functional.scaled_dot_product import scaled_dot_product_attention


def attend_to_cache(qkv: Tensor, cache: dict, n_head: int) -> Tensor:
    """Append the new keys and values to the cache, and attend to all of it. No gradient.

    Shapes    qkv (B, T, 3C), as `causal_attention` -> (B, T, C); the cache starts as {"length": 0}
    """
    xp, (B, T, width) = namespace(qkv.array), qkv.shape
    D, start = width // 3 // n_head, cache["length"]
    q, k, v = qkv.array.reshape(B, T, 3, n_head, D).transpose(2, 0, 3, 1, 4)  # (B, H, T, D) each
    stop = cache["length"] = start + T
    if "k" not in cache or cache["k"].shape[2] < stop:  # double the room, so that appending stays cheap
        for name in ("k", "v"):
            room = xp.empty((B, n_head, 2 * stop, D), qkv.dtype)
            if start:
                room[:, :, :start] = cache[name][:, :, :start]
            cache[name] = room
    cache["k"][:, :, start:stop], cache["v"][:, :, start:stop] = k, v
    keys, values = (wrap(cache[name][:, :, :stop]) for name in ("k", "v"))
    mask = xp.tri(T, stop, start, dtype=bool) if start and T > 1 else None
    y = scaled_dot_product_attention(wrap(q), keys, values, mask, is_causal=not start)  # (B, H, T, D)
    return y.swapaxes(1, 2).reshape(B, T, n_head * D)
