"""Sums of products under their many names, and what LAPACK does, under the names that torch has for it."""

import itertools
import string
from typing import Any

import numpy as np

from minigrad import functions
from minigrad.creation import as_tensor
from minigrad.errors import type_error, value_error
from minigrad.methods import check_dim
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names import linalg
from minigrad.torch_names.returned import returned
from minigrad.torch_names.shapes import diagonal

SVD, QR = returned("svd", "U", "S", "V"), returned("qr", "Q", "R")


def _axes(where: str, *wanted: tuple[Any, int]) -> None:
    """Raise unless each is a Tensor, or an array, of so many axes."""
    if not all(hasattr(x, "ndim") for x, _ in wanted):
        raise type_error(where, "Tensors", repr([x for x, _ in wanted]))
    if any(x.ndim != n for x, n in wanted):
        expected, got = zip(*((f"{n}", f"{tuple(x.shape)}") for x, n in wanted))
        raise value_error(where, f"Tensors of {' and '.join(expected)} axes", " and ".join(got))


# --- two operands ---


def matmul(input: Tensor, other: Any) -> Tensor:
    """The product of matrices, vectors, or batches of them."""
    return functions.matmul(input, other)


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _axes("mm", (input, 2), (mat2, 2))
    return input @ mat2


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices."""
    _axes("bmm", (input, 3), (mat2, 3))
    if len(input) != len(mat2):
        raise value_error("bmm", "batches of one length", (len(input), len(mat2)))
    return input @ mat2


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _axes("mv", (input, 2), (vec, 1))
    return input @ vec


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors."""
    _axes("dot", (input, 1), (tensor, 1))
    return input @ tensor


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of the products of two vectors."""
    return dot(input, other)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last axis of both; with a single number its multiple."""
    return input * other if not (input.ndim and other.ndim) else tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector and each of another."""
    _axes("outer", (input, 1), (vec2, 1))
    return input.unsqueeze(1) * vec2


ger = outer


def _sum(input: Any, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    product = product if isinstance(alpha, int) and alpha == 1 else product * alpha
    input = input.expand(product.shape)
    if beta == 0:
        return product
    return (input if isinstance(beta, int) and beta == 1 else input * beta) + product


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    return _sum(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat @ vec."""
    return _sum(input, mv(mat, vec), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * batch1 @ batch2."""
    return _sum(input, bmm(batch1, batch2), beta, alpha)


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over the last `dims` axes of a and the first of b, or over the listed axes of both."""
    if isinstance(dims, int):
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    mine, others = ([check_dim("tensordot", d, x.ndim) for d in each] for x, each in zip((a, b), dims))
    if len(mine) != len(others) or any(a.shape[i] != b.shape[j] for i, j in zip(mine, others)):
        raise value_error("tensordot", "axes of equal lengths", f"{tuple(a.shape)}, {tuple(b.shape)}, {dims}")
    rows = [d for d in range(a.ndim) if d not in mine]
    columns = [d for d in range(b.ndim) if d not in others]
    n = int(np.prod([a.shape[d] for d in mine]))
    left = a.permute([*rows, *mine]).reshape(-1 if a.numel() else int(np.prod([a.shape[d] for d in rows])), n)
    right = b.permute([*others, *columns]).reshape(n, int(np.prod([b.shape[d] for d in columns])))
    return (left @ right).reshape([a.shape[d] for d in rows] + [b.shape[d] for d in columns])


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Each element of input times the whole of other, as blocks."""
    n = max(input.ndim, other.ndim)
    a, b = (x.reshape((1,) * (n - x.ndim) + tuple(x.shape)) for x in (input, other))
    product = a.reshape([k for m in a.shape for k in (m, 1)]) * b.reshape(
        [k for m in b.shape for k in (1, m)]
    )
    return product.reshape([i * j for i, j in zip(a.shape, b.shape)])


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector products along an axis of length 3: the last, or without `dim` the first that is."""
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), -1)
    if input.ndim != other.ndim:
        raise value_error("cross", "as many axes of both", f"{tuple(input.shape)}, {tuple(other.shape)}")
    dim = check_dim("cross", dim, input.ndim)
    if input.shape[dim] != 3 or other.shape[dim] != 3:
        raise value_error(
            "cross", f"an axis {dim} of length 3", f"{tuple(input.shape)}, {tuple(other.shape)}"
        )
    a, b = ([x[(*(slice(None),) * dim, i)] for i in range(3)] for x in (input, other))
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return functions.stack(parts, dim)


