"""A training step on several cores, or machines: the batch is split, and the gradients of its shares are added."""

from minigrad.parallel.choice import Way, busy_cores, choose_way, cores, set_blas_threads
from minigrad.parallel.ranks import begin_alike, rank, together, workers, world_size
from minigrad.parallel.workers import Workers
