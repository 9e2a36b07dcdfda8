"""When what was written: so that a walk refuses a graph whose saved arrays have changed since.

Every recorded operation has an age, a number that counts up, and so has every write into an array in
place. What an operation saved, its vjp keeps alive in its closure, and there it can be looked at.
"""

import functools
import itertools
import sys
import weakref
from collections.abc import Iterator
from types import CellType, FunctionType, MethodType
from typing import Any

from minigrad.backend import is_array
from minigrad.switches import Noted

ages = itertools.count()
last_write = -1  # the age of the latest write: younger operations need no check
REACH = 1000  # objects of a closure that are looked at
_written: dict[int, tuple[Any, int]] = {}  # id of the array that owns the memory -> (a weak reference, age)


def note_write(array: Any) -> None:
    """Remember that this memory was just written to."""
    global last_write
    last_write, memory = next(ages), owner(array)
    key = id(memory)
    _written[key] = weakref.ref(memory, lambda _: _written.pop(key, None)), last_write


def owner(array: Any) -> Any:
    """Return the array that owns the memory which `array` may be a view of."""
    while is_array(array.base):
        array = array.base
    return array


def was_written(array: Any, since: int) -> bool:
    """Was the memory of `array` written to by an in-place operation after the age `since`?"""
    found = _written.get(id(owner(array)))
    return found is not None and found[1] > since


def saved_arrays(vjp: Any) -> Iterator[Any]:
    """Yield the arrays that a function closes over, in containers and in other functions too, REACH objects deep."""
    waiting, seen = [vjp], set[int]()
    while waiting and len(seen) < REACH:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if is_array(x):
            yield x
        elif isinstance(x, FunctionType):
            empty = CellType()  # which equals an empty one alone
            waiting += [cell.cell_contents for cell in x.__closure__ or () if cell != empty]
            waiting += x.__defaults__ or ()
        elif isinstance(x, functools.partial):
            waiting += (x.func, x.args, x.keywords)
        elif isinstance(x, MethodType):
            waiting += (x.__func__, getattr(x.__self__, "__dict__", {}))
        elif isinstance(x, (tuple, list, dict)):
            waiting += list(x.values() if isinstance(x, dict) else x)[:REACH]
        elif isinstance(x, Noted):
            waiting.append(vars(x))


def is_shared(x: Any) -> bool:
    """Does anybody but the Tensor `x` hold its memory: a view, another Tensor, or a recorded operation?

    Told by the counts of references that Python keeps: x itself and the question make two. The operation that made
    x may have saved its result, and goes on with it: x gets other memory.
    """
    saved = () if x._node is None else saved_arrays(x._node.vjp)
    holders = 2 + sum(array is x._data for array in saved)
    return sys.getrefcount(x._data) > holders or (
        is_array(x._data.base) and sys.getrefcount(x._data.base) > 2
    )
