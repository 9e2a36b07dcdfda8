"""PyTorch's larger layers: multi-head attention, encoder and decoder layers, batch norm, losses."""
