"""python -m gpt with an accident planted: `python -m tests.accidents.driver PLACE ACCIDENT train ...`.

PLACE is a function, module.name, and which of its calls (`os.replace:2`); ACCIDENT is a signal (SIGINT+SIGINT: two) that
this process then sends itself, before the call, or "full", from where on no file can grow, as on a full disk.
"""

import os
import signal
import sys
from importlib import import_module

from gpt.__main__ import main


def plant(place, accident):
    """Put the accident before the call of that number."""
    name, _, count = place.partition(":")
    module, _, attribute = name.rpartition(".")
    home, left = import_module(module), [int(count or 1)]
    before = getattr(home, attribute)

    def planted(*args, **options):
        left[0] -= 1
        if left[0] == 0:
            happen(accident)
        return before(*args, **options)

    setattr(home, attribute, planted)


def happen(accident):
    """Let it happen, now."""
    if accident == "full":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))  # bytes of a file
    else:
        for name in accident.split("+"):
            os.kill(os.getpid(), getattr(signal, name))


if __name__ == "__main__":
    plant(*sys.argv[1:3])
    sys.exit(main(sys.argv[3:]))
