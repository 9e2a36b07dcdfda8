"""Training on several processes, of one machine or of many: each takes its rows of the batch, and MPI adds up.

    mpiexec -n 4 python -m gpt train

starts the command four times. MPI's word for such a process is a rank. Each has a model of its own, and all stay equal
bit for bit (on processors of one kind; on another, the norm that clips may be rounded otherwise): they begin with the weights
of rank 0, draw the same batches, add up the same gradients, and make the same update. Rank 0 prints and writes for all.
"""

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from minigrad.errors import value_error
from minigrad.parallel import choice
from minigrad.parallel.workers import Workers
from minigrad.tensor import Tensor

TOLD = {  # what each process is told by whoever starts it: how many there are, and which of its machine it is
    "PMI_SIZE": "MPI_LOCALRANKID",  # mpiexec of MPICH and of Intel
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_LOCAL_RANK",  # of Open MPI
    "SLURM_STEP_NUM_TASKS": "SLURM_LOCALID",  # srun
}
START = 120  # seconds that a rank waits for all others to start
PATIENCE = 1.0  # seconds that a rank which failed waits for the others to fail alike
PIECE = 1 << 20  # elements that are added up at once; see `add_up`


def mpiexec(ranks: int) -> list[str]:
    """Return the beginning of a command that starts so many processes; the mpiexec beside this Python comes first.

    Raises    ImportError, with what to install, if there is none.
    """
    found = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
    if found is None:
        raise ImportError("--ranks needs mpiexec; install it with: pip install -e '.[mpi]'")
    return [found, "-n", str(ranks)]


def become(ranks: int) -> None:
    """Where this program runs alone, become mpiexec, which starts the same command so many times; 0 asks for nothing.

    Raises    ValueError if mpiexec started it already, another number of times
    """
    if ranks in (0, world_size()):
        return
    if world_size() > 1:
        raise value_error("--ranks", f"{world_size()}, as mpiexec has started", ranks)
    command = [*mpiexec(ranks), sys.executable, *sys.orig_argv[1:]]
    sys.stdout.flush()
    signal.alarm(0)  # a profiler's clock would end mpiexec
    os.execv(command[0], command)


