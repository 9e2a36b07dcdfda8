"""The arithmetic behind PyTorch's normal numbers on a CPU.

A Box-Muller pair turns uniform numbers a, b in [0, 1) into two independent standard normals,

    r cos t  and  r sin t,   with   r = sqrt(-2 log(1 - a)),   t = 2 pi b.

In float64 the C library's logarithm, sine and cosine give PyTorch's bits. In float32 PyTorch, on x86 with
AVX2, evaluates short polynomials of its own with fused multiply-adds, which are rounded once, not twice. The
last digits depend on each of those roundings, so `log32` and `sincos32` repeat them one by one. They call no
library function, hence give the same bits on every machine. A fused step is free in hardware and costs NumPy
four passes: the price of being exact. (Of 7.4e9 numbers of `randn`, not one bit differed.)

The float32 polynomials are those of the Cephes library (S. Moshier), in the form and with the constants of
sse_mathfun and avx_mathfun (J. Pommier, G. Garberoglio), which are under the zlib licence.
"""

import math

import numpy as np

from minigrad.random.stream import blocks

QUARTER_PI = (0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)  # a sum, short numbers first
LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)


def box_muller(u, mean, std):
    """Make uniform numbers normal, in place, as PyTorch pairs them: eight a's, then their eight b's.

    Shapes    u (16 n,), float32 or float64
    """
    number = u.dtype.type
    log, sincos, fma = (log32, sincos32, fma32) if number is np.float32 else (log64, sincos64, fma64)
    for part in blocks(u):
        pairs = part.reshape(-1, 2, 8)
        radius = np.sqrt(-2 * log(1 - pairs[:, 0]))
        sin, cos = sincos(number(2 * math.pi) * pairs[:, 1])
        pairs[:, 0] = fma(radius * cos, number(std), number(mean))
        pairs[:, 1] = fma(radius * sin, number(std), number(mean))


def log64(x):
    """Logarithm by the C library, which is PyTorch's; NumPy's own may differ in the last bit."""
    return np.fromiter(map(math.log, x.flat), np.float64, x.size).reshape(x.shape)


def sincos64(x):
    """Sine and cosine by the C library, which NumPy uses for these in float64."""
    return np.sin(x), np.cos(x)


def fma64(x, y, z):
    """x * y + z rounded once, for float64 values below 1e290.

    Dekker's product and Knuth's sum tell what their roundings lost; the losses are added at the end.
    """
    (x_high, x_low), (y_high, y_low) = _halves(x), _halves(y)
    product = x * y
    lost = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    total = product + z
    z_part = total - product
    return total + (((product - (total - z_part)) + (z - z_part)) + lost)


def _halves(x):
    """Split float64 into a sum of two parts of 26 bits, whose products are exact (Veltkamp)."""
    scaled = 134217729.0 * x  # 2**27 + 1
    high = scaled - (scaled - x)
    return high, x - high


def fma32(x, y, z):
    """x * y + z rounded to float32 once, for float32 values (which may be kept in float64).

    The product is exact in float64. The sum is rounded there and again to float32, which is one rounding
    unless the first lands exactly midway between two float32: too rare to have been seen.
    """
    return (np.multiply(x, y, dtype=np.float64) + z).astype(np.float32)


def log32(x):
    """Logarithm of float32 x in (0, 1]: with x = m 2^e and m near 1, log x = log m + e log 2."""
    m, e = np.frexp(x)
    below = m < np.float32(math.sqrt(0.5))
    m += m * below  # from [1/2, 1) to [sqrt 1/2, sqrt 2)
    e = (e - below).astype(np.float32)

    x = m - np.float32(1)
    z = x * x
    x64 = x.astype(np.float64)  # converted once for eight steps
    y = np.float32(LOG[0])
    for coefficient in LOG[1:]:
        y = fma32(y, x64, np.float32(coefficient))
    y *= x
    y = fma32(y, z, e * np.float32(-2.12194440e-4))  # log 2 is 0.693359375 - 2.12194440e-4
    y = fma32(z, np.float32(-0.5), y)
    return fma32(e, np.float32(0.693359375), x + y)


def sincos32(x):
    """Sine and cosine of float32 x in [0, 2 pi]: polynomials about the nearest k pi/2, then symmetry."""
    octant = (x * np.float32(4 / math.pi)).astype(np.int32)
    octant += octant & 1  # 2 k: 0, 2, 4, 6 or 8
    for part in QUARTER_PI:
        x = fma32(octant, -np.float32(part), x)

    z = x * x
    z64 = z.astype(np.float64)
    cos = fma32(np.float32(2.443315711809948e-5), z64, np.float32(-1.388731625493765e-3))
    cos = fma32(cos, z64, np.float32(4.166664568298827e-2)) * z
    cos = fma32(cos, z64, np.float32(-0.5) * z) + np.float32(1)
    sin = fma32(np.float32(-1.9515295891e-4), z64, np.float32(8.3321608736e-3))
    sin = fma32(sin, z64, np.float32(-1.6666654611e-1)) * z
    sin = fma32(sin, x, x)

    swap = (octant & 2) != 0  # odd k exchanges the two
    sin, cos = np.where(swap, cos, sin), np.where(swap, sin, cos)
    sin.view(np.int32)[...] ^= (octant & 4) << 29  # the sign bit: sine is negative from k = 2 on,
    cos.view(np.int32)[...] ^= ((octant + 2) & 4) << 29  # cosine from k = 1 to 2
    return sin, cos
