"""PyTorch's DistributedDataParallel with gloo: in each process the twin of the tests, and its rows of the batch."""

import os

import torch
from race_track.cells import BETAS, LEARNING_RATE, WEIGHT_DECAY, Cell, batches
from race_track.opponents import Entry
from race_track.opponents.pytorch import load_weights, training
from torch.nn.parallel import DistributedDataParallel

from minigrad.parallel import cores
from tests.support.twin import Twin

RANK, SIZE = "PMI_RANK", "PMI_SIZE"  # what MPICH's mpiexec tells each process


def build(cell: Cell) -> Entry:
    """Return the entry of one of the processes; its loss is that of its rows."""
    rank, size = int(os.environ[RANK]), int(os.environ[SIZE])
    torch.set_num_threads(max(1, cores() // size))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
    twin = Twin(cell)
    load_weights(twin, cell)
    optimizer = twin.optimizer(LEARNING_RATE, BETAS, WEIGHT_DECAY)
    rows = (tuple(part[rank::size] for part in batch) for batch in batches(cell))
    unit = training(rows, twin, DistributedDataParallel(twin), optimizer)
    return Entry(unit, f"torch {torch.__version__}, gloo", str(torch.get_num_threads()))
