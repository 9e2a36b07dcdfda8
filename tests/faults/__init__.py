"""Mistakes planted in right gradients: they measure the checker."""
