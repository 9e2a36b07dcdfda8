"""torch.linalg: norms, and what LAPACK does with matrices, which may stand in batches (..., N, M).

inv, det, solve and cholesky have gradients; the others refuse what requires one.
"""

import math
from typing import Any

import numpy as np

from minigrad import functions
from minigrad.backend import is_array, to_numpy
from minigrad.errors import type_error, value_error
from minigrad.methods import check_dim, values_of
from minigrad.primitives.arithmetic import unbroadcast
from minigrad.tensor import Tensor, lift, wrap
from minigrad.torch_names.returned import returned

LinAlgError = np.linalg.LinAlgError
SVD, QR = returned("linalg_svd", "U", "S", "Vh"), returned("linalg_qr", "Q", "R")
Eigh = returned("linalg_eigh", "eigenvalues", "eigenvectors")
SlogDet = returned("linalg_slogdet", "sign", "logabsdet")
LstSq = returned("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


# --- norms ---


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim`, or over all; inf is the largest |x|, -inf the smallest, 0 counts.

    Its gradient where x is all zeros is 0, as PyTorch's: the root is taken of 1 there, and then multiplied by 0.
    """
    x = (x if dtype is None else x.astype(dtype)).abs()
    if x._data.dtype.kind != "f":
        raise value_error("norm", "floats", x._data.dtype, "write x.float()")
    if ord == math.inf:
        return x.amax(dim, keepdim)
    if ord == -math.inf:
        return x.amin(dim, keepdim)
    if ord == 0:
        return (x.masked_fill(np.True_, 0.0) + (x._data != 0)).sum(dim, keepdim)
    if ord == 1:
        return x.sum(dim, keepdim)
    total = (x * x if ord == 2 else x**ord).sum(dim, keepdim)
    zero = total._data == 0
    root = total.masked_fill(zero, 1.0)
    return (root.sqrt() if ord == 2 else root ** (1 / ord)).masked_fill(zero, 0.0)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of matrices: "fro", the root of the sum of squares; 1 or inf, the largest sum of a column or row
    (-1, -inf the smallest); "nuc", 2, -2, the sum, largest, smallest of the singular values, without a gradient.
    """
    rows, columns = (check_dim("matrix_norm", d, A.ndim) for d in dim)
    if ord == "fro":
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    A = A if dtype is None else A.astype(dtype)
    if A._data.dtype.kind != "f":
        raise type_error("matrix_norm", "floats", A._data.dtype, "write x.float()")
    if ord in ("nuc", 2, -2):
        values = svdvals(A.permute([*(d for d in range(A.ndim) if d not in (rows, columns)), rows, columns]))
        found = {"nuc": values.sum, 2: values.amax, -2: values.amin}[ord](-1)
        return (
            found.reshape([1 if d in (rows, columns) else n for d, n in enumerate(A.shape)])
            if keepdim
            else found
        )
    if abs(ord) not in (1, math.inf):
        raise value_error("matrix_norm", '"fro", "nuc", 1, -1, 2, -2, inf or -inf', repr(ord))
    summed, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = A.abs().sum(summed, True)
    found = (sums.amax if ord in (1, math.inf) else sums.amin)(other, True)
    return found if keepdim else found.squeeze((rows, columns))


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """A norm of vectors (one axis, or all elements without ord), or of matrices (two axes)."""
    axes = dim if isinstance(dim, (tuple, list)) else None if dim is None else (dim,)
    of_matrices = len(axes) == 2 if axes is not None else A.ndim == 2
    if of_matrices and ord is not None:
        return matrix_norm(A, ord, (-2, -1) if axes is None else axes, keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise value_error("linalg.norm", "two axes for a norm of matrices", f"dim {dim} of {A._data.shape}")
    return vector_norm(A, 2 if ord is None else ord, axes, keepdim, dtype=dtype)


# --- with a gradient ---


def _inv(x):
    """The inverse.

    Shapes    x (..., N, N) -> the same
    Backward  x y = 1, so dx y + x dy = 0 and dy = -y dx y: the gradient is -y^T dout y^T.
    """
    y = np.linalg.inv(x) if is_array(x) else inv(x)

    def vjp(dout):
        transposed = y.swapaxes(-1, -2)
        return (-(transposed @ dout @ transposed),)

    return y, vjp


def _det(x):
    """The determinant.

    Shapes    x (..., N, N) -> (...)
    Backward  Jacobi's formula: d(det x) = det x tr(x^-1 dx), so the gradient is dout det x (x^-1)^T. A matrix
              without an inverse has none here.
    """
    out = np.linalg.det(x) if is_array(x) else det(x)

    def vjp(dout):
        inverse = np.linalg.inv(x) if is_array(x) else inv(x)
        return ((dout * out).reshape((*out.shape, 1, 1)) * inverse.swapaxes(-1, -2),)

    return out, vjp


def _solve(a, b):
    """The x of a x = b.

    Shapes    a (..., N, N), b (..., N, M), which broadcast together -> (..., N, M)
    Backward  a dx = db - da x, so the gradient of b is g with a^T g = dout, and that of a is -g x^T; both
              summed over broadcast axes.
    """

    def solved(a, b):
        return np.linalg.solve(a, b) if is_array(a) else _lifted_solve(a, b)

    x = solved(a, b)

    def vjp(dout):
        g = solved(a.swapaxes(-1, -2), dout)
        return unbroadcast(-(g @ x.swapaxes(-1, -2)), a.shape), unbroadcast(g, b.shape)

    return x, vjp


def _cholesky(x):
    """The lower triangle L with L L^T = x, which is symmetric and positive.

    Shapes    x (..., N, N) -> the same
    Backward  dx = dL L^T + L dL^T; with P = L^-1 dL, which is a lower triangle, L^-1 dx L^-T = P + P^T. So P is
              the lower triangle of the left side, its diagonal halved, call that phi. Transposed: the gradient
              is L^-T phi(L^T dout) L^-1, of which the symmetric part counts.
    Source    S. P. Smith 1995, "Differentiation of the Cholesky algorithm"; I. Murray 2016
    """
    lower = np.linalg.cholesky(x) if is_array(x) else cholesky(x)

    def vjp(dout):
        n = x.shape[-1]
        phi = (lower.swapaxes(-1, -2) @ dout) * (np.tri(n, dtype=x.dtype) - np.eye(n, dtype=x.dtype) * 0.5)
        inverse = np.linalg.inv(lower) if is_array(lower) else inv(lower)
        s = inverse.swapaxes(-1, -2) @ phi @ inverse
        return ((s + s.swapaxes(-1, -2)) * 0.5,)

    return lower, vjp


_inv.__name__, _det.__name__, _solve.__name__, _cholesky.__name__ = "inv", "det", "solve", "cholesky"
_lifted_inv, _lifted_det = lift(_inv), lift(_det)
_lifted_solve, _lifted_cholesky = lift(_solve), lift(_cholesky)


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices."""
    return _lifted_inv(_square("inv", A))


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices."""
    return _lifted_det(_square("det", A))


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The X of A X = B (or, not `left`, of X A = B); B holds columns, or is one vector."""
    if not left:
        return solve(A.mT, B.mT).mT
    _square("solve", A)
    if B.ndim == 1 or B.shape == A.shape[:-1]:
        return _lifted_solve(A, B.unsqueeze(-1)).squeeze(-1)
    return _lifted_solve(A, B)


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangle L with L L^T = A (or its transpose), of symmetric positive matrices."""
    lower = _lifted_cholesky(_square("cholesky", A))
    return lower.mT if upper else lower


def _square(where: str, A: Tensor) -> Tensor:
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise value_error(where, "square matrices", f"shape {A._data.shape}")
    return A


# --- without ---


def _constant(where: str, A: Any) -> np.ndarray:
    """Return the array of what requires no gradient."""
    if getattr(A, "requires_grad", False):
        raise RuntimeError(
            f"{where}: expected a Tensor without a gradient, since it has none here; write x.detach()"
        )
    array = to_numpy(values_of(A))
    if array.dtype.kind != "f":
        raise type_error(where, "floats", array.dtype, "write x.float()")
    if array.ndim < 2:
        raise value_error(where, "matrices", f"shape {array.shape}")
    return array


def _tensors(kind: Any, arrays: Any) -> Any:
    return kind(*(wrap(np.asarray(x, order="C")) for x in arrays))


def svd(A: Tensor, full_matrices: bool = True) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh, the singular values S in descending order."""
    return _tensors(SVD, np.linalg.svd(_constant("svd", A), full_matrices))


def svdvals(A: Tensor) -> Tensor:
    """The singular values, in descending order."""
    return wrap(np.linalg.svd(_constant("svdvals", A), compute_uv=False))


def qr(A: Tensor, mode: Any = "reduced") -> Any:
    """(Q, R) with A = Q R, Q of orthogonal columns and R an upper triangle; "complete" makes Q square."""
    return _tensors(QR, np.linalg.qr(_constant("qr", A), mode))


def eigh(A: Tensor, UPLO: Any = "L") -> Any:
    """(eigenvalues in ascending order, eigenvectors as columns) of symmetric matrices."""
    return _tensors(Eigh, np.linalg.eigh(_constant("eigh", A), UPLO))


def eigvalsh(A: Tensor, UPLO: Any = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, in ascending order."""
    return wrap(np.linalg.eigvalsh(_constant("eigvalsh", A), UPLO))


def slogdet(A: Tensor) -> Any:
    """(sign, log |det A|), which overflows nowhere."""
    return SlogDet(*(wrap(np.asarray(x)) for x in np.linalg.slogdet(_constant("slogdet", A))))


def pinv(A: Tensor) -> Tensor:
    """The inverse of Moore and Penrose."""
    array = _constant("pinv", A)
    return wrap(np.linalg.pinv(array, rcond=max(array.shape[-2:]) * np.finfo(array.dtype).eps))


def matrix_rank(A: Tensor, *, tol: float | None = None) -> Tensor:
    """How many singular values are not 0, but for rounding."""
    return wrap(np.asarray(np.linalg.matrix_rank(_constant("matrix_rank", A), tol)))


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None) -> Any:
    """The X whose A X is nearest to B: (solution, residuals, rank, singular_values).

    As with PyTorch's own driver on a CPU, gelsy, there are no residuals and no singular values in it.
    """
    a, b = _constant("lstsq", A), _constant("lstsq", B)
    solution, _, rank, _ = np.linalg.lstsq(a, b, rcond)
    none = np.empty(0, a.dtype)
    return _tensors(LstSq, (solution, none, np.int64(rank), none))


# --- made of products ---


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A multiplied with itself, n times; of a negative n the inverse, -n times."""
    base = _square("matrix_power", A) if n >= 0 else inv(A)
    result = functions.broadcast_to(wrap(np.eye(A.shape[-1], dtype=A._data.dtype)), A._data.shape)
    bits = abs(n)
    while bits:
        result = result @ base if bits & 1 else result
        base, bits = base @ base, bits >> 1
    return result


def multi_dot(tensors: Any) -> Tensor:
    """The product of all, one after the other."""
    result = tensors[0]
    for each in tensors[1:]:
        result = result @ each
    return result
