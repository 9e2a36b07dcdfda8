"""Further rows of tests/test_torch_names.py: each argument left out, given by place and by name, at its limits."""

from tests.support.named_rows import rows

ARITHMETIC = rows("""
    div(x, n, rounding_mode="trunc") | x99 n99 | i
    div(x, n, rounding_mode="floor") | x99 n99 | i
    div(x, -3, rounding_mode="trunc") | x99 | fi
    le(e, 0.5) | e34 | fd
    lt(e, 0.5) | e34 | fd
    ge(e, 0.5) | e34 | fd
    gt(e, 0.5) | e34 | fd
    less_equal(e, x) | e34 x34 | i
    softmax(x, 0, dtype=torch.float64) | x23 | fi
    log_softmax(x, 0, dtype=torch.float64) | x23 | fi
    copysign(x, -torch.zeros(3)) | x23 | fi
    copysign(x, y) | x23 y3 | i
    isclose(x, y) | x23 y23 | b
    isclose(x, y, rtol=0.5, atol=1) | x99 y99 | fi
    isclose(x, x + 2, 0, 2) | x99 | i
    isclose(x * torch.nan, x * torch.nan, equal_nan=True) | x3
    allclose(x * torch.nan, x * torch.nan) | x3
    allclose(x * torch.nan, x * torch.nan, equal_nan=True) | x3
    allclose(x, x * 1.5, 0.4) | x3
    allclose(x, x + 0.5, 0, 0.6) | x3
    clamp(x, 0.5) | x23 | fdi
    clamp(x, max=-1) | x23 | fdi
    clamp(x.detach() * torch.nan, y.detach(), z.detach()) | x23 y23 z23
    clamp(x, min=y) | x23 y3 | fdi
    fmax(x * torch.nan, y) | x3 y3
    fmin(y, x * torch.nan) | x3 y3
    nan_to_num(torch.tensor([torch.nan, torch.inf, -torch.inf]), 1.0, 2.0) |
    nan_to_num(torch.tensor([torch.nan, torch.inf, -torch.inf]), neginf=-5.0) |
    rsub(x, y, alpha=2) | x23 y3 | fdi
    rsub(x, 3) | x23 | fdi
    add(x, y, alpha=1) | x23 y3 | fi
    add(x, y, alpha=1.0) | x23 y3 | f
    addcmul(x, y, z) | x23 y23 z3 | fdi
    addcmul(x, y, z, value=1.0) | x23 y23 z3
    addcdiv(x, y, p) | x23 y23 p23
    round(x, decimals=-1) | x23
    round(x * 100, decimals=1) | x23
    equal(x, y) | x23 y32
    bitwise_left_shift(i, j) | i4 j4
    bitwise_right_shift(j, i) | i4 j4
    div(torch.tensor(7), n, rounding_mode="trunc") | n99 | i
""")

REDUCING = rows("""
    cdist(x, y, p=0) | x23 y43
    norm(x.detach(), "nuc") | x23
    norm(x.detach(), "nuc", dim=(0, 2)) | x234
    norm(x.detach(), "nuc", (2, 1), True) | x234
    norm(x.detach(), "nuc", dtype=torch.float64) | x23
    norm(x, dtype=torch.float64) | x23
    norm(e, 0, dim=1) | e23
    cumprod(x.detach(), 1, dtype=torch.int32) | x23 | fi
    cumprod(x, 0, dtype=torch.float64) | x23 | fi
    median(e) | e34 | fdi
    median(e, 0) | e34 | fdi
    median(x) | x0
    median(x) | x | fdi
    median(x, 0, True) | x1
    mode(e, 1) | e45 | fdi
    mode(e) | e | fdi
    cummax(x, 0) | x | fdi
    cummin(x, -1) | x1 | fdi
    unique(e.detach(), return_inverse=True) | e34 | fdi
    unique(e.detach(), return_counts=True) | e34 | fdi
    unique(e.detach(), dim=0, return_inverse=True, return_counts=True) | e51 | fdi
    unique(e.detach(), True, True, True, 1) | e25 | fdi
    bincount(i, minlength=2) | i9
    bincount(i[:0]) | i9
    bincount(i[:0], minlength=3) | i9
    bincount(m.byte(), x.detach(), 4) | m9 x9
    histc(x) | x9
    histc(x * 0 + 2, 4) | x9
    histc(x[:0], 4) | x9
    histc(x, 4, 2, 2) | x9
    histc(x, 4, 0, 1) | x9
    histogram(x.detach(), 2) | x9
    histogram(x.detach() * 0 + 2, 3) | x9
    histogram(x[:0].detach(), 3) | x9
    histogram(x.detach(), 3, weight=y.detach()) | x9 y9
    histogram(x.detach(), torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=x.dtype)) | x9
    searchsorted(sort(e).values.detach(), e.detach()) | e7 | fdi
    searchsorted(sort(e).values.detach(), e.detach(), right=True) | e27 | fdi
    searchsorted(sort(e).values.detach(), e.detach(), side="right", out_int32=True) | e7 | fdi
    searchsorted(sort(e).values.detach(), 0.5) | e7 | fd
    searchsorted(sort(x).values.detach(), y) | x235 y234
    bucketize(e.detach(), sort(e).values.detach()[0]) | e27 | fdi
    bucketize(e.detach(), sort(e).values.detach()[0], right=True, out_int32=True) | e27 | fdi
""")

