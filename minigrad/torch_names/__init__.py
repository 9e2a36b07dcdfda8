"""What only PyTorch's lessons need of the engine: how Tensors print, and the names of what made them."""
