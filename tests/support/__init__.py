"""What several tests share: a row for each operation, PyTorch twins, an array library that refuses."""