SORTING = rows("""
    kthvalue(x, 5) | x25
    kthvalue(e, 3, 0) | e52 | fdi
    kthvalue(x, 1) | x | fdi
    sort(e.reshape(-1), stable=True) | e99
    argsort(e.reshape(-1), stable=True) | e99
    argsort(e.reshape(-1)) | e99
    msort(e.reshape(-1)) | e99
    topk(x, 0) | x25
    topk(x, 5) | x25
    topk(x, 1) | x | fdi
    topk(x, 2, 0, False, False) | x52
    topk(e, 3, sorted=False) | e29 | fdi
    sort(x) | x | fdi
    sort(x, 1, True) | x25
    argsort(e, dim=0, descending=True, stable=True) | e34 | fdi
    argsort(x) | x
""")

SHAPES = rows("""
    cat([x, torch.tensor([])]) | x3 | di
    cat([torch.tensor([], dtype=torch.float64), x]) | x3 | fdi
    cat([x, torch.zeros(0, 3, dtype=x.dtype)]) | x23 | fdi
    cat([x, y]) | x2 y3 | fdi
    column_stack((x, y, z)) | x z y1
    column_stack((x, y)) | x213 y223
    hstack((x, y)) | x y3 | fdi
    hstack((x, y)) | x214 y234
    vstack((x, y)) | x y1
    vstack((x, y)) | x123 y423
    dstack((x, y)) | x3 y3
    dstack((x, y)) | x y1
    dstack((x, y)) | x231 y232
    chunk(x, 1) | x53
    chunk(x, 4) | x53
    chunk(x, 7) | x53
    chunk(x, 3) | x03
    chunk(x, 3, -2) | x423
    tensor_split(x, 1) | x53
    tensor_split(x, 5) | x3
    tensor_split(x, 4, -1) | x27
    tensor_split(x, torch.tensor([1, 3])) | x53
    tensor_split(x, torch.tensor(2)) | x53
    tensor_split(x, [2, 1, 9], 0) | x53
    tensor_split(x, ()) | x53
    movedim(x, -1, 0) | x234
    movedim(x, (2, 0), (0, 2)) | x234
    movedim(x, (), ()) | x234
    moveaxis(x, (1, 2), (0, 1)) | x234
    broadcast_tensors(x) | x31
    broadcast_tensors(x, y, z) | x31 y z2
    broadcast_to(x, (4, -1, 3)) | x23
    broadcast_shapes((3, 1), (2,), 1) |
    tile(x, (2, 3)) | x23
    tile(x, (0, 2)) | x23
    tile(x, (2, 2)) | x
    x.repeat(3) | x
    x.repeat(0, 2) | x23
    x.repeat((2, 1, 2)) | x23
    repeat_interleave(x, 2, output_size=12) | x23
    repeat_interleave(x, torch.tensor([2, 0, 1]), 1) | x23
    repeat_interleave(x, i, 0, output_size=i.sum().item()) | x23 i2
    repeat_interleave(x, 0) | x23
    repeat_interleave(x, 3) | x
    roll(x, (1, 2), (0, 0)) | x53
    roll(x, -1, ()) | x23
    roll(x, 7, -1) | x23
    roll(x, 3, 1) | x23
    roll(x, 1, 0) | x03
    roll(x, 1, 1) | x03
    roll(x, 1) | x
    flip(x, ()) | x23
    flip(x, (-1, 0)) | x234
    x.flip(0, 2) | x234
    flip(x, (0,)) | x0
    rot90(x, 0) | x23
    rot90(x, 4) | x23
    rot90(x, 2) | x23
    rot90(x, -1) | x23
    rot90(x, 5, (1, 0)) | x23
    rot90(x, -2, (-1, 0)) | x234
    rot90(x, 3, (2, 0)) | x234
    rot90(x, 1, (0, 2)) | x234
    x.unfold(0, 7, 1) | x7
    x.unfold(0, 1, 3) | x7
    x.unfold(-2, 2, 2) | x253
    narrow(x, 0, 2, 0) | x23
    narrow(x, 1, -2, 2) | x23
    narrow(x, 1, torch.tensor(0), 3) | x23
    narrow(x, -1, 2, 1) | x23
    select(x, -1, 0) | x234
    select(x, 0, torch.tensor(1)) | x23
    diagonal(x, -2) | x34
    diagonal(x.expand(3, 3)) | x3
    stack((x, y), axis=1) | x23 y23
    unflatten(x, 0, (2, 2)) | x423
    unflatten(x, -2, [2, -1]) | x243
    matrix_power(x.detach() * 0, 0) | x33
    diagonal(x, -3) | x34
    diagonal(x, -9) | x34
    diagonal(x, 3) | x34
    diagonal(x, 4) | x34
    diagonal(x, 9) | x34
    diagonal(x, 1, 1, 0) | x34
    diagonal(x, 2, 2, 0) | x234
    diagonal(x, dim1=1, dim2=2) | x234
    diag_embed(x, -2) | x23
    diag_embed(x, 1, 0, 2) | x23
    diag_embed(x, -1, 2, 0) | x23
    diag_embed(x, 0, 0) | x3
    diag_embed(x) | x0
    diag(x, -2) | x3
    diag(x, 0) | x0
    diag(x, 2) | x34
    diagflat(x, 1) | x22
    diagflat(x, offset=-1) | x22
    diagflat(x) | x
    trace(x) | x34
    trace(x) | x43
    trace(x) | x03
    combinations(x, 1) | x4
    combinations(x, 0) | x4
    combinations(x, 4) | x4
    combinations(x, 5) | x4
    combinations(x, 2, True) | x3
    combinations(x, 5, True) | x1
    cartesian_prod(x) | x3
    cartesian_prod(x, y, z) | x2 y1 z3
    meshgrid(x, indexing="ij") | x2
    meshgrid(x, indexing="xy") | x2
    meshgrid([x, y], indexing="ij") | x2 y3
    meshgrid(x, y, z, indexing="xy") | x2 y3 z4
    meshgrid(x, y, indexing="ij") | x y3
    tril_indices(3, 4, 1) |
    tril_indices(4, 3, -1) |
    tril_indices(2, 3, -5) |
    tril_indices(0, 3) |
    tril_indices(3, 0) |
    tril_indices(3, 3, dtype=torch.int32) |
    triu_indices(3, 4) |
    triu_indices(4, 3, -1) |
    triu_indices(3, 3, 5) |
    triu_indices(0, 0) |
    triu_indices(3, 3, dtype=torch.int32) |
""")

