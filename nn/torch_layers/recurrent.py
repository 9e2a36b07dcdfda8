"""Recurrent networks: Elman's, the LSTM and the GRU, step by step, with PyTorch's parameters and numbers."""

import math
from typing import Any

import numpy as np

from minigrad import functions, random
from minigrad.backend import namespace
from minigrad.errors import check_probability, check_shape, value_error
from minigrad.functions import concatenate
from minigrad.random import Generator
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.grad_fn import label_as
from nn import functional as F
from nn.inspection import settings
from nn.module import Module, Parameter
from nn.torch_layers.packed import forward_packed, run_packed
from nn.utils.rnn import PackedSequence


def elman_step(x: Tensor, state: tuple[Tensor], weights: list, nonlinearity: str = "tanh") -> tuple[Tensor]:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(., 0) for "relu"; x has been multiplied already."""
    total = x + F.linear(state[0], weights[1], weights[3])
    return (total.tanh() if nonlinearity == "tanh" else total.relu(),)


def lstm_step(x: Tensor, state: tuple[Tensor, Tensor], weights: list) -> tuple[Tensor, Tensor]:
    """The cell c forgets some of itself and takes some of g in; the state h shows some of it.

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh,   c' = s(f) c + s(i) tanh(g),   h' = s(o) tanh(c')

    Source    Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate
    """
    h, c = state
    i, f, g, o = (x + F.linear(h, weights[1], weights[3])).split(h.shape[-1], -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, state: tuple[Tensor], weights: list) -> tuple[Tensor]:
    """The new state is some of the old one and some of a candidate n, which reads what r lets through.

        r = s(x_r + h_r),   z = s(x_z + h_z),   n = tanh(x_n + r h_n),   h' = (1 - z) n + z h

    with x_. the parts of W_ih x + b_ih, h_. those of W_hh h + b_hh.

    Source    Cho et al. 2014, arXiv:1406.1078; r after the product, as in PyTorch
    """
    (h,) = state
    x_r, x_z, x_n = x.split(h.shape[-1], -1)
    h_r, h_z, h_n = F.linear(h, weights[1], weights[3]).split(h.shape[-1], -1)
    z = (x_z + h_z).sigmoid()
    n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
    return (n + z * (h - n),)


class _Cell(Module):
    """One step: W_ih, W_hh and their biases, uniform in +-1/sqrt(hidden_size) as in PyTorch."""

    gates, states = 1, 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        input_size, hidden_size = check_shape(type(self).__name__, (input_size, hidden_size))
        if hidden_size < 1:
            raise value_error(type(self).__name__, "hidden_size of 1 or more", hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rng, bound = rng or random.default_generator(), 1 / math.sqrt(hidden_size)
        for name, shape in _shapes(self.gates, input_size, hidden_size, bias):
            setattr(self, name, Parameter(rng.uniform(-bound, bound, shape, dtype or np.float32)))
        if device is not None:
            self.to(device)

    def _weights(self) -> list:
        return [getattr(self, name, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        raise NotImplementedError

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Return the next state, of the input (B, input_size) or (input_size,) and the state before, or zeros."""
        shape, where = (*input.shape[:-1], self.hidden_size), type(self).__name__
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise value_error(where, f"input (B, {self.input_size})", tuple(input.shape))
        state = _start(where, hx, shape, self.states, input)
        weights = self._weights()
        new = self._step(F.linear(input, weights[0], weights[2]), state, weights)
        return new if self.states == 2 else new[0]

    def extra_repr(self) -> str:
        """Show the sizes, and what is unusual."""
        shown = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return shown if nonlinearity == "tanh" else f"{shown}, nonlinearity={nonlinearity}"


class RNNCell(_Cell):
    """One step of an `RNN`; see `elman_step`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        self.nonlinearity = _check_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype, rng=rng)

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        return elman_step(x, state, weights, self.nonlinearity)


class LSTMCell(_Cell):
    """One step of an `LSTM`; see `lstm_step`."""

    gates, states = 4, 2

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        return lstm_step(x, state, weights)


class GRUCell(_Cell):
    """One step of a `GRU`; see `gru_step`."""

    gates = 3

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        return gru_step(x, state, weights)


class _Recurrent(Module):
    """What all have: layers, each in one direction or both, that read a sequence step by step.

    Shapes    input (T, B, input_size), with batch_first (B, T, input_size), or (T, input_size);
              states (layers * directions, B, hidden_size), or without B -> (output, states), the output
              (T, B, directions * hidden_size) in the layout of the input
    Random    every parameter uniform in +-1/sqrt(hidden_size), layer by layer; in training one dropout mask
              on the output of each layer but the last
    Source    `torch.nn.RNN`, `LSTM`, `GRU`
    """

    gates, states, mode = 1, 1, ""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        where = type(self).__name__
        sizes = input_size, hidden_size, num_layers = check_shape(
            where, (input_size, hidden_size, num_layers)
        )
        if min(sizes) < 1:
            raise value_error(where, "input_size, hidden_size and num_layers of 1 or more", sizes)
        if proj_size:
            raise NotImplementedError(f"{where}: expected proj_size=0; got {proj_size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = check_probability(where, dropout)
        rng, bound = rng or random.default_generator(), 1 / math.sqrt(hidden_size)
        self._ways = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self._ways)
            for way in self._ways:
                for name, shape in _shapes(self.gates, width, hidden_size, bias):
                    drawn = rng.uniform(-bound, bound, shape, dtype or np.float32)
                    setattr(self, f"{name}_l{layer}{way}", Parameter(drawn))
        if device is not None:
            self.to(device)

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        raise NotImplementedError

    def flatten_parameters(self) -> None:
        """Do nothing: PyTorch moves its parameters together for a GPU here."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return (the last layer's state at every step, every layer's last state).

        The input may be a PackedSequence; the first is one, too, then.
        """
        if isinstance(input, PackedSequence):
            return forward_packed(self, input, hx)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            layout = "(B, T, " if self.batch_first else "(T, B, "
            raise value_error(type(self).__name__, f"input {layout}{self.input_size})", tuple(input.shape))
        is_turned = input.ndim == 3 and self.batch_first
        y, states = self._layers(input.swapaxes(0, 1) if is_turned else input, hx)  # time first
        return y.swapaxes(0, 1) if is_turned else y, states

    def _layers(self, x: Tensor, hx: Any, sizes: list[int] | None = None) -> tuple[Tensor, Any]:
        """Run every layer over x, time first; or over packed steps of these sizes."""
        batch = tuple(x.shape[1:-1]) if sizes is None else (sizes[0],)
        shape = (self.num_layers * len(self._ways), *batch, self.hidden_size)
        start, last = _start(type(self).__name__, hx, shape, self.states, x), []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for i, way in enumerate(self._ways, layer * len(self._ways)):
                output, state = self._run(x, tuple(s[i] for s in start), f"_l{layer}{way}", sizes)
                outputs.append(output)
                last.append(state)
            x = outputs[0] if len(outputs) == 1 else concatenate(outputs, -1)
        states = tuple(functions.stack([state[k] for state in last], 0) for k in range(self.states))
        return x, states if self.states == 2 else states[0]

    def _run(self, x: Tensor, state: Any, suffix: str, sizes: list[int] | None = None) -> tuple[Tensor, Any]:
        """Return (the states of one layer in one direction at every step, the last one)."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights: Any = [getattr(self, name + suffix, None) for name in names]
        inputs, found = F.linear(x, weights[0], weights[2]), []  # of all steps at once
        backwards = suffix.endswith("_reverse")
        if sizes is not None:
            return run_packed(inputs, sizes, state, lambda x, s: self._step(x, s, weights), backwards)
        steps = range(x.shape[0])
        for t in reversed(steps) if backwards else steps:
            state = self._step(inputs[t], state, weights)
            found.append(state[0])
        return functions.stack(found[::-1] if backwards else found, 0), state

    def extra_repr(self) -> str:
        """Show the sizes, and what is unusual."""
        shown = f"{self.input_size}, {self.hidden_size}"
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        changed = [name for name, value in usual.items() if getattr(self, name) != value]
        return shown + (f", {settings(self, *changed)}" if changed else "")


class RNN(_Recurrent):
    """Elman's network: h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh); see `elman_step`.

    Source    Elman 1990, "Finding structure in time"
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        self.nonlinearity = _check_nonlinearity(nonlinearity)
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(*sizes, device=device, dtype=dtype, rng=rng)

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        return elman_step(x, state, weights, self.nonlinearity)


class LSTM(_Recurrent):
    """Long short-term memory: the states are a pair (h, c); see `lstm_step`."""

    gates, states = 4, 2

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        return lstm_step(x, state, weights)

    def _layers(self, x: Tensor, hx: Any, sizes: list[int] | None = None) -> tuple[Tensor, Any]:
        y, states = super()._layers(x, hx, sizes)
        if sizes is None and y._node is not None and not self.bidirectional:
            label_as(y._node, "MkldnnRnnLayerBackward0")  # PyTorch calls a library here
        return y, states


class GRU(_Recurrent):
    """Gated recurrent units; see `gru_step`."""

    gates = 3

    def _step(self, x: Tensor, state: Any, weights: list) -> Any:
        return gru_step(x, state, weights)


def _shapes(gates: int, width: int, hidden: int, bias: bool) -> list[tuple[str, tuple[int, ...]]]:
    """Return the (name, shape) of every parameter of one layer, in PyTorch's order."""
    rows = gates * hidden
    weights = [("weight_ih", (rows, width)), ("weight_hh", (rows, hidden))]
    return [*weights, *([("bias_ih", (rows,)), ("bias_hh", (rows,))] if bias else [])]


def _start(where: str, given: Any, shape: tuple[int, ...], states: int, like: Tensor) -> tuple[Tensor, ...]:
    """Return the first states: those given, or zeros."""
    if given is None:
        zeros = wrap(namespace(like._data).zeros(shape, like._data.dtype))
        return (zeros,) * states
    found = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if len(found) != states or any(tuple(s.shape) != shape for s in found):
        got = ", ".join(str(tuple(s.shape)) for s in found)
        raise value_error(where, " and ".join([f"a state {shape}"] * states), got)
    return found


def _check_nonlinearity(name: str) -> str:
    if name not in ("tanh", "relu"):
        raise value_error("RNN", '"tanh" or "relu" for nonlinearity', repr(name))
    return name
