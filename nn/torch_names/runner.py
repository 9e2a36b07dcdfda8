"""A script or module run as Python runs it, with `import torch` answered by minigrad."""

import builtins
import importlib.util
import io
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, TracebackType

from minigrad import switches
from nn.torch_names.importing import as_torch

OURS = tuple(str(Path(__file__).with_name(name + ".py")) for name in ("runner", "importing", "faces"))
LIBRARY = tuple(str(Path(__file__).parents[2] / name) + os.sep for name in ("minigrad", "nn"))
OURS += ("<frozen runpy>", "<frozen importlib")  # frames that are no script's


def run_script(path: str, arguments: Sequence[str]) -> int:
    """Run a file as `python path arguments` would; return the exit status.

    `sys.argv`, `sys.path[0]` and `__main__` are what they are there, and an error is printed as it is there.

    Raises    OSError if the file cannot be read; SystemExit as the script raises it.
    """
    place = os.path.abspath(path)
    try:
        with io.open_code(place) as file:
            source = file.read()
    except OSError as error:
        raise type(error)(f"expected a script; got {path} ({error.strerror})") from None
    switches.state.keep_inputs = b"create_graph=True" in source  # it differentiates gradients: see higher.py
    main = ModuleType("__main__")
    vars(main).update(__file__=place, __builtins__=builtins, __cached__=None)
    sys.argv = [path, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(place)
    sys.modules["__main__"] = main
    return _answer(lambda: exec(compile(source, place, "exec", dont_inherit=True), vars(main)))


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module as `python -m name arguments` would; return the exit status.

    Raises    ModuleNotFoundError if there is none of that name; SystemExit as the module raises it.
    """
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise ModuleNotFoundError(f"expected the name of a module; got {name}")
    sys.argv = [name, *arguments]
    return _answer(lambda: runpy.run_module(name, run_name="__main__", alter_sys=True))


def _answer(program: Callable[[], object]) -> int:
    """Run it; print an error with the script's own frames, and return what Python's exit status would be."""
    as_torch()
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        sys.excepthook(type(error), error, _trim(error))
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _trim(error: BaseException) -> TracebackType | None:
    """Leave the frames of the script and of what it called in the tracebacks; return the first's.

    An error in the words of minigrad.errors says all by itself: it ends at the script's line.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        frames = [f for f in _frames(each) if not _file(f).startswith(OURS)]
        if ": expected " in str(each) and "; got " in str(each):
            while frames and _file(frames[-1]).startswith(LIBRARY):
                frames.pop()
                each.__cause__, each.__suppress_context__ = None, True
        for one, following in zip(frames, [*frames[1:], None]):
            one.tb_next = following
        each.__traceback__ = frames[0] if frames else None
        each = each.__cause__ or each.__context__
    return error.__traceback__


def _frames(error: BaseException) -> list[TracebackType]:
    frames, frame = [], error.__traceback__
    while frame is not None:
        frames.append(frame)
        frame = frame.tb_next
    return frames


def _file(frame: TracebackType) -> str:
    return frame.tb_frame.f_code.co_filename