CHOOSING = rows("""
    index_put(x, (i, j), y) | x23 i3 j3 y3
    index_put(x, (i,), torch.tensor(2.0)) | x23 i4 | f
    index_put(x, (m,), y) | x23 m23 y | fdi
    index_put(x, (m,), y, accumulate=True) | x23 m23 y | fdi
    index_select(x, 0, torch.tensor([], dtype=torch.int64)) | x23
    index_select(x, 0, torch.tensor(1)) | x23
    index_select(x, 0, i.int()) | x23 i4
    index_select(x, 0, torch.tensor([0])) | x
    index_select(x, -1, i) | x234 i4
    take(x, torch.tensor(-1)) | x23
    take_along_dim(x, i, 0) | x23 i13
    take_along_dim(x, i, -1) | x213 i142
    take_along_dim(x, i, 1) | x243 i141
    masked_select(x, m) | x3 m23
    masked_select(x, m) | x m23
    nonzero(x) | x | fdib
    nonzero(x * 0) | x | fdib
    nonzero(x, as_tuple=True) | x | fdib
    nonzero(x, as_tuple=True) | x03
    argwhere(x) | x
    where(m, 1, 0) | m23
    where(m, 1, 2.5) | m23
    where(m, True, False) | m23
    torch.where(x) | x23 | fdib
    where(m, x, y) | m x23 y
    scatter(x, 1, j, value=7) | x23 j21 | fdi
    scatter(x, -1, j, y.detach()) | x23 j12 y23 | fdi
    scatter(x, 0, i, y, reduce="add").detach() | x23 i13 y13 | fi
    scatter(x, 0, torch.tensor(0), 2.0) | x | fd
    scatter(x, 0, torch.tensor([0]), y) | x y1
    scatter_add(x, 0, torch.tensor([0]), y) | x y1 | i
    scatter_add(x, 0, i, y.detach()) | x23 i13 y24
    index_add(x, -1, i, y, alpha=3) | x23 i4 y24 | fdi
    index_copy(x, -1, j, y) | x23 j2 y22 | fdi
    index_copy(x, 0, j, y) | x23 j1 y13
    index_fill(x, 0, i[:0], 7) | x23 i4
    index_fill(x, 0, i * 0, 7) | x i1 | fdi
    index_fill(x, -1, i, y) | x23 i4 y
""")

