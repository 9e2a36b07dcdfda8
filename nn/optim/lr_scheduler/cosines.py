"""Schedules along cosines."""

import bisect
import math

from minigrad.errors import value_error
from nn.optim.lr_scheduler.base import LRScheduler, for_groups
from nn.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """From the first rate to eta_min and back, along cosines of half period T_max.

    Source    Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, base: float) -> float:
        t, n, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return lr
        if (t - 1 - n) % (2 * n) == 0:  # after a minimum, where the quotient below is 0 / 0
            return lr + (base - low) * (1 - math.cos(math.pi / n)) / 2
        now, before = (1 + math.cos(math.pi * i / n) for i in (t, t - 1))
        return now / before * (lr - low) + low

    def _at(self, base: float) -> float:
        wave = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return self.eta_min + (base - self.eta_min) * wave / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    """From the first rate to eta_min along half a cosine, again and again: T_0 epochs, then each T_mult times longer.

    Source    Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if not (isinstance(T_0, int) and isinstance(T_mult, int) and T_0 >= 1 and T_mult >= 1):
            raise value_error("CosineAnnealingWarmRestarts", "integers T_0, T_mult >= 1", (T_0, T_mult))
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min = T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:  # PyTorch's, too, is wider than its base's
        """Set the next rates, or those of a given epoch, which may be a fraction."""
        self._step_count += 1
        self._set(epoch)

    def _set(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch >= 0:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
            epoch = self.last_epoch + 1
        else:
            epoch = 0 if epoch is None else epoch
            if epoch < 0:
                raise value_error("CosineAnnealingWarmRestarts.step", "an epoch of 0 or more", epoch)
            self.T_cur, self.T_i = epoch, self.T_0
            while self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        super()._set(math.floor(epoch))

    def _next(self, lr: float, base: float) -> float:
        wave = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return self.eta_min + (base - self.eta_min) * wave / 2


class OneCycleLR(LRScheduler):
    """One rise to max_lr, one fall far below the first rate; momentum (or the first beta) goes the other way.

    max_lr / div_factor is the first rate, and the last is that / final_div_factor. With three_phase, the
    fall first mirrors the rise.

    Source    Smith and Topin 2018, arXiv:1708.07120
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if total_steps is None and None not in (epochs, steps_per_epoch):
            total_steps = epochs * steps_per_epoch  # type: ignore[operator]
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise value_error("OneCycleLR", "total_steps, or epochs and steps_per_epoch, >= 1", total_steps)
        if not 0 <= pct_start <= 1 or anneal_strategy not in ("cos", "linear"):
            expected = 'pct_start from 0 to 1, anneal_strategy "cos" or "linear"'
            raise value_error("OneCycleLR", expected, (pct_start, anneal_strategy))
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise value_error("OneCycleLR", "an optimiser with momentum or betas", type(optimizer).__name__)
        self.total_steps, self.cycle_momentum = total_steps, cycle_momentum
        self._anneal_func_type = anneal_strategy
        self.use_beta1 = "betas" in optimizer.defaults
        self._phases = _phases(total_steps, pct_start, three_phase)
        settings = (max_lr, max_momentum, base_momentum)
        each = [for_groups("OneCycleLR", "numbers", optimizer, value) for value in settings]
        for group, top, high, low in zip(optimizer.param_groups, *each) if last_epoch == -1 else ():
            group["initial_lr"], group["max_lr"] = top / div_factor, top
            group["min_lr"] = group["initial_lr"] / final_div_factor
            if cycle_momentum:
                group["max_momentum"], group["base_momentum"] = high, low
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups at `last_epoch`, and set their momenta."""
        if self.last_epoch > self.total_steps:
            raise value_error("OneCycleLR.step", f"at most {self.total_steps} steps", self.last_epoch)
        ends = [phase[0] for phase in self._phases]
        i = min(bisect.bisect_left(ends, self.last_epoch), len(ends) - 1)
        start, end, names = ends[i - 1] if i else 0.0, ends[i], self._phases[i][1:]
        done, rates = (self.last_epoch - start) / (end - start), []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[names[0]], group[names[1]], done))
            if self.cycle_momentum:
                momentum = self._between(group[names[2]], group[names[3]], done)
                if self.use_beta1:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return rates

    def _between(self, start: float, end: float, done: float) -> float:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)
        return (end - start) * done + start


def _phases(total: int, rise: float, three: bool) -> list[tuple[float, str, str, str, str]]:
    """Return (last step, rate at its start, at its end, momentum at its start, at its end) of each phase."""
    top, low, high = "max_lr", "base_momentum", "max_momentum"
    first = (float(rise * total) - 1, "initial_lr", top, high, low)
    if not three:
        return [first, (total - 1, top, "min_lr", low, high)]
    second = (float(2 * rise * total) - 2, top, "initial_lr", low, high)
    return [first, second, (total - 1, "initial_lr", "min_lr", high, high)]
