"""Training on several processes, of one machine or of many: each takes its rows of the batch, and MPI adds up.

    mpiexec -n 4 python -m gpt train

starts the command four times. MPI's word for such a process is a rank. Each has a model of its own, and all stay equal
bit for bit: they begin with the weights of rank 0, draw the same batches, add up the same gradients, and make the
same update. Rank 0 prints and writes for all.
"""

import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.errors import value_error
from minigrad.parallel import choice
from minigrad.parallel.workers import Workers
from minigrad.tensor import Tensor

TOLD = {  # what each process is told by whoever starts it: how many there are, and which it is
    "PMI_SIZE": "PMI_RANK",  # mpiexec of MPICH and of Intel
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",  # of Open MPI
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",  # srun
}
PATIENCE = 1.0  # seconds that a rank which failed waits for the others to fail alike
PIECE = 1 << 20  # elements that are added up at once; see `add_up`


def launched() -> tuple[int, int]:
    """Return (how many processes were started together, which of them this is, from 0)."""
    return max((int(os.environ.get(size, 1)), int(os.environ.get(rank, 0))) for size, rank in TOLD.items())


def mpiexec(ranks: int) -> list[str]:
    """Return the beginning of a command that starts so many processes; the mpiexec beside this Python comes first.

    Raises    ImportError, with what to install, if there is none.
    """
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise ImportError("--ranks needs mpiexec; install it with: pip install -e '.[mpi]'")
    return [found, "-n", str(ranks)]


def become(ranks: int) -> None:
    """Where this program runs alone, become mpiexec, which starts it so many times as it was started; 0 asks for nothing.

    Raises    ValueError if mpiexec started it already, another number of times
    """
    if ranks in (0, world_size()):
        return
    if world_size() > 1:
        raise value_error("--ranks", f"{world_size()}, as mpiexec has started", ranks)
    command = [*mpiexec(ranks), sys.executable, *sys.orig_argv[1:]]
    sys.stdout.flush()
    os.execv(command[0], command)