PRODUCTS = rows("""
    addmm(x, y, z, beta=2, alpha=3) | x24 y23 z34 | fdi
    addmm((x * torch.nan).detach(), y, z, beta=0) | x24 y23 z34
    addmm(x, y, z, beta=1.0, alpha=1.0) | x24 y23 z34
    addmm(x, y, z, beta=0, alpha=0.5) | x4 y23 z34
    addmm(x, y, z, beta=True, alpha=2) | x4 y23 z34
    addmv(x, y, z, beta=3, alpha=2) | x2 y23 z3 | fdi
    baddbmm(x, y, z, beta=0.5, alpha=2) | x4 y523 z534
    inner(x, y) | x23 y
    inner(x, y) | x y23
    inner(x, y) | x y
    inner(x, y) | x3 y3 | fdi
    inner(x, y) | x03 y43
    tensordot(x, y, 0) | x2 y3
    tensordot(x, y, dims=([0], [0])) | x23 y24
    tensordot(x, y, dims=([-1], [-2])) | x423 y35
    tensordot(x, y, 1) | x03 y34
    tensordot(x, y, 1) | x20 y04
    tensordot(x, y, 1) | x23 y30
    tensordot(x, y, 2) | x234 y34
    kron(x, y) | x222 y3
    kron(x, y) | x y23
    kron(x, y) | x23 y
    cross(x, y, dim=0) | x33 y33
    cross(x, y, dim=-2) | x432 y432
    cross(x, y, dim=1) | x13 y23
    einsum("iii->i", x) | x333
    einsum("iij->ij", x) | x223
    einsum("ijij->ij", x) | x2323
    einsum("ijji->", x) | x2332
    einsum("ijk,ikj->", x, y) | x223 y232
    einsum("bi,bi->b", x, y) | x13 y23
    einsum("bi,bi->bi", x, y) | x21 y23
    einsum("i,i->i", x, y) | x1 y1
    einsum("ij->ji", x) | x11
    einsum("ij,ij->ji", x, y) | x11 y11
    einsum("...i,...i->...", x, y) | x23 y523
    einsum("...i,...i->...", x, y) | x3 y523
    einsum("...,...", x, y) | x23 y3
    einsum("i...->...", x) | x234
    einsum("...i->i...", x) | x234
    einsum("...->...", x) | x23
    einsum("i...j->ij...", x) | x2345
    einsum("...ij,...jk", x, y) | x523 y34
    einsum("Ba,aB->B", x, y) | x23 y32
    einsum("Ba", x) | x23
    einsum(" i j , j k -> i k ", x, y) | x23 y34
    einsum("a,b,c->cab", x, y, z) | x2 y3 z4
    einsum("", x) | x
    einsum(",", x, y) | x y
    matrix_power(x, 0) | x33
    matrix_power(x, 1) | x33
    matrix_power(x, 6) | x233
    matrix_power(x, -1) | x233
    inverse(x) | x233
    cholesky(s) | s33
    cholesky(s, True) | s33
    cholesky(s, upper=True) | s233
    svd(x.detach()).U.abs() | x34
    svd(x.detach()).V.abs() | x34
    svd(x.detach(), some=False).V.abs() | x34
    svd(x.detach(), False).U.abs() | x43
    svd(x.detach(), compute_uv=False) | x234
    qr(x.detach()).R.abs() | x43
    qr(x.detach(), some=False).Q.abs()[:, :3] | x43
    qr(x.detach(), False).R.abs() | x43
    torch.linalg.vector_norm(x) | x23
    torch.linalg.vector_norm(e, 0) | e23
    torch.linalg.vector_norm(x, 1, 0) | x23
    torch.linalg.vector_norm(x, 0.5, 0, True) | x23
    torch.linalg.vector_norm(x, -torch.inf, 1) | x23
    torch.linalg.vector_norm(x, torch.inf, 1, True) | x23
    torch.linalg.vector_norm(x, dtype=torch.float64) | x23
    torch.linalg.vector_norm(x * 0, 3, 1) | x23
    torch.linalg.norm(x, 3) | x5
    torch.linalg.norm(x, 3, 0) | x23
    torch.linalg.norm(x, None, (0, 2), True) | x234
    torch.linalg.norm(x, 1, (0,)) | x23
    torch.linalg.norm(x, dtype=torch.float64) | x23
    torch.linalg.norm(x, 1, dtype=torch.float64) | x23
    torch.linalg.norm(x, "fro", (0, 2)) | x234
    torch.linalg.cholesky(s, upper=True) | s233
    torch.linalg.solve(x, y) | x233 y23
    torch.linalg.solve(x, y) | x233 y3
    torch.linalg.solve(x, y) | x233 y34
    torch.linalg.solve(x, y, left=False) | x33 y23
    torch.linalg.solve(x, y, left=False) | x233 y243
    torch.linalg.svd(x.detach()).U.abs() | x34
    torch.linalg.svd(x.detach()).Vh.abs() | x34
    torch.linalg.svd(x.detach(), full_matrices=False).Vh.abs() | x234
    torch.linalg.svd(x.detach(), False).U.abs() | x43
    torch.linalg.qr(x.detach()).Q.abs() | x43
    torch.linalg.qr(x.detach(), "complete").R.abs() | x43
    torch.linalg.qr(x.detach(), mode="complete").Q.shape | x43
    torch.linalg.eigvalsh(x.detach()) | x33
    torch.linalg.eigvalsh(x.detach(), "U") | x33
    torch.linalg.eigh(x.detach()).eigenvectors.abs() | x33
    torch.linalg.eigh(x.detach(), UPLO="U")[0] | x233
    torch.linalg.slogdet(x.detach()) | x233
    torch.linalg.matrix_rank(x.detach(), tol=1.5) | x34
    torch.linalg.matrix_rank((x @ y).detach()) | x41 y14
    torch.linalg.pinv((x @ y).detach()) | x41 y14
    torch.linalg.pinv(torch.stack([torch.diag(torch.tensor([1.0, 4e-7]))] * 9)) |
    torch.linalg.pinv(torch.stack([torch.diag(torch.tensor([1.0, 2e-7]))] * 9)) |
    torch.linalg.lstsq(x.detach(), y.detach()).residuals | x43 y42
    torch.linalg.lstsq(x.detach(), y.detach()).rank | x43 y42
    torch.linalg.lstsq(x.detach(), y.detach()).singular_values | x43 y42
    torch.linalg.multi_dot([x, y]) | x23 y34
    torch.linalg.matrix_power(x, -3) | x33
""")

