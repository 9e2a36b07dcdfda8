"""A training step on several cores: the batch is split, and the gradients of its shares are added."""

from minigrad.parallel.choice import Way, busy_cores, choose_way, cores, set_blas_threads
from minigrad.parallel.workers import Workers
