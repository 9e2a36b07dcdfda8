"""The distributions that PyTorch draws from on a CPU: n numbers in one row, from a stream of words.

Everything here is private to `Generator`, which checks the arguments and holds the lock.
"""

import math

import numpy as np

from minigrad.random.stream import Stream
from minigrad.random.torch_cpu import box_muller, fma32, fma64

FLOAT64 = np.dtype(np.float64)


class Draws(Stream):
    """A Stream that knows the distributions; its methods take a count n and a NumPy dtype."""

    def _uniform(self, n, low, high, kind):
        low, high = kind.type(low), kind.type(high)
        x = (fma32 if kind == np.float32 else fma64)(self._unit(n, kind), high - low, low)
        x[x == high] = low  # rounding can reach the end that is excluded
        return x

    def _normal(self, n, mean, std, kind):
        """Sixteen at a time; if n is no multiple, the last 16 are drawn again. Fewer than 16: one by one."""
        if self.stream == "fast":
            return self._source.standard_normal(n, kind) * kind.type(std) + kind.type(mean)
        if n < 16:
            return self._normal_one_by_one(n, mean, std, kind)
        x = self._unit(n, kind)
        box_muller(x[: n - n % 16], mean, std)
        if n % 16:
            x[-16:] = self._unit(16, kind)
            box_muller(x[-16:], mean, std)
        return x

    def _normal_one_by_one(self, n, mean, std, kind):
        """As PyTorch draws fewer than 16 numbers, and any that do not lie side by side."""
        if self.stream == "fast":
            return self._normal(n, mean, std, kind)
        return np.array([fma64(self._one_normal(), float(std), float(mean)) for _ in range(n)], kind)

    def _one_normal(self):
        """One of a Box-Muller pair in float64; the other is spared for the next call, whenever it comes."""
        x, self._spare = self._spare, math.nan
        if math.isnan(x):
            b, a = self._unit(2, FLOAT64).tolist()
            r, t = math.sqrt(-2 * math.log1p(-a)), 2 * math.pi * b
            x, self._spare = r * math.cos(t), r * math.sin(t)
        return x

    def _wide_normal(self, n, mean, std, a, b, kind):
        """For [a, b] that holds much of the distribution: where outside, put the next n draws."""
        a, b = kind.type(a), kind.type(b)
        x = self._normal(n, mean, std, kind)
        while (outside := (x < a) | (x > b)).any():
            x = np.where(outside, self._normal(n, mean, std, kind), x)
        return x

    def _narrow_normal(self, n, mean, std, a, b, kind):
        """For any other: uniform x, each accepted with probability density(x) / largest density in [a, b].

        PyTorch's float32 logarithm may differ in its last bit, which decides otherwise about once in 10**8.
        """
        log_peak = kind.type(-0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2)
        x, pending = np.empty(n, kind), np.full(n, True)
        while pending.any():
            x = np.where(pending, self._uniform(n, a, b, kind), x)
            log_density = ((x - kind.type(mean)) / kind.type(std)) ** 2 * kind.type(-0.5) - log_peak
            with np.errstate(divide="ignore"):  # log 0 is -inf, and accepts
                pending &= np.log(self._unit(n, kind), dtype=FLOAT64).astype(kind) > log_density
        return x

    def _exponential(self, n, kind, lambd=1.0):
        """-log(1 - u) / lambd."""
        if self.stream == "torch-mkl":
            return (-np.log(self._mkl(n, words=1 if kind == np.float32 else 2)) / lambd).astype(kind)
        u = self._unit(n, FLOAT64)
        if kind == np.float32:
            return (-1 / lambd * np.log1p(-u)).astype(kind)
        return -1 / lambd * _by_libm(math.log1p, -u)  # PyTorch's last bit is the C library's

    def _log_normal(self, n, mean, std, kind):
        """e to the power of a normal number, always drawn one by one."""
        return _by_libm(math.exp, self._normal_one_by_one(n, mean, std, FLOAT64)).astype(kind)

    def _cauchy(self, n, median, sigma, kind):
        """The inverse of the distribution function, at u."""
        tangents = _by_libm(math.tan, math.pi * (self._unit(n, FLOAT64) - 0.5))
        return fma64(tangents, float(sigma), float(median)).astype(kind)

    def _geometric(self, n, p, kind):
        """The number of the first success among trials of probability p, log u / log(1 - p) rounded up."""
        logs = _by_libm(lambda u: math.log(u) if u else -math.inf, self._unit(n, FLOAT64))
        return np.ceil(logs / math.log1p(-p)).astype(kind)

    def _poisson(self, rate):
        """One Poisson number: uniform factors counted until their product falls below exp(-rate).

        From rate 10 on, W. Hoermann's transformed rejection (The transformed rejection method for generating
        Poisson random variables, 1993, algorithm PTRS): two uniform numbers for each proposal.
        """
        if rate < 10:
            count, product, limit = -1, 1.0, math.exp(-rate)
            while rate and product > limit:
                count, product = count + 1, product * self._unit(1, FLOAT64)[0]
            return max(count, 0)
        b = 0.931 + 2.53 * math.sqrt(rate)
        a = -0.059 + 0.02483 * b
        inverse_alpha, v_r = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
        while True:
            u, v = self._unit(1, FLOAT64)[0] - 0.5, self._unit(1, FLOAT64)[0]
            us = 0.5 - abs(u)
            k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
            if us >= 0.07 and v <= v_r:
                return k
            if k < 0 or (us < 0.013 and v > us) or not v:
                continue
            proposed = math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
            if proposed <= -rate + k * math.log(rate) - math.lgamma(k + 1):
                return k


def _by_libm(function, x):
    """Apply the C library's function, whose last bit is PyTorch's; NumPy's own may differ."""
    return np.fromiter(map(function, x.tolist()), FLOAT64, x.size)