MAKING = rows("""
    torch.LongTensor() |
    torch.DoubleTensor(0) |
    torch.IntTensor(3).shape |
    torch.BoolTensor(2, 3).shape |
    torch.FloatTensor([2]) |
    torch.CharTensor([[1, 2], [3, 4]]) |
    torch.ShortTensor((1, 2)) |
    torch.ByteTensor(3).dtype is torch.uint8 |
    x.stride() | x234
    x.stride(1) | x234
    x[1:, 2:].storage_offset() | x34 | fi
    x.mT.is_contiguous() | x34
    x.get_device() | x3
    x.is_signed() | x3 | fi
    torch.ones(2, dtype=torch.uint8).is_signed() |
    x.is_same_size(y) | x3 y4
    i.byte() | i3
    x.char() | x3 | fi
    x.type("torch.DoubleTensor") | x3 | fi
""")

NORMS = [
    f"torch.linalg.{name}(x.detach(), {order}, dim={dim}, keepdim={keepdim}) | x234"
    for name in ("matrix_norm", "norm")
    for order in ('"fro"', '"nuc"', "1", "-1", "2", "-2", "torch.inf", "-torch.inf")
    for dim in ("(-2, -1)", "(2, 0)")
    for keepdim in (True, False)
] + rows("""
    torch.linalg.matrix_norm(x, 1) | x23
    torch.linalg.matrix_norm(x, -torch.inf) | x23
    torch.linalg.matrix_norm(x, dtype=torch.float64) | x23
    torch.linalg.matrix_norm(x, 1, dtype=torch.float64) | x23
    torch.linalg.matrix_norm(x.detach(), "nuc", dtype=torch.float64) | x23
""")

