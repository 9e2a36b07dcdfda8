"""Learning-rate schedules with PyTorch's names and numbers: each sets the "lr" of every group of an optimiser.

Where PyTorch goes from the present rate to the next, so do these: a rate that was set by hand in between,
or by another schedule, is taken over.
"""

from nn.optim.lr_scheduler.base import LRScheduler
from nn.optim.lr_scheduler.composed import ReduceLROnPlateau, SequentialLR
from nn.optim.lr_scheduler.cosines import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from nn.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
