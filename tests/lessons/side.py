"""Run many scripts in one process, under PyTorch or under minigrad, and tell as JSON what each printed.

    python -m tests.lessons.side minigrad answer.json lesson.py ...

PyTorch takes longer to import than most lessons to run. Each script has an empty folder of its own to write to, and a
warning is an error in it.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import tempfile
import traceback
import warnings
from pathlib import Path


def outcome(path):
    """Run one script; return what it printed, and the last line of its traceback or None."""
    printed, failure, home = io.StringIO(), None, Path.cwd()
    with (
        tempfile.TemporaryDirectory() as room,
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        os.chdir(room)
        try:
            runpy.run_path(path, run_name="__main__")
        except Exception as error:
            failure = traceback.format_exception_only(error)[-1].strip()
        finally:
            os.chdir(home)
    return {"printed": printed.getvalue(), "failure": failure}


def main(side, answer, *paths):
    """Run the scripts and write the answer."""
    if side == "minigrad":
        from nn.torch_names.importing import as_torch

        as_torch()
    import torch

    torch.set_num_threads(1)
    outcomes = {path: outcome(path) for path in paths}
    Path(answer).write_text(json.dumps(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
