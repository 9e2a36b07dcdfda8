"""The tests; `python -m pytest` runs them."""
