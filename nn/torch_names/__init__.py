"""`import torch` for scripts as they stand: what only lessons need, and the runner that answers the import.

    command, runner          python -m minigrad run: a script with Python's own manners
    importing, faces         who answers `import torch`, and where each of its names is found
    saving, tree, storages   torch.save and torch.load: a file, what is nested in it, whose memory is shared
    data, datasets, samplers, collate                        torch.utils.data
    settings, cuda, amp, cuda_amp, backends, distributed     what is said to a machine: accepted or refused
    modes, autograd, seeds, linalg, limits, words, testing, tensorboard    smaller rooms of PyTorch's

What is said of a name that is not there, and torch.device, the engine needs too: minigrad/torch_names.
"""