# --- einsum ---


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products by labels: einsum("bij,bjk->bik", x, y), with "..." for the axes that are not named.

    Without "->" the labels that occur once remain, in their order.
    """
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    tensors = [as_tensor(x) for x in operands]
    left, arrow, output = equation.replace(" ", "").partition("->")
    labels = left.split(",")
    if len(labels) != len(tensors) or set(left + output) - set(string.ascii_letters + ",."):
        raise value_error("einsum", f'"ij,jk->ik" with labels for {len(tensors)} operands', repr(equation))
    labels, named = _without_dots(equation, labels, tensors)
    if arrow:
        output = output.replace("...", named)
    else:
        once = sorted(c for c in set(left) & set(string.ascii_letters) if left.count(c) == 1)
        output = named + "".join(once)
    if not set(output) <= set("".join(labels)) or len(set(output)) < len(output):
        raise value_error("einsum", "each label of the result once, and among those before", repr(equation))
    sizes = {c: n for each, x in zip(labels, tensors) for c, n in zip(each, x.shape) if n != 1}
    pairs = [_plain(*pair, sizes) for pair in zip(labels, tensors)]
    missing = set(output) - set("".join(each for each, _ in pairs))  # of length 1 everywhere
    lead = "".join(missing)
    if missing:
        pairs[0] = (lead + pairs[0][0], pairs[0][1].reshape((1,) * len(lead) + tuple(pairs[0][1].shape)))
    return functions.einsum(",".join(each for each, _ in pairs) + "->" + output, *(x for _, x in pairs))


def _without_dots(equation: str, labels: list[str], tensors: list[Tensor]) -> tuple[list[str], str]:
    """Return the labels of each operand with letters for "...", and these letters."""
    free = [c for c in string.ascii_letters if c not in equation]
    counts = [x.ndim - len(each.replace("...", "")) for each, x in zip(labels, tensors)]
    if any(n < 0 or (n and "..." not in each) for n, each in zip(counts, labels)):
        got = " and ".join(str(tuple(x.shape)) for x in tensors)
        raise value_error("einsum", f"operands with the axes of {equation!r}", got)
    longest = max(counts)
    letters = "".join(free[:longest])
    return [each.replace("...", letters[longest - n :]) for each, n in zip(labels, counts)], letters


def _plain(labels: str, x: Tensor, sizes: dict[str, int]) -> tuple[str, Tensor]:
    """Return an operand and its labels with each label once, and without axes of length 1 that are broadcast."""
    for label in sorted(set(labels)):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise value_error("einsum", f"equal lengths for {label!r}", (x.shape[i], x.shape[j]))
            x = diagonal(x, 0, i, j)
            labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + label
    drop = tuple(i for i, c in enumerate(labels) if x.shape[i] == 1 and c in sizes)
    return "".join(c for i, c in enumerate(labels) if i not in drop), x.squeeze(drop) if drop else x


# --- of several vectors ---


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every choice of one element of each vector, a row for each."""
    for x in tensors:
        _axes("cartesian_prod", (x, 1))
    if len(tensors) == 1:
        return tensors[0]
    grids = np.meshgrid(*(np.arange(len(x)) for x in tensors), indexing="ij")
    return functions.stack([x[grid.reshape(-1)] for x, grid in zip(tensors, grids)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of r elements of a vector, a row for each."""
    _axes("combinations", (input, 1))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    if r < 0:
        raise value_error("combinations", "r of 0 or more", r)
    if not r:  # the one choice of none is left out, as in PyTorch
        return input[:0]
    places = np.array(list(choose(range(len(input)), r)), np.int64).reshape(-1, r)
    return input[places]


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Each vector along an axis of its own, repeated along those of the others; "xy" exchanges the first two."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if not tensors or not all(hasattr(x, "dtype") for x in tensors):
        raise type_error("meshgrid", "Tensors", repr(tensors))
    if indexing not in ("ij", "xy", None):
        raise value_error("meshgrid", 'indexing "ij" or "xy"', repr(indexing))
    each = [as_tensor(x).reshape(-1) for x in tensors]
    if indexing == "xy" and len(each) > 1:
        second, first, *rest = meshgrid(each[1], each[0], *each[2:])
        return first, second, *rest
    shape = [len(x) for x in each]
    places = [[-1 if i == j else 1 for j in range(len(each))] for i in range(len(each))]
    return tuple(x.reshape(place).expand(shape) for x, place in zip(each, places))


# --- LAPACK ---


def inverse(input: Tensor) -> Tensor:
    """The inverse of square matrices."""
    return linalg.inv(input)


def det(input: Tensor) -> Tensor:
    """The determinant of square matrices."""
    return linalg.det(input)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """Multiplied with itself, n times."""
    return linalg.matrix_power(input, n)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The lower triangle L with L L^T = input."""
    return linalg.cholesky(input, upper=upper)


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with input = U diag(S) V^T."""
    u, s, vh = linalg.svd(input, not some)
    if not compute_uv:
        n, m = input.shape[-2:]
        batch = tuple(input.shape[:-2])
        u, vh = (wrap(np.zeros((*batch, k, k), input._data.dtype)) for k in (n, m))
    return SVD(u, s, vh.mT)


def qr(input: Tensor, some: bool = True) -> Any:
    """(Q, R) with input = Q R."""
    return QR(*linalg.qr(input, "reduced" if some else "complete"))


# --- triangles ---


def _triangle(where: str, indices: Any, row: int, col: int, offset: int, dtype: Any) -> Tensor:
    if row < 0 or col < 0:
        raise value_error(where, "row and col of 0 or more", (row, col))
    return wrap(np.stack(indices(row, offset, col)).astype(np.dtype(np.int64 if dtype is None else dtype)))


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64, device: Any = None) -> Tensor:
    """The places of the lower triangle of a (row, col) matrix, row by row: a line of rows and one of columns."""
    return _triangle("tril_indices", np.tril_indices, row, col, offset, dtype)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64, device: Any = None) -> Tensor:
    """The places of the upper triangle of a (row, col) matrix."""
    return _triangle("triu_indices", np.triu_indices, row, col, offset, dtype)
