"""The elementary operations as array functions, all under one roof: `raw.exp(x)` is (out, vjp)."""

from minigrad.primitives.arithmetic import *  # noqa: F403
from minigrad.primitives.by_number import *  # noqa: F403
from minigrad.primitives.elementwise import *  # noqa: F403
from minigrad.primitives.products import *  # noqa: F403
from minigrad.primitives.reductions import *  # noqa: F403
from minigrad.primitives.shapes import *  # noqa: F403
from minigrad.primitives.writing import *  # noqa: F403
