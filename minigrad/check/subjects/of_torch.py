"""A PyTorch function or module. PyTorch is never imported here: such a function exists only where the user did so."""

import math
import sys
from typing import Any

import numpy as np

from minigrad.check.contract import BadGradient
from minigrad.check.subjects.base import SEAL, Arrays, Recording, Subject, flatten, to_array
from minigrad.errors import type_error


class TorchSubject(Subject):
    """A PyTorch function or module; its parameters are replaced for the call, never changed."""

    library, takes, returns = "torch", "PyTorch tensors", "float Tensors of PyTorch"

    def _own_parameters(self) -> dict[str, np.ndarray]:
        torch = sys.modules["torch"]
        if isinstance(self.fn, torch.jit.ScriptModule):
            hint = "or a function that calls it: lambda x: scripted(x)"
            raise type_error(
                "gradcheck", "the module as it was before torch.jit.script", "a scripted one", hint
            )
        if not isinstance(self.fn, torch.nn.Module):
            return {}
        return {n: to_array(p, n).copy() for n, p in self.fn.named_parameters() if p.requires_grad}

    def _own_buffers(self) -> dict[str, np.ndarray]:
        if not isinstance(self.fn, sys.modules["torch"].nn.Module):
            return {}
        return {n: b.detach().cpu().numpy().copy() for n, b in self.fn.named_buffers()}

    def call(self, arrays: Arrays, requires_grad: bool) -> tuple[list[Any], list[Any]]:
        """Run the function; return its inputs and parameters as tensors, and its float outputs."""
        torch = sys.modules["torch"]
        leaves = [torch.from_numpy(a.copy() if requires_grad else a) for a in arrays]
        arguments, parameters = self.split([x.requires_grad_(requires_grad) for x in leaves], torch.tensor)
        if requires_grad:
            self._hook(leaves)
        with torch.random.fork_rng(devices=[], enabled=bool(self.seal)), self.explained():
            if self.seal:
                torch.manual_seed(SEAL)
            if isinstance(self.fn, torch.nn.Module):
                state = {name: torch.tensor(x) for name, x in self.buffers.items()}
                state |= {name: x.detach().clone() for name, x in self.fn.named_parameters()}
                if arrays[0].dtype == np.float64:
                    state = {name: x.double() if x.is_floating_point() else x for name, x in state.items()}
                outputs = torch.func.functional_call(self.fn, {**state, **parameters}, tuple(arguments))
                self.buffers_after = {name: state[name].numpy() for name in self.buffers}
            else:
                outputs = self.fn(*arguments)
        return leaves, self.floats(flatten(outputs))

    def _hook(self, leaves: list[Any]) -> None:
        """Give the tensors of a call the hooks of the inputs and parameters that they stand for."""
        own = dict(self.fn.named_parameters()) if self.parameters else {}
        for leaf, given in zip(
            leaves, [*(self.given[i] for i in self.slots), *map(own.get, self.parameters)]
        ):
            for hook in (getattr(given, "_backward_hooks", None) or {}).values():
                leaf.register_hook(hook)
            for hook in (getattr(given, "_post_accumulate_grad_hooks", None) or {}).values():
                leaf.register_post_accumulate_grad_hook(hook)

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        try:
            outputs = self.call(arrays, False)[1]
        except RuntimeError as error:  # it sets a hook, or differentiates, which needs a graph
            if isinstance(error, TypeError):  # ours, about what it returns
                raise
            outputs = self.call(arrays, True)[1]
        return [y.detach().numpy() for y in outputs]

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call backward, twice."""
        torch = sys.modules["torch"]
        leaves, outputs = self.call(arrays, True)
        wanted = [(y, dy) for y, dy in zip(outputs, cotangents) if y.requires_grad]
        if not wanted:
            return [None] * len(leaves)
        ys = [y for y, _ in wanted]
        dys = [torch.tensor(dy.astype(y.detach().numpy().dtype)) for y, dy in wanted]
        walks = []
        for _ in range(2):
            given = [dy.clone() for dy in dys]
            for leaf in leaves:
                leaf.grad = None
            torch.autograd.backward(ys, given, retain_graph=True, inputs=leaves)
            walks.append([None if x.grad is None else to_array(x.grad.to_dense()).copy() for x in leaves])
            if not all(map(torch.equal, given, dys)):
                raise BadGradient("mutation", "the backward writes into the gradient it is given")
        for one, two in zip(*walks):
            if one is not None and not np.array_equal(one, two, equal_nan=True):
                text = "a second walk over the same graph gives another gradient"
                hint = "a backward overwrites what it saved, or draws numbers"
                raise BadGradient("second walk", f"{text}: {hint}")
        return walks[0]

    def roundings(self, arrays: Arrays, cotangents: Arrays) -> float:
        """Return what the rounding of every tensor on the way does to the sum of the outputs times these."""
        torch: Any = sys.modules["torch"]
        met: list[Any] = []

        class Meet(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = function(*args, **(kwargs or {}))
                met.extend(y for y in flatten(out) if torch.is_tensor(y) and y.requires_grad)
                return out

        with Meet():
            outputs = self.call(arrays, True)[1]
        pairs = [(y, dy) for y, dy in zip(outputs, cotangents) if y.requires_grad and dy.any()]
        seeds = [torch.tensor(dy, dtype=y.dtype) for y, dy in pairs]
        grads = torch.autograd.grad([y for y, _ in pairs], met, seeds, allow_unused=True) if pairs else ()
        shares = [
            torch.finfo(a.dtype).eps * a.detach().double() * g for a, g in zip(met, grads) if g is not None
        ]
        return math.sqrt(sum(float(share.square().sum()) for share in shares))

    def recorded(self, arrays: Arrays) -> "RecordedTorch":
        """Return the function with whatever a call returned without a history kept as it was."""
        return RecordedTorch(self, arrays)


class RecordedTorch(Recording):
    """A PyTorch function that returns, wherever a call returned a value without a history, that value."""

    def __init__(self, subject: TorchSubject, arrays: Arrays) -> None:
        self.subject, self.kept = subject, []
        self._run(arrays, [])

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the function again, from other arrays, with the values that were kept."""
        return self._run(arrays, [value for _, (value,) in self.kept])

    def _run(self, arrays: Arrays, values: Arrays) -> Arrays:
        torch: Any = sys.modules["torch"]
        kept, recording = self.kept, not values

        class Hold(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = function(*args, **(kwargs or {}))
                ends = torch.is_tensor(out) and out.is_floating_point() and not out.requires_grad
                ends = ends or isinstance(out, (float, list))  # item, tolist
                if not ends or not any(torch.is_tensor(a) and a.requires_grad for a in flatten(args)):
                    return out
                if recording:
                    owner = function.__self__ if function.__name__ == "__get__" else function  # a property
                    value = out.detach().clone().numpy() if torch.is_tensor(out) else np.array(out)
                    kept.append((f"{owner.__name__} returns", [value]))
                if recording or not values:
                    return out
                return torch.tensor(values.pop(0)) if torch.is_tensor(out) else values.pop(0).tolist()

        with Hold():
            outputs = self.subject.call(arrays, True)[1]
        return [y.detach().numpy() for y in outputs]