QUANTILES = [
    f'quantile(x, {q}, {dim}, {keepdim}, interpolation="{way}") | x35'
    for way in ("linear", "lower", "higher", "nearest", "midpoint")
    for q in ("0.3", "0.5", "torch.tensor([0.0, 0.25, 1.0], dtype=x.dtype)")
    for dim, keepdim in ((None, False), (None, True), (1, False), (-2, True))
]

FURTHER = ARITHMETIC + REDUCING + SORTING + SHAPES + CHOOSING + PRODUCTS + MAKING + NORMS + QUANTILES

BEYOND = rows("""
    bmm(x, y) | x523 y134
    bmm(x, y) | x23 y34
    mv(x, y) | x23 y31
    mv(x, y) | x3 y3
    dot(x, y) | x13 y3
    outer(x, y) | x3 y13
    addmm(x, y, z) | x33 y23 z34
    addmm(x, y, z, beta=0) | x33 y23 z34
    tensordot(x, y, 1) | x23 y43
    tensordot(x, y, ([0], [0, 1])) | x23 y23
    tensordot(x, y, ([0], [2])) | x23 y23
    cross(x, y, dim=0) | x23 y23
    cross(x, y, dim=1) | x23 y24
    cross(x, y, dim=1) | x24 y23
    cross(x, y, dim=0) | x33 y3
    einsum("i,j", x) | x2
    einsum("i1", x) | x23
    einsum("ij->ii", x) | x23
    einsum("ij", x) | x234
    einsum("ij", x) | x2
    einsum("ijk...", x) | x23
    einsum("ii", x) | x23
    einsum("ij,jk", x, y) | x23 y43
    cartesian_prod(x, y) | x2 y23
    combinations(x) | x23
    combinations(x, -1) | x3
    meshgrid(indexing="ij") |
    tril_indices(-1, 3) |
    tril_indices(3, -1) |
    triu_indices(-1, 0) |
    torch.linalg.svdvals(x) | x33 | i
    torch.linalg.svdvals(x.detach()) | x3
    torch.linalg.eigh(x.detach()) | x3
    torch.linalg.det(x) | x223
    torch.linalg.inv(x) | x3
    torch.linalg.solve(x, y) | x23 y2
    torch.linalg.matrix_power(x, 2) | x23
    torch.linalg.matrix_power(x, -1) | x23
    torch.linalg.norm(x, "fro", dim=1) | x23
    torch.linalg.norm(x, "nuc") | x3
    torch.linalg.norm(x, dim=2) | x23
    torch.linalg.matrix_norm(x, 3) | x23
    torch.linalg.matrix_norm(x) | x3
    torch.linalg.matrix_norm(x, 1) | x23 | i
    torch.linalg.vector_norm(x) | x23 | i
    norm(x, "bogus") | x23
    cdist(x, y) | x3 y23
    cdist(x, y) | x23 y3
    cdist(x, y, p=-1) | x23 y23
    stack(()) |
    tensor_split(x, 0) | x23
    tensor_split(x, -1) | x23
    tensor_split(x, torch.tensor([1], dtype=torch.int32)) | x23
    tensor_split(x, 2, 2) | x23
    narrow(x, 0, 0, -1) | x23
    narrow(x, 0, 3, 0) | x23
    narrow(x, 0, -3, 1) | x23
    narrow(x, 1, 2, 2) | x23
    x.unfold(0, 3, 1) | x23
    x.unfold(0, 1, 0) | x23
    unflatten(x, 0, (1,)) | x
    unflatten(x, 1, (-1, -1)) | x24
    unflatten(x, 1, (2, -2)) | x24
    movedim(x, (0, 1), (0,)) | x23
    movedim(x, (0, 0), (0, 1)) | x23
    movedim(x, (0, 1), (1, 1)) | x23
    repeat_interleave(x, torch.tensor([1, 2])) | x23
    repeat_interleave(x, torch.tensor([1, 2]), 0, output_size=2) | x23
    repeat_interleave(x, 2, 2) | x23
    x.repeat(2, -1) | x23
    roll(x, (1, 2), 0) | x23
    roll(x, 1, (0, 1)) | x23
    flip(x, (0, 0)) | x23
    flip(x, (0, -2)) | x23
    flipud(x) | x
    fliplr(x) | x3
    rot90(x) | x3
    rot90(x, 1, (0, 0)) | x23
    rot90(x, 1, (0, -2)) | x23
    rot90(x, 1, (0, 2)) | x23
    diagonal(x, 0, 1, -1) | x23
    diagonal(x) | x3
    diag(x) | x
    trace(x) | x233
    index_select(x, 0, y) | x23 y2
    index_select(x, 0, i) | x23 i22
    index_select(x, 0, torch.tensor(2)) | x23
    index_select(x, 0, torch.tensor([-1])) | x23
    index_select(x, 0, torch.tensor([1])) | x
    scatter(x, 1, i, 1.0, reduce="bogus") | x23 i22
    scatter(x, 1, j, torch.ones(2, 1, dtype=torch.int32)) | x23 j21
    scatter(x, 1, y, 1.0) | x23 y22
    scatter(x, 0, j, 1.0) | x23 j3
    scatter_add(x, 1, i, y) | x23 i3 y3
    scatter_add(x, 1, y, y) | x23 y22
    index_add(x, 0, i, y) | x23 i4 y33
    index_add(x, 0, i, y) | x23 i4 y4
    index_copy(x, 0, i, y) | x23 i2 y3
    index_fill(x, 0, torch.tensor([2]), 1) | x23
    index_fill(x, 0, torch.tensor([1]), 1) | x
    bincount(i) | i22
    bincount(x) | x3
    bincount(-i - 1) | i3
    histc(x) | x9 | i
    histc(x, 4, 2, 1) | x9
    histc(x + torch.inf, 4) | x9
    histogram(x) | x9 | i
    searchsorted(x, y) | x23 y33
    searchsorted(x, y) | x235 y255
    searchsorted(x, y, side="bogus") | x3 y3
    bucketize(x, y) | x3 y23
    topk(x, -1) | x23
    kthvalue(x, 0) | x23
    quantile(x, -0.1) | x23
    quantile(x, torch.tensor([[0.5]], dtype=x.dtype)) | x23
    quantile(x, 0.5) | x0
    quantile(x, 0.5) | x3 | i
    quantile(x, 0.5, interpolation="bogus") | x23
    lerp(x, y, 0.5) | x3 y3 | i
    addcdiv(x, y, z) | x3 y3 z3 | i
    isclose(x, x.double()) | x3 | f
    div(x, n, rounding_mode="up") | x3 n3
    floor_divide(x, 0) | x3 | i
    floor_divide(x, n - n) | x3 n3 | i
    remainder(x, 0) | x3 | i
    fmod(x, 0) | x3 | i
    round(x, decimals=1) | x3 | i
    logspace(0, 1, -1) |
    x.new_zeros(-1) | x3
    broadcast_to(x, (3, 2)) | x23
""")
