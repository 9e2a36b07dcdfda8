"""Schedules by what the training does, or made of others."""

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import Any

from minigrad.errors import type_error, value_error
from nn.optim.lr_scheduler.base import LRScheduler, for_groups
from nn.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor`, when a metric has not improved for more than `patience` calls of step(metric)."""

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
        min_lr: float | list[float] = 0, eps: float = 1e-8,
    ) -> None:  # fmt: skip
        if factor >= 1 or mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            expected = 'factor below 1, mode "min" or "max", threshold_mode "rel" or "abs"'
            raise value_error("ReduceLROnPlateau", expected, (factor, mode, threshold_mode))
        if not isinstance(optimizer, Optimizer):
            raise type_error("ReduceLROnPlateau", "an optimiser", type(optimizer).__name__)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = for_groups("ReduceLROnPlateau", "numbers", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.cooldown_counter = self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of the metric, and lower the rates if it is time."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, least)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * value > sign * (self.best * (1.0 + sign * self.threshold))
        return sign * value > sign * (self.best + sign * self.threshold)


class SequentialLR(LRScheduler):
    """Several schedules, one after the other: the next begins, at its epoch 0, at each of the `milestones`."""

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Any], milestones: list[int], last_epoch: int = -1
    ) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            expected = "schedulers, and one milestone between each two"
            raise value_error("SequentialLR", expected, f"{len(schedulers)} and {len(milestones)}")
        if any(
            getattr(s, "optimizer", None) is not optimizer or isinstance(s, ReduceLROnPlateau)
            for s in schedulers
        ):
            raise value_error("SequentialLR", "schedules of this optimiser, none by a metric", schedulers)
        self._schedulers, self._milestones, self.optimizer = schedulers, milestones, optimizer
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        _step_back(schedulers)  # each set its first rates when it was made
        first = schedulers[bisect.bisect_right(milestones, 0)]
        first._start()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:  # type: ignore[override]  # PyTorch's, without a jump
        """Set the next rates."""
        self.last_epoch += 1
        i = bisect.bisect_right(self._milestones, self.last_epoch)
        now = self._schedulers[i]
        if i and self._milestones[i - 1] == self.last_epoch:
            now._set(0)
        else:
            now.step()
        self._last_lr = now.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes, the schedules' own included."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises    ValueError for what is of another kind than here; then nothing was changed.
        """
        self._checked(state_dict)
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, saved in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(saved)

    def _checked(self, state_dict: Any) -> dict[str, Any]:
        """Return what is taken over, the schedules' own looked at too."""
        kept = super()._checked(state_dict)
        for scheduler, saved in zip(self._schedulers, kept.get("_schedulers", ())):
            scheduler._checked(saved)
        return kept


def _step_back(schedulers: Iterable[Any]) -> None:
    """Undo the count of a first step, of schedules in schedules too."""
    for scheduler in schedulers:
        if hasattr(scheduler, "_schedulers"):
            _step_back(scheduler._schedulers)
        else:
            scheduler.last_epoch -= 1
