"""What Tensor (tensor.py) inherits: what looks at the values, what writes in place, what is made of other operations."""

from minigrad.methods.axes import axis_of, check_dim
from minigrad.methods.composed import Methods, along_axis, check_places
from minigrad.methods.indexing import plain_index
from minigrad.methods.values import values_of

__all__ = ["Methods", "along_axis", "axis_of", "check_dim", "check_places", "plain_index", "values_of"]
