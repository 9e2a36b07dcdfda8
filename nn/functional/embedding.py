"""Rows of a table, picked by id."""

from minigrad.backend import namespace, scatter_add_rows
from minigrad.errors import type_error, value_error
from minigrad.tensor import Tensor, op


def check_ids(where, ids, below):
    """Raise unless `ids` are integers in 0..below-1."""
    if not hasattr(ids, "dtype") or ids.dtype.kind not in "iu":
        got = getattr(ids, "dtype", type(ids).__name__)
        raise type_error(where, "an integer array of ids", got, "keep ids as plain integer arrays")
    if ids.size and not (0 <= int(ids.min()) and int(ids.max()) < below):
        raise value_error(where, f"ids in 0..{below - 1}", f"{int(ids.min())}..{int(ids.max())}")


def take_rows_reference(weight, *, ids, padding_idx=None):
    """The definition, in Tensor arithmetic: what `take_rows` must equal."""
    picked = weight[ids]
    if padding_idx is None:
        return picked
    frozen = (ids == padding_idx)[..., None]
    return picked.masked_fill(frozen, 0.0) + picked.detach() * frozen


@op(reference=take_rows_reference)
def take_rows(weight, *, ids, padding_idx=None):
    """Row ids[...] of the table for each id; the row `padding_idx` is read but never learns.

        y_n = W[ids_n]

    Shapes    weight (V, C), ids (...) -> y (..., C)
    Saves     ids
    Backward  dW_v = sum of dy_n over all n with ids_n = v: a row read twice gets both gradients.
    Raises    TypeError if ids are not integers; ValueError if one is outside 0..V-1.
    """
    rows, width = weight.shape
    check_ids("embedding", ids, rows)

    def vjp(dy):
        dweight = scatter_add_rows(dy.reshape(-1, width), ids.reshape(-1), rows)
        if padding_idx is not None:
            dweight[padding_idx] = 0.0
        return (dweight,)

    return weight[ids], vjp


def embedding(ids, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Row ids[...] of `weight` for each id (PyTorch's argument order); see `take_rows`."""
    ids = ids if hasattr(ids, "dtype") else namespace(weight.array).asarray(ids)
    return take_rows(weight, ids=ids, padding_idx=padding_idx)
