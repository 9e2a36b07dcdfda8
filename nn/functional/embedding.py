"""Rows of a table, picked by id."""

import numpy as np

from minigrad.backend import is_array, namespace, scatter_add_rows
from minigrad.errors import type_error, value_error
from minigrad.tensor import Tensor, op


def as_ids(where, ids, beside, below=None, axes=None):
    """Return ids (a Tensor, an array, a list, a tensor of PyTorch's) as an array, checked, and then brought to Tensor `beside`."""
    ids = ids._data if isinstance(ids, Tensor) else ids
    ids = ids if is_array(ids) else np.asarray(ids)  # checked where they are: no wait for a GPU
    if ids.dtype.kind not in "iu":
        raise type_error(where, "integer ids", f"{ids.dtype} {ids.shape}", "make them of a dtype like int64")
    if axes not in (None, ids.ndim):
        raise value_error(where, f"ids of {axes} axes", ids.shape)
    if below is not None:
        check_ids(where, ids, below)
    return ids if beside is None else namespace(beside._data).asarray(ids)


def check_ids(where, ids, below):
    """Raise unless all ids are in 0..below-1."""
    if ids.size and not (0 <= int(ids.min()) and int(ids.max()) < below):
        raise value_error(where, f"ids in 0..{below - 1}", f"{int(ids.min())}..{int(ids.max())}")


def take_rows_reference(weight, *, ids, padding_idx=None):
    """The definition, in Tensor arithmetic: what `take_rows` must equal."""
    picked = weight[ids]
    if padding_idx is None:
        return picked
    frozen = (ids == padding_idx % len(weight))[..., None]
    return picked.masked_fill(frozen, 0.0) + picked.detach().masked_fill(~frozen, 0.0)


@op(reference=take_rows_reference)
def take_rows(weight, *, ids, padding_idx=None):
    """Row ids[...] of the table for each id; the row `padding_idx` is read but never learns.

        y_n = W[ids_n]

    Shapes    weight (V, C), ids (...) -> y (..., C)
    Saves     ids
    Backward  dW_v = sum of dy_n over all n with ids_n = v: a row read twice gets both gradients.
    Raises    IndexError if one is outside -V..V-1; `as_ids` also refuses those below 0
    """
    rows, width = weight.shape

    def vjp(dy):
        dweight = scatter_add_rows(dy.reshape(-1, width), ids.reshape(-1), rows)
        if padding_idx is not None:
            dweight[padding_idx] = 0.0
        return (dweight,)

    return weight[ids], vjp
