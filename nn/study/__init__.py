"""Pieces to learn from: one attention head step by step, blocks with other residual connections."""
