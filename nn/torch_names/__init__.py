"""`import torch` for scripts as they stand: what only lessons need, and the runner that answers the import."""
