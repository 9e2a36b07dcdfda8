"""Derivatives of functions of arrays: grad, value_and_grad, jacobian, hessian, hvp, jvp, vjp.

Each takes a function and `argnum`, the place of the argument to differentiate, and returns a new
function of the same arguments, as HIPS autograd and JAX do. Inside, `fn` sees Tensors; what comes
out are NumPy arrays, or Tensors where a transform is inside another, so that grad(grad(fn)) works.
Integers and integer arrays become float64, since a derivative is a real number.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from minigrad import switches, tape
from minigrad.backend import is_array, namespace
from minigrad.dtypes import FLOATS
from minigrad.errors import check_callable, type_error, value_error
from minigrad.higher import pullback
from minigrad.tensor import Tensor, wrap

Argnum = int | tuple[int, ...]
Function = Callable[..., Any]


def grad(fn: Function, argnum: Argnum = 0) -> Function:
    """Return the function whose value is the gradient of `fn`, which must return a single number.

    Shapes    the gradient as the argument; a tuple of them for a tuple `argnum`
    Raises    TypeError or ValueError if fn returns no Tensor, or more than one element.
    Example
        >>> grad(lambda x: x**3)(2.0)
        array(12.)
        >>> grad(grad(lambda x: x**3))(2.0)
        array(12.)
    """
    return lambda *args, **options: value_and_grad(fn, argnum)(*args, **options)[1]


def value_and_grad(fn: Function, argnum: Argnum = 0) -> Function:
    """Return the function whose value is the pair (value of fn, gradient of fn); see `grad`."""

    def both(*args: Any, **options: Any) -> tuple[Any, Any]:
        call = _Call("grad", fn, argnum, args, options)
        call.refuse_many()
        return call.out(call.y), call.like_argnum(call.pull(call.xp.ones(call.y.shape, call.y.dtype)))

    return both


def vjp(fn: Function, argnum: Argnum = 0) -> Function:
    """Return the function whose value is (value of fn, pull); pull(dout) is dout times the Jacobian.

    Shapes    dout as the value; pull(dout) as the argument
    """

    def pulling(*args: Any, **options: Any) -> tuple[Any, Function]:
        call = _Call("vjp", fn, argnum, args, options)
        return call.out(call.y), lambda dout: call.like_argnum(call.pull(dout))

    return pulling


def jvp(fn: Function, argnum: Argnum = 0) -> Function:
    """Return the function of (*args, tangent) whose value is (value of fn, Jacobian times tangent).

    The pull of a cotangent is linear in it, so its own pull, of the tangent, is what is wanted: two
    walks backward make one forward, at any cotangent.

    Shapes    tangent as the argument (a tuple of them for a tuple `argnum`) -> as the value
    Source    J. Townsend 2017, "A new trick for calculating Jacobian vector products"
    """

    def pushing(*args: Any, **options: Any) -> tuple[Any, Any]:
        call = _Call("jvp", fn, argnum, args[:-1], options, replay=True)
        cotangent = wrap(call.xp.ones(call.y.shape, call.y.dtype), requires_grad=True)
        moved = _paired_sum(_pullback(call.y, call.xs, cotangent), call.tangents(args[-1]))
        (result,) = _pullback(moved, [cotangent])
        return call.out(call.y), call.out(call.y * 0.0 if result is None else result)

    return pushing


def hvp(fn: Function, argnum: Argnum = 0) -> Function:
    """Return the function of (*args, v) whose value is the Hessian of `fn` times v.

    The gradient of grad(fn) . v, by replay: no Hessian is formed.

    Shapes    v as the argument -> as the argument
    """

    def product(*args: Any, **options: Any) -> Any:
        call = _Call("hvp", fn, argnum, args[:-1], options, replay=True)
        call.refuse_many()
        slope = _paired_sum(_pullback(call.y, call.xs), call.tangents(args[-1]))
        return call.like_argnum(call.or_zeros(_pullback(slope, call.xs)))

    return product


def jacobian(fn: Function, argnum: int = 0) -> Function:
    """Return the function whose value is the matrix of all first derivatives, one pull per output element.

    Shapes    (*shape of the value, *shape of the argument)
    """

    def matrix(*args: Any, **options: Any) -> Any:
        if isinstance(argnum, tuple):
            raise type_error("jacobian", "argnum as one integer", argnum)
        call = _Call("jacobian", fn, argnum, args, options)
        shape, n = call.y.shape, call.y.numel()
        rows = [call.pull(unit)[0] for unit in call.xp.eye(n, dtype=call.y.dtype).reshape(n, *shape)]
        whole = (*shape, *call.xs[0].shape)
        if not rows:
            return call.out(wrap(call.xp.zeros(whole, call.y.dtype)))
        return call.out(namespace(rows[0]).stack(rows).reshape(whole))

    return matrix


def hessian(fn: Function, argnum: int = 0) -> Function:
    """Return the function whose value is the matrix of all second derivatives of `fn`.

    Shapes    (*shape of the argument, *shape of the argument)
    """
    return jacobian(grad(fn, argnum), argnum)


class _Call:
    """One run of `fn` with the chosen arguments as new Tensors that want a gradient.

    They are new also where they were Tensors, so that what `fn` sees of the outside is constant to
    this derivative, but not to an outer one.
    """

    def __init__(
        self, where: str, fn: Function, argnum: Argnum, args: tuple, options: dict, replay: bool = False
    ) -> None:
        self.where, self.argnum = where, argnum
        check_callable(where, fn)
        picked = argnum if isinstance(argnum, tuple) else (argnum,)
        if not picked or not all(isinstance(i, (int, np.integer)) for i in picked):
            raise type_error(where, "argnum as an integer, or a tuple of them", repr(argnum))
        if not all(0 <= i < len(args) for i in picked):
            hint = "after them comes the tangent" if replay else ""
            raise value_error(where, f"argnum within the {len(args)} arguments", argnum, hint)
        learns = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        self.nested = switches.state.transforming or learns
        arguments = list(args)
        with switches.enable_grad(), switches.keep_inputs() if replay or self.nested else nullcontext():
            for i in picked:
                arguments[i] = _variable(where, args[i])
            self.xs = [arguments[i] for i in picked]
            with switches.transforming():
                self.y = fn(*arguments, **options)
        if not isinstance(self.y, Tensor):
            hint = "compute with minigrad's functions and methods, which numpy's cannot replace"
            raise type_error(where, "a function that returns a Tensor", type(self.y).__name__, hint)
        self.xp = namespace(self.y.array)

    def refuse_many(self) -> None:
        """Raise ValueError unless the value is a single number."""
        if self.y.numel() != 1:
            hint = "reduce it to a scalar with .sum() or .mean(), or use jacobian"
            got = f"shape {self.y.array.shape}"
            raise value_error(self.where, "a function that returns one element", got, hint)

    def pull(self, dout: Any) -> list[Any]:
        """Return the gradient for each chosen argument, zeros where `fn` ignores it."""
        if self.nested or not self.y.requires_grad:
            return [self.out(g) for g in self.or_zeros(_pullback(self.y, self.xs, dout))]
        dout = self.xp.asarray(dout, dtype=self.y.dtype)
        if dout.shape != self.y.shape:
            raise value_error("vjp", f"a cotangent {self.y.array.shape}", dout.shape)
        leaves = tape.gradients(self.y._node, dout, retain_graph=True)
        return [leaves[x._node] if x._node in leaves else self.xp.zeros_like(x.array) for x in self.xs]

    def or_zeros(self, grads: Sequence[Tensor | None]) -> list[Tensor]:
        """Return the gradients, zeros for None."""
        return [x.detach() * 0.0 if g is None else g for g, x in zip(grads, self.xs)]

    def tangents(self, given: Any) -> list[Any]:
        """Return the tangent of each chosen argument, after checking its shape."""
        each = given if isinstance(self.argnum, tuple) else (given,)
        if not isinstance(each, (tuple, list)) or len(each) != len(self.xs):
            raise type_error("tangent", f"a tuple of {len(self.xs)}, one for each argnum", f"{given!r:.60}")
        for t, x in zip(each, self.xs):
            if (shape := np.shape(t.array if isinstance(t, Tensor) else t)) != x.shape:
                raise value_error("tangent", f"shape {x.array.shape}", shape)
        return [t if isinstance(t, Tensor) else self.xp.asarray(t, x.dtype) for t, x in zip(each, self.xs)]

    def out(self, value: Any) -> Any:
        """Return an array, or inside another transform a Tensor with its history."""
        return value if self.nested or not isinstance(value, Tensor) else value.array

    def like_argnum(self, values: list[Any]) -> Any:
        """Return one value for one argument, a tuple for a tuple."""
        values = [self.out(v) for v in values]
        return tuple(values) if isinstance(self.argnum, tuple) else values[0]


def _variable(where: str, value: Any) -> Tensor:
    """Return the argument as a Tensor of its own that wants a gradient."""
    if isinstance(value, Tensor):
        return value.clone() if value.requires_grad else wrap(value.array, requires_grad=True)
    array = value if is_array(value) else np.asarray(value)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype not in FLOATS:
        hint = "pass real numbers, or choose another argument with argnum"
        raise type_error(where, "a float argument", f"{array.dtype} {array.shape}", hint)
    return wrap(np.asarray(array) if namespace(array) is np else array, requires_grad=True)


def _pullback(y: Tensor | None, xs: Sequence[Tensor], dout: Any = None) -> Sequence[Tensor | None]:
    """Return `pullback`, or None for each x where y is nothing that depends on them."""
    return [None] * len(xs) if y is None or not y.requires_grad else pullback(y, xs, dout)


@switches.keep_inputs()
def _paired_sum(grads: Sequence[Tensor | None], tangents: Sequence[Any]) -> Tensor | None:
    """Return the sum of grad . tangent over all arguments, as a Tensor; None if all are None."""
    terms = [(g * t).sum() for g, t in zip(grads, tangents) if g is not None]
    return sum(terms[1:], terms[0]) if terms else None
