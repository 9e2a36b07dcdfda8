"""The rows of tests/test_torch_names.py; see named.py for how they are read."""


def rows(text):
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


ARITHMETIC = rows("""
    add(x, y) | x23 y3 | fdib
    add(x, y, alpha=2) | x23 y3 | fdi
    add(x, 2.5) | x23 | fdib
    add(2, x) | x23 | fdi
    torch.add(0.1, x) | x3
    sub(x, y) | x23 y21 | fdi
    sub(x, 1, alpha=3) | x23 | fdi
    mul(x, y) | x23 y3 | fdib
    mul(x, 3) | x23 | fdib
    div(x, n) | x23 n3 | fdi
    div(x, 2) | x23 | fdi
    div(x, n, rounding_mode="floor") | x23 n23 | fdi
    div(x, n, rounding_mode="trunc") | x23 n23 | fdi
    true_divide(x, n) | x23 n3 | fdi
    floor_divide(x, 2) | x23 | i
    floor_divide(x, n).detach() | x23 n23 | fdi
    (x // n).detach() | x23 n23 | fdi
    (7 // n).detach() | n23 | fdi
    x % n | x23 n23 | fdi
    x % 2 | x23 | fdi
    (7 % n).detach() | n23 | fdi
    remainder(x, n) | x23 n3 | fdi
    remainder(x, 2) | x23 | fdi
    fmod(x, n) | x23 n3 | fdi
    fmod(x, 2) | x23 | fdi
    neg(x) | x23 | fdi
    negative(x) | x23 | fdi
    pow(p, 3) | p23
    pow(p, y) | p23 y3
    torch.pow(2, x) | x23
    pow(x, 2) | x23 | fdi
    square(x) | x23 | fdi
    rsqrt(p) | p23
    reciprocal(p) | p23
    reciprocal(n) | n23 | i
    exp2(x) | x23 | fdi
    expm1(x) | x23 | fdi
    log1p(p) | p23 | fdi
    log2(p) | p23
    log10(p) | p23
    exp(x) | x23 | fdi
    floor(x) | x23 | fdi
    ceil(x) | x23 | fdi
    round(x) | x23 | fdi
    round(e) | e44
    round(x, decimals=2) | x23
    trunc(x) | x23 | fdi
    frac(x) | x23
    sign(x) | x23 | fdi
    abs(x) | x23 | fdi
    clamp(x, -0.5, 0.5) | x23
    clamp(x, -1, 1) | x23 | fdi
    clamp(x, min=0) | x23 | fdi
    clamp(x, max=0.5) | x23 | fdi
    clamp(x, y, z) | x23 y3 z23
    clamp_min(x, 0) | x23 | fdi
    clamp_max(x, 0) | x23 | fdi
    clip(x, -1, 1) | x23 | fd
    tan(x) | x23 | fdi
    asin(u) | u23
    acos(u) | u23
    atan(x) | x23 | fdi
    atan2(x, y) | x23 y3
    sinh(x) | x23 | fdi
    cosh(x) | x23 | fdi
    tanh(x) | x23 | fdi
    sigmoid(x) | x23 | fdi
    relu(x) | x23 | fdi
    erf(x) | x23
    lerp(x, y, 0.3) | x23 y23
    lerp(x, y, u) | x23 y23 u23
    addcmul(x, y, z, value=0.5) | x23 y23 z3
    addcdiv(x, y, p, value=0.5) | x23 y23 p23
    softmax(x, dim=0) | x23
    softmax(x, -1) | x23
    log_softmax(x, dim=1) | x23
    maximum(x, y) | x23 y3 | fdi
    minimum(x, y) | x23 y3 | fdi
    fmax(x, y) | x23 y3
    fmin(x, y) | x23 y3
    copysign(x, y) | x23 y3
    isnan(x) | x23 | fdi
    isinf(x) | x23 | fdi
    isfinite(x) | x23 | fdi
    nan_to_num(x) | x23 | fdi
    nan_to_num(torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0]), nan=1.0, posinf=2.0, neginf=3.0) |
    nan_to_num(torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0])) |
    eq(x, y) | x23 y3 | fdib
    ne(x, 1) | x23 | fdib
    lt(x, y) | x23 y3 | fdib
    le(x, 0.5) | x23 | fdi
    gt(x, y) | x23 y3 | fdib
    ge(x, 0) | x23 | fdib
    logical_and(x, y) | x23 y3 | fdib
    logical_or(x, y) | x23 y3 | fdib
    logical_xor(x, y) | x23 y3 | fdib
    logical_not(x) | x23 | fdib
    bitwise_and(x, y) | x23 y3 | ib
    bitwise_or(x, y) | x23 y3 | ib
    bitwise_xor(x, y) | x23 y3 | ib
    bitwise_not(x) | x23 | ib
    equal(x, x.clone()) | x23 | fdib
    equal(x, y) | x23 y3 | fdib
    allclose(x, x + 1e-9) | x23
    allclose(x, y) | x23 y23 | fdi
    isclose(x, y, rtol=0.5) | x23 y23 | fdi
""")

