"""Where to draw the vertices of a graph: layers from top to bottom, with few crossings and short edges."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP_X, GAP_Y = 264.0, 92.0, 46.0, 44.0
LANE = 26.0  # the width of an edge that passes a layer
SWEEPS = 9  # down and up, until boxes and passing edges stand in lines; the last one goes down


@dataclass
class Place:
    """A vertex, or a point of a long edge in a layer it passes (vertex -1), and the middle of its box."""

    vertex: int
    layer: int
    width: float
    x: float = 0.0
    y: float = 0.0


@dataclass
class Drawing:
    """Places of the vertices, the points that each edge runs through, and the size of it all."""

    places: list[Place]
    edges: dict[tuple[int, int], list[tuple[float, float]]]
    width: float
    height: float


def layout(inputs: Sequence[Sequence[int]]) -> Drawing:
    """Return where to draw vertex i, whose edges come from the vertices inputs[i], all with smaller numbers.

    The layer of a vertex is its longest path from a source, but a source sits just above its first
    reader. Layers are ordered by the mean place of their neighbours, sweeping down and up; then
    every place moves towards its neighbours as far as the order and the gaps allow.

    Source    Sugiyama, Tagawa and Toda 1981, IEEE Trans. SMC 11(2)
    """
    layers, places, chains = _layers(inputs)
    for sweep in range(13):
        _order(layers, _neighbours(chains, below=sweep % 2 == 1))
    _spread(layers, chains)
    left = min((p.x - p.width / 2 for p in places), default=0.0)
    for p in places:
        p.x -= left
        p.y = p.layer * (HEIGHT + GAP_Y) + HEIGHT / 2
    edges = {ends: [(p.x, p.y) for p in chain] for ends, chain in chains.items()}
    width = max((p.x + p.width / 2 for p in places), default=0.0)
    vertices = sorted((p for p in places if p.vertex >= 0), key=lambda p: p.vertex)
    return Drawing(vertices, edges, width, len(layers) * (HEIGHT + GAP_Y) - GAP_Y)


def _layers(
    inputs: Sequence[Sequence[int]],
) -> tuple[list[list[Place]], list[Place], dict[tuple[int, int], list[Place]]]:
    """Return the layers, all places, and for each edge its chain of places from layer to layer."""
    depth = [0] * len(inputs)
    for i, sources in enumerate(inputs):
        depth[i] = max((depth[s] + 1 for s in sources), default=0)
    for i in reversed(range(len(inputs))):
        readers = [depth[j] for j, sources in enumerate(inputs) if i in sources]
        if not inputs[i] and readers:
            depth[i] = min(readers) - 1
    places = [Place(i, depth[i], WIDTH) for i in range(len(inputs))]
    vertices, chains = list(places), {}
    for i, sources in enumerate(inputs):
        for s in dict.fromkeys(sources):
            passing = [Place(-1, layer, LANE) for layer in range(depth[s] + 1, depth[i])]
            places += passing
            chains[s, i] = [vertices[s], *passing, vertices[i]]
    layers: list[list[Place]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for p in places:
        layers[p.layer].append(p)
    return layers, places, chains


def _neighbours(chains: dict[tuple[int, int], list[Place]], below: bool) -> dict[int, list[Place]]:
    """Return {id of a place: its neighbours in the layer above, or below}."""
    found: dict[int, list[Place]] = {}
    for chain in chains.values():
        for upper, lower in zip(chain, chain[1:]):
            here, there = (upper, lower) if below else (lower, upper)
            found.setdefault(id(here), []).append(there)
    return found


def _order(layers: list[list[Place]], neighbours: dict[int, list[Place]]) -> None:
    """Sort each layer by the mean place of the neighbours; x is the place in the layer for now."""
    for layer in layers:
        for i, p in enumerate(layer):
            near = neighbours.get(id(p), [])
            p.x = sum(q.x for q in near) / len(near) if near else float(i)
        layer.sort(key=lambda p: p.x)
        for i, p in enumerate(layer):
            p.x = float(i)


def _spread(layers: list[list[Place]], chains: dict[tuple[int, int], list[Place]]) -> None:
    """Give every place its x: below its neighbours, and above them, as far as order and gaps allow."""
    for layer in layers:
        _pack(layer, [0.0] * len(layer))
    above, below = _neighbours(chains, below=False), _neighbours(chains, below=True)
    for sweep in range(SWEEPS):
        first, second = (below, above) if sweep % 2 else (above, below)
        for layer in layers[::-1] if sweep % 2 else layers:
            near = [first.get(id(p)) or second.get(id(p)) or [p] for p in layer]
            straight = [[q for q in n if (q.vertex < 0) == (p.vertex < 0)] or n for p, n in zip(layer, near)]
            _pack(layer, [sum(q.x for q in n) / len(n) for n in straight])


def _pack(layer: list[Place], wanted: list[float]) -> None:
    """Move the places of a layer to where they want to be, keeping order and gaps.

    Neighbours that would overlap form a block, which moves as one to the mean of its wishes; a box
    weighs more than a passing edge, which gives way.
    """
    blocks: list[tuple[list[tuple[Place, float]], float, float]] = []  # ([(place, offset)], position, weight)
    for p, x in zip(layer, wanted):
        members, position, weight = [(p, 0.0)], x, 1.0 if p.vertex >= 0 else 1e-9
        while blocks and _overlap(blocks[-1][0], blocks[-1][1], members[0][0], position):
            before, at, mass = blocks.pop()
            shift = before[-1][1] + _distance(before[-1][0], members[0][0])
            members = before + [(q, offset + shift) for q, offset in members]
            position = (at * mass + (position - shift) * weight) / (mass + weight)
            weight += mass
        blocks.append((members, position, weight))
    for members, position, _ in blocks:
        for p, offset in members:
            p.x = position + offset


def _overlap(before: list[tuple[Place, float]], at: float, first: Place, position: float) -> bool:
    last, offset = before[-1]
    return at + offset + _distance(last, first) > position


def _distance(a: Place, b: Place) -> float:
    gap = GAP_X if a.vertex >= 0 and b.vertex >= 0 else GAP_X / 2
    return (a.width + b.width) / 2 + gap
