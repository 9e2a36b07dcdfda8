"""The elementary operations: array functions that return (output, vjp).

Positional arguments are arrays that may carry a gradient; constants are keyword-only. `vjp(dout)`
returns one gradient per positional argument, of that argument's shape. No code here works in place,
so that it can be run again on Tensors for derivatives of derivatives (higher.py).
"""