REDUCING = rows("""
    sum(x) | x23 | fdib
    sum(x, 1) | x23 | fdib
    sum(x, dim=(0, 2), keepdim=True) | x234 | fdi
    mean(x, 0) | x23
    mean(x, dim=1, keepdim=True) | x23
    prod(x) | x23 | fdi
    prod(x, 1) | x23 | fdi
    max(x) | x23 | fdi
    max(x, 1) | x23 | fdi
    max(x, dim=0, keepdim=True) | x23 | fdi
    max(x, y) | x23 y3 | fdi
    min(x, 1) | x23 | fdi
    amax(x, 1) | x23 | fdi
    amin(x, (0, 1)) | x23 | fdi
    argmax(x) | x23 | fdi
    argmax(x, dim=1, keepdim=True) | x23 | fdi
    argmin(x, 0) | x23 | fdi
    var(x) | x23
    var(x, 1, unbiased=False) | x23
    std(x, dim=0) | x23
    var_mean(x, 1) | x23
    std_mean(x) | x23
    std_mean(x, dim=1, keepdim=True) | x23
    median(x) | x23 | fdi
    median(x, 1) | x24
    median(x, dim=0, keepdim=True) | x23
    mode(e) | e45 | fdi
    mode(e, 0, keepdim=True) | e45 | fdi
    quantile(x, 0.3) | x23
    quantile(x, 0.5, dim=1) | x24
    quantile(x, 0.25, dim=1, keepdim=True, interpolation="nearest") | x24
    quantile(x, torch.tensor([0.1, 0.9], dtype=x.dtype), dim=0) | x43
    cumsum(x, 1) | x23 | fdi
    cumprod(x, 1) | x23 | fdi
    cumprod(e, 0) | e43
    cummax(e, 1) | e25 | fdi
    cummin(e, dim=0) | e52 | fdi
    logsumexp(x, 1) | x23
    logsumexp(x, dim=(0, 1), keepdim=True) | x23
    norm(x) | x23
    norm(x, dim=1) | x23
    norm(x, p=1, dim=0, keepdim=True) | x23
    norm(x, 3) | x23
    norm(x, torch.inf) | x23
    norm(x * 0, dim=1) | x23
    dist(x, y) | x23 y23
    any(x) | x23 | fdib
    any(x, 1) | x23 | fdib
    all(x) | x23 | fdib
    all(x, dim=0, keepdim=True) | x23 | fdib
    count_nonzero(x) | x23 | fdib
    count_nonzero(x, dim=1) | x23 | fdib
    unique(e.detach()) | e34 | fdi
    unique(e.detach(), return_inverse=True, return_counts=True) | e34 | fdi
    unique(e.detach(), dim=0) | e51 | fdi
    bincount(i) | i9
    bincount(i, minlength=5) | i9
    bincount(i, weights=x.detach()) | i9 x9
    histc(x, bins=4, min=-1, max=1) | x9
    histc(x, 3) | x9
    histogram(x.detach(), 4) | x9
    histogram(x.detach(), bins=3, range=(-1, 1), density=True) | x9
    searchsorted(sort(x).values.detach(), y) | x7 y23 | fdi
    searchsorted(sort(x).values.detach(), y, right=True) | x27 y23 | fdi
    bucketize(y, sort(x).values.detach()) | x7 y23 | fdi
    cdist(x, y) | x23 y43
    cdist(x, y, p=1) | x523 y543
""")

