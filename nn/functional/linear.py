"""The linear map, y = x W^T + b."""

from minigrad.backend import namespace, sum_columns, times_rows
from minigrad.errors import value_error
from minigrad.tensor import op


def linear_reference(x, weight, bias=None):
    """The definition, in Tensor arithmetic: what `linear` must equal."""
    y = x @ weight.mT
    return y if bias is None else y + bias


@op(reference=linear_reference)
def linear(x, weight, bias=None):
    """Map the last axis of x from I to O features.

        y = x W^T + b

    All leading axes are rows of one matrix product.

    Shapes    x (..., I), weight (O, I), bias (O,) or None -> y (..., O)
    Saves     rows (x as a matrix), weight
    Backward  y_no = sum_i x_ni W_oi + b_o is linear in each argument:
                  dx_ni = sum_o dy_no W_oi      dx = dy W
                  dW_oi = sum_n dy_no x_ni      dW = dy^T x
                  db_o  = sum_n dy_no
    Raises    ValueError if the shapes do not fit.
    """
    features_out, features_in = weight.shape if weight.ndim == 2 else (None, None)
    if x.ndim == 0 or x.shape[-1] != features_in:
        expected = f"x (..., {features_in}) for weight {weight.shape}"
        raise value_error("linear", expected, f"x {x.shape}", "is in_features right?")
    if bias is not None and bias.shape != (features_out,):
        raise value_error("linear", f"bias ({features_out},) for weight {weight.shape}", f"bias {bias.shape}")
    xp, biased, shape = namespace(x), bias is not None, x.shape
    rows = x.reshape(-1, features_in)  # (N, I)
    y = times_rows(rows, weight)
    if biased:
        y += bias

    def vjp(dy):
        d = dy.reshape(-1, features_out)
        dx = xp.empty(shape, dy.dtype)
        xp.matmul(d, weight, out=dx.reshape(rows.shape))
        return dx, d.T @ rows, sum_columns(d) if biased else None

    return y.reshape(*shape[:-1], features_out), vjp
