"""The two generators of words that PyTorch uses on a CPU."""

import numpy as np


def mt19937(seed: int) -> "np.random.MT19937":
    """Return MT19937 seeded the classic way, from 32 bits (Matsumoto and Nishimura's init_genrand).

    NumPy's own way of seeding is another; its legacy one, which is this, has no public name.
    """
    key = [seed]
    for i in range(1, 624):
        key.append((1812433253 * (key[-1] ^ key[-1] >> 30) + i) % 2**32)
    bits = np.random.MT19937(0)
    bits.state = {"bit_generator": "MT19937", "state": {"key": np.array(key, np.uint32), "pos": 624}}
    return bits


def mcg31(seed: int, n: int) -> np.ndarray:
    """Return n uniform float64 of Intel's MCG31m1: x / m, with x[k+1] = factor x[k] mod m and m = 2**31 - 1.

    Multiplied by factor**length, a stretch of the sequence is its own continuation: each pass doubles it.
    """
    modulus, factor = 2**31 - 1, 1132489760
    x = np.array([seed % modulus or 1], np.uint64)
    while x.size < n:
        x = np.concatenate((x, x * np.uint64(pow(factor, x.size, modulus)) % np.uint64(modulus)))
    return x[:n] / modulus