SORTING = rows("""
    topk(x, 2) | x25
    topk(e, 3) | e29 | fdi
    topk(e, k=2, dim=0, largest=False) | e52 | fdi
    topk(x, 2, sorted=True).values | x5
    sort(x) | x25
    sort(e) | e34 | fdi
    sort(e, dim=0, descending=True) | e43 | fdi
    sort(e, descending=True, stable=True) | e34 | fdi
    argsort(e) | e34 | fdi
    argsort(e, dim=0, descending=True) | e34 | fdi
    msort(x) | x43
    kthvalue(x, 2) | x25
    kthvalue(x, 1, dim=0, keepdim=True) | x25
""")

SHAPES = rows("""
    cat((x, y)) | x23 y13 | fdib
    cat([x, y], dim=1) | x23 y21 | fdi
    cat([x, y], -1) | x23 y21 | fdi
    cat([x, torch.tensor([])]) | x3
    concat((x, y), dim=0) | x23 y13 | fdi
    concatenate((x, y), axis=0) | x23 y13 | fdi
    stack((x, y)) | x23 y23 | fdib
    stack([x, y], dim=-1) | x23 y23 | fdi
    hstack((x, y)) | x23 y21 | fdi
    hstack((x, y)) | x2 y3 | fdi
    vstack((x, y)) | x23 y3 | fdi
    dstack((x, y)) | x23 y23 | fdi
    column_stack((x, y)) | x2 y23 | fdi
    chunk(x, 2) | x53 | fdi
    chunk(x, 3, dim=1) | x25 | fdi
    split(x, 2) | x53 | fdi
    split(x, [1, 4], dim=1) | x25 | fdi
    split(x[:0], 2) | x23
    split(x[:0], []) | x23
    split(x[:0], [0, 0]) | x23
    split(x, 3) | x3
    split(x, 1) | x3
    tensor_split(x, 3) | x53 | fdi
    tensor_split(x, (1, 3), dim=1) | x25 | fdi
    unbind(x) | x23 | fdi
    unbind(x, dim=1) | x23 | fdi
    squeeze(x) | x131 | fdi
    squeeze(x, 0) | x131 | fdi
    unsqueeze(x, -1) | x23 | fdi
    reshape(x, (3, 2)) | x23 | fdi
    x.view(-1) | x23 | fdi
    x.view_as(y) | x23 y32
    x.reshape_as(y) | x23 y32
    x.expand_as(y) | x3 y23
    flatten(x) | x234 | fdi
    flatten(x, start_dim=1) | x234 | fdi
    unflatten(x, 1, (2, 2)) | x24 | fdi
    ravel(x) | x23
    t(x) | x23 | fdi
    t(x) | x3
    x.H | x23
    transpose(x, 0, 1) | x23 | fdi
    permute(x, (2, 0, 1)) | x234 | fdi
    movedim(x, 0, -1) | x234 | fdi
    movedim(x, (0, 1), (2, 0)) | x234 | fdi
    swapaxes(x, 0, 2) | x234
    swapdims(x, 0, 2) | x234
    x.expand(2, -1) | x3 | fdi
    broadcast_to(x, (2, 3)) | x3 | fdi
    broadcast_tensors(x, y) | x31 y2
    x.repeat(2) | x3 | fdi
    x.repeat(2, 3) | x3 | fdi
    x.repeat(2, 1, 2) | x23 | fdi
    x.repeat(1, 1) | x23
    tile(x, (2,)) | x23 | fdi
    tile(x, (2, 1, 2)) | x23
    repeat_interleave(x, 2) | x23 | fdi
    repeat_interleave(x, 2, dim=1) | x23 | fdi
    repeat_interleave(x, i, dim=0) | x23 i2 | fdi
    roll(x, 1) | x23 | fdi
    roll(x, shifts=-2, dims=1) | x23 | fdi
    roll(x, (1, 1), (0, 1)) | x23
    flip(x, (0,)) | x23 | fdi
    flip(x, [0, 1]) | x23 | fdi
    fliplr(x) | x23
    flipud(x) | x23
    rot90(x) | x23
    rot90(x, 3, (0, 1)) | x23
    rot90(x, 2, [1, 2]) | x234
    narrow(x, 1, 1, 2) | x23 | fdi
    select(x, 1, -1) | x23 | fdi
    x.unfold(0, 3, 2) | x7
    x.unfold(1, 2, 1) | x25
    diag(x) | x3 | fdi
    diag(x, 1) | x3
    diag(x) | x34 | fdi
    diag(x, diagonal=-1) | x34
    diagonal(x) | x34
    diagonal(x, 1, 0, 2) | x234
    diagonal(x, offset=-1, dim1=-2, dim2=-1) | x234
    diag_embed(x) | x23
    diag_embed(x, 1) | x23
    diagflat(x) | x22
    trace(x) | x33 | fdi
    tril(x) | x33 | fdib
    triu(x, 1) | x34 | fdib
    x.contiguous().stride() | x23
    x.T.contiguous().stride() | x23
    x.T.is_contiguous() | x23
    x.stride(0) | x23
    numel(x) | x23
    x.nelement() | x23
    x.ndimension() | x23
    x.element_size() | x23 | fdib
    x.nbytes | x23 | fdib
    x.storage_offset() | x23
    x[1:].storage_offset() | x23
    is_tensor(x) | x23
    is_floating_point(x) | x23 | fdib
    x.type() | x23 | fdib
    x.type(torch.float64) | x23 | fdib
    x.type("torch.LongTensor") | x23 | fdi
    x.type(torch.FloatTensor) | x23 | fdi
    x.type_as(y) | x23 y3
    x.short() | x23 | fdib
    x.is_cuda | x23
    x.cpu() | x23
    clone(x) | x23
    detach(x) | x23
    zeros_like(x) | x23 | fdib
    meshgrid(x, y, indexing="ij") | x2 y3 | fdi
    meshgrid(x, y, indexing="xy") | x2 y3 | fdi
    cartesian_prod(x, y) | x2 y3 | fdi
    combinations(x) | x4 | fdi
    combinations(x, r=3, with_replacement=True) | x4
    tril_indices(3, 4) |
    triu_indices(3, 4, offset=1) |
""")

