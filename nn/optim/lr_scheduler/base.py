"""The base of the schedules."""

from collections.abc import Mapping
from typing import Any

from minigrad.errors import type_error, value_error
from nn.optim.optimizer import Optimizer
from nn.optim.state import fits


class LRScheduler:
    """Base of the schedules. One of your own defines `get_lr`: the rates of the groups at `self.last_epoch`.

    Made with an optimiser, it sets the first rates; `step()` after `optimizer.step()` sets the next.

    Units     last_epoch counts the calls of `step`, from 0
    Source    `torch.optim.lr_scheduler`
    """

    _is_initial: bool

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        where = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise type_error(where, "an optimiser", type(optimizer).__name__)
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                hint = "load the optimiser's state first, or leave last_epoch out"
                raise KeyError(*value_error(where, "groups with initial_lr", "none", hint).args)
        self.optimizer, self.last_epoch = optimizer, last_epoch
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self._start()

    def _start(self) -> None:
        self._step_count, self._is_initial = 0, True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """Return the rates of the groups at `last_epoch`."""
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return [self._next(lr, base) for lr, base in zip(rates, self.base_lrs, strict=True)]

    def _next(self, lr: float, base: float) -> float:
        """Return the rate of one group at `last_epoch`, from its present rate or its first."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method get_lr(self)")

    def get_last_lr(self) -> list[float]:
        """Return the rates that are set now."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the next rates, or those of a given epoch."""
        before = self.last_epoch
        try:
            self._set(epoch)
        except BaseException:  # of a schedule that is at its end, or of a function that a user gave
            self.last_epoch = before
            raise
        self._step_count += 1

    def _set(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        jump = None if epoch is None else getattr(self, "_at", None)  # the rate from the first one alone
        rates = self.get_lr() if jump is None else [jump(base) for base in self.base_lrs]
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, and the settings; the optimiser's state is saved by itself."""
        return {name: value for name, value in vars(self).items() if name not in ("optimizer", "lr_lambdas")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises    ValueError for what is of another kind than here; then nothing was changed.
        """
        vars(self).update(self._checked(state_dict))

    def _checked(self, state_dict: Any) -> dict[str, Any]:
        """Return what is taken over."""
        where = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping):
            raise type_error(where, "a dict, as state_dict() returns", type(state_dict).__name__)
        kept = {name: value for name, value in state_dict.items() if name not in ("optimizer", "lr_lambdas")}
        for name, value in kept.items():
            held = vars(self).get(name)
            if not fits(held, value) or hasattr(type(self), str(name)):
                expected = f"{name} of the kind of {held!r:.60}" if name in vars(self) else "settings"
                raise value_error(where, expected, f"{name} {value!r:.60}")
        return kept


def for_groups(where: str, what: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """Return one value for each group."""
    n = len(getattr(optimizer, "param_groups", ()))
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise value_error(where, f"{n} {what}, one for each group", len(value))
    return list(value)
