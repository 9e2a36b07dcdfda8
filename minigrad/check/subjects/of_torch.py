"""A PyTorch function or module. PyTorch is never imported here: such a function exists only where the user did so."""

import sys
from typing import Any

import numpy as np

from minigrad.backend import is_array
from minigrad.check.contract import BadGradient
from minigrad.check.subjects.base import SEAL, Arrays, Subject, cuts, flatten


class TorchSubject(Subject):
    """A PyTorch function or module; its parameters are replaced for the call, never changed."""

    library = "torch"

    @property
    def torch(self) -> Any:
        """The module."""
        return sys.modules["torch"]

    def _own_parameters(self) -> dict[str, np.ndarray]:
        if not isinstance(self.fn, self.torch.nn.Module):
            return {}
        return {n: p.detach().cpu().numpy().copy() for n, p in self.fn.named_parameters() if p.requires_grad}

    def call(self, arrays: Arrays, requires_grad: bool) -> tuple[list[Any], list[Any]]:
        """Run the function; return its inputs and parameters as tensors, and its float outputs."""
        torch, leaves = self.torch, []

        def leaf(array: Any) -> Any:
            leaves.append(torch.from_numpy(array.copy() if requires_grad else array))
            return leaves[-1].requires_grad_(requires_grad)

        arguments, parameters = self.split(arrays, leaf)
        arguments = [torch.tensor(x) if is_array(x) else x for x in arguments]
        with torch.random.fork_rng(devices=[], enabled=bool(self.seal)):
            if self.seal:
                torch.manual_seed(SEAL)
            if isinstance(self.fn, torch.nn.Module):
                held = [*self.fn.named_buffers(), *self.fn.named_parameters()]
                state = {n: _cast(b.detach().clone(), arrays[0].dtype) for n, b in held}
                outputs = torch.func.functional_call(self.fn, {**state, **parameters}, tuple(arguments))
            else:
                outputs = self.fn(*arguments)
        return leaves, [y for y in flatten(outputs) if torch.is_tensor(y) and y.is_floating_point()]

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        return [y.detach().numpy() for y in self.call(arrays, False)[1]]

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call torch.autograd.grad, twice."""
        leaves, outputs = self.call(arrays, True)
        wanted = [(y, dy) for y, dy in zip(outputs, cotangents) if y.requires_grad]
        if not wanted:
            return [None] * len(leaves)
        ys = [y for y, _ in wanted]
        dys = [self.torch.tensor(dy.astype(y.detach().numpy().dtype)) for y, dy in wanted]
        walks = []
        for _ in range(2):
            given = [dy.clone() for dy in dys]
            grads = self.torch.autograd.grad(ys, leaves, given, retain_graph=True, allow_unused=True)
            walks.append([None if g is None else g.numpy().copy() for g in grads])
            if not all(map(self.torch.equal, given, dys)):
                raise BadGradient("mutation", "the backward writes into the gradient it is given")
        for one, two in zip(*walks):
            if one is not None and not np.array_equal(one, two, equal_nan=True):
                text = "a second walk over the same graph gives another gradient"
                raise BadGradient(
                    "second walk", text + ": a backward overwrites what it saved, or draws numbers"
                )
        return walks[0]

    def recorded(self, arrays: Arrays) -> "RecordedTorch":
        """Return the function with whatever a call returned without a history kept as it was."""
        return RecordedTorch(self, arrays)


class RecordedTorch(Subject):
    """What a PyTorch function is if the values that have no history stay as they were; its `forward` alone."""

    library = "torch"

    def __init__(self, subject: TorchSubject, arrays: Arrays) -> None:
        self.subject = subject
        self.kept: list[tuple[str, Any]] = []  # (what returned it, value)
        self._run(arrays, [])

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the function again, from other arrays, with the values that were kept."""
        return self._run(arrays, [value for _, value in self.kept])

    def cuts(self, other: "RecordedTorch") -> list[str]:
        """Say which calls returned another value without a history than in the other recording."""
        ours, theirs = ([(f"{name} returns", [x.numpy()]) for name, x in of.kept] for of in (self, other))
        return cuts(ours, theirs)

    def _run(self, arrays: Arrays, values: list[Any]) -> Arrays:
        torch: Any = self.subject.torch
        kept, recording = self.kept, not values

        class Hold(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = function(*args, **(kwargs or {}))
                ends = torch.is_tensor(out) and out.is_floating_point() and not out.requires_grad
                if not ends or not any(torch.is_tensor(a) and a.requires_grad for a in flatten(args)):
                    return out
                if recording:
                    owner = function.__self__ if function.__name__ == "__get__" else function  # a property
                    kept.append((owner.__name__, out.detach().clone()))
                return out if recording or not values else values.pop(0).clone()

        with Hold():
            outputs = self.subject.call(arrays, True)[1]
        return [y.detach().numpy() for y in outputs]


def _cast(x: Any, dtype: Any) -> Any:
    return x.double() if dtype == np.float64 and x.is_floating_point() else x
