"""A CuPy without a GPU: an array type that refuses NumPy, and the module that owns it.

Installed as `cupy`, it shows on any machine what would mix host and device: a stray `np.` call, a
NumPy array as operand or index, a function or argument that CuPy does not have (cupy_surface.txt). The
numbers are NumPy's own, or a kernel's. `counts` counts what a GPU would launch, and the waits for it.
"""

import operator
import sys
import weakref
from collections import Counter
from types import ModuleType, SimpleNamespace

import numpy as np

from minigrad import backend
from tests.support import device
from tests.support.cupy_surface import refuse

counts = (
    Counter()
)  # "launches" of the device, "waits" of the host for it, "uploads", since somebody cleared it
MEMORY = weakref.WeakValueDictionary()  # id of a hidden array that owns its memory -> the foreign one
METHODS = [
    "all",
    "any",
    "argmax",
    "argmin",
    "astype",
    "copy",
    "cumsum",
    "max",
    "mean",
    "min",
    "reshape",
    "sum",
    "swapaxes",
    "var",
]
OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


class ForeignArray:
    """A NumPy array in hiding: only its own module and its own operators may touch it."""

    __array_ufunc__ = None
    __hash__ = None
    device = SimpleNamespace(id=0)

    def __init__(self, hidden):
        self._hidden, self.base = hidden, None
        if isinstance(
            hidden.base, np.ndarray
        ):  # the one object of that memory, as in CuPy, as long as views live
            self.base = MEMORY.get(id(hidden.base))
            self.base = ForeignArray(hidden.base) if self.base is None else self.base
        else:
            MEMORY[id(hidden)] = self

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion to a NumPy array is not allowed; use .get()")

    @property
    def data(self):
        return SimpleNamespace(ptr=self._hidden.ctypes.data)

    def get(self):
        """A copy on the host."""
        return self._hidden.copy()

    def transpose(self, *axes):
        return hide(self._hidden.transpose(*axes))

    def __getitem__(self, index):
        found = self._hidden[reveal(index)]
        count("getitem", [self], found)
        return hide(found)

    def __setitem__(self, index, value):
        counts["launches"] += 1
        self._hidden[reveal(index)] = reveal(value)

    def __len__(self):
        return len(self._hidden)

    def __float__(self):
        return float(self._hidden)

    def __int__(self):
        return int(self._hidden)

    def __bool__(self):
        return bool(self._hidden)

    def __repr__(self):
        return f"ForeignArray({self._hidden!r})"

    def item(self):
        return self._hidden.item()

    def tolist(self):
        return self._hidden.tolist()


def hide(x):
    """Wrap every array in a result; NumPy's scalars become arrays of no axes, as CuPy's are."""
    if isinstance(x, (np.ndarray, np.generic)):
        return ForeignArray(np.asarray(x))
    return type(x)(map(hide, x)) if isinstance(x, (list, tuple)) else x


def reveal(x):
    """Unwrap every foreign array in an argument; refuse NumPy's, which live on the host."""
    if isinstance(x, ForeignArray):
        return x._hidden
    if isinstance(x, np.ndarray):
        raise TypeError(f"a NumPy array {x.shape} where the device's own is needed")
    return type(x)(map(reveal, x)) if isinstance(x, (list, tuple)) else x


def over(function, name=None):
    """`function` of foreign arrays, with the arguments that CuPy's of that name takes."""

    def on_foreign(*args, **kwargs):
        if name is not None:
            refuse(name, args, kwargs)
        with np.errstate(all="ignore"):  # a device warns of nothing
            result = function(*map(reveal, args), **{name: reveal(x) for name, x in kwargs.items()})
        count(function.__name__, [*args, *kwargs.values()], result, "out" in kwargs)
        return kwargs["out"] if "out" in kwargs else hide(result)

    return on_foreign


def count(name, args, result, written=False):
    """Count what CuPy would launch: nothing for a view, and a copy of what a product of batches does not find in order."""
    arrays = [x for x in args if isinstance(x, ForeignArray)]
    view = any(np.may_share_memory(result, x._hidden) for x in arrays if isinstance(result, np.ndarray))
    if name in ("empty", "empty_like") or view and not written:
        return
    counts["launches"] += {"argsort": 13, "concatenate": 2}.get(name, 1)
    if name == "matmul" and max(x.ndim for x in arrays) > 2:
        counts["launches"] += sum(not x.flags.c_contiguous for x in arrays)


def wait(function):
    """`function`, which brings numbers to the host: it waits until the device has come so far."""

    def on_host(*args):
        counts["waits"] += 1
        return function(*args)

    return on_host


def in_place(function):
    """`x += y`, which writes into the hidden array and returns the same object."""

    def on_foreign(self, other):
        counts["launches"] += 1
        self._hidden = function(self._hidden, reveal(other))
        return self

    return on_foreign


def property_of(name):
    return property(lambda self: hide(getattr(self._hidden, name)))


for name in ["get", "__float__", "__int__", "__bool__", "item", "tolist"]:
    setattr(ForeignArray, name, wait(getattr(ForeignArray, name)))
for name in METHODS:
    setattr(ForeignArray, name, over(getattr(np.ndarray, name), f"ndarray.{name}"))
for name in [f"__{word}__" for word in OPERATORS + COMPARISONS + ["neg", "pos", "abs", "invert"]]:
    setattr(ForeignArray, name, over(getattr(operator, name)))
for word in OPERATORS:
    setattr(ForeignArray, f"__r{word}__", over(getattr(np.ndarray, f"__r{word}__")))
    setattr(ForeignArray, f"__i{word}__", in_place(getattr(operator, f"__i{word}__")))
for name in ["shape", "dtype", "ndim", "size", "nbytes", "flags", "T", "mT", "strides"]:
    setattr(ForeignArray, name, property_of(name))


class ForeignGrid:
    """`ogrid`, whose arrays live on the device."""

    def __getitem__(self, slices):
        return hide(np.ogrid[slices])


class ForeignLibrary(ModuleType):
    """`cupy`: NumPy's functions, on foreign arrays only."""

    ndarray, RawModule = ForeignArray, device.RawModule
    __version__ = "0 of the tests"
    properties = SimpleNamespace(getDeviceProperties=lambda number: {"name": b"a stand-in"})
    cuda = SimpleNamespace(
        is_available=lambda: True, Device=lambda: SimpleNamespace(id=0), runtime=properties
    )
    ogrid = ForeignGrid()

    @staticmethod
    def asarray(x, dtype=None):
        """The one function that takes arrays of the host: the copy to the device. Its own it leaves as they are."""
        if isinstance(x, ForeignArray) and dtype in (None, x.dtype):
            return x
        counts["launches" if isinstance(x, ForeignArray) else "uploads"] += 1
        return hide(np.array(x._hidden if isinstance(x, ForeignArray) else x, dtype=dtype))

    def __getattr__(self, name):
        refuse(name, (), {})
        function = over(getattr(np, name), name)
        if name == "add":
            function.at = over(np.add.at)
        return function


def install(patch):
    """Make `import cupy` and `import cupyx` find this, until the monkeypatch is undone."""
    special = ModuleType("cupyx.scipy.special")
    special.erf = over(backend.erf)
    modules = {"cupy": ForeignLibrary("cupy"), "cupyx": ModuleType("cupyx")}
    modules |= {"cupyx.scipy": ModuleType("cupyx.scipy"), "cupyx.scipy.special": special}
    modules["cupyx.scipy"].special = special
    for name, module in modules.items():
        patch.setitem(sys.modules, name, module)
    return modules["cupy"]
