"""A training step on several cores: the batch is split, and the gradients of its shares are added."""

from minigrad.parallel.choice import Way, cores, fastest_way, set_blas_threads, ways
from minigrad.parallel.workers import Workers