CHOOSING = rows("""
    gather(x, 1, i) | x23 i24 | fdi
    masked_fill(x, m, y[0]) | x23 m23 y2 | fdi
    gather(x, 0, i[0]) | x3 i2
    gather(x[0], 0, i - i) | x3 i3
    gather(x[0], 0, i[0] - i[0]) | x3 i3
    index_select(x, 1, i) | x23 i4 | fdi
    index_select(x, dim=0, index=i) | x23 i4 | fdi
    take(x, i) | x23 i22 | fdi
    take_along_dim(x, i, dim=1) | x23 i21 | fdi
    take_along_dim(x, i) | x23 i4
    masked_select(x, m) | x23 m3 | fdi
    masked_select(x, x > 0) | x23 | fdi
    masked_fill(x, m, 7) | x23 m23 | fdi
    nonzero(x) | x23 | fdib
    nonzero(x, as_tuple=True) | x23 | fdib
    argwhere(x) | x23 | fdib
    where(m, x, y) | m23 x23 y3 | fdi
    where(m, x, 0.0) | m23 x23
    where(m, 1, x) | m23 x23 | fdi
    where(m, 1.0, 0.0) | m23
    where(m) | m23
    x.where(m, y) | m23 x23 y3
    scatter(x, 1, j, y) | x23 j21 y21 | fdi
    scatter(x, 0, j, 7) | x23 j21 | fdi
    scatter(x, 1, i, 1.0, reduce="add").detach() | x23 i22 | fd
    scatter_add(x, 1, i, y) | x23 i24 y24 | fdi
    index_add(x, 0, i, y) | x23 i4 y43 | fdi
    index_add(x, 1, i, y, alpha=2) | x23 i4 y24
    index_copy(x, 0, j, y) | x23 j2 y23 | fdi
    index_fill(x, 1, i, 7) | x23 i4 | fdi
    index_put(x, (i,), y) | x23 i1 y3 | fdi
    index_put(x, (i,), y, accumulate=True) | x23 i4 y3 | fdi
""")

