"""Evidence made by hand, to ask single explanations what they say of it."""

import numpy as np

from minigrad.check.evidence import Evidence


def told(measured, claimed, **more):
    """Return evidence of two gradients alone; the input counts from 1, nothing is uncertain."""
    measured, claimed = np.array(measured, float), np.array(claimed, float)
    given = {
        "x": np.arange(1.0, 1 + measured.size).reshape(measured.shape),
        "y": np.ones(1),
        "dout": np.ones(1),
        "error": np.zeros(measured.shape),
    }
    given |= {name: np.array(a, float) for name, a in more.items() if name in given}
    return Evidence(
        measured=measured, claimed=claimed, **given | {n: a for n, a in more.items() if n not in given}
    )


def linear(right, claimed, dout=None, outputs=1, **more):
    """Return evidence of two Jacobians, the first `outputs` of whose axes are those of the output."""
    right, claimed = (np.array(a, float) for a in (right, claimed))
    shape = right.shape[:outputs]
    count = int(np.prod(shape))
    dout = np.reshape(np.arange(1.0, count + 1) if dout is None else dout, shape)
    gradients = [np.tensordot(dout, a, outputs) for a in (right, claimed)]
    matrices = [a.reshape(count, int(np.prod(right.shape[outputs:]))) for a in (right, claimed)]
    known = {"jacobian": matrices[0], "claimed_jacobian": matrices[1]}
    more = {"y": np.arange(1.0, count + 1).reshape(shape), **known, **more}
    return told(*gradients, dout=dout, **more)
