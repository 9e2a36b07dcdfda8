"""torch.autograd.Function: an operation with a gradient of one's own, in Tensors."""

from typing import Any

import numpy as np

from minigrad.errors import type_error, value_error
from minigrad.methods import values_of
from minigrad.switches import no_grad, state
from minigrad.tape import Node
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.grad_fn import label_as


class Context:
    """What `forward` leaves for `backward`: any attribute, and the Tensors of `save_for_backward`."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep Tensors until the walk back."""
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Accepted: there is one result."""

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted: a gradient that is asked for is never None."""


class Function:
    """An operation: subclass it, define forward(ctx, ...) and backward(ctx, dout), and call `apply`.

    Or define forward(...) and setup_context(ctx, inputs, output). The result is one Tensor.
    """

    @staticmethod
    def forward(*args: Any, **options: Any) -> Any:
        """Return the result; to be defined."""
        raise NotImplementedError("Function: expected a subclass that defines forward")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep what backward needs; to be defined where forward takes no ctx."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return the gradient of each argument of forward, None for what has none; to be defined."""
        raise NotImplementedError("Function: expected a subclass that defines backward")

    @classmethod
    def apply(cls, *args: Any) -> Tensor:
        """Run forward, and let the walk back run backward."""
        nodes = [x._node if isinstance(x, Tensor) and state.recording else None for x in args]
        ctx = Context(tuple(node is not None for node in nodes))
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
            else:
                out = cls.forward(ctx, *args)
        if not isinstance(out, Tensor):
            raise type_error(f"{cls.__name__}.forward", "one Tensor", type(out).__name__)
        result = wrap(out._data)
        if not any(nodes):
            return result

        def vjp(dout):
            with no_grad():
                given = cls.backward(ctx, wrap(dout))
            given = given if isinstance(given, tuple) else (given,)
            if len(given) != len(args):
                raise value_error(f"{cls.__name__}.backward", f"{len(args)} gradients", len(given))
            return tuple(_gradient(cls, x, g, node) for x, g, node in zip(args, given, nodes))

        result._node = Node(cls.__name__, out._data.shape, nodes, vjp)
        label_as(result._node, f"{cls.__name__}Backward")
        return result


def _gradient(cls: type, x: Any, grad: Any, node: Any) -> Any:
    """Return an array of its own for one argument, after checking its shape."""
    if node is None or grad is None:
        return None
    grad = np.array(values_of(grad), x._data.dtype)
    if grad.shape != x._data.shape:
        raise value_error(f"{cls.__name__}.backward", f"a gradient {x._data.shape}", grad.shape)
    return grad