PRODUCTS = rows("""
    matmul(x, y) | x23 y34 | fdi
    mm(x, y) | x23 y34 | fdi
    bmm(x, y) | x523 y534 | fdi
    mv(x, y) | x23 y3 | fdi
    dot(x, y) | x3 y3 | fdi
    vdot(x, y) | x3 y3
    inner(x, y) | x23 y43
    outer(x, y) | x2 y3 | fdi
    ger(x, y) | x2 y3
    addmm(x, y, z) | x24 y23 z34 | fdi
    addmm(x, y, z, beta=0.5, alpha=2) | x4 y23 z34
    addmv(x, y, z) | x2 y23 z3
    baddbmm(x, y, z) | x524 y523 z534
    tensordot(x, y) | x234 y345
    tensordot(x, y, dims=1) | x23 y34
    tensordot(x, y, dims=([1, 0], [0, 1])) | x23 y325
    kron(x, y) | x23 y22 | fdi
    kron(x, y) | x2 y22
    cross(x, y, dim=1) | x23 y23 | fdi
    einsum("ij,jk->ik", x, y) | x23 y34
    einsum("ij,jk", x, y) | x23 y34
    einsum("ij,ij", x, y) | x23 y23
    einsum("ba", x) | x23
    einsum("ii->i", x) | x33
    einsum("ii", x) | x33
    einsum("...ij,...jk->...ik", x, y) | x523 y34
    einsum("...ij->...ji", x) | x523
    einsum("bhid,bhjd->bhij", x, y) | x2234 y2254
    einsum("i,j->ij", [x, y]) | x2 y3
    einsum("bi,bi->b", x, y) | x23 y13
    einsum("ij->", x) | x23
    inverse(x) | x33
    det(x) | x33
    det(x) | x233
    matrix_power(x, 3) | x33
    matrix_power(x, -2) | x33
    svd(x.detach()).S | x34
    torch.linalg.norm(x) | x23
    torch.linalg.norm(x, dim=1) | x23
    torch.linalg.norm(x, ord=1) | x23
    torch.linalg.norm(x, "fro", keepdim=True) | x23
    torch.linalg.norm(x.detach(), "nuc") | x23
    torch.linalg.norm(x.detach(), 2, dim=(0, 2)) | x234
    torch.linalg.norm(x, torch.inf, dim=(0, 1)) | x234
    torch.linalg.vector_norm(x, 3, dim=(0, 1)) | x23
    torch.linalg.matrix_norm(x) | x523
    torch.linalg.inv(s) | s533
    torch.linalg.det(x) | x33
    torch.linalg.solve(x, y) | x33 y32
    torch.linalg.solve(x, y) | x33 y3
    torch.linalg.solve(x, y) | x233 y232
    torch.linalg.cholesky(s) | s233
    torch.linalg.svd(x.detach()).S | x34
    torch.linalg.svdvals(x.detach()) | x34
    torch.linalg.qr(x.detach())[1].abs() | x43
    torch.linalg.eigh(s.detach()).eigenvalues | s33
    torch.linalg.eigvalsh(s.detach()) | s33
    torch.linalg.slogdet(x.detach()) | x33
    torch.linalg.pinv(x.detach()) | x34
    torch.linalg.matrix_rank(x.detach()) | x34
    torch.linalg.lstsq(x.detach(), y.detach()).solution | x43 y42
    torch.linalg.matrix_power(x, 2) | x33
    torch.linalg.multi_dot([x, y, z]) | x23 y34 z42
""")