@cache
def world() -> Any:
    """Return MPI's communicator of the processes that were started together, or None for one alone.

    Raises    ImportError or ValueError if they cannot find each other: each would train alone, and all would
              write the same files
    """
    told, _ = launched()
    if told == 1:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise ImportError(f"mpiexec: {told} processes need MPI ({why}); pip install -e '.[mpi]'") from None
    comm = MPI.COMM_WORLD
    if comm.size != told:
        library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        hint = "start them with its own, or with --ranks"
        raise value_error(
            "mpiexec", f"that of mpi4py's MPI ({library})", f"another, of {told} processes", hint
        )
    here = comm.Split_type(MPI.COMM_TYPE_SHARED)  # those of this machine
    choice.limit = max(1, len(set().union(*here.allgather(choice.available()))) // here.size)
    return comm


def world_size() -> int:
    """Return how many processes train together: 1, if this one is alone."""
    return 1 if world() is None else world().size


def rank() -> int:
    """Return which of them this is: 0, which prints and writes for all, if it is alone."""
    return 0 if world() is None else world().rank


def begin_alike(parameters: Iterable[Tensor], told: Any = None) -> None:
    """Give the parameters of every rank the values that they have in rank 0.

    Raises    ValueError if not all ranks were `told` the same
    """
    comm = world()
    if comm is None:
        return
    each = comm.allgather(told)
    if others := [number for number, its in enumerate(each) if its != each[0]]:
        raise value_error("ranks", "the text and the checkpoint of rank 0 in all", f"others in {others}")
    for p in parameters:
        values = np.ascontiguousarray(p._data)
        comm.Bcast(values)
        if comm.rank:
            p.data = values


class Ranks(Workers):
    """Workers of this rank, for its rows of each batch; see `Workers` for the rest.

    In the all-reduce of a step travel the gradients, which parameters have one, the loss, and whether to stop.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._comm, self._stop = world(), False
        self._wish: Callable[[], bool] = bool  # which is False

    def rows(self, B: int) -> tuple[int, int]:
        """Return the first and the end of this rank's rows in a batch of B, which may be none."""
        return self._comm.rank * B // self._comm.size, (self._comm.rank + 1) * B // self._comm.size

    def backward(self, batches: Sequence[Sequence[np.ndarray]], step: int = 0) -> float:
        """Set `.grad` of every leaf to the mean gradient over all ranks' rows; return the mean loss of all."""
        loss = super().backward(batches, step)
        learning = [p for p in self._parameters if p.requires_grad]
        grads = [p._node.grad for p in learning]
        reached = [grad is not None for grad in grads]
        parts = [np.zeros(p.numel()) if grad is None else grad for p, grad in zip(learning, grads)]
        flat = np.concatenate([*parts, reached, [loss, self._wish()]], axis=None, dtype=learning[0].dtype)
        self._add_up(flat)
        ends = np.cumsum([p.numel() for p in learning])
        for p, end, by in zip(learning, ends, flat[ends[-1] :]):  # None where no rank reached it
            p._node.grad = flat[end - p.numel() : end].reshape(p.shape) if by else None
        return float(flat[-2])

    def agreed(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that says what, at the last all-reduce, a rank said to `should_stop()`."""
        self._wish = should_stop
        return lambda: self._stop

    def shares(self, batches: Iterable[Sequence[np.ndarray]]) -> Iterator[list[np.ndarray]]:
        """Yield this rank's rows of each batch, which may be none."""
        for batch in batches:
            self.add_up(0.0)
            first, end = self.rows(len(batch[0]))
            yield [array[first:end] for array in batch]

    def add_up(self, *numbers: float) -> list[float]:
        """Return the sum of each over all ranks."""
        together = np.array([*numbers, self._wish()], float)
        self._add_up(together)
        return together[:-1].tolist()

    def _add_up(self, array: np.ndarray) -> None:
        add_up(self._comm, array)
        self._stop = array[-1] > 0


def workers(*arguments: Any) -> Workers:
    """Return the Workers of this process: Ranks, if mpiexec started it beside others."""
    return Workers(*arguments) if world() is None else Ranks(*arguments)


def add_up(comm: Any, array: np.ndarray) -> None:
    """Replace an array (n,) by its sum over all ranks, in pieces.

    MPICH exchanges halves of what it is given one after the other, each whole. Over a network of 100 Mbit/s, 12 MB in pieces of
    4 MB took 4 machines 1.5 s, as long as the cables need; in one call 2.7 s (examples/many_machines.py).
    """
    from mpi4py import MPI

    for start in range(0, len(array), PIECE):
        comm.Allreduce(MPI.IN_PLACE, array[start : start + PIECE])


def together(main: Callable[[], int]) -> int:
    """Return main() when all ranks have come to its end; a rank that fails alone ends them all.

    Else the others would wait for it in their next all-reduce, for ever. Ranks that fail alike, as all do which
    are given a wrong flag, end as one: only rank 0 is heard, unless another ends the job.
    """
    try:
        comm = world()
    except (ImportError, ValueError) as error:
        if launched()[1] == 0:
            print(error, file=sys.stderr)
        return 2
    if comm is None:
        return main()
    last_words = _set_aside(comm.rank) if comm.rank else lambda: None
    ends, status, failed = comm.Dup(), 1, True
    try:
        status = main()
        failed = status != 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    all_end, began = ends.Ibarrier(), time.monotonic()
    while not all_end.Test():
        if failed and time.monotonic() - began > PATIENCE:
            last_words()
            time.sleep(PATIENCE / 2)  # in which mpiexec passes them on: it ends without reading the rest
            comm.Abort(status or 1)
            os._exit(status or 1)  # where Abort returns
        time.sleep(0.01)
    return status


def _set_aside(rank: int) -> Callable[[], None]:
    """Show nothing more of what this process prints; return a function that shows the end of its standard error."""
    os.environ["TQDM_DISABLE"] = "1"
    file, shown = tempfile.TemporaryFile(), os.dup(2)
    os.dup2(file.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def last_words() -> None:
        sys.stderr.flush()
        said = os.pread(file.fileno(), 2000, max(0, os.fstat(file.fileno()).st_size - 2000))
        os.write(shown, f"\nrank {rank} ends, and all with it; it said at last:\n".encode() + said)

    return last_words