@cache
def world() -> Any:
    """Return MPI's communicator of the processes that were started together, or None for one alone.

    Raises    ImportError or ValueError if they cannot find each other: all would write the same files
    """
    told = max(int(os.environ.get(size) or 1) for size in TOLD)
    if told == 1:
        return None
    try:
        signal.alarm(START)  # MPI would wait for ever for one that has ended; by a signal all end
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise ImportError(f"mpiexec: {told} processes need MPI ({why}); pip install -e '.[mpi]'") from None
    finally:
        signal.alarm(0)
    comm = MPI.COMM_WORLD
    if comm.size != told:
        library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        hint = "start them with its own, or with --ranks"
        raise value_error("mpiexec", f"that of mpi4py's MPI ({library})", f"another, of {told} ranks", hint)
    here = comm.Split_type(MPI.COMM_TYPE_SHARED)  # those of this machine
    mine = choice.available()
    part = min(len(mine), len(set().union(*here.allgather(mine))) // here.size)
    choice.limit = max(1, min(comm.allgather(part)))  # alike in all, for it changes rounding
    return comm


def world_size() -> int:
    """Return how many processes train together: 1, if this one is alone."""
    return 1 if world() is None else world().size


def rank() -> int:
    """Return which of them this is: 0, which prints and writes for all, if it is alone."""
    return 0 if world() is None else world().rank


def begin_alike(parameters: Iterable[Tensor], told: Any = None) -> None:
    """Give the parameters of every rank the values that they have in rank 0.

    Raises    ValueError if not all ranks were `told` the same, or one that fails would leave the others waiting
    """
    if (comm := world()) is None:
        return
    if not Ranks.guarded:
        raise value_error("ranks", "a program that runs in parallel.together(main)", "one that does not")
    each = comm.allgather(hashlib.sha256(repr(told).encode()).digest())
    if others := [number for number, its in enumerate(each) if its != each[0]]:
        raise value_error("ranks", "settings, text and checkpoint of rank 0 in all", f"others in {others}")
    for p in parameters:
        values = np.array(p._data, order="C")
        comm.Bcast(values)
        p.data = values


class Ranks(Workers):
    """Workers of this rank, for its rows of each batch; see `Workers` for the rest.

    In the all-reduce of a step travel the gradients, which parameters have one, the loss, and whether to stop.
    """

    guarded = False  # inside `together`

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._comm, self._stop = world(), False
        self._wish: Callable[[], bool] = bool  # which is False

    def rows(self, B: int) -> tuple[int, int]:
        """Return the first and the end of this rank's rows in a batch of B, which may be none."""
        return self._comm.rank * B // self._comm.size, (self._comm.rank + 1) * B // self._comm.size

    def over_all(self, loss: float) -> float:
        """Add up the gradients of all ranks in the `.grad` of each, and return the sum of their losses."""
        learning = [p for p in self._parameters if p.requires_grad]
        reached = [p._node.grad is not None for p in learning]
        parts = [p._node.grad if has else np.zeros(p.numel()) for p, has in zip(learning, reached)]
        flat = np.concatenate([*parts, reached, [loss, self._wish()]], axis=None, dtype=learning[0].dtype)
        self._add_up(flat)
        ends = np.cumsum([p.numel() for p in learning])
        for p, grad, by in zip(learning, np.split(flat, ends), flat[ends[-1] :]):
            p._node.grad = grad.reshape(p.shape) if by else None  # where no rank reached it
        return float(flat[-2])

    def agreed(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that says what, at the last all-reduce, a rank said to `should_stop()`."""
        self._wish = should_stop
        return lambda: self._stop

    def shares(self, batches: Iterable[Sequence[np.ndarray]]) -> Iterator[list[np.ndarray]]:
        """Yield this rank's rows of each batch, which may be none; before each, all learn whether one wants to stop."""
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
    """Replace an array (n,) by its sum over all ranks, in pieces: of more, MPICH does not keep both ways of a cable busy.

    Over 100 Mbit/s, 4 machines took 1.5 s for 12 MB in pieces of 4 MB, as on paper, 2.7 s in one call (examples/many_machines.py).
    """
    from mpi4py import MPI

    for start in range(0, len(array), PIECE):
        comm.Allreduce(MPI.IN_PLACE, array[start : start + PIECE])


def together(main: Callable[[], int]) -> int:
    """Return main() when all ranks have come to its end; a rank that fails alone ends them all, which else wait for ever.

    Ranks that fail alike, as all do which are given a wrong flag, end as one: only rank 0 is heard.
    """
    try:
        comm = world()
    except (ImportError, ValueError) as error:
        if not any(int(os.environ.get(place) or 0) for place in TOLD.values()):  # once on each machine
            print(error, file=sys.stderr)
        return 2
    if comm is None:
        return main()
    Ranks.guarded, ends, last_words, status, failed = True, comm.Dup(), lambda: None, 1, True
    try:
        if comm.rank:
            last_words = _set_aside(comm.rank)
        status = main() or 0
        failed = status != 0
    except SystemExit as leaving:
        code = leaving.code or 0
        status = code if isinstance(code, int) else 1
        if code is not status:
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    all_end, began = ends.Ibarrier(), time.monotonic()
    while not all_end.Test():
        if failed and time.monotonic() - began > PATIENCE:
            last_words()
            time.sleep(PATIENCE / 2)  # in which mpiexec passes them on: it ends without reading the rest
            os.close(2)  # Abort has nothing to add
            comm.Abort(status or 1)
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
        file.seek(0)
        said = f"\nrank {rank} ends, and all with it; it said at last:\n".encode()
        os.write(shown, said + b"".join(file.readlines()[-20:]))

    return last_words
