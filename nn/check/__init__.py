"""Does every operation and layer agree with numerical differences, and with PyTorch?"""
