"""In which order PyTorch's CPU leaves equal values: `topk`, `sort`, and `multinomial` without replacement.

Values that differ have one order, whoever sorts them. Among equal ones the order is an accident of the
algorithm, and PyTorch's accident is that of the C++ library it is built with, GNU's libstdc++:

    topk, k <= n / 64    partial_sort: a heap of the best k so far, then taken apart
    topk, larger k       nth_element(k - 1), then sort of the first k - 1
    sort, argsort        sort; with stable=True, and for whole numbers in long rows, equal values keep their order

These are Musser's introsort and introselect: quicksort with a median of three as pivot, a heap where that
takes too long, and insertion sort at the end. What is repeated here is which elements they swap; equal values
are told apart by nothing else. Three remarks make it fast on arrays:

-   Only the ranks of values matter, so a row is one array of (rank, index) columns.
-   A partition swaps the i-th element from the left that belongs right with the i-th from the right that
    belongs left, until the two meet: all of these swaps are one assignment.
-   Insertion sort keeps the order of equal values, so it is NumPy's stable sort. And a stretch in which no two
    values are equal need not be partitioned first: it has one order, which the stable sort finds.

Source    D. Musser, Introspective sorting and selection algorithms, 1997
"""

import numpy as np

RADIX = 32_768  # from so many whole numbers on, a 1-d ascending sort is a radix sort, which is stable


def topk_order(values: np.ndarray, k: int, largest: bool = True, sorted: bool = True) -> np.ndarray:
    """Return the indices of the k largest (or smallest) values of each row, as `torch.topk` orders them.

    NaN counts as the largest value. With sorted=False the order is the one in which the selection left them.

    Shapes    values (..., n) -> (..., k), int64; 0 <= k <= n
    """
    n = values.shape[-1]
    order = np.empty((*values.shape[:-1], k), np.int64)
    if order.size:
        for row, out in zip(values.reshape(-1, n), order.reshape(-1, k)):
            out[...] = _topk_row(row, k, largest, sorted)
    return order


def sort_order(values: np.ndarray, descending: bool = False, stable: bool = False) -> np.ndarray:
    """Return the indices that sort each row, as `torch.sort` and `torch.argsort` order them.

    Shapes    values (..., n) -> (..., n), int64
    """
    n = values.shape[-1]
    radix = values.ndim == 1 and values.dtype.kind in "iu" and n >= RADIX and not descending
    order = np.empty(values.shape, np.int64)
    for row, out in zip(values.reshape(-1, n), order.reshape(-1, n)) if order.size else ():
        queue = _queue(row, descending)
        if not (stable or radix):
            _quicksort(queue, 0, n)
        out[...] = queue[1][queue[0].argsort(kind="stable")]
    return order


def _topk_row(row, k, largest, sorted):
    if sorted:  # the fast way, where the first k have but one order
        order = np.argsort(row)[::-1] if largest else np.argsort(row)
        head = row[order[: k + 1]]
        if not (head[1:] == head[:-1]).any() and np.count_nonzero(head != head) < 2:
            return order[:k]
    queue, n = _queue(row, largest), row.size
    if k * 64 <= n:
        _heap_select(queue, 0, k, n, sort=True)
        return queue[1, :k]
    _select(queue, k - 1)
    if sorted:
        _quicksort(queue, 0, k - 1)
        queue[:, : k - 1] = queue[:, queue[0, : k - 1].argsort(kind="stable")]
    return queue[1, :k]


def _queue(row, descending):
    """Columns (rank, index); the lower rank comes first. NaN, equal to itself here, is the largest value."""
    unique, rank = np.unique(row, return_inverse=True)
    return np.stack((unique.size - 1 - rank if descending else rank, np.arange(row.size)))


def _quicksort(queue, first, last):
    """Partition [first, last) to stretches of 16 or less: what is left of `sort` is insertion sort."""
    stretches = [(first, last, 2 * ((last - first).bit_length() - 1))]
    several = np.bincount(queue[0]) > 1
    while stretches:
        first, last, depth = stretches.pop()
        while last - first > 16 and several[queue[0, first:last]].any():
            if depth == 0:
                _heap_select(queue, first, last, last, sort=True)
                break
            depth -= 1
            cut = _partition(queue, first, last)
            stretches.append((cut, last, depth))
            last = cut


def _select(queue, nth):
    """`nth_element`: put in place `nth` what a sort would put there, lower ranks before it."""
    first, last = 0, queue.shape[1]
    depth = 2 * (last.bit_length() - 1)
    while last - first > 3:
        if depth == 0:
            _heap_select(queue, first, nth + 1, last, sort=False)
            _swap(queue, first, nth)
            return
        depth -= 1
        cut = _partition(queue, first, last)
        first, last = (cut, last) if cut <= nth else (first, cut)
    queue[:, first:last] = queue[:, first + queue[0, first:last].argsort(kind="stable")]


def _partition(queue, first, last):
    """Bring ranks up to the pivot's before those from it on; return where the second part begins."""
    rank = queue[0]
    a, b, c = first + 1, first + (last - first) // 2, last - 1
    if rank[a] < rank[b]:
        median = b if rank[b] < rank[c] else c if rank[a] < rank[c] else a
    else:
        median = a if rank[a] < rank[c] else c if rank[b] < rank[c] else b
    _swap(queue, first, median)
    inside = rank[first + 1 : last]
    rightward = np.flatnonzero(inside >= rank[first]) + first + 1
    leftward = np.flatnonzero(inside <= rank[first])[::-1] + first + 1
    n = min(rightward.size, leftward.size)
    n = np.count_nonzero(rightward[:n] < leftward[:n])  # then the two have met
    _swap(queue, rightward[:n], leftward[:n])
    meeting = [*rightward[n : n + 1], *leftward[n - 1 : n]]  # the next one, or one that was just put there
    return int(min(meeting))


def _swap(queue, i, j):
    queue[:, i], queue[:, j] = queue[:, j].copy(), queue[:, i].copy()


def _heap_select(queue, first, middle, last, sort):
    """Bring the lowest ranks of [first, last) to [first, middle), as a heap or sorted: `partial_sort`."""
    heap = queue[:, first:middle].T.tolist()
    for parent in range(len(heap) // 2 - 1, -1, -1):
        _sift(heap, parent, len(heap), heap[parent])
    beats = np.flatnonzero(queue[0, middle:last] < heap[0][0]) + middle  # others never will: it only falls
    for i in beats.tolist():
        item = queue[:, i].tolist()
        if item[0] < heap[0][0]:
            _sift(heap, 0, len(heap), item)
    for end in range(len(heap) - 1, 0, -1) if sort else ():
        item, heap[end] = heap[end], heap[0]
        _sift(heap, 0, end, item)
    queue[:, first:middle] = np.array(heap).T


def _sift(heap, hole, n, item):
    """Put `item` at `hole` of the heap of n, largest rank on top: the hole sinks to a leaf, then `item` rises."""
    top, child = hole, 2 * hole + 2
    while child < n:
        child -= heap[child][0] < heap[child - 1][0]
        heap[hole] = heap[child]
        hole, child = child, 2 * child + 2
    if child == n:  # an only child
        heap[hole] = heap[child - 1]
        hole = child - 1
    while hole > top and heap[(hole - 1) // 2][0] < item[0]:
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = item