MAKING = rows("""
    logspace(0, 2, 5) |
    logspace(-1, 1, 4, base=2.0, dtype=torch.float64) |
    torch.arange(3) |
    torch.full((2,), 1.5) |
    x.new_zeros(2, 3) | x2 | fdib
    x.new_zeros((2, 3), dtype=torch.int64) | x2
    x.new_ones(2) | x2 | fdib
    x.new_full((2,), 3) | x2 | fdi
    x.new_tensor([1, 2]) | x2 | fdi
    x.new_empty(2, 3).shape | x2
    torch.LongTensor([1, 2]) |
    torch.FloatTensor([[1, 2]]) |
    torch.FloatTensor(2, 3).shape |
    torch.ByteTensor([1, 2]) |
    torch.tensor([1.5], dtype=torch.float) |
    torch.tensor([1.5], dtype=torch.double) |
    torch.tensor([1.5], dtype=torch.long) |
    torch.tensor([1.5], dtype=torch.int) |
    torch.tensor([1.5], dtype=torch.short) |
    torch.tensor([1.5], dtype=torch.bool) |
    (torch.pi, torch.inf, torch.e) |
    atleast_1d(x.sum()) | x2
    atleast_2d(x) | x2
""")

ROWS = ARITHMETIC + REDUCING + SORTING + SHAPES + CHOOSING + PRODUCTS + MAKING

REFUSED = rows("""
    sum(x, 2) | x23
    softmax(x, 2) | x23
    max(x, 2) | x23
    topk(x, 4) | x23
    topk(x, 1, 2) | x23
    sort(x, 2) | x23
    cat((x, y), 2) | x23 y23
    cat((x, y)) | x23 y22
    stack((x, y)) | x23 y22
    squeeze(x, 2) | x23
    unsqueeze(x, 4) | x23
    flip(x, (2,)) | x23
    roll(x, 1, 2) | x23
    chunk(x, 0) | x23
    chunk(x, 2, 2) | x23
    unbind(x, 2) | x23
    select(x, 0, 2) | x23
    narrow(x, 0, 1, 2) | x23
    index_select(x, 0, i + 2) | x23 i2
    index_select(x, 0, i - 1 - i) | x23 i2
    gather(x, 1, i + 3) | x23 i22
    masked_fill(x, m, y) | x22 m22 y2
    gather(x, 1, i - 3) | x23 i22
    gather(x[0], 0, i - i) | x3 i22
    gather(x, 0, i) | x3 i22
    scatter(x, 1, i + 3, 1.0) | x23 i22
    scatter_add(x, 1, i, y) | x23 i22 y2
    diagonal(x, 0, 0, 0) | x23
    mm(x, y) | x23 y23
    mm(x, y) | x23 y3
    bmm(x, y) | x523 y34
    dot(x, y) | x3 y4
    outer(x, y) | x23 y3
    einsum("ij,jk->ik", x, y) | x23 y43
    einsum("ij->ik", x) | x23
    median(x, 2) | x23
    kthvalue(x, 4) | x23
    quantile(x, 1.5) | x23
    cumprod(x, 2) | x23
    x.repeat(2) | x23
    x.expand_as(y) | x23 y3
    movedim(x, 0, 2) | x23
    clamp(x) | x23
    unflatten(x, 1, (2, 2)) | x23
    bitwise_and(x, y) | x23 y3
    masked_select(x, y) | x23 y23
    bincount(x) | x23 | fi
    torch.linalg.inv(x) | x23
    torch.linalg.cholesky(-x @ x.mT) | x33
    meshgrid(x, y, indexing="no") | x2 y3
    t(x) | x234
    trace(x) | x3
    diag(x) | x234
""")
